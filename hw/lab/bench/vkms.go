package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Card is a vkms device made for a test.
type Card struct {
	tb  testing.TB
	dir string // in configfs

	// Node is its device node, such as /dev/dri/card1.
	Node string
}

// Displays makes a vkms device with two ports, each with a CRTC, a primary
// plane and an overlay of its own, that can be plugged and unplugged through
// configfs. Nothing is plugged in at first. What port 0 shows can be read back.
// It goes with the test. A kernel whose vkms has no configfs skips the test.
func Displays(tb testing.TB, name string) *Card {
	tb.Helper()
	Need(tb)
	c := &Card{tb: tb, dir: "/sys/kernel/config/vkms/" + name}
	if _, err := os.Stat(filepath.Dir(c.dir)); err != nil {
		tb.Skip("this kernel's vkms has no configfs")
	}
	c.must(os.Mkdir(c.dir, 0o755))
	var made, links []string
	for i := range 2 {
		crtc, encoder, connector := fmt.Sprintf("crtcs/c%d", i), fmt.Sprintf("encoders/e%d", i), fmt.Sprintf("connectors/n%d", i)
		primary, overlay := fmt.Sprintf("planes/p%d", i), fmt.Sprintf("planes/o%d", i)
		for _, d := range []string{crtc, encoder, connector, primary, overlay} {
			c.must(os.Mkdir(c.dir+"/"+d, 0o755))
			made = append(made, c.dir+"/"+d)
		}
		if i == 0 {
			c.write(crtc+"/writeback", "1")
		}
		c.write(primary+"/type", "1")
		c.write(connector+"/status", "2")
		for _, l := range [][2]string{{crtc, primary + "/possible_crtcs/c"}, {crtc, overlay + "/possible_crtcs/c"},
			{crtc, encoder + "/possible_crtcs/c"}, {encoder, connector + "/possible_encoders/e"}} {
			c.must(os.Symlink(c.dir+"/"+l[0], c.dir+"/"+l[1]))
			links = append(links, c.dir+"/"+l[1])
		}
	}
	c.write("enabled", "1")
	tb.Cleanup(func() {
		c.write("enabled", "0")
		for _, l := range links {
			os.Remove(l)
		}
		for _, d := range made {
			os.Remove(d)
		}
		c.must(os.Remove(c.dir))
	})
	for _, bus := range []string{"faux", "platform"} {
		if m, _ := filepath.Glob("/sys/devices/" + bus + "/" + name + "/drm/card*"); len(m) == 1 {
			c.Node = "/dev/dri/" + filepath.Base(m[0])
		}
	}
	return c
}

// Plug plugs a display into port 0 or 1, or unplugs it.
func (c *Card) Plug(port int, on bool) {
	c.tb.Helper()
	c.write(fmt.Sprintf("connectors/n%d/status", port), map[bool]string{true: "1", false: "2"}[on])
}

// Framebuffers counts those that the kernel has for the card.
func (c *Card) Framebuffers() int {
	c.tb.Helper()
	b, err := os.ReadFile("/sys/kernel/debug/dri/" + strings.TrimPrefix(c.Node, "/dev/dri/card") + "/framebuffer")
	c.must(err)
	return strings.Count(string(b), "framebuffer[")
}

// Handles counts the GEM handles that this process holds on the card, by asking
// the kernel for each: one that exists is a dumb buffer, or memory that was
// imported, which cannot be mapped.
func (c *Card) Handles() (n int) {
	c.tb.Helper()
	const mapDumb, most = 0xc01064b3, 200 // DRM_IOCTL_MODE_MAP_DUMB
	for _, fd := range c.descriptors() {
		for handle := range uint32(most) {
			arg := struct {
				handle, pad uint32
				offset      uint64
			}{handle: handle + 1}
			if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), mapDumb, uintptr(unsafe.Pointer(&arg))); e != unix.ENOENT {
				n++
			}
		}
	}
	return n
}

// descriptors are those of this process that are open on the card.
func (c *Card) descriptors() (fds []int) {
	c.tb.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	c.must(err)
	for _, e := range list {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && to == c.Node {
			fd, err := strconv.Atoi(e.Name())
			c.must(err)
			fds = append(fds, fd)
		}
	}
	return fds
}

func (c *Card) write(file, s string) {
	c.tb.Helper()
	c.must(os.WriteFile(c.dir+"/"+file, []byte(s), 0))
}

func (c *Card) must(err error) {
	c.tb.Helper()
	if err != nil {
		c.tb.Fatal(err)
	}
}

// DMABufs counts the dma-bufs that are alive in the whole kernel.
func DMABufs(tb testing.TB) int {
	tb.Helper()
	b, err := os.ReadFile("/sys/kernel/debug/dma_buf/bufinfo")
	if err != nil {
		tb.Fatal(err)
	}
	i := strings.LastIndex(string(b), "Total ")
	n := -1
	if i >= 0 {
		fmt.Sscanf(string(b[i:]), "Total %d objects", &n)
	}
	if n < 0 {
		tb.Fatalf("the kernel's list of dma-bufs is not understood:\n%s", b)
	}
	return n
}
