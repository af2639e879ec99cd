package receiver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/stateless"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec/hevc"
)

// hevcStream decodes one HEVC stream with a stateless decoder of the kernel. To
// its user it is like a v4l2.Decoder: memory is leased for each access unit,
// pictures come to the functions of the v4l2.Config on one goroutine, in the
// order in which they are to be shown, and each is given back with Release.
//
// The goroutine parses an access unit, tells the device of it and waits for the
// picture: one picture is with the device at a time. A picture that cannot be
// decoded is lost, and those after it refer to the nearest one instead.
type hevcStream struct {
	cfg     v4l2.Config
	lost    func(error)
	decoder *stateless.Decoder
	tracker *hevc.Tracker
	layout  *v4l2.Layout
	stall   time.Duration
	width   int // coded
	height  int
	depth   uint8
	kept    uint8 // pictures that the stream may refer to

	inputs   []hevcInput
	queue    chan *hevcInput
	released chan struct{} // a picture was given back
	returned chan struct{} // leased memory was
	closing  chan struct{}
	done     chan struct{}
	once     sync.Once

	// The goroutine's own.
	next   uint64 // token for the tracker and the kernel
	frames []hevcFrame
	timer  *time.Timer

	mu     sync.Mutex
	leased int
	ended  bool
}

// hevcFrame is a picture in the decoder's memory that later ones may refer to.
type hevcFrame struct {
	token   uint64 // of the tracker
	user    uint64 // of the caller
	index   int
	corrupt bool
}

// hevcInput is memory for one access unit.
type hevcInput struct {
	s     *hevcStream
	in    *stateless.Input
	used  int
	token uint64
}

const (
	hevcStall = 600 * time.Millisecond
	// hevcInputs is how many access units there is memory for.
	hevcInputs = 5
	// hevcPatience is how long closing may take, as of other decoders.
	hevcPatience = 5 * time.Second
)

// openHEVC opens a stateless decoder for a stream. Of the configuration,
// Device and Codec are not looked at. lost is told of each access unit that
// could not be decoded. system is that of tests, nil for the real one.
func openHEVC(dev stateless.Device, sps *hevc.SPS, cfg v4l2.Config, lost func(error), system uapi.System) (*hevcStream, error) {
	if err := hevcSuits(sps); err != nil {
		return nil, err
	}
	pictures := int(sps.MaxDecPicBuffering) + cfg.Held + 1
	decoder, err := stateless.Open(stateless.Config{Device: dev, SPS: hevcSPS(sps), Formats: cfg.Formats,
		Pictures: min(pictures, uapi.MaxFrames), Inputs: hevcInputs, InputSize: v4l2.InputSize, System: system})
	if err != nil {
		return nil, err
	}
	s := &hevcStream{cfg: cfg, lost: lost, decoder: decoder, tracker: hevc.NewTracker(), stall: cfg.Stall,
		width: sps.CodedWidth, height: sps.CodedHeight, depth: sps.BitDepthLuma, kept: sps.MaxDecPicBuffering,
		inputs: make([]hevcInput, hevcInputs), queue: make(chan *hevcInput, hevcInputs),
		released: make(chan struct{}, 1), returned: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
		frames: make([]hevcFrame, 0, hevc.MaxRefs+1), timer: time.NewTimer(time.Hour)}
	if s.stall == 0 {
		s.stall = hevcStall
	}
	s.timer.Stop()
	l := decoder.Layout()
	s.layout = &v4l2.Layout{Generation: 1, Format: l.Format, Fourcc: l.Fourcc, Modifier: l.Modifier, Width: l.Width, Height: l.Height,
		Visible: cfg.Visible, Size: l.Size, Buffers: l.Buffers}
	for _, p := range l.Planes {
		s.layout.Planes = append(s.layout.Planes, v4l2.Plane(p))
	}
	if cfg.Setup != nil {
		if err := cfg.Setup(s.layout); err != nil {
			decoder.Close()
			return nil, err
		}
	}
	go s.run()
	return s, nil
}

// hevcSuits tells whether the hardware can take a stream: 4:2:0 with 8 or 10
// bits, as many for chroma as for luma (hardware reference section 2).
func hevcSuits(s *hevc.SPS) error {
	if err := s.Check420(true); err != nil {
		return err
	}
	if s.BitDepthLuma != s.BitDepthChroma || s.BitDepthLuma != 8 && s.BitDepthLuma != 10 {
		return fmt.Errorf("%w: %d bits for luma, %d for chroma", stateless.ErrUnsuitable, s.BitDepthLuma, s.BitDepthChroma)
	}
	return nil
}

// Lease lends memory for an access unit, as soon as there is some. It ends with
// ctx, and when the decoder has failed.
func (s *hevcStream) Lease(ctx context.Context) (HardwareInput, error) {
	// A picture may wait for the display, and then for the device.
	in, err := s.decoder.Lease(ctx, 3*s.stall)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		in.Release()
		return nil, stateless.ErrClosed
	}
	s.leased++
	i := &s.inputs[in.Index()]
	*i = hevcInput{s: s, in: in}
	return i, nil
}

// Bytes is the memory.
func (i *hevcInput) Bytes() []byte { return i.in.Bytes() }

// Release gives the memory back unused.
func (i *hevcInput) Release() {
	i.in.Release()
	i.s.back()
}

// Submit gives the access unit, the first n bytes, with start codes, to the
// decoder. The token comes back with the picture.
func (i *hevcInput) Submit(n int, token uint64) {
	i.used, i.token = n, token
	i.s.queue <- i // as many places as inputs: it never waits
}

// back notes that memory is not leased any more.
func (s *hevcStream) back() {
	s.mu.Lock()
	s.leased--
	s.mu.Unlock()
	signal(s.returned)
}

// signal says that something happened, to whoever waits for it.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // it is said already
	}
}

// Release gives a picture back.
func (s *hevcStream) Release(p v4l2.Picture) {
	s.decoder.Release(p.Index)
	signal(s.released)
}

// Close ends the decoding and gives everything back, as soon as the memory that
// is leased has come back. The error is that this takes too long; it goes on
// then.
func (s *hevcStream) Close() error {
	s.once.Do(func() { close(s.closing) })
	timer := time.NewTimer(hevcPatience)
	defer timer.Stop()
	select {
	case <-s.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("HEVC decoder: close: %w", stateless.ErrStalled)
	}
}

// run decodes until Close.
func (s *hevcStream) run() {
	defer close(s.done)
	failed := false
	for {
		select {
		case i := <-s.queue:
			err := s.decode(i)
			s.back()
			if err != nil && !failed {
				failed = true
				if s.cfg.Failed != nil {
					s.cfg.Failed(err)
				}
			}
		case <-s.closing:
			s.end()
			return
		}
	}
}

// end waits for what is leased and closes the device.
func (s *hevcStream) end() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	if s.cfg.Retire != nil {
		s.cfg.Retire(s.layout)
	}
	for s.outstanding() > 0 {
		select {
		case i := <-s.queue:
			i.Release()
		case <-s.returned:
		}
	}
	s.decoder.Close()
}

// outstanding is how much memory is leased.
func (s *hevcStream) outstanding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leased
}

// decode takes one access unit through the device. The error is one after
// which no more pictures can come.
func (s *hevcStream) decode(i *hevcInput) error {
	if err := s.decoder.Err(); err != nil {
		i.in.Release()
		return err
	}
	if i.used < 1 || i.used > len(i.in.Bytes()) {
		i.in.Release()
		s.lost(fmt.Errorf("access unit of %d bytes", i.used))
		return nil
	}
	s.next++
	p, err := s.tracker.Next(i.in.Bytes()[:i.used], s.next)
	if p == nil || err != nil {
		i.in.Release()
		if err != nil {
			s.lost(err)
		}
		return nil
	}
	// What is shown before this picture need not wait for it, and what is
	// removed makes room for it.
	at := slices.Index(p.Show, p.Token)
	if at < 0 {
		at = len(p.Show)
	}
	s.show(p.Show[:at])
	s.remove(p.Removed)
	if err := s.picture(p, i); err != nil {
		return err
	}
	s.show(p.Show[at:])
	return nil
}

// show hands out pictures. One that was lost is not there.
func (s *hevcStream) show(tokens []uint64) {
	for _, t := range tokens {
		if f := s.find(t); f != nil {
			s.decoder.Retain(f.index)
			s.cfg.Picture(v4l2.Picture{Generation: s.layout.Generation, Index: f.index, Token: f.user, Corrupt: f.corrupt})
		}
	}
}

// remove lets pictures go that no later one refers to.
func (s *hevcStream) remove(tokens []uint64) {
	for _, t := range tokens {
		for i := range s.frames {
			if s.frames[i].token == t {
				s.decoder.Release(s.frames[i].index)
				s.frames = slices.Delete(s.frames, i, i+1)
				break
			}
		}
	}
}

func (s *hevcStream) find(token uint64) *hevcFrame {
	for i := range s.frames {
		if s.frames[i].token == token {
			return &s.frames[i]
		}
	}
	return nil
}

// picture has the device decode a picture. The error is one after which no more
// pictures can come; a picture alone may be lost without one.
func (s *hevcStream) picture(p *hevc.Picture, i *hevcInput) error {
	user := i.token // i may be leased again before the picture is here
	if v := p.SPS; v.CodedWidth != s.width || v.CodedHeight != s.height || v.BitDepthLuma != s.depth || v.MaxDecPicBuffering > s.kept {
		i.in.Release()
		return fmt.Errorf("%w: the stream became %dx%d with %d bits and %d pictures", stateless.ErrUnsuitable, v.CodedWidth, v.CodedHeight,
			v.BitDepthLuma, v.MaxDecPicBuffering)
	}
	err := s.references(p)
	if err == nil {
		err = hevcControls(s.decoder.Controls(), p)
	}
	if err != nil {
		i.in.Release()
		s.lost(err)
		return nil
	}
	if err := s.room(); err != nil {
		i.in.Release()
		return err
	}
	if err := s.decoder.Decode(i.in, i.used, p.Token); err != nil {
		if errors.Is(err, stateless.ErrRefused) {
			s.lost(err)
			return nil
		}
		return err
	}
	d, err := s.decoder.Receive(s.stall)
	if err != nil {
		return err
	}
	s.frames = append(s.frames, hevcFrame{p.Token, user, d.Index, d.Corrupt || p.Missing > 0})
	return nil
}

// references puts a picture that is there in the place of each reference that
// the device never decoded.
func (s *hevcStream) references(p *hevc.Picture) error {
	for i := range p.Refs {
		if s.find(p.Refs[i].Token) != nil {
			continue
		}
		if len(s.frames) == 0 {
			return fmt.Errorf("%w: none was decoded", hevc.ErrNoReference)
		}
		p.Refs[i].Token = s.frames[len(s.frames)-1].token
		if at := uint8(i); slices.Contains(p.Before, at) || slices.Contains(p.After, at) || slices.Contains(p.LongTerm, at) {
			p.Missing++
		}
	}
	return nil
}

// room waits for a picture to decode into.
func (s *hevcStream) room() error {
	if s.decoder.Available() {
		return nil
	}
	s.timer.Reset(s.stall)
	defer s.timer.Stop()
	for !s.decoder.Available() {
		select {
		case <-s.released:
		case <-s.closing:
			return stateless.ErrClosed
		case <-s.timer.C:
			return fmt.Errorf("HEVC decoder: %w for %v", stateless.ErrNoPicture, s.stall)
		}
	}
	return nil
}
