package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

//go:embed init.sh
var initScript []byte

//go:embed drivers.list
var drivers []byte

// archive writes a cpio archive in the "newc" format, the one the kernel
// unpacks as its first root (kernel Documentation/driver-api/early-userspace/
// buffer-format.rst): per entry a header of 13 numbers in hexadecimal, the
// name, the data, each padded to four bytes.
type archive struct {
	w   *bufio.Writer
	ino int
	err error
}

func (a *archive) entry(name string, mode uint32, data []byte) {
	if a.err != nil {
		return
	}
	a.ino++
	links := 1
	_, a.err = fmt.Fprintf(a.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.ino, mode, 0, 0, links, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad(110 + len(name) + 1)
	if a.err == nil {
		_, a.err = a.w.Write(data)
	}
	a.pad(len(data))
}

func (a *archive) pad(n int) {
	if a.err == nil {
		_, a.err = a.w.Write(make([]byte, -n&3))
	}
}

func (a *archive) dir(name string)               { a.entry(name, 0o040755, nil) }
func (a *archive) file(name string, data []byte) { a.entry(name, 0o100755, data) }

// writeInitramfs writes the VM's root: busybox, init and all the kernel's
// modules, a few megabytes.
func (m *machine) writeInitramfs(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := m.initramfs(f); err != nil {
		return fmt.Errorf("initramfs: %w", err)
	}
	return f.Close()
}

func (m *machine) initramfs(w io.Writer) error {
	a := &archive{w: bufio.NewWriterSize(w, 1<<16)}
	for _, d := range []string{"bin", "dev", "proc", "sys", "lab", "src", "tmp", "run", "root", "lib"} {
		a.dir(d)
	}
	box, err := os.ReadFile(m.busybox)
	if err != nil {
		return err
	}
	a.file("bin/busybox", box)
	a.file("init", initScript)
	top := filepath.Join(m.kernel.modules, "lib", "modules")
	err = filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(m.kernel.modules, p)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			a.dir(path.Clean(rel))
		case d.Type().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			a.file(rel, data)
		}
		return a.err
	})
	if err != nil {
		return err
	}
	a.entry("TRAILER!!!", 0, nil)
	if a.err != nil {
		return a.err
	}
	return a.w.Flush()
}
