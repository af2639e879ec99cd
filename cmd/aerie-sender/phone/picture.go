package phone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/mirror"
	"aerie/receiver/pattern"
)

// Picture is a source of access units, used by one session.
type Picture interface {
	// Describe returns the codec packet of what comes next, the size of the
	// picture, and whether it is HEVC.
	Describe() (payload []byte, width, height int, hevc bool)
	// When returns when the next access unit is due, in time since the
	// beginning; io.EOF when there is none.
	When() (time.Duration, error)
	// Next appends it to dst: NAL units with 4-byte lengths. stamp is what
	// the sender's clock shows when it is due. With key, one is made from
	// which decoding can begin, if the source can.
	Next(dst []byte, stamp clock.Remote, key bool) (au []byte, isKey bool, err error)
}

// turner is a Picture that can turn round, like a phone.
type turner interface{ Turn() error }

// Pattern is the moving test pattern.
type Pattern struct {
	config pattern.Config
	stream *pattern.Stream
	number uint32
	// Frames ends the pattern after so many; 0 never does.
	Frames uint32
	// KeyEvery makes every so many frames a key picture; 0 only the first.
	KeyEvery uint32
}

// NewPattern makes a pattern.
func NewPattern(c pattern.Config) (*Pattern, error) {
	s, err := pattern.New(c)
	if err != nil {
		return nil, err
	}
	return &Pattern{config: c, stream: s}, nil
}

// Parameters returns the parameter sets, for those who make codec packets of
// their own.
func (p *Pattern) Parameters() (sps, pps []byte) { return p.stream.SPS(), p.stream.PPS() }

// Rewind begins again, for another session.
func (p *Pattern) Rewind() { p.number = 0 }

// Describe returns the codec packet.
func (p *Pattern) Describe() ([]byte, int, int, bool) {
	return p.stream.AVCC(), p.config.Width, p.config.Height, false
}

// When returns when the next frame is due.
func (p *Pattern) When() (time.Duration, error) {
	if p.Frames > 0 && p.number >= p.Frames {
		return 0, io.EOF
	}
	return time.Duration(p.number) * time.Second / time.Duration(p.config.FPS), nil
}

// Next draws a frame.
func (p *Pattern) Next(dst []byte, stamp clock.Remote, key bool) ([]byte, bool, error) {
	at, err := p.When()
	if err != nil {
		return nil, false, err
	}
	key = key || p.number == 0 || p.KeyEvery > 0 && p.number%p.KeyEvery == 0
	p.number++
	return p.stream.AppendFrame(dst, pattern.Frame{Number: p.number, Elapsed: at, SenderTime: uint64(stamp) / 1000}, key), key, nil
}

// Turn swaps width and height.
func (p *Pattern) Turn() error {
	c := p.config
	c.Width, c.Height = c.Height, c.Width
	s, err := pattern.New(c)
	if err != nil {
		return err
	}
	p.config, p.stream = c, s
	return nil
}

// pictureStream sends a picture.
type pictureStream struct {
	p         *Phone
	src       Picture
	conn      net.Conn
	sealer    mirror.Sealer
	begin     clock.Time // of pattern time
	dialled   clock.Time
	packet    []byte
	described bool
	paused    time.Duration // at which pattern time it last paused
	turned    time.Duration
}

// openPicture sets up the stream and connects to its port.
func (p *Phone) openPicture(ctx context.Context, begin, began clock.Time) (*pictureStream, error) {
	id := uint64(clock.Now())<<8 | 1
	r, err := p.openStream(message.StreamSetup{Type: message.StreamMirror, ConnectionID: id, LatencyMs: 90})
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: 5 * time.Second}
	host, _, _ := net.SplitHostPort(p.control.conn.RemoteAddr().String())
	conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(r.DataPort)))
	if err != nil {
		return nil, err
	}
	p.report.SetUp = clock.Now().Sub(began)
	return &pictureStream{p: p, src: p.o.Picture, conn: conn, begin: begin, dialled: began, sealer: p.sealer(id)}, nil
}

// sealer returns the cipher of a picture's connection.
func (p *Phone) sealer(id uint64) mirror.Sealer {
	if p.secret != nil {
		return mirror.NewAEADSealer(p.secret.Stream(id))
	}
	return mirror.NewCTRSealer(p.key, id)
}

func (v *pictureStream) run(ctx context.Context) error {
	defer v.conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = v.conn.SetWriteDeadline(time.Now()) })
	defer stop()
	reported := v.begin
	for {
		at, err := v.src.When()
		if errors.Is(err, io.EOF) {
			v.drain()
			return nil
		}
		if err != nil {
			return err
		}
		if !v.p.o.Fast && !wait(ctx, v.begin.Add(at)) {
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := v.frame(ctx, at); err != nil {
			return err
		}
		if now := clock.Now(); now.Sub(reported) > time.Second {
			reported = now
			if err := v.statistics(); err != nil {
				return err
			}
		}
	}
}

// drain waits until the receiver has read everything, so that a TEARDOWN does
// not overtake the last pictures.
func (v *pictureStream) drain() {
	t, ok := v.conn.(*net.TCPConn)
	if !ok || t.CloseWrite() != nil || t.SetReadDeadline(time.Now().Add(2*time.Second)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, t)
}

// frame sends the access unit that is due.
func (v *pictureStream) frame(ctx context.Context, at time.Duration) error {
	key, err := v.interrupt(ctx, at)
	if err != nil {
		return err
	}
	if !v.described {
		if err := v.describe(false); err != nil {
			return err
		}
		key = true
	}
	due := v.begin.Add(at)
	if v.p.o.Fast {
		due = clock.Now()
	}
	stamp := v.p.at(due)
	began := clock.Now()
	packet, isKey, err := v.src.Next(v.packet[:mirror.HeaderSize], stamp, key)
	if err != nil {
		return err
	}
	v.packet = packet
	coded := clock.Now()
	v.p.report.Draw.Observe(coded.Sub(began))
	_, _, _, hevc := v.src.Describe()
	h := mirror.Header{Size: uint32(len(packet) - mirror.HeaderSize + v.sealer.Overhead()), Type: mirror.Video, Option: mirror.Option(hevc, false), Time: stamp}
	if isKey {
		h.Type = mirror.VideoIDR
	}
	h.Put((*[mirror.HeaderSize]byte)(packet))
	packet = v.sealer.Seal(packet)
	v.packet = packet
	if _, err := v.conn.Write(packet); err != nil {
		return fmt.Errorf("the picture's connection: %w", err)
	}
	sent := clock.Now()
	v.p.report.Write.Observe(sent.Sub(coded))
	v.p.report.Sent.Observe(sent.Sub(due))
	v.p.report.Pictures++
	v.p.report.PictureBytes += int64(len(packet))
	return nil
}

// describe sends the codec packet.
func (v *pictureStream) describe(paused bool) error {
	payload, width, height, hevc := v.src.Describe()
	if v.packet == nil {
		v.packet = make([]byte, mirror.HeaderSize, 256<<10)
	}
	w, h := float32(width), float32(height)
	head := mirror.Header{Size: uint32(len(payload)), Type: mirror.Codec, Option: mirror.Option(hevc, paused), Time: v.p.now(),
		SourceWidth: w, SourceHeight: h, EncodedWidth: w, EncodedHeight: h, ShownWidth: 1920, ShownHeight: 1080}
	b := append([]byte(nil), make([]byte, mirror.HeaderSize)...)
	head.Put((*[mirror.HeaderSize]byte)(b))
	v.described = !paused
	_, err := v.conn.Write(append(b, payload...))
	return err
}

// interrupt does what a phone does on purpose: it is locked for a second, or
// turned round. Afterwards it begins with a key picture.
func (v *pictureStream) interrupt(ctx context.Context, at time.Duration) (key bool, err error) {
	if every := v.p.o.PauseEvery; every > 0 && at-v.paused >= every {
		v.paused = at
		if err := v.describe(true); err != nil {
			return false, err
		}
		wait(ctx, clock.Now().Add(time.Second))
		v.begin = v.begin.Add(time.Second)
		return true, nil
	}
	if every := v.p.o.RotateEvery; every > 0 && at-v.turned >= every {
		v.turned = at
		t, ok := v.src.(turner)
		if !ok {
			return false, errors.New("a clip cannot be turned round")
		}
		v.described = false
		return true, t.Turn()
	}
	return false, nil
}

// statistics sends a report packet, as phones do every second.
func (v *pictureStream) statistics() error {
	payload := message.Encode(map[string]any{"bitrate": 0, "fps": 60})
	b := make([]byte, mirror.HeaderSize)
	h := mirror.Header{Size: uint32(len(payload)), Type: mirror.Report}
	h.Put((*[mirror.HeaderSize]byte)(b))
	_, err := v.conn.Write(append(b, payload...))
	return err
}

// wait waits until an instant; false if ctx ended first.
func wait(ctx context.Context, until clock.Time) bool {
	d := until.Sub(clock.Now())
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
