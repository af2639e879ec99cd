// Package pattern makes the picture that a test sender mirrors: an H.264
// stream that shows, in any size, a running clock, a frame counter, a dial
// and a sweep that let an eye see every lost frame, colour bars, a square
// that flashes with the beep of package sound, and a stamp (package stamp)
// from which a program reads frame number and time.
//
// Everything is drawn by this package, letters included, and coded by package
// intra, which takes a fraction of a millisecond a frame. A Stream knows
// nothing of clocks: the caller says for each frame what time it shows. What
// becomes of the access units is the caller's business too.
//
// Proof: pattern_test.go decodes streams of 300 frames in several sizes with
// libavcodec, compares every sample with what Decoded promises, and reads the
// stamp of every frame and the digits' changes; chromium_test.go plays a
// stream in headless Chromium and reads the stamps from its canvas with
// stamp.js.
package pattern

import (
	"fmt"
	"image"
	"time"

	"aerie/receiver/pattern/intra"
	"aerie/receiver/pattern/sound"
	"aerie/receiver/pattern/stamp"
)

// Config describes a stream.
type Config struct {
	Width, Height int  // even, from 160 by 120 to 8192
	FPS           int  // nominal frames per second, 1 to 240
	FullRange     bool // samples span 0 to 255, as phones send them, not 16 to 235
}

// Frame is what one frame shows.
type Frame struct {
	Number     uint32
	Elapsed    time.Duration // pattern time, not negative: clock, dial, sweep and flash follow it
	SenderTime uint64        // µs of the sender's clock, for the stamp
}

// Stream is a sequence of frames. It is not safe for concurrent use.
type Stream struct {
	config  Config
	screen  screen
	clock   *readout
	counter *readout
	hand    *hand
	sweep   *sweep
	flash   flash
	stamp   stamped
	colours struct{ white, faint, accent, warm colour }
}

// New paints what does not move. It takes some tens of milliseconds.
func New(c Config) (*Stream, error) {
	if c.Width < stamp.MinWidth || c.Height < stamp.MinHeight {
		return nil, fmt.Errorf("pattern: picture of %dx%d: at least %dx%d is needed", c.Width, c.Height, stamp.MinWidth, stamp.MinHeight)
	}
	encoder, err := intra.New(intra.Config{Width: c.Width, Height: c.Height, FPS: c.FPS, FullRange: c.FullRange})
	if err != nil {
		return nil, fmt.Errorf("pattern: %w", err)
	}
	l := newLayout(c.Width, c.Height)
	colours := palette{c.FullRange}
	s := &Stream{
		config:  c,
		screen:  screen{canvas: canvas{encoder.Picture, l.visible}, encoder: encoder},
		clock:   newClock(l.clock),
		counter: newCounter(l.counter),
		hand:    newHand(l.dial, 11*l.unit),
		sweep:   newSweep(l.lane, l.unit),
		stamp:   stamped{x: int(l.stamp.X), y: int(l.stamp.Y), cell: int(l.stamp.CellWidth)},
	}
	s.colours.white, s.colours.faint = colours.rgb(white), colours.rgb(faint)
	s.colours.accent, s.colours.warm = colours.rgb(accent), colours.rgb(warm)
	s.screen.paintBackground(&l, colours, c)
	s.screen.background = clone(encoder.Picture)
	s.flash.mask.draw(l.flash, roundedBox(l.flash, 28*l.unit))
	return s, nil
}

func clone(p *intra.Picture) *intra.Picture {
	q := *p
	q.Y = append([]byte(nil), p.Y...)
	q.Cb = append([]byte(nil), p.Cb...)
	q.Cr = append([]byte(nil), p.Cr...)
	return &q
}

// SPS returns the sequence parameter set, a NAL unit without start code or
// length.
func (s *Stream) SPS() []byte { return s.screen.encoder.SPS() }

// PPS returns the picture parameter set.
func (s *Stream) PPS() []byte { return s.screen.encoder.PPS() }

// AVCC returns both as an AVCDecoderConfigurationRecord in the form that
// phones send (reference section 9.3): for access units with lengths of 4
// bytes, and without the extension that ISO/IEC 14496-15 has for High
// profile.
func (s *Stream) AVCC() []byte {
	sps, pps := s.SPS(), s.PPS()
	b := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1, byte(len(sps) >> 8), byte(len(sps))}
	b = append(b, sps...)
	b = append(b, 1, byte(len(pps)>>8), byte(len(pps)))
	return append(b, pps...)
}

// Stamp returns where in the picture the stamp is.
func (s *Stream) Stamp() stamp.Geometry { return stamp.Place(s.config.Width, s.config.Height) }

// AppendFrame paints and encodes a frame and appends its access unit to dst:
// one NAL unit behind its length in 4 bytes. The first frame is an IDR
// frame; later ones are if key is set.
func (s *Stream) AppendFrame(dst []byte, f Frame, key bool) []byte {
	c, t := &s.colours, max(f.Elapsed, 0)
	s.hand.show(&s.screen, t, c.accent)
	s.sweep.show(&s.screen, t, c.accent, c.white)
	s.clock.show(&s.screen, clockDigits(t), c.faint, c.white)
	s.counter.show(&s.screen, uint64(f.Number)%1e8, c.faint, c.warm)
	s.flash.show(&s.screen, s.beeps(t), c.white)
	s.stamp.show(&s.screen, stamp.Stamp{Frame: f.Number, Time: f.SenderTime & stamp.MaxTime})
	return s.screen.encoder.AppendFrame(dst, key)
}

// beeps tells whether the square is lit: for as long as the beep sounds, at
// least for one frame.
func (s *Stream) beeps(t time.Duration) bool {
	return t%time.Second < max(sound.BeepTime, time.Second/time.Duration(s.config.FPS))
}

// clockDigits returns the digits of hh:mm:ss.mmm as a number. After a hundred
// hours the clock begins again.
func clockDigits(t time.Duration) uint64 {
	ms := uint64(t / time.Millisecond)
	h, m, sec := ms/3600000%100, ms/60000%60, ms/1000%60
	return (h*10000+m*100+sec)*1000 + ms%1000
}

// Decoded returns the picture that a decoder shows after the last frame,
// sample by sample. It is valid until the next frame.
func (s *Stream) Decoded() *image.YCbCr {
	d := s.screen.encoder.Decoded
	return &image.YCbCr{
		Y: d.Y, Cb: d.Cb, Cr: d.Cr, YStride: d.Width, CStride: d.Width / 2,
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, s.config.Width, s.config.Height),
	}
}
