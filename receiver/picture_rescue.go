package receiver

import (
	"bytes"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec/h264"
	"golang.org/x/sys/unix"
)

// rescue copies the newest picture out of the hardware's memory, before that
// goes: where software has not seen the last key picture, it goes on from this
// one. It is the only time that the processor reads pixels, and happens once
// for a failure. nil if there is none, and of HEVC: the picture would travel in
// H.264.
func (s *hardwareStream) rescue() *h264.Planes {
	if s.sets.hevc != nil || s.memory == nil || s.memory.gone || !s.newestHeld {
		return nil
	}
	l := s.memory.layout
	mem, err := unix.Mmap(l.Buffers[s.newest.Index], 0, l.Size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil // then a key picture must come
	}
	// In one go, for single bytes of memory without a cache are slow.
	copied := bytes.Clone(mem)
	_ = unix.Munmap(mem)
	width, height := s.sets.width, s.sets.height
	p := &h264.Planes{Width: width, Height: height, Y: make([]byte, width*height), Cb: make([]byte, width*height/4), Cr: make([]byte, width*height/4)}
	if !unpack(p, l, copied) {
		return nil
	}
	return p
}

// unpack takes the samples out of a layout; false for one that is not 4:2:0.
// Rows and columns that the memory lacks repeat the last.
func unpack(p *h264.Planes, l *v4l2.Layout, mem []byte) bool {
	at := func(plane, x, y int) byte { return mem[l.Planes[plane].Offset+y*l.Planes[plane].Pitch+x] }
	var chroma func(x, y int) (cb, cr byte)
	switch l.Format {
	case uapi.NC12:
		// Columns of 128 bytes, whose height is in the modifier (hardware
		// reference section 2).
		column := int(l.Modifier>>8&0xffff) * 128
		at = func(plane, x, y int) byte { return mem[l.Planes[plane].Offset+x/128*column+y*128+x%128] }
		fallthrough
	case uapi.NV12:
		chroma = func(x, y int) (byte, byte) { return at(1, 2*x, y), at(1, 2*x+1, y) }
	case uapi.YUV:
		chroma = func(x, y int) (byte, byte) { return at(1, x, y), at(2, x, y) }
	default:
		return false
	}
	for y := range p.Height {
		for x := range p.Width {
			p.Y[y*p.Width+x] = at(0, min(x, l.Width-1), min(y, l.Height-1))
		}
	}
	half := p.Width / 2
	for y := range p.Height / 2 {
		for x := range half {
			p.Cb[y*half+x], p.Cr[y*half+x] = chroma(min(x, l.Width/2-1), min(y, l.Height/2-1))
		}
	}
	return true
}
