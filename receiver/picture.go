package receiver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/health"
	"aerie/receiver/mirror"
	"aerie/receiver/mp4"
)

// videoOutput is where the picture of all sessions goes.
type videoOutput interface {
	// open begins the picture of a session. ctx ends before close is called;
	// what waits for memory then gives up.
	open(ctx context.Context, s *streams) (videoSession, error)
	// describe says where the picture goes, and why.
	describe() (where, why string)
	close()
}

// modal is a video output whose display has a mode.
type modal interface {
	// mode returns the size of the display and its pictures a second; ok is
	// false while none is plugged in.
	mode() (width, height, fps int, ok bool)
}

// videoSession is the picture of one session on its output: a mirror.Sink that
// may be opened again after End, until close.
type videoSession interface {
	mirror.Sink
	close()
}

// pictureSink stands between the stream and the output: it notes what passes.
type pictureSink struct {
	videoSession
	s      *streams
	params atomic.Pointer[mirror.Parameters]
	paused atomic.Bool
	work   health.Work // what is being asked of the output
	forget func()
}

func newPictureSink(ctx context.Context, s *streams) (*pictureSink, error) {
	out, err := s.r.video.open(ctx, s)
	if err != nil {
		return nil, err
	}
	p := &pictureSink{videoSession: out, s: s}
	p.forget = s.r.vitals.monitor.Watch("picture", pictureLimit, p.work.Progress)
	return p, nil
}

func (p *pictureSink) close() {
	p.forget()
	p.videoSession.close()
}

// Buffer lends memory of the output, which may be behind.
func (p *pictureSink) Buffer(n int) (mirror.Buffer, error) {
	p.work.Begin()
	defer p.work.End()
	return p.videoSession.Buffer(n)
}

// allow decides about the codec and size of the stream.
func (p *pictureSink) allow(params *mirror.Parameters) error {
	if params.HEVC && !p.s.r.cfg.Video.HEVC {
		return &mirror.StreamError{Reason: "the sender mirrors in HEVC, which was not offered"}
	}
	const most = 4096 * 2304
	if params.Width*params.Height > most {
		return &mirror.StreamError{Reason: fmt.Sprintf("a picture of %dx%d", params.Width, params.Height)}
	}
	return nil
}

// Picture passes an access unit on.
func (p *pictureSink) Picture(b mirror.Buffer, au *mirror.AccessUnit) {
	s, m := p.s, &p.s.r.meters
	s.active.Store(int64(au.Arrived))
	s.stampArrived(au.Time, au.Arrived)
	m.pictures.Inc()
	m.pictureBytes.Add(uint64(len(au.Data)))
	m.receive.Observe(au.Arrived.Sub(au.Begun))
	if au.New {
		p.params.Store(au.Parameters)
		s.r.log.Info("picture", "codec", codecName(au.Parameters), "width", au.Parameters.Width, "height", au.Parameters.Height,
			"after", s.r.now().Sub(s.began).Round(100_000))
		s.r.somethingChanged()
	}
	p.work.Begin()
	p.videoSession.Picture(b, au)
	p.work.End()
}

// Pause notes that the sender is locked or asleep.
func (p *pictureSink) Pause(paused bool) {
	p.paused.Store(paused)
	p.s.r.log.Info("picture paused by the sender", "paused", paused)
	p.videoSession.Pause(paused)
}

func codecName(p *mirror.Parameters) string {
	if p.HEVC {
		return "HEVC"
	}
	return "H.264"
}

// track describes the picture to a container.
func track(p *mirror.Parameters) mp4.Video {
	v := mp4.Video{Codec: mp4.H264, Config: p.Record}
	if p.HEVC {
		v.Codec = mp4.HEVC
	}
	return v
}

// containerTime maps the sender's stamps to the time of a container, which
// begins with the first picture or sound of the session.
type containerTime struct {
	mu    sync.Mutex
	set   bool
	first clock.Remote
}

// at returns the time of a stamp. The first one asked for is 0; what was
// stamped earlier is before it.
func (c *containerTime) at(t clock.Remote) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.set {
		c.set, c.first = true, t
	}
	return t.Sub(c.first)
}

// heapBuffer is a mirror.Buffer for sinks that are done with an access unit
// when Picture returns.
type heapBuffer struct{ memory []byte }

func (h *heapBuffer) lend(n int) (mirror.Buffer, error) {
	if n > cap(h.memory) {
		h.memory = make([]byte, n+n/4)
	}
	h.memory = h.memory[:n]
	return h, nil
}

func (h *heapBuffer) Bytes() []byte { return h.memory }
func (h *heapBuffer) Release()      {}

// nowhere is the output that drops the picture.
type nowhere struct{ why string }

func (n nowhere) open(context.Context, *streams) (videoSession, error) { return &dropPicture{}, nil }
func (n nowhere) describe() (string, string)                           { return "nowhere", n.why }
func (nowhere) close()                                                 {}

type dropPicture struct{ heapBuffer }

func (d *dropPicture) Buffer(n int) (mirror.Buffer, error)       { return d.lend(n) }
func (d *dropPicture) Picture(mirror.Buffer, *mirror.AccessUnit) {}
func (d *dropPicture) Pause(bool)                                {}
func (d *dropPicture) End()                                      {}
func (d *dropPicture) close()                                    {}

var errEnded = errors.New("the session has ended")
