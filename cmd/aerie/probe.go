package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"aerie/drm"
	"aerie/hw/alsa"
	"aerie/hw/board"
	"aerie/hw/cec"
	"aerie/hw/dmaheap"
	"aerie/receiver"
	"aerie/receiver/config"
	"golang.org/x/sys/unix"
)

// probe shows what this machine offers, what is missing, and which way picture
// and sound would take.
func probe(_ []string, out io.Writer) error {
	r, err := look()
	if err != nil {
		return err
	}
	return r.print(out)
}

// look looks at everything once. The outputs are opened for a moment, last of
// all, for they hold the display meanwhile.
func look() (*report, error) {
	r := &report{Version: version, Kernel: kernel(), Board: board.Read("/"), Cards: drm.Cards(), Decoders: decoders("/"), Heaps: dmaheap.Sources()}
	mailbox, done, err := board.OpenMailbox("/")
	if err == nil {
		defer done()
	}
	r.Health = board.Check("/", mailbox)
	r.Holders = map[string]string{}
	for _, c := range r.Cards {
		if c.Busy {
			r.Holders[c.Path] = holder("/proc", c.Path)
		}
	}
	r.TVs = cec.List()
	r.Sounds, r.SoundErr = alsa.Devices()
	r.Choice, err = receiver.Choose(config.Default())
	return r, err
}

// kernel is the release of the kernel, and the machine it was built for.
func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	text := func(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }
	return text(u.Release[:]) + " " + text(u.Machine[:])
}

// decoders lists the video decoders that the kernel has, by the names that
// their drivers give them: "video10 bcm2835-codec-decode".
func decoders(root string) (list []string) {
	names, _ := filepath.Glob(filepath.Join(root, "sys/class/video4linux/video*/name")) // the pattern is well formed
	for _, n := range names {
		b, err := os.ReadFile(n)
		if name := strings.TrimSpace(string(b)); err == nil && isDecoder(name) {
			list = append(list, filepath.Base(filepath.Dir(n))+" "+name)
		}
	}
	return list
}

// isDecoder tells decoders from encoders and codecs' other nodes by name.
func isDecoder(name string) bool {
	return strings.Contains(name, "decode") || strings.HasSuffix(name, "-dec")
}

// holder names a program that has a device open, as far as this user may see:
// "Xorg (812)"; "" if none is seen.
func holder(proc, device string) string {
	links, _ := filepath.Glob(filepath.Join(proc, "[0-9]*/fd/*")) // the pattern is well formed
	self := strconv.Itoa(os.Getpid())
	for _, l := range links {
		if to, err := os.Readlink(l); err != nil || to != device {
			continue
		}
		dir := filepath.Dir(filepath.Dir(l))
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if pid := filepath.Base(dir); err == nil && pid != self {
			return strings.TrimSpace(string(name)) + " (" + pid + ")"
		}
	}
	return ""
}
