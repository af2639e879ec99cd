package diagnostics

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	maxFiles  = 200      // of one part
	fileBytes = 64 << 10 // of a file
)

// Files is a part with the files below root that match patterns, such as
// "sys/class/drm/*/edid". Those that are not text are written as hexadecimal
// digits. What is not there is left out, what cannot be read is said.
func Files(name, root string, patterns ...string) Part {
	return Part{name, func(ctx context.Context, w io.Writer) error {
		n := 0
		for _, p := range patterns {
			found, err := filepath.Glob(filepath.Join(root, p))
			if err != nil {
				return err
			}
			slices.Sort(found)
			for _, f := range found {
				if n++; n > maxFiles {
					return fmt.Errorf("more than %d files", maxFiles)
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := writeFile(w, f, "/"+strings.TrimPrefix(f[len(filepath.Clean(root)):], "/")); err != nil {
					return err
				}
			}
		}
		return nil
	}}
}

func writeFile(w io.Writer, file, name string) error {
	b, err := readFile(file)
	text := bytes.TrimRight(b, "\n\x00")
	switch {
	case err != nil:
		text = fmt.Appendf(nil, "(%v)", err)
	case !utf8.Valid(text) || bytes.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' && r != 0 }):
		text = []byte(hex.Dump(text))
	default:
		text = bytes.ReplaceAll(text, []byte{0}, []byte{' '})
	}
	_, err = fmt.Fprintf(w, "== %s\n%s\n\n", name, text)
	return err
}

// readFile reads the beginning of a regular file.
func readFile(name string) ([]byte, error) {
	// A pipe would block the open already.
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, fmt.Errorf("no regular file")
	}
	return io.ReadAll(io.LimitReader(f, fileBytes))
}

// Command is a part with what a program prints. It is killed when the time is
// over.
func Command(name, program string, args ...string) Part {
	return Part{name, func(ctx context.Context, w io.Writer) error {
		path, err := exec.LookPath(program)
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C", "TERM=dumb", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER=")
		cmd.Stdout, cmd.Stderr = w, w
		cmd.WaitDelay = time.Second / 4 // for what it has started
		return cmd.Run()
	}}
}
