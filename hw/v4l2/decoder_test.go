package v4l2

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"aerie/hw/v4l2/uapi"
)

// viewer is the caller of a Decoder: it collects what it is given.
type viewer struct {
	t        testing.TB
	d        *Decoder
	layouts  chan *Layout
	retired  chan *Layout
	pictures chan Picture
	failed   chan error
	token    uint64
}

func newViewer(t testing.TB) *viewer {
	return &viewer{t: t, layouts: make(chan *Layout, 100), retired: make(chan *Layout, 100), pictures: make(chan Picture, 1000), failed: make(chan error, 10)}
}

func (v *viewer) config(m *model, width, height int) Config {
	return Config{Device: m.device(), Codec: uapi.H264, Width: width, Height: height, References: 1, Held: 3,
		Formats: []uapi.FourCC{uapi.NV12}, system: m,
		Setup:   func(l *Layout) error { v.layouts <- l; return nil },
		Retire:  func(l *Layout) { v.retired <- l },
		Picture: func(p Picture) { v.pictures <- p },
		Failed:  func(err error) { v.failed <- err }}
}

// open opens a decoder on a model and closes it at the end, when nothing may be
// held.
func (v *viewer) open(m *model, cfg Config) {
	v.t.Helper()
	d, err := Open(cfg)
	if err != nil {
		v.t.Fatal(err)
	}
	v.d = d
}

// close closes the decoder and looks for what is left.
func (v *viewer) close(m *model) {
	v.t.Helper()
	if err := v.d.Close(); err != nil {
		v.t.Error(err)
	}
	if h := m.held(); h != nothingHeld {
		v.t.Errorf("held after Close: %s", h)
	}
}

// send submits an access unit under the next token.
func (v *viewer) send(au []byte) {
	v.t.Helper()
	in, err := v.d.Lease(context.Background())
	if err != nil {
		v.t.Fatal(err)
	}
	clear(in.Bytes()[:64])
	v.token++
	in.Submit(64+copy(in.Bytes()[64:], au), v.token)
}

// picture takes the next picture, which must have a token.
func (v *viewer) picture(token uint64) Picture {
	v.t.Helper()
	synctest.Wait()
	select {
	case p := <-v.pictures:
		if p.Token != token {
			v.t.Fatalf("picture %d, want %d", p.Token, token)
		}
		return p
	case err := <-v.failed:
		v.t.Fatalf("instead of picture %d: %v", token, err)
	default:
		v.t.Fatalf("no picture %d", token)
	}
	return Picture{}
}

func (v *viewer) none() {
	v.t.Helper()
	synctest.Wait()
	select {
	case p := <-v.pictures:
		v.t.Fatalf("picture %d too many", p.Token)
	default:
	}
}

// models are the two kinds of driver, single- and multi-planar.
var models = map[string]func() *model{
	"as documented":  newModel,
	"multi-planar":   func() *model { m := newModel(); m.mplane = true; return m },
	"Raspberry Pi":   newPi,
	"Pi, gives each": func() *model { m := newPi(); m.keep = 0; return m },
}

// everywhere runs a test on every kind of driver, in simulated time.
func everywhere(t *testing.T, f func(t *testing.T, m *model)) {
	for name, make := range models {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { f(t, make()) }) })
	}
}

// Each access unit gives its picture, for as long as pictures come back.
func TestDecode(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		for n := uint64(1); n <= 300; n++ {
			v.send(accessUnit('P', 0, 0))
			p := v.picture(n)
			if p.Generation != 1 || p.Corrupt {
				t.Fatalf("%+v", p)
			}
			v.d.Release(p)
		}
		l := <-v.layouts
		if l.Visible != (Rect{0, 0, 640, 480}) || l.Format != uapi.NV12 || len(l.Buffers) < 1+1+3 || l.Planes[1] != (Plane{640 * 480, 640}) {
			t.Errorf("%v %+v", l, l)
		}
		if err := v.d.Err(); err != nil {
			t.Error(err)
		}
	})
}

// The caller keeps pictures: the device waits, nothing fails, and it goes on
// when they are back.
func TestPicturesKept(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		cfg := v.config(m, 640, 480)
		cfg.Stall = 1e12 // kept for longer than anyone waits
		v.open(m, cfg)
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		synctest.Wait()
		n := len((<-v.layouts).Buffers)
		for range n + inputs - 2 {
			v.send(accessUnit('P', 0, 0))
		}
		var kept []Picture
		for i := range n {
			kept = append(kept, v.picture(uint64(i+1)))
		}
		v.none()
		for i, p := range kept[:3] {
			v.d.Release(p)
			v.d.Release(p) // twice is once
			v.picture(uint64(n + i + 1))
		}
		v.none()
		v.d.Release(Picture{Generation: 7, Index: 0})
		v.d.Release(Picture{Generation: 1, Index: -1})
		v.d.Release(Picture{Generation: 1, Index: 31})
		v.none()
	})
}

func TestCorruptAndEmpty(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		v.send(accessUnit('X', 0, 0))
		v.send(accessUnit('N', 0, 0))
		v.send(accessUnit('P', 0, 0))
		v.send(accessUnit('P', 0, 0))
		if p := v.picture(1); p.Corrupt {
			t.Error("a good picture is called corrupt")
		}
		if p := v.picture(2); !p.Corrupt {
			t.Error("a corrupt picture is called good")
		}
		v.picture(4)
	})
}

// An Input that is released unused, and one longer than its memory.
func TestLease(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		for range 4 * inputs {
			in, err := v.d.Lease(context.Background())
			if err != nil || len(in.Bytes()) < InputSize {
				t.Fatal(err)
			}
			in.Release()
		}
		var all []*Input
		for range inputs {
			in, err := v.d.Lease(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, in)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := v.d.Lease(ctx); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for _, in := range all {
			in.Release()
		}
		v.send(accessUnit('K', 640, 480))
		in, _ := v.d.Lease(context.Background())
		copy(in.Bytes(), accessUnit('P', 0, 0))
		in.Submit(1<<30, 1<<50+7)
		v.send(accessUnit('P', 0, 0))
		v.picture(1)
		v.picture(7)
	})
}

// Drain brings what the device holds back, and the stream goes on.
func TestDrain(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		if err := v.d.Drain(); err != nil { // of nothing
			t.Fatal(err)
		}
		for round := range uint64(3) {
			v.send(accessUnit('K', 640, 480))
			v.send(accessUnit('P', 0, 0))
			if err := v.d.Drain(); err != nil {
				t.Fatal(err)
			}
			v.d.Release(v.picture(2*round + 1))
			v.d.Release(v.picture(2*round + 2))
		}
	})
}

// Flush forgets, and leaves nothing with the device.
func TestFlush(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		if err := v.d.Flush(); err != nil { // before anything was known
			t.Fatal(err)
		}
		for range 5 {
			first := v.token + 1
			v.send(accessUnit('K', 640, 480))
			v.send(accessUnit('P', 0, 0))
			p := v.picture(first)
			m.mu.Lock()
			m.deaf = true
			m.mu.Unlock()
			v.send(accessUnit('P', 0, 0))
			v.send(accessUnit('P', 0, 0))
			if err := v.d.Flush(); err != nil {
				t.Fatal(err)
			}
			m.mu.Lock()
			m.deaf = false
			m.mu.Unlock()
			synctest.Wait()
			for len(v.pictures) > 0 {
				v.d.Release(<-v.pictures)
			}
			v.d.Release(p)
		}
		synctest.Wait()
		if n := len(v.d.free); n != inputs {
			t.Errorf("%d of %d inputs are free", n, inputs)
		}
	})
}

// What the device cannot do is refused before it sees anything.
func TestUnsuitable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newPi()
		v := newViewer(t)
		for _, size := range [][2]int{{1920, 1200}, {1936, 1088}, {4096, 2304}, {16, 16}} {
			if _, err := Open(v.config(m, size[0], size[1])); !errors.Is(err, ErrUnsuitable) {
				t.Errorf("%v: %v", size, err)
			}
		}
		cfg := v.config(m, 1088, 1920)
		cfg.Formats = []uapi.FourCC{uapi.XBGR}
		if _, err := Open(cfg); !errors.Is(err, ErrUnsuitable) {
			t.Errorf("no format that is wanted: %v", err)
		}
		cfg.Formats = []uapi.FourCC{uapi.XBGR, uapi.NC12}
		v.open(m, cfg)
		if l := <-v.layouts; l.Modifier != 0x0700000000000004|1920*3/2<<8 || l.Fourcc != uint32(uapi.NV12) {
			t.Errorf("%+v", l)
		}
		v.close(m)
	})
}

// A caller that cannot use the memory ends the decoder.
func TestSetupRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		cfg := v.config(m, 640, 480)
		refused := fmt.Errorf("no room")
		cfg.Setup = func(*Layout) error { return refused }
		d, err := Open(cfg)
		if err == nil { // it is told of memory later
			v.d = d
			v.send(accessUnit('K', 640, 480))
			synctest.Wait()
			err = <-v.failed
			d.Close()
		}
		if !errors.Is(err, refused) {
			t.Error(err)
		}
		if h := m.held(); h != nothingHeld {
			t.Errorf("held: %s", h)
		}
	})
}
