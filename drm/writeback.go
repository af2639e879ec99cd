package drm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Screenshot is what a display showed at a moment, after planes, colours and
// scaling.
type Screenshot struct {
	Width, Height int
	pix           []byte // XRGB8888
	pitch         int
}

// RGB is the colour of a pixel, 0 to 255 each.
func (s *Screenshot) RGB(x, y int) (r, g, b int) {
	v := binary.LittleEndian.Uint32(s.pix[y*s.pitch+4*x:])
	return int(v >> 16 & 255), int(v >> 8 & 255), int(v & 255)
}

// captureLimit is how long a commit, or the writeback itself, may take; in a
// virtual machine both do it in software.
const captureLimit = 30 * time.Second

// Capture reads back what the display shows, through the hardware's writeback
// connector; ErrUnsupported says that there is none. The display is disturbed
// for a few refreshes, so this is for tests and reports.
func (d *Display) Capture() (*Screenshot, error) {
	d.modeset.Lock()
	defer d.modeset.Unlock()
	var wb *connector
	for _, n := range d.card.connectors {
		if n.kind == connectorWriteback {
			wb = n
		}
	}
	m, lit := d.Mode()
	if wb == nil || !lit {
		return nil, fmt.Errorf("drm: %s: %w: no writeback", d.card.path, ErrUnsupported)
	}
	out, err := d.NewDumb(m.Width, m.Height, XRGB8888)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := d.settle(); err != nil {
		return nil, err
	}
	if err := d.writeBack(wb, out); err != nil {
		return nil, err
	}
	mem, pitch := out.Plane(0)
	return &Screenshot{m.Width, m.Height, append([]byte(nil), mem...), pitch}, nil
}

// settle waits until no commit is in flight.
func (d *Display) settle() error {
	for end := time.Now().Add(captureLimit); ; time.Sleep(100 * time.Microsecond) {
		d.mu.Lock()
		idle := !d.inFlight
		d.mu.Unlock()
		if idle {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("drm: %s: a commit stays in flight", d.card.path)
		}
	}
}

// writeBack has the hardware write what it shows into out. Linux 6.12 refuses
// that beside the real connector: then the writeback takes its place for one
// commit. The connector stays attached after a commit, so it is detached.
func (d *Display) writeBack(wb *connector, out *Framebuffer) error {
	fence := []int32{-1}
	var p runtime.Pinner
	p.Pin(&fence[0])
	defer p.Unpin()
	r := newRequest(d.card)
	defer r.free()
	var err error
	alone := false
	for _, alone = range []bool{false, true} {
		r.reset()
		r.object(&wb.object)
		r.set("CRTC_ID", uint64(d.out.crtc.id))
		r.set("WRITEBACK_FB_ID", uint64(out.id))
		r.set("WRITEBACK_OUT_FENCE_PTR", uint64(uintptr(unsafe.Pointer(&fence[0]))))
		if alone {
			r.object(&d.out.connector.object)
			r.set("CRTC_ID", 0)
		}
		if err = r.commit(atomicAllowModeset, 0); err == nil {
			break
		}
	}
	if err == nil {
		err = waitFence(d.card.path, int(fence[0]))
	}
	r.reset()
	r.object(&wb.object)
	r.set("CRTC_ID", 0)
	if alone {
		r.object(&d.out.connector.object)
		r.set("CRTC_ID", uint64(d.out.crtc.id))
	}
	return errors.Join(err, r.commit(atomicAllowModeset, 0))
}

// waitFence waits until a fence is signalled, and closes it.
func waitFence(path string, fence int) error {
	defer unix.Close(fence)
	fds := []unix.PollFd{{Fd: int32(fence), Events: unix.POLLIN}}
	for end := time.Now().Add(captureLimit); fds[0].Revents == 0; {
		if _, err := unix.Poll(fds, 1000); err != nil && err != unix.EINTR {
			return fmt.Errorf("drm: %s: poll of a writeback: %w", path, err)
		}
		if time.Now().After(end) {
			return fmt.Errorf("drm: %s: the writeback does not complete", path)
		}
	}
	return nil
}
