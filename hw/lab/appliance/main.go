// Command appliance boots the appliance without its hardware: units, layout and
// updates of a card, on Debian in QEMU. It is what "make vm" runs.
//
// The image (image.sh, debian.sh) has a FAT partition with the settings, a
// read-only root and a data partition that grows; the disk is served from
// memory and can lose what was not flushed (disk.go, nbd.go). Buildroot's part
// - firmware, the boards' drivers, its own kernel - is not in it.
//
// Proof: appliance_test.go boots it, updates it, and breaks it in every way
// that a person could; cuts_test.go cuts its power; disk_test.go tests the disk
// itself, with QEMU's own client.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

func main() {
	arch := flag.String("arch", runtime.GOARCH, "amd64 or arm64")
	program := flag.String("program", "bin/aerie", "the aerie to put into it, for that architecture")
	flag.Parse()
	if err := run(*arch, *program); err != nil {
		fmt.Fprintln(os.Stderr, "appliance:", err)
		os.Exit(1)
	}
}

// run boots an image for a person, with the console on the terminal.
func run(arch, program string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "aerie-vm.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	img, err := makeImage(arch, program, "", filepath.Join(dir, "image"))
	if err != nil {
		return err
	}
	d, err := img.openDisk()
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	v, err := start(dir, settings{image: img, disk: d, console: os.Stdout, append: "systemd.journald.forward_to_console=1 systemd.journald.max_level_console=info systemd.show_status=1"})
	if err != nil {
		return err
	}
	defer v.off()
	fmt.Printf("The page will be at http://%s/, the control port at %s. Ctrl-C ends it, and forgets what it has learnt.\n", v.page, v.control)
	select {
	case <-stop:
		return nil
	case <-v.ended:
		if v.err != nil {
			return errors.Join(errors.New("QEMU ended"), v.err)
		}
		return nil
	}
}
