package live

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/mp4"
)

// inBubble runs a test on simulated time.
func inBubble(t *testing.T, o Options, test func(t *testing.T, v *View, p *phone)) {
	synctest.Test(t, func(t *testing.T) {
		v, p := newView(t, o)
		test(t, v, p)
	})
}

func TestFromTheBeginning(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		page := watch(t, v, &v.video)
		page.state(StateIdle)
		v.Start()
		page.state(StateWaiting)
		p.turn(1280, 720)
		p.show(false) // nothing can be made of it
		if n := v.Unusable.Value(); n != 1 {
			t.Errorf("%d pictures unusable before the key picture", n)
		}
		key := p.show(true)
		s := page.playing()
		if !s.Fresh || s.History != 0 || s.Type != `video/mp4; codecs="avc1.64001f"` {
			t.Errorf("%+v", s)
		}
		if m := page.fragment(key, FlagKey); m.stream != 0 || m.pts != p.pts(p.n).Truncate(time.Microsecond) {
			t.Errorf("the stream begins at %v with pts %v", m.stream, m.pts)
		}
		for i := range 100 {
			b := p.show(false)
			m := page.fragment(b, 0)
			if want := time.Duration(i+1) * interval; (m.stream - want).Abs() > time.Microsecond {
				t.Fatalf("picture %d is at %v of the stream, want %v", i, m.stream, want)
			}
		}
		v.End()
		page.state(StateIdle)
		v.Start()
		p.turn(1280, 720)
		page.state(StateWaiting)
		p.show(true)
		if s := page.playing(); !s.Fresh {
			t.Error("the stream of a second session continues the first")
		}
	})
}

// TestLateJoin checks that a page that comes later gets everything since the
// key picture, packed together, and then goes on as all others.
func TestLateJoin(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		v.Start()
		p.turn(1280, 720)
		p.show(true)
		p.showMany(499)
		page := watch(t, v, &v.video)
		if s := page.playing(); !s.Fresh || s.History != 499 {
			t.Errorf("%+v", s)
		}
		var last received
		for i := range 500 {
			flags := byte(FlagHistory)
			if i == 0 {
				flags |= FlagKey
			}
			if i == 499 {
				flags = 0 // the one to show
			}
			last = page.fragment(p.sample(i+1), flags)
			if last.stream != time.Duration(i)*time.Microsecond || last.pts != p.pts(i+1).Truncate(time.Microsecond) {
				t.Fatalf("picture %d: stream %v, pts %v", i, last.stream, last.pts)
			}
		}
		m := page.fragment(p.show(false), 0)
		if step := m.stream - last.stream; (step - interval).Abs() > time.Microsecond {
			t.Errorf("%v from the history to the next picture", step)
		}
		// A page that comes with the key picture has no history.
		key := p.show(true)
		page.fragment(key, FlagKey)
		other := watch(t, v, &v.video)
		if s := other.playing(); s.History != 0 {
			t.Errorf("history of %d", s.History)
		}
		other.fragment(key, FlagKey)
	})
}

// TestTurn checks a change of size in mid-stream: nothing is sent until the
// key picture, and the time of the stream goes on.
func TestTurn(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		v.Start()
		p.turn(1280, 720)
		page := watch(t, v, &v.video)
		page.state(StateWaiting)
		p.show(true)
		page.playing()
		last := page.fragment(p.sample(p.n), FlagKey)
		p.turn(720, 1280)
		newcomer := watch(t, v, &v.video)
		newcomer.state(StateWaiting)
		p.show(false)
		key := p.show(true)
		if s := page.playing(); s.Fresh {
			t.Error("the turned picture is to begin anew")
		}
		m := page.fragment(key, FlagKey)
		if step := m.stream - last.stream; (step - 2*interval).Abs() > time.Microsecond {
			t.Errorf("%v from one size to the other, with one picture lost", step)
		}
		if s := newcomer.playing(); !s.Fresh {
			t.Error("the newcomer is to continue")
		}
		newcomer.fragment(key, FlagKey)
		// The same description again is no change.
		p.describe()
		page.fragment(p.show(false), 0)
	})
}

// TestPause checks that the stream leaves a pause out.
func TestPause(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		v.Start()
		p.turn(1280, 720)
		page := watch(t, v, &v.video)
		page.state(StateWaiting)
		p.show(true)
		page.playing()
		first := page.next()
		p.n += 300
		second := page.fragment(p.show(false), 0)
		if gap := second.stream - first.stream; gap != 100*time.Millisecond {
			t.Errorf("10 s without pictures take %v of the stream", gap)
		}
		if gap := second.pts - first.pts; (gap - 301*interval).Abs() > time.Microsecond {
			t.Errorf("10 s without pictures take %v of the sender's time", gap)
		}
	})
}

// TestTooLate fills the ring until the key picture is gone.
func TestTooLate(t *testing.T) {
	inBubble(t, Options{MaxHistory: 1 << 20}, func(t *testing.T, v *View, p *phone) {
		v.Start()
		p.turn(1280, 720)
		p.sizes = 10_000
		early := watch(t, v, &v.video)
		early.state(StateWaiting)
		p.show(true)
		early.playing()
		early.fragment(p.sample(p.n), FlagKey)
		for range 200 {
			early.fragment(p.show(false), 0)
		}
		late := watch(t, v, &v.video)
		late.state(StateTooLate)
		early.fragment(p.show(false), 0) // it is not disturbed
		key := p.show(true)
		early.fragment(key, FlagKey)
		if s := late.playing(); !s.Fresh || s.History != 0 {
			t.Errorf("%+v", s)
		}
		late.fragment(key, FlagKey)
	})
}

// TestOvertaken checks what becomes of a viewer that reads too slowly: it goes
// on with a newer key picture if there is one, else it is told.
func TestOvertaken(t *testing.T) {
	inBubble(t, Options{MaxHistory: 1 << 20}, func(t *testing.T, v *View, p *phone) {
		v.Start()
		p.turn(1280, 720)
		p.sizes = 10_000
		page := watch(t, v, &v.video)
		page.state(StateWaiting)
		p.show(true)
		page.playing()
		page.fragment(p.sample(p.n), FlagKey)
		synctest.Wait()
		written := p.show(false)
		synctest.Wait() // the page has not read it: the viewer is writing
		p.showMany(9)
		key := p.show(true)
		page.fragment(written, 0)
		page.fragment(key, FlagKey)
		if n := v.Restarted.Value(); n != 1 {
			t.Errorf("restarted %d times by the key picture", n)
		}
		synctest.Wait()
		p.showMany(300)
		for {
			if m := page.next(); m.kind == KindState {
				if m.state.State != StateTooLate {
					t.Errorf("state %q", m.state.State)
				}
				break
			}
		}
		if n := v.Restarted.Value(); n != 2 {
			t.Errorf("restarted %d times", n)
		}
		key = p.show(true)
		if s := page.playing(); s.Fresh {
			t.Error("the stream begins anew")
		}
		page.fragment(key, FlagKey)
	})
}

// TestStuck checks that a page that reads nothing is given up, and holds up
// neither the session nor another page.
func TestStuck(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		v.Start()
		p.turn(1280, 720)
		stuck, page := watch(t, v, &v.video), watch(t, v, &v.video)
		stuck.state(StateWaiting)
		page.state(StateWaiting)
		p.show(true)
		page.playing()
		page.fragment(p.sample(p.n), FlagKey)
		for range 100 {
			page.fragment(p.show(false), 0)
		}
		if n := v.Viewers(); n != 2 {
			t.Errorf("%d viewers", n)
		}
		go io.Copy(io.Discard, page.conn)
		time.Sleep(writeTimeout + time.Second)
		synctest.Wait()
		if n := v.Viewers(); n != 1 || v.Stuck.Value() != 1 {
			t.Errorf("%d viewers, %d stuck", n, v.Stuck.Value())
		}
	})
}

// TestTick checks that a quiet stream shows that it is alive.
func TestTick(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		page := watch(t, v, &v.video)
		page.state(StateIdle)
		began := time.Now()
		for range 3 {
			if m := page.any(); m.kind != KindTick || m.at == 0 {
				t.Errorf("message %c at %v", m.kind, m.at)
			}
		}
		if d := time.Since(began); d != 3*tickInterval {
			t.Errorf("three ticks in %v", d)
		}
	})
}

func TestBadDescriptions(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		v.Start()
		p.turn(1280, 720)
		p.show(true)
		page := watch(t, v, &v.video)
		page.playing()
		page.fragment(p.sample(p.n), FlagKey)
		if v.SetVideo(mp4.Video{Codec: mp4.H264, Config: []byte{1, 2, 3}}) == nil {
			t.Error("a broken configuration was accepted")
		}
		if v.SetAudio(mp4.Audio{}) == nil {
			t.Error("an empty configuration was accepted")
		}
		p.show(true)
		if v.Unusable.Value() != 1 {
			t.Error("a picture of an unknown format was used")
		}
		p.describe()
		key := p.show(true)
		page.playing()
		page.fragment(key, FlagKey)
	})
}

var aacLC = mp4.Audio{Config: []byte{0x11, 0x90}} // 48 kHz, stereo

func TestSound(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, v *View, p *phone) {
		const period = time.Second * 1024 / 48000
		frames := [][]byte{bytes.Repeat([]byte{1}, 300), bytes.Repeat([]byte{2}, 310)}
		whole := bytes.Join(frames, nil)
		n := 0
		play := func() { n++; v.Sound(time.Hour+time.Duration(2*n)*period, 0, frames...) }
		early := watch(t, v, &v.sound)
		early.state(StateIdle)
		v.Start()
		early.state(StateWaiting)
		play() // of an unknown format
		if err := v.SetAudio(aacLC); err != nil {
			t.Fatal(err)
		}
		play()
		if s := early.playing(); !s.Fresh || s.Type != `audio/mp4; codecs="mp4a.40.2"` {
			t.Errorf("%+v", s)
		}
		if m := early.fragment(whole, 0); m.stream != 0 || m.pts != (time.Hour+4*period).Truncate(time.Microsecond) {
			t.Errorf("begins at %v, pts %v", m.stream, m.pts)
		}
		for range 49 {
			play()
			early.fragment(whole, 0)
		}
		// A newcomer gets what fits into its buffer, so that it hears something
		// at once.
		late := watch(t, v, &v.sound)
		late.playing()
		for i := range len(v.sound.recent) {
			m := late.fragment(whole, 0)
			if want := time.Duration(2*i) * period; (m.stream - want).Abs() > 30*time.Microsecond {
				t.Errorf("fragment %d at %v, want %v", i, m.stream, want)
			}
		}
		play()
		late.fragment(whole, 0)
		// A pause is left out.
		n += 1000
		play()
		before := early.next()
		after := early.next()
		if d := after.stream - before.stream; (d - 2*period).Abs() > 30*time.Microsecond {
			t.Errorf("a pause takes %v of the stream", d)
		}
		// Another format goes on in the same stream.
		if err := v.SetAudio(mp4.Audio{Config: []byte{0x12, 0x10}}); err != nil { // 44.1 kHz
			t.Fatal(err)
		}
		play()
		if s := early.playing(); s.Fresh {
			t.Error("another format begins anew")
		}
		early.fragment(whole, 0)
	})
}
