package receiver

import (
	"context"
	"sync"

	"aerie/receiver/clock"
	"aerie/receiver/codec"
	"aerie/receiver/mirror"
	"aerie/receiver/pattern/stamp"
)

// measuring is a videoOutput that decodes what another one gets, reads the
// stamps of the test pattern in the decoded pictures, and so measures from the
// instant that the sender drew into a picture to the instant the other output
// had it.
type measuring struct{ videoOutput }

func (o measuring) open(ctx context.Context, s *streams) (videoSession, error) {
	out, err := o.videoOutput.open(ctx, s)
	if err != nil {
		return nil, err
	}
	m := &measured{videoSession: out, s: s, reader: stampReader{s: s}}
	if m.decoding, err = newDecoding(ctx, s, nil, m.decodedPicture); err != nil {
		out.close()
		return nil, err
	}
	return m, nil
}

type measured struct {
	videoSession
	s        *streams
	decoding *decoding
	reader   stampReader

	mu     sync.Mutex
	handed [64]struct {
		stamp clock.Remote
		at    clock.Time
	}
}

// Picture gives the picture to the output, and a copy to the decoder.
func (m *measured) Picture(b mirror.Buffer, au *mirror.AccessUnit) {
	twin, err := m.decoding.Buffer(len(au.Data) + mirror.HeaderSize)
	if err != nil {
		m.videoSession.Picture(b, au)
		return
	}
	second := *au
	second.Data = twin.Bytes()[:copy(twin.Bytes(), au.Data)]
	m.videoSession.Picture(b, au)
	m.mu.Lock()
	h := &m.handed[au.Number%uint64(len(m.handed))]
	h.stamp, h.at = au.Time, m.s.r.now()
	m.mu.Unlock()
	m.decoding.Picture(twin, &second)
}

func (m *measured) decodedPicture(f *codec.Frame, d *decoded) {
	m.mu.Lock()
	var at clock.Time
	for i := range m.handed {
		if m.handed[i].stamp == d.stamp {
			at = m.handed[i].at
		}
	}
	m.mu.Unlock()
	if st, ok := readStamp(f); ok && at != 0 {
		m.reader.shown(st, at)
	}
}

func (m *measured) close() {
	m.videoSession.close()
	m.decoding.close()
}

// stampReader reads the stamps of the test pattern.
type stampReader struct {
	s    *streams
	last uint32
}

// read returns the stamp of a decoded picture, if it has one.
func readStamp(f *codec.Frame) (stamp.Stamp, bool) {
	p := stamp.Plane{Pix: f.Planes[0], Stride: f.Strides[0], Width: f.Width, Height: f.Height}
	return stamp.Read(p, stamp.Place(f.Width, f.Height))
}

// shown notes that the picture with a stamp was shown, or handed over.
func (r *stampReader) shown(st stamp.Stamp, at clock.Time) {
	m := &r.s.r.meters
	if r.last != 0 && st.Frame > r.last+1 {
		m.patternGaps.Add(uint64(st.Frame - r.last - 1))
	}
	r.last = st.Frame
	m.patternSeen.Inc()
	m.patternFrame.Set(float64(st.Frame))
	est := r.s.clock.Estimate()
	if est.Source == clock.NTP {
		m.pattern.Observe(at.Sub(est.ToLocal(clock.Remote(st.Time) * 1000)))
	}
}
