package lab

import (
	"context"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/hw/lab/bench"
	"aerie/receiver/audio"
	"aerie/receiver/config"
)

// TestLabTelevision has the whole receiver live with a television that sleeps:
// it is woken for music, its remote reaches the sender, it is switched off by
// hand, woken again for a picture, and put to sleep at the end. Before that
// nothing is taken from it.
func TestLabTelevision(t *testing.T) {
	bench.Need(t)
	t.Parallel()
	tv := bench.Television(t)
	g := startRig(t, "cec", true, func(c *config.Config) {
		c.TV.Control, c.TV.StandbyAfter = tv.Player, 1
		c.Network.Discovery = true
	})
	ear := g.record() // before anybody plays, who would choose the format else
	const (
		askPower, wake, take, askScreen, sleep = "408f", "4004", "4f821000", "4f85", "4036"
	)
	reports := func(socket string) func() bool {
		return func() bool { s := g.status().TV; return s != nil && strings.Contains(s.Socket, socket) }
	}
	g.until("the receiver is on the bus", reports("1.0.0.0, address 4"))
	for range 2 {
		tv.Plug(false)
		g.until("unplugged", reports("no television"))
		tv.Plug(true)
		g.until("plugged in", reports("address 4"))
	}
	tv.Send(15, 0x85)
	tv.Send(4, 0x8f)
	tv.Await("409000")
	for _, h := range tv.Heard() {
		if h == wake || h == take || h == askPower {
			t.Errorf("without a session the television heard %s", h)
		}
	}

	// Music wakes it, because it is what plays.
	told := make(chan string, 64)
	tone, err := phone.NewTone(audio.PCM)
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o := phone.Options{Address: g.addr, Sound: tone, Classic: &phone.Classic{Told: func(c string) { told <- c }}}
		if _, err := phone.Play(ctx, o); err != nil && ctx.Err() == nil {
			t.Errorf("playing: %v", err)
		}
	}()
	tv.Await(askPower, wake, take, take, askPower, take)
	g.until("the sender takes commands", func() bool { s := g.status().Sender; return s != nil && s.Remote })
	wantTold := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Errorf("the sender is told %q, want %q", got, want)
			}
		case <-time.After(patient):
			t.Fatalf("the sender is not told %q", want)
		}
	}
	tv.Send(4, 0x44, 0x4b)
	tv.Send(4, 0x45)
	wantTold("nextitem")
	if s := g.status().TV; !s.Shown || !s.Woken || s.Power != "on" {
		t.Errorf("status %+v", s)
	}

	// A flood: no more than the sender can take, and the next question is
	// answered.
	tv.Forget()
	for range 25 {
		tv.Send(4, 0x44, 0x44)
		tv.Send(4, 0x45)
	}
	tv.Send(4, 0x1a, 3)
	tv.Await("401b11")
	g.until("the flood is over", func() bool { return g.metric("aerie_tv_messages_total") > 50 })
	for n := 0; len(told) > 0; n++ {
		if <-told; n > 50 {
			t.Error("too much was passed on")
		}
	}

	// Somebody switches it off: it is silent, too.
	plays := func() bool { return g.plays(ear) }
	g.until("the music", plays)
	tv.Send(15, 0x36)
	g.until("the sender is told to pause", func() bool {
		for len(told) > 0 {
			if <-told == "pause" {
				return true
			}
		}
		return false
	})
	g.until("the picture is off", func() bool { return g.log.count(`"picture on the cable"=false`) == 1 })
	g.until("silence", func() bool { return !plays() })
	hangUp()
	<-ended

	// A picture wakes it again, and is heard.
	tv.Sleep()
	tv.Forget()
	if tone, err = phone.NewTone(audio.PCM); err != nil {
		t.Fatal(err)
	}
	stop := g.mirror(phone.Options{Picture: newSource(t, 320, 240, 20), Sound: tone})
	tv.Await(askPower, wake, take, take, askPower, take)
	before := g.shown()
	g.until("the picture", func() bool { return g.shown() > before+5 })
	g.until("the sound", plays)
	tv.Forget()
	stop()
	tv.Await(askScreen, sleep)
}
