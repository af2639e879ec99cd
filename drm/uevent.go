package drm

import (
	"bytes"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Kernel uevents are datagrams of NUL-terminated strings: first ACTION@DEVPATH,
// then KEY=VALUE pairs (kernel lib/kobject_uevent.c). For a display that came
// or went the DRM core sends ACTION=change SUBSYSTEM=drm HOTPLUG=1 and, since
// Linux 4.16, CONNECTOR=id (drm_sysfs.c).

// maxUevent is the longest message taken: the kernel's own buffer has 2 KiB.
const maxUevent = 4096

// news is what a uevent means for a card.
type news int

const (
	newsNone    news = iota
	newsHotplug      // a display came or went
	newsRemoved      // the card is gone
)

// readUevent says what a uevent means for the card named name (card0).
func readUevent(msg []byte, name string) news {
	header, rest, ok := bytes.Cut(msg, []byte{0})
	action, path, at := bytes.Cut(header, []byte{'@'})
	if !ok || !at || len(path) == 0 {
		return newsNone
	}
	var drm, hotplug bool
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte{0})
		key, value, _ := bytes.Cut(line, []byte{'='})
		switch string(key) {
		case "ACTION":
			if !bytes.Equal(value, action) {
				return newsNone
			}
		case "DEVPATH":
			if !bytes.Equal(value, path) {
				return newsNone
			}
		case "SUBSYSTEM":
			drm = string(value) == "drm"
		case "HOTPLUG":
			hotplug = string(value) == "1"
		}
	}
	switch {
	case !drm || filepath.Base(string(path)) != name:
		return newsNone
	case string(action) == "remove":
		return newsRemoved
	case string(action) == "change" && hotplug:
		return newsHotplug
	}
	return newsNone
}

// cards lists the primary nodes.
func (linux) cards() ([]string, error) {
	m, err := filepath.Glob("/dev/dri/card[0-9]*")
	slices.Sort(m)
	return m, err
}

// uevents joins the kernel's group; group 2 would be udev's own messages.
func (linux) uevents() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// receive tells the kernel's messages, from port 0, from those of a process
// that may send to the group as well.
func (linux) receive(fd int, b []byte) (int, bool, error) {
	n, from, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return 0, false, err
	}
	sa, ok := from.(*unix.SockaddrNetlink)
	return n, ok && sa.Pid == 0 && sa.Groups == 1, nil
}
