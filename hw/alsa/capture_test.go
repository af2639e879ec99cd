package alsa

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// capture records the other end of a loopback card: what is played on device 0
// is captured on device 1.
type capture struct {
	t     *testing.T
	f     file
	setup Setup
	data  []byte
	stop  chan struct{}
	ended chan error
	seen  []sighting
}

// sighting says that at a time so many frames had been captured.
type sighting struct {
	at     int64
	frames int64
}

// record opens the capture side in the format and rate given, which a loopback
// card then demands of the playback side, and starts it.
func record(t *testing.T, card string, f Format, rate int) *capture {
	t.Helper()
	list, err := candidates(linux{}, "hw:"+card)
	if err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/dev/snd/pcmC%dD1c", list[0].Card.Number)
	c := &capture{t: t, stop: make(chan struct{}), ended: make(chan error, 1)}
	if c.f, err = openFile(linux{}, path, "capture"); err != nil {
		t.Fatal(err)
	}
	o, err := newOffer(&c.f)
	if err != nil {
		t.Fatal(err)
	}
	set := func(what string, change func(*hwParams)) {
		t.Helper()
		if err := o.must(what, change); err != nil {
			t.Fatal(err)
		}
	}
	set("access", func(p *hwParams) { p.Masks[paramAccess].only(accessRWInterleaved) })
	set("format", func(p *hwParams) { p.Masks[paramFormat].only(int(f)) })
	set("rate", func(p *hwParams) { p.Intervals[paramRate] = exactly(rate) })
	set("period", func(p *hwParams) { p.Intervals[paramPeriodSize] = exactly(rate / 100) })
	set("buffer", func(p *hwParams) { p.Intervals[paramPeriods] = exactly(200) })
	if err := c.f.call(pcmHwParams, unsafe.Pointer(&o.p)); err != nil {
		t.Fatal(err)
	}
	c.setup = Setup{Format: f, Rate: rate, Period: rate / 100, Buffer: int(o.p.Intervals[paramBufferSize].Min)}
	sw := &swParams{TstampMode: tstampEnable, PeriodStep: 1, AvailMin: uframes(c.setup.Period), XferAlign: 1,
		StartThreshold: 1, StopThreshold: uframes(c.setup.Buffer), Proto: oldest, TstampType: tstampMonotonic}
	for r, arg := range map[request]unsafe.Pointer{pcmSwParams: unsafe.Pointer(sw)} {
		if err := c.f.call(r, arg); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range []request{pcmPrepare, pcmStart} {
		if err := c.f.call(r, nil); err != nil {
			t.Fatal(err)
		}
	}
	go func() { c.ended <- c.run() }()
	t.Cleanup(c.end)
	return c
}

func (c *capture) run() error {
	frame := Channels * c.setup.Format.Bytes()
	buf := make([]byte, c.setup.Rate/10*frame)
	st := new(pcmStatus)
	for last := false; !last; {
		select {
		case <-c.stop:
			last = true
		default:
		}
		fds := []unix.PollFd{{Fd: int32(c.f.fd), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, 100); err != nil && err != unix.EINTR {
			return err
		}
		if err := c.f.call(pcmStatusGet, unsafe.Pointer(st)); err != nil {
			return err
		}
		if State(st.State) != StateRunning {
			return fmt.Errorf("capture is %v", State(st.State))
		}
		have := int64(len(c.data) / frame)
		c.seen = append(c.seen, sighting{st.Tstamp.ns(), have + int64(st.Avail)})
		for left := int(st.Avail); left > 0; {
			x := &xferi{Buf: unsafe.Pointer(&buf[0]), Frames: uframes(min(left, len(buf)/frame))}
			if err := c.f.call(pcmReadI, unsafe.Pointer(x)); err != nil {
				return err
			}
			c.data = append(c.data, buf[:int(x.Result)*frame]...)
			left -= int(x.Result)
		}
	}
	return nil
}

// end stops the recording and closes the device; what was recorded may be
// looked at then.
func (c *capture) end() {
	select {
	case <-c.stop:
		return
	default:
	}
	time.Sleep(500 * time.Millisecond) // the capture side may lag by some ticks
	close(c.stop)
	if err := <-c.ended; err != nil && !errors.Is(err, unix.ENODEV) {
		c.t.Error(err)
	}
	c.f.close()
}

// when tells when a frame was captured, reckoned from the last look before it.
// ok is false for a frame after the last look.
func (c *capture) when(frame int64) (at int64, ok bool) {
	for i, s := range c.seen {
		if s.frames > frame && i > 0 {
			s = c.seen[i-1]
			return s.at + (frame-s.frames)*1e9/int64(c.setup.Rate), true
		}
	}
	return 0, false
}

// errors lists how far the play times told to a source were from the times its
// periods were captured, the first one from frame start on.
func (c *capture) errors(s *source, start int64, period int) (off []time.Duration) {
	for k, told := range s.at {
		if at, ok := c.when(start + int64(k*period)); ok {
			off = append(off, time.Duration(max(told-at, at-told)))
		}
	}
	return off
}

// source is pseudo-random sound with full use of the format's bits.
type source struct {
	x    uint32
	bits int
	sent []float32
	at   []int64               // play time of each period
	slow map[int]time.Duration // how long the n-th fill takes
}

func newSource(bits int) *source { return &source{bits: bits, sent: make([]float32, 0, 1<<20)} }

func (s *source) fill(buf []float32, at int64) {
	time.Sleep(s.slow[len(s.at)])
	s.at = append(s.at, at)
	scale := 1 / float32(int(1)<<(s.bits-1))
	for i := range buf {
		s.x = s.x*1664525 + 1013904223 // cheap on an emulated machine
		buf[i] = float32(int32(s.x)>>(32-s.bits)) * scale
	}
	if len(s.sent) == 0 {
		buf[0], buf[1] = 0.5, -0.25
	}
	s.sent = append(s.sent, buf...)
}

// listen runs an Output on a loopback card until so much has been played.
func listen(t *testing.T, cfg Config, d time.Duration, s *source) *Output {
	t.Helper()
	o, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := o.Run(ctx, s.fill); err != nil {
		t.Fatal(err)
	}
	return o
}

// find returns the frame of the recording at which the source begins, and
// checks that all of it follows.
func (s *source) find(t *testing.T, c *capture) int64 {
	t.Helper()
	enc := newEncoder(c.setup.Format, c.setup.Rate, false)
	want := make([]byte, len(s.sent)*c.setup.Format.Bytes())
	enc.encode(want, s.sent)
	frame := Channels * c.setup.Format.Bytes()
	start := -1
	for i := 0; i+frame <= len(c.data); i += frame {
		if string(c.data[i:i+frame]) == string(want[:frame]) {
			start = i
			break
		}
	}
	if start < 0 {
		t.Fatalf("nothing of the sound is among %d frames captured", len(c.data)/frame)
	}
	got := c.data[start:]
	if len(got) < len(want) {
		t.Fatalf("%d frames were captured, %d played", len(got)/frame, len(want)/frame)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("frame %d of %d differs", i/frame, len(want)/frame)
		}
	}
	return int64(start / frame)
}

// speed is the rate at which the card captured, in parts of its rate.
func (c *capture) speed() float64 {
	a, b := c.seen[0], c.seen[len(c.seen)-1]
	return float64(b.frames-a.frames) / float64(c.setup.Rate) / (float64(b.at-a.at) / 1e9)
}

// snapshots keeps what the kernel says of the position.
func snapshots(to *[]sighting) system {
	return liar{linux{}, func(r request, arg any) {
		if s, ok := arg.(*pcmStatus); ok && State(s.State) == StateRunning {
			*to = append(*to, sighting{s.Tstamp.ns(), int64(s.ApplPtr) - int64(s.Delay)})
		}
	}}
}

// element adds a control element to a card, as a driver would have it.
func element(t *testing.T, card string, iface int32, name string, typ int32, count uint32, scale []uint32) (*control, elemID) {
	t.Helper()
	c, err := openControl(linux{}, mustFind(t, "hw:"+card).Card)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	i := &elemInfo{Type: typ, Count: count, Access: accessReadWrite, ID: elemID{Iface: iface}}
	i.Owner = 1 // as many elements
	copy(i.ID.Name[:], name)
	if scale != nil {
		i.Access |= accessTLVReadWrite
		setLong(i.Value[:], 0, -10239)
		setLong(i.Value[:], 1, 400)
		setLong(i.Value[:], 2, 1)
	}
	if err := c.call(ctlElemAdd, unsafe.Pointer(i)); err != nil {
		t.Fatal(err)
	}
	if scale != nil {
		x := &tlv{Numid: i.ID.Numid, Length: uint32(4 * len(scale))}
		copy(x.Data[:], scale)
		if err := c.call(ctlTLVWrite, unsafe.Pointer(x)); err != nil {
			t.Fatal(err)
		}
	}
	// Whoever adds an element holds it.
	if err := c.call(ctlElemUnlock, unsafe.Pointer(&i.ID)); err != nil {
		t.Fatal(err)
	}
	return c, i.ID
}

// write sets an element's value.
func (c *control) write(t *testing.T, id elemID, b []byte) {
	t.Helper()
	v := &elemValue{ID: id}
	copy(v.Value[:], b)
	if err := c.call(ctlElemWrite, unsafe.Pointer(v)); err != nil {
		t.Fatal(err)
	}
}

func boolean(on bool) []byte {
	b := make([]byte, 8)
	binary.NativeEndian.PutUint64(b, uint64(btoi(on)))
	return b
}
