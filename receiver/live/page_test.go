package live

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/mp4"
	"aerie/receiver/pattern"
)

// A page reads a stream as a browser's page does.
type page struct {
	t    testing.TB
	conn net.Conn
}

// A received message.
type received struct {
	kind, flags byte
	pts, stream time.Duration
	at          clock.Time
	body        []byte
	state       State
}

// watch connects a page to a track without HTTP.
func watch(t testing.TB, v *View, track *track) *page {
	t.Helper()
	ours, theirs := net.Pipe()
	w := v.admit(track)
	if w == nil || !v.connect(w, theirs) {
		t.Fatal("the viewer was refused")
	}
	go func() {
		defer v.leave(w)
		defer theirs.Close()
		w.run()
	}()
	t.Cleanup(func() { ours.Close() })
	return &page{t, ours}
}

// any returns the next message.
func (p *page) any() received {
	p.t.Helper()
	m, err := readMessage(p.conn)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func readMessage(from io.Reader) (received, error) {
	var h [HeaderSize]byte
	if _, err := io.ReadFull(from, h[:]); err != nil {
		return received{}, err
	}
	be := binary.BigEndian
	us := func(at int) time.Duration { return time.Duration(be.Uint64(h[at:])) * time.Microsecond }
	m := received{kind: h[4], flags: h[5], pts: us(8), stream: us(16), at: clock.Time(us(24)), body: make([]byte, be.Uint32(h[:]))}
	if _, err := io.ReadFull(from, m.body); err != nil {
		return received{}, err
	}
	if m.kind == KindState {
		return m, json.Unmarshal(m.body, &m.state)
	}
	return m, nil
}

// next returns the next message that is not a tick.
func (p *page) next() received {
	p.t.Helper()
	for {
		if m := p.any(); m.kind != KindTick {
			return m
		}
	}
}

// state expects a state.
func (p *page) state(want string) State {
	p.t.Helper()
	m := p.next()
	if m.kind != KindState || m.state.State != want {
		p.t.Fatalf("message %c %s, want state %q", m.kind, m.body, want)
	}
	return m.state
}

// playing expects a state and an initialisation segment.
func (p *page) playing() State {
	p.t.Helper()
	s := p.state(StatePlaying)
	if m := p.next(); m.kind != KindInit || !bytes.Contains(m.body, []byte("moov")) {
		p.t.Fatalf("message %c of %d bytes, want an initialisation segment", m.kind, len(m.body))
	}
	return s
}

// fragment expects a fragment that ends with a sample.
func (p *page) fragment(sample []byte, flags byte) received {
	p.t.Helper()
	m := p.next()
	if m.kind != KindFragment || m.flags != flags || !bytes.HasSuffix(m.body, sample) {
		p.t.Fatalf("message %c, flags %d, %d bytes; want a fragment, flags %d, of a sample of %d bytes", m.kind, m.flags, len(m.body), flags, len(sample))
	}
	return m
}

// A phone makes pictures of random content, and feeds a view.
type phone struct {
	t      testing.TB
	view   *View
	n      int
	sizes  int
	config []byte
}

const interval = time.Second / 30

// turn changes the size of the picture.
func (p *phone) turn(width, height int) {
	p.t.Helper()
	s, err := pattern.New(pattern.Config{Width: width, Height: height, FPS: 30})
	if err != nil {
		p.t.Fatal(err)
	}
	p.config = s.AVCC()
	p.describe()
}

func (p *phone) describe() {
	p.t.Helper()
	if err := p.view.SetVideo(mp4.Video{Codec: mp4.H264, Config: p.config}); err != nil {
		p.t.Fatal(err)
	}
}

// pts returns the time of picture n.
func (p *phone) pts(n int) time.Duration { return time.Hour + time.Duration(n)*interval }

// sample returns picture n: a NAL unit of a slice behind its length.
func (p *phone) sample(n int) []byte {
	size := 200 + n*n%1800
	if p.sizes > 0 {
		size = p.sizes
	}
	b := make([]byte, 4+size)
	binary.BigEndian.PutUint32(b, uint32(size))
	b[4] = 0x41
	binary.BigEndian.PutUint64(b[5:], uint64(n)*0x9e3779b97f4a7c15)
	return b
}

// show feeds the next picture and returns it.
func (p *phone) show(key bool) []byte {
	p.n++
	b := p.sample(p.n)
	p.view.Picture(b, p.pts(p.n), key, p.view.options.Now())
	clear(b) // it was borrowed
	return p.sample(p.n)
}

func (p *phone) showMany(n int) {
	for range n {
		p.show(false)
	}
}

func newView(t testing.TB, o Options) (*View, *phone) {
	t.Helper()
	v, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v, &phone{t: t, view: v}
}
