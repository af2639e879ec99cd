package drm

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// Framebuffer is memory that a plane can scan out: either dumb, made here and
// written by the CPU, or imported from another device. It belongs to the
// Display that made it.
type Framebuffer struct {
	Width, Height int
	Format        Format
	Modifier      Modifier

	d       *Display
	id      uint32
	key     fbKey
	mem     []byte   // of a dumb one
	handles []uint32 // GEM handles held, one reference each
	dumb    bool
	refs    int // calls of Import without Close; guarded by Display.buffers

	// Guarded by Display.mu.
	uses    int  // pictures that hold it
	closing bool // to be removed when uses is 0
}

// buffers are a display's frame buffers. Its lock comes before Display.mu.
type buffers struct {
	sync.Mutex
	all    map[fbKey]*Framebuffer
	dying  map[*Framebuffer]struct{} // closed, but still in use
	closed bool
}

// fbKey is everything that the kernel is told of a frame buffer.
type fbKey struct {
	width, height             int
	format                    Format
	modifier                  Modifier
	handles, pitches, offsets [4]uint32
}

// DMABuf describes a picture in memory that another device exported.
type DMABuf struct {
	// Width and Height are those of the memory's layout, in pixels: whole
	// chroma samples, and usually the coded size. A picture's Source says
	// which part is visible.
	Width, Height int
	Format        Format
	Modifier      Modifier // Implicit: the driver knows, or linear
	Planes        [4]DMABufPlane
}

// DMABufPlane is where one memory plane begins. Planes that share a
// descriptor name it each.
type DMABufPlane struct {
	FD     int
	Offset int
	Pitch  int // bytes from one row to the next
}

// NewDumb makes a frame buffer that the CPU writes. Its memory is zero, which
// for RGB is black, and is slow to read.
func (d *Display) NewDumb(width, height int, f Format) (*Framebuffer, error) {
	chans := f.channels()
	if chans == nil || f == P030 {
		return nil, fmt.Errorf("drm: dumb buffer: %w: format %v", ErrUnsupported, f)
	}
	last := chans[len(chans)-1]
	if width < 1 || height < 1 || width > 1<<15 || height > 1<<15 || width%last.hsub != 0 || height%last.vsub != 0 {
		return nil, fmt.Errorf("drm: dumb buffer: bad size %dx%d for %v", width, height, f)
	}
	d.buffers.Lock()
	defer d.buffers.Unlock()
	if d.buffers.closed {
		return nil, ErrClosed
	}
	c := d.card
	// One allocation holds all planes, one below the other. A width of whole
	// 64 bytes of chroma makes every pitch one that all hardware takes.
	rows, cols := height, width
	if len(chans) > 1 {
		rows += height / 2
		cols = (width + 127) &^ 127
	}
	cd := createDumb{width: uint32(cols), height: uint32(rows), bpp: uint32(chans[0].bytes * 8)}
	if err := on(c, callCreateDumb, &cd); err != nil {
		return nil, err
	}
	c.handles[cd.handle]++
	fb := &Framebuffer{Width: width, Height: height, Format: f, Modifier: Linear, d: d, dumb: true, refs: 1, handles: []uint32{cd.handle}}
	fb.key = fbKey{width: width, height: height, format: f, modifier: Implicit}
	offset := uint32(0)
	for i, ch := range chans {
		pitch := cd.pitch / uint32(chans[0].bytes) * uint32(ch.bytes) / uint32(ch.hsub)
		fb.key.handles[i], fb.key.pitches[i], fb.key.offsets[i] = cd.handle, pitch, offset
		offset += pitch * uint32(height/ch.vsub)
	}
	if err := fb.finishDumb(cd, uint64(offset)); err != nil {
		fb.destroy()
		return nil, err
	}
	return fb, nil
}

// finishDumb maps the memory and registers the frame buffer.
func (fb *Framebuffer) finishDumb(cd createDumb, need uint64) error {
	c := fb.d.card
	if cd.size < need || cd.size > 1<<31-1 {
		return fmt.Errorf("drm: %s: dumb buffer of %d bytes where %d are needed", c.path, cd.size, need)
	}
	m := mapDumb{handle: cd.handle}
	if err := on(c, callMapDumb, &m); err != nil {
		return err
	}
	mem, err := c.sys.mmap(c.fd, int64(m.offset), int(cd.size))
	if err != nil {
		return fmt.Errorf("drm: %s: map dumb buffer: %w", c.path, err)
	}
	fb.mem = mem
	return fb.add()
}

// add registers the frame buffer with the kernel.
func (fb *Framebuffer) add() error {
	k, c := &fb.key, fb.d.card
	a := fbCmd2{width: uint32(k.width), height: uint32(k.height), pixelFormat: uint32(k.format),
		handles: k.handles, pitches: k.pitches, offsets: k.offsets}
	if k.modifier != Implicit && c.canModify {
		a.flags = fbModifiers
		for i := range k.format.channels() {
			a.modifier[i] = uint64(k.modifier)
		}
	}
	if err := on(c, callAddFB2, &a); err != nil {
		return fmt.Errorf("%w (%dx%d %v %v)", err, k.width, k.height, k.format, k.modifier)
	}
	fb.id = a.fbID
	fb.d.buffers.all[fb.key] = fb
	return nil
}

// Plane gives the memory of a dumb frame buffer's memory plane i and the bytes
// from one row to the next: of NV12, 0 is luma and 1 chroma. It is valid until
// the frame buffer or the display is closed.
func (fb *Framebuffer) Plane(i int) (data []byte, pitch int) {
	if i < 0 || i >= len(fb.Format.channels()) || fb.mem == nil {
		return nil, 0
	}
	ch := fb.Format.channels()[i]
	pitch = int(fb.key.pitches[i])
	at := int(fb.key.offsets[i])
	return fb.mem[at : at+pitch*(fb.Height/ch.vsub)], pitch
}

// Import makes a frame buffer of memory that another device exported, without
// copying. The descriptors may be closed afterwards. Importing the same memory
// in the same layout again gives the same frame buffer; it is removed when it
// has been closed as often.
func (d *Display) Import(b DMABuf) (*Framebuffer, error) {
	chans := b.Format.channels()
	if chans == nil {
		return nil, fmt.Errorf("drm: import: %w: format %v", ErrUnsupported, b.Format)
	}
	if err := b.check(chans); err != nil {
		return nil, err
	}
	d.buffers.Lock()
	defer d.buffers.Unlock()
	if d.buffers.closed {
		return nil, ErrClosed
	}
	if !d.card.canImport {
		return nil, fmt.Errorf("drm: %s: %w: driver %s cannot import memory", d.card.path, ErrUnsupported, d.card.driver)
	}
	if b.Modifier != Implicit && b.Modifier != Linear && !d.card.canModify {
		return nil, fmt.Errorf("drm: %s: %w: driver %s takes no modifiers", d.card.path, ErrUnsupported, d.card.driver)
	}
	fb := &Framebuffer{Width: b.Width, Height: b.Height, Format: b.Format, Modifier: b.Modifier, d: d, refs: 1}
	fb.key = fbKey{width: b.Width, height: b.Height, format: b.Format, modifier: b.Modifier}
	for i := range chans {
		h, err := d.card.handle(b.Planes[i].FD)
		if err != nil {
			fb.destroy()
			return nil, err
		}
		fb.handles = append(fb.handles, h)
		fb.key.handles[i], fb.key.pitches[i], fb.key.offsets[i] = h, uint32(b.Planes[i].Pitch), uint32(b.Planes[i].Offset)
	}
	if known := d.buffers.all[fb.key]; known != nil {
		fb.key = fbKey{}
		fb.destroy()
		known.refs++
		return known, nil
	}
	if err := fb.add(); err != nil {
		fb.destroy()
		return nil, err
	}
	return fb, nil
}

// check refuses numbers that are no layout at all; whether the hardware can
// read this one, the kernel says.
func (b *DMABuf) check(chans []channel) error {
	last := chans[len(chans)-1]
	if b.Width < 1 || b.Height < 1 || b.Width > 1<<15 || b.Height > 1<<15 || b.Width%last.hsub != 0 || b.Height%last.vsub != 0 {
		return fmt.Errorf("drm: import: bad size %dx%d for %v", b.Width, b.Height, b.Format)
	}
	for i := range chans {
		p := b.Planes[i]
		if p.FD < 0 || p.Offset < 0 || p.Offset > 1<<31-1 || p.Pitch < 1 || p.Pitch > 1<<20 {
			return fmt.Errorf("drm: import: bad memory plane %d: descriptor %d, offset %d, pitch %d", i, p.FD, p.Offset, p.Pitch)
		}
	}
	return nil
}

// handle gives the GEM handle of a descriptor's memory. The kernel gives the
// same handle for the same memory and counts it once, so it is counted here.
func (c *card) handle(fd int) (uint32, error) {
	h := primeHandle{fd: int32(fd)}
	if err := on(c, callPrimeFDToHandle, &h); err != nil {
		return 0, err
	}
	c.handles[h.handle]++
	return h.handle, nil
}

// Close lets the frame buffer go. One that is still to be shown, or on the
// screen, is removed when its successor is there.
func (fb *Framebuffer) Close() error {
	d := fb.d
	d.buffers.Lock()
	defer d.buffers.Unlock()
	if d.buffers.closed || fb.refs == 0 {
		return nil
	}
	if fb.refs--; fb.refs > 0 {
		return nil
	}
	d.mu.Lock()
	fb.closing = true
	busy := fb.uses > 0
	d.mu.Unlock()
	if busy {
		delete(d.buffers.all, fb.key)
		d.buffers.dying[fb] = struct{}{}
		return nil
	}
	return fb.destroy()
}

// destroy undoes everything in the order the kernel wants (hardware reference
// section 3.4): frame buffer, mapping, handles. buffers is locked.
func (fb *Framebuffer) destroy() error {
	c := fb.d.card
	var errs []error
	if fb.id != 0 {
		errs = append(errs, on(c, callRmFB, &rmFB{fb.id}))
		fb.id = 0
	}
	if fb.d.buffers.all[fb.key] == fb {
		delete(fb.d.buffers.all, fb.key)
	}
	delete(fb.d.buffers.dying, fb)
	if fb.mem != nil {
		if err := c.sys.munmap(fb.mem); err != nil {
			errs = append(errs, fmt.Errorf("drm: %s: unmap dumb buffer: %w", c.path, err))
		}
		fb.mem = nil
	}
	for _, h := range fb.handles {
		if c.handles[h]--; c.handles[h] > 0 {
			continue
		}
		delete(c.handles, h)
		if fb.dumb {
			errs = append(errs, on(c, callDestroyDumb, &destroyDumb{h}))
		} else {
			errs = append(errs, on(c, callGemClose, &gemClose{handle: h}))
		}
	}
	fb.handles = nil
	return errors.Join(errs...)
}

// unsupported reports whether an errno says that the hardware cannot do what
// was asked, rather than that it cannot now.
func unsupported(err error) bool {
	for _, e := range []unix.Errno{unix.EINVAL, unix.ENOSPC, unix.ERANGE, unix.EOPNOTSUPP, unix.ENOTTY, unix.E2BIG} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
