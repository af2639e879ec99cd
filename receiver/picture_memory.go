package receiver

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"aerie/drm"
	"aerie/hw/dmaheap"
	"aerie/receiver/codec"
)

// pictureMemory lends the software decoder memory that the display reads: a
// picture is shown from where it was decoded, and no pixel is copied. The
// memory is cached, for the decoder reads it again as the reference of later
// pictures; the display only reads, so both may at a time.
//
// Which source of memory suits is found out for every kind of picture by
// importing it, and by a TEST_ONLY commit while a display is lit. Where none
// does, nothing is lent: the decoder uses its own memory, and the picture is
// copied into memory of the display.
type pictureMemory struct {
	display *drm.Display
	said    func(shared bool, how string) // told when the answer changes

	mu      sync.Mutex
	layout  codec.Layout // that the buffers have
	visible [2]int       // size of the part that is shown, 0 if unknown
	screen  [2]int       // for which the answer holds
	source  *dmaheap.Source
	refusal error // why there is no source, nil before it was looked for
	buffers []*pictureBuffer
	closed  bool
}

// pictureBuffer is memory of one picture.
type pictureBuffer struct {
	memory  *dmaheap.Buffer
	fb      *drm.Framebuffer
	planes  codec.Picture
	lent    bool
	retired bool // of an earlier layout: to be closed when it comes back
}

const (
	// mostPictures are the references of a stream, and those that wait or are
	// shown; the decoder uses memory of its own for more.
	mostPictures = 16 + kmsFrames
	// mostPictureBytes bounds them for large pictures.
	mostPictureBytes = 256 << 20
)

func newPictureMemory(display *drm.Display, said func(bool, string)) *pictureMemory {
	return &pictureMemory{display: display, said: said, buffers: make([]*pictureBuffer, 0, mostPictures)}
}

// way tells which way pictures of a size would take to the display, by lending
// memory for one as an H.264 decoder asks for it.
func (o *kmsOutput) way(width, height int) (how string) {
	m := newPictureMemory(o.display, func(_ bool, said string) { how = said })
	defer m.close()
	m.expect(width, height)
	const macroblock, align = 16, 64
	rows := (height + macroblock - 1) &^ (macroblock - 1)
	stride := (width + 2*align - 1) &^ (2*align - 1)
	p, ok := m.Lend(codec.Layout{Format: codec.I420, Width: stride, Height: rows, Planes: 3,
		Strides: [3]int{stride, stride / 2, stride / 2}, Rows: [3]int{rows, rows / 2, rows / 2}, Align: align, Tail: align + 15})
	if ok {
		m.Return(p.ID)
	}
	return how
}

// expect tells the visible size of the pictures that come next.
func (m *pictureMemory) expect(width, height int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.visible != [2]int{width, height} {
		m.visible, m.refusal = [2]int{width, height}, nil
	}
}

// Lend lends memory to the decoder (codec.PictureMemory).
func (m *pictureMemory) Lend(l codec.Layout) (codec.Picture, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || l.Format != codec.I420 || l.Planes != 3 {
		return codec.Picture{}, false
	}
	m.settle(&l)
	if m.refusal != nil {
		return codec.Picture{}, false
	}
	id := m.idle()
	if id < 0 {
		return codec.Picture{}, false
	}
	b := m.buffers[id]
	if err := b.memory.Begin(); err != nil {
		m.refuse(err)
		return codec.Picture{}, false
	}
	b.lent = true
	return b.planes, true
}

// settle makes sure that the buffers have the layout, or that it is known why
// there are none.
func (m *pictureMemory) settle(l *codec.Layout) {
	width, height := m.display.Size()
	if same := m.suits(l); same && m.screen == [2]int{width, height} && (m.source != nil || m.refusal != nil) {
		return
	} else if !same {
		m.retire()
		m.layout, m.source = *l, nil
	}
	m.screen, m.refusal = [2]int{width, height}, nil
	if m.source == nil {
		m.find()
	}
}

// suits tells whether buffers of the present layout can hold a picture.
func (m *pictureMemory) suits(l *codec.Layout) bool {
	have := &m.layout
	return l.Format == have.Format && l.Width == have.Width && l.Height == have.Height && l.Rows == have.Rows &&
		l.Align == have.Align && l.Tail == have.Tail && (l.Strides == have.Strides || !l.Exact)
}

// find looks for a source of memory from which the display takes pictures, and
// makes the first buffer from it.
func (m *pictureMemory) find() {
	var errs []error
	asked := m.layout
	for _, s := range dmaheap.Sources() {
		err := s.Err
		for i := 0; i < len(pitches) && s.Err == nil; i++ {
			m.layout = asked
			if !widen(&m.layout, pitches[i]) {
				continue
			}
			var b *pictureBuffer
			if b, err = m.make(&s); err == nil {
				m.source = &s
				m.add(b)
				m.said(true, "decoded into memory of "+s.Path+" that the display reads: nothing is copied")
				return
			}
		}
		errs = append(errs, err)
	}
	if m.layout = asked; len(errs) == 0 {
		errs = append(errs, dmaheap.ErrNone)
	}
	m.refuse(errors.Join(errs...))
}

// pitches are multiples that a chroma row is widened to, in bytes, for displays
// that do not take the rows of the decoder.
var pitches = []int{1, 64, 128}

// widen makes the rows of a layout longer, luma twice as long as chroma. False
// says that they must not be, or are long enough already; a pitch of 1 is what
// the decoder asked for.
func widen(l *codec.Layout, pitch int) bool {
	if pitch == 1 {
		return true
	}
	chroma := (l.Strides[1] + pitch - 1) / pitch * pitch
	if l.Exact || l.Strides == [3]int{2 * chroma, chroma, chroma} {
		return false
	}
	l.Strides = [3]int{2 * chroma, chroma, chroma}
	return true
}

// refuse notes why pictures cannot be shared with the display.
func (m *pictureMemory) refuse(err error) {
	m.refusal, m.source = err, nil
	m.retire()
	m.said(false, "one copy into memory of the display: "+strings.ReplaceAll(err.Error(), "\n", "; "))
}

// make makes memory of the layout that the display takes.
func (m *pictureMemory) make(s *dmaheap.Source) (_ *pictureBuffer, err error) {
	const align = 256 // of the planes' beginnings
	l, size := &m.layout, 0
	var offset [3]int
	for i := range l.Planes {
		offset[i] = size
		size += (l.Strides[i]*l.Rows[i] + l.Tail + align - 1) / align * align
	}
	b := &pictureBuffer{}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.memory, err = s.Allocate(size); err != nil {
		return nil, err
	}
	d := drm.DMABuf{Width: l.Width &^ 1, Height: l.Height &^ 1, Format: drm.YUV420, Modifier: drm.Linear}
	for i := range l.Planes {
		d.Planes[i] = drm.DMABufPlane{FD: b.memory.FD, Offset: offset[i], Pitch: l.Strides[i]}
		b.planes.Planes[i], b.planes.Strides[i] = b.memory.Data[offset[i]:], l.Strides[i]
	}
	if b.fb, err = m.display.Import(d); err != nil {
		return nil, fmt.Errorf("memory of %s: %w", s.Path, err)
	}
	if m.screen[0] == 0 || m.source != nil {
		return b, nil // nothing is lit, or one like it has been tested
	}
	p := drm.Picture{FB: b.fb, Source: drm.Rect{W: d.Width, H: d.Height}}
	if v := m.visible; v[0] > 0 && v[0] <= d.Width && v[1] > 0 && v[1] <= d.Height {
		p.Source.W, p.Source.H = v[0], v[1]
	}
	return b, m.display.Check(p)
}

// idle returns the number of a buffer that is free, making one if need be, or
// -1.
func (m *pictureMemory) idle() int {
	size, count := 0, 0
	for i, b := range m.buffers {
		if b == nil {
			continue
		}
		if !b.lent && !b.retired {
			return i
		}
		count++
		size += len(b.memory.Data)
	}
	if count == mostPictures || size > mostPictureBytes {
		return -1
	}
	b, err := m.make(m.source)
	if err != nil {
		return -1 // memory is short: the decoder uses its own for this one
	}
	return m.add(b)
}

// add gives a buffer a number, the lowest that is free.
func (m *pictureMemory) add(b *pictureBuffer) int {
	for b.planes.ID = range m.buffers {
		if m.buffers[b.planes.ID] == nil {
			m.buffers[b.planes.ID] = b
			return b.planes.ID
		}
	}
	b.planes.ID = len(m.buffers)
	m.buffers = append(m.buffers, b)
	return b.planes.ID
}

// Return takes memory back from the decoder (codec.PictureMemory).
func (m *pictureMemory) Return(id int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.buffers[id]
	if b.lent = false; b.retired {
		b.close()
		m.buffers[id] = nil
	}
}

// show makes a decoded picture the display's, and returns what to show; nil if
// it is not in memory of the display, or of an answer that holds no more.
func (m *pictureMemory) show(f *codec.Frame) (fb *drm.Framebuffer, visible drm.Rect) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if f.ID < 0 || m.refusal != nil {
		return nil, visible
	}
	b := m.buffers[f.ID]
	if err := b.memory.End(); err != nil {
		m.refuse(err)
		return nil, visible
	}
	return b.fb, drm.Rect{X: f.Left, Y: f.Top, W: f.Width, H: f.Height}
}

// refused notes that the display did not take a picture after all.
func (m *pictureMemory) refused(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse(err)
}

// retire lets all buffers go; one that is lent goes when it comes back, and
// what is on the screen stays there until its successor is.
func (m *pictureMemory) retire() {
	for i, b := range m.buffers {
		switch {
		case b == nil:
		case b.lent:
			b.retired = true
		default:
			b.close()
			m.buffers[i] = nil
		}
	}
}

// close lets everything go.
func (m *pictureMemory) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.retire()
}

func (b *pictureBuffer) close() {
	if b.fb != nil {
		_ = b.fb.Close() // the display says itself what it could not undo
	}
	if b.memory != nil {
		_ = b.memory.Close()
	}
}
