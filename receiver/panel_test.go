package receiver

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/light"
	"aerie/receiver/pairing"
)

// A button does what its presses mean, and the light says how far one is; a
// stuck one does nothing and is told of once.
func TestButton(t *testing.T) {
	r := alone(t, t.TempDir())
	defer r.close()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		r.now = func() clock.Time { return clock.Time(time.Since(began)) + 1 }
		board := &pinBoard{log: slog.New(slog.DiscardHandler)}
		r.authority = pairing.New(pairing.Config{Store: r.identity.store, PIN: pairing.PINOnce, Display: board, Now: r.now, Wall: time.Now, Log: r.log})
		talk := r.authority.Converse(r.log)
		if err := talk.StartPIN(); err != nil {
			t.Fatal(err)
		}
		r.life, r.leave = context.WithCancel(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		changes, done := make(chan bool), make(chan struct{})
		go func() { defer close(done); r.panel.follow(ctx, r, changes) }()
		hold := func(d time.Duration) {
			changes <- true
			time.Sleep(d)
			changes <- false
			synctest.Wait()
		}
		before := board.shown()
		hold(time.Second)
		if now := board.shown(); now == before || now == "" {
			t.Errorf("after a press PIN %q, before %q", now, before)
		}
		before = board.shown()
		hold(7 * time.Second) // somebody thinks better of it
		if board.shown() != before || r.life.Err() != nil {
			t.Error("a press that is neither short nor long does something")
		}
		for range 2 {
			changes <- true
			for _, c := range []struct {
				after time.Duration
				says  light.State
			}{{time.Second, light.Ready}, {5 * time.Second, light.Holding}, {5 * time.Second, light.Releasing}, {time.Hour, light.Ready}} {
				time.Sleep(c.after)
				synctest.Wait()
				if got := r.Light().Shown(); got != c.says {
					t.Errorf("%v later the light says %v, not %v", c.after, got, c.says)
				}
			}
			changes <- false
			time.Sleep(time.Minute)
		}
		if r.life.Err() != nil {
			t.Error("a stuck button forgets everything")
		}
		if w := r.warnings.all(); !slices.Equal(w, []string{"the button is stuck"}) {
			t.Errorf("warnings %q", w)
		}
		hold(11 * time.Second)
		if r.life.Err() == nil {
			t.Error("after a long press it goes on as if nothing had been")
		}
		talk.Close()
		cancel()
		<-done
	})
}

// The light says how the receiver is.
func TestLight(t *testing.T) {
	r := alone(t, t.TempDir())
	defer r.close()
	p := &r.panel
	p.light.Set(light.Booting, true)
	p.tell(r)
	want := light.Ready
	if !r.Condition().Network {
		want = light.NoNetwork
	}
	if got := p.light.Shown(); got != want {
		t.Errorf("it says %v, not %v", got, want)
	}
	r.current.Store(&streams{r: r})
	if p.tell(r); want == light.Ready && p.light.Shown() != light.Playing {
		t.Errorf("while a sender is here it says %v", p.light.Shown())
	}
	r.current.Store(nil)
	r.Identify(time.Minute)
	if got := p.light.Shown(); got != light.Identify {
		t.Errorf("asked which one it is, it says %v", got)
	}
}
