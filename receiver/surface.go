package receiver

import (
	"errors"
	"fmt"

	"aerie/drm"
	"aerie/receiver/codec"
)

// surfaces is memory of the display for pictures of one size, written by the
// CPU: in the format that costs least, and scaled by the hardware where it
// can.
type surfaces struct {
	display       *drm.Display
	generation    uint64
	format        codec.Format
	width, height int // of a buffer
	source        [2]int
	screen        [2]int
	scaled        bool // by the CPU
	all           []*surface
	free          []*surface
}

// surface is one buffer.
type surface struct {
	id    uint64
	fb    *drm.Framebuffer
	image codec.Image // its memory, for the converter
	onScreen
}

// formats in the order of preference: a plain copy, a copy that interleaves
// chroma, and arithmetic on every pixel.
var surfaceFormats = []struct {
	codec codec.Format
	drm   drm.Format
}{{codec.I420, drm.YUV420}, {codec.NV12, drm.NV12}, {codec.XRGB8888, drm.XRGB8888}}

// newSurfaces makes buffers for pictures of the given size, whose ids begin
// with the generation. Where the hardware
// cannot scale them, they have the size of the picture on the screen.
func newSurfaces(d *drm.Display, generation uint64, width, height int) (*surfaces, error) {
	screenWidth, screenHeight := d.Size()
	base := surfaces{display: d, generation: generation, source: [2]int{width, height}, screen: [2]int{screenWidth, screenHeight}}
	var last error
	for _, scaled := range []bool{false, true} {
		w, h := width, height
		if scaled {
			if screenWidth == 0 {
				continue
			}
			w, h = fit(width, height, screenWidth, screenHeight)
		}
		for _, f := range surfaceFormats {
			if screenWidth != 0 && !d.Supports(f.drm, drm.Linear) && !d.Supports(f.drm, drm.Implicit) {
				continue
			}
			s := base
			s.format, s.width, s.height, s.scaled = f.codec, w, h, scaled
			err := s.make(f.drm)
			if err == nil {
				return &s, nil
			}
			last = err
			if !errors.Is(err, drm.ErrUnsupported) {
				return nil, err
			}
		}
	}
	return nil, last
}

// fit returns the largest even size of the same shape within the screen.
func fit(width, height, screenWidth, screenHeight int) (w, h int) {
	if width*screenHeight > height*screenWidth {
		w, h = screenWidth, height*screenWidth/width
	} else {
		w, h = width*screenHeight/height, screenHeight
	}
	return max(w&^1, 2), max(h&^1, 2)
}

// make makes the buffers and asks the hardware whether it can show them.
func (s *surfaces) make(f drm.Format) error {
	for i := range kmsBuffers {
		fb, err := s.display.NewDumb(s.width, s.height, f)
		if err != nil {
			s.close()
			return err
		}
		b := &surface{id: s.generation<<8 | uint64(i), fb: fb, image: codec.Image{Format: s.format, Width: s.width, Height: s.height}}
		for p := range s.format.Planes() {
			b.image.Planes[p], b.image.Strides[p] = fb.Plane(p)
		}
		s.all = append(s.all, b)
	}
	s.free = append(s.free, s.all...)
	if s.screen[0] == 0 {
		return nil // no display yet: the picture waits for one
	}
	if err := s.display.Check(drm.Picture{FB: s.all[0].fb}); err != nil {
		s.close()
		return err
	}
	return nil
}

func (s *surfaces) String() string {
	how := "scaled by the display where needed"
	if s.scaled {
		how = "scaled by the CPU"
	}
	return fmt.Sprintf("%v %dx%d, %s", s.format, s.width, s.height, how)
}

// bytes is how much is written for a picture.
func (b *surface) bytes() (n uint64) {
	im := &b.image
	for i := range im.Format.Planes() {
		row, rows := im.Format.PlaneSize(i, im.Width, im.Height)
		n += uint64(row * rows)
	}
	return n
}

// fits tells whether the buffers suit pictures of a size on a screen of a
// size.
func (s *surfaces) fits(width, height, screenWidth, screenHeight int) bool {
	return s.source == [2]int{width, height} && s.screen == [2]int{screenWidth, screenHeight}
}

// take returns a buffer to draw into; false if all are in use.
func (s *surfaces) take() (*surface, bool) {
	if len(s.free) == 0 {
		return nil, false
	}
	b := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return b, true
}

// give takes a buffer back; false if it is none of these.
func (s *surfaces) give(id uint64) bool {
	b := s.find(id)
	if b == nil {
		return false
	}
	for _, f := range s.free {
		if f == b {
			return true
		}
	}
	s.free = append(s.free, b)
	return true
}

func (s *surfaces) find(id uint64) *surface {
	if id>>8 != s.generation || int(id&0xff) >= len(s.all) {
		return nil
	}
	return s.all[id&0xff]
}

// close lets the buffers go; one that is on the screen goes when its successor
// is there.
func (s *surfaces) close() {
	for _, b := range s.all {
		_ = b.fb.Close()
	}
	s.all, s.free = nil, nil
}
