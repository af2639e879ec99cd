package tv

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/remote"
)

// rig is a TV with a clock, and a note of all that it does.
type rig struct {
	*TV
	t     testing.TB
	clock clock.Time
	notes []string
}

func (g *rig) Send(to int, data ...byte) { g.note("%d:% x", to, data) }
func (g *rig) Command(c remote.Command)  { g.note("%s", c) }
func (g *rig) Show(on bool)              { g.note("show=%v", on) }

func (g *rig) note(format string, args ...any) {
	g.notes = append(g.notes, fmt.Sprintf(format, args...))
}

const patience = 60 * time.Second // that a woken television is given

func newRig(t testing.TB) *rig {
	g := &rig{t: t, clock: 1}
	g.TV = New(g, patience)
	g.Plugged(g.clock, Bus{0x1000, true})
	return g
}

// wait lets time pass, with all that is due in it.
func (g *rig) wait(d time.Duration) {
	end := g.clock.Add(d)
	for {
		at, ok := g.Due()
		if !ok || at > end {
			break
		}
		g.clock = max(at, g.clock)
		g.Tick(g.clock)
		if again, ok := g.Due(); ok && again <= g.clock {
			g.t.Fatalf("due at %d again after it was done", again)
		}
	}
	g.clock = end
}

// hear has a message come: "0>4 44 41" is from 0 to 4.
func (g *rig) hear(s string) {
	g.t.Helper()
	from, rest, _ := strings.Cut(s, ">")
	to, rest, _ := strings.Cut(rest, " ")
	f, err1 := strconv.Atoi(from)
	n, err2 := strconv.Atoi(to)
	if err1 != nil || err2 != nil {
		g.t.Fatalf("%q is no message", s)
	}
	var data []byte
	for _, x := range strings.Fields(rest) {
		v, err := strconv.ParseUint(x, 16, 8)
		if err != nil {
			g.t.Fatalf("%q is no message", s)
		}
		data = append(data, byte(v))
	}
	g.Receive(g.clock, f, n, data)
}

// did checks what was done since the last time.
func (g *rig) did(want ...string) {
	g.t.Helper()
	if got := strings.Join(g.notes, ", "); got != strings.Join(want, ", ") {
		g.t.Errorf("did %q, want %q", got, strings.Join(want, ", "))
	}
	g.notes = nil
}

// The messages that appear in dialogues.
const (
	askPower   = "0:8f"
	ring       = "0:04"
	take       = "15:82 10 00"
	askScreen  = "15:85"
	sleepTight = "0:36"

	saysOn     = "0>4 90 00"
	saysAsleep = "0>4 90 01"
	saysWaking = "0>4 90 02"
)

// wakes has a session begin in front of a television that sleeps.
func (g *rig) wakes() {
	g.t.Helper()
	g.Begin(g.clock)
	g.did(askPower)
	g.wait(100 * time.Millisecond)
	g.hear(saysAsleep)
	g.did(ring, take)
	g.wait(time.Second)
	g.did(take, askPower)
	g.hear(saysWaking)
	g.wait(time.Second)
	g.did(askPower)
	g.hear(saysOn)
	g.did(take)
	g.wait(time.Minute)
	g.did()
}

// A television that sleeps is woken, and put to sleep a while after the
// session.
func TestWakeAndStandby(t *testing.T) {
	g := newRig(t)
	g.wakes()
	if s := g.State(); !s.Woken || !s.Shown || s.Power != On {
		t.Errorf("state %+v", s)
	}
	g.End(g.clock)
	g.wait(patience - time.Second)
	g.did()
	g.wait(time.Second)
	g.did(askScreen)
	g.wait(confirmTime)
	g.did(sleepTight)
	// Its own word that it goes to sleep is no surprise.
	g.hear("0>15 36")
	g.did("show=false")
	g.wait(time.Minute)
	g.did(askPower, askPower, askPower, askPower, askPower, askPower)
	g.hear(saysOn)
	g.did("show=true")
	g.wait(time.Hour)
	g.did()
}

// One that takes its time to answer is rung meanwhile, and slept all the same.
func TestLateAnswer(t *testing.T) {
	g := newRig(t)
	g.Begin(g.clock)
	g.wait(answerTime)
	g.did(askPower, ring, take)
	g.hear(saysAsleep)
	if !g.State().Woken {
		t.Error("it was woken")
	}
	g.hear(saysOn)
	g.did(take)
	g.hear(saysAsleep)
	g.did()
	g.wait(time.Minute)
	g.did(take)
}

// A session that follows soon keeps the television awake, and does not make it
// somebody else's.
func TestSessionsInARow(t *testing.T) {
	g := newRig(t)
	g.wakes()
	for range 3 {
		g.End(g.clock)
		g.wait(patience + confirmTime/2) // even if it is about to go to sleep
		g.notes = nil
		g.Begin(g.clock)
		g.did(askPower)
		g.hear(saysOn)
		g.did(ring, take)
		g.wait(time.Minute)
		g.did(take)
	}
	g.End(g.clock)
	g.wait(patience + confirmTime)
	g.did(askScreen, sleepTight)
}

// A television is left alone where it was on before, or does not tell, or shows
// something else by now.
func TestNoStandby(t *testing.T) {
	for name, c := range map[string]struct {
		answer, during, after, asked string
	}{
		"on before":                         {answer: saysOn},
		"on before, asleep later":           {answer: saysOn, during: saysAsleep},
		"does not tell":                     {},
		"another source":                    {answer: saysAsleep, during: "8>15 82 20 00"},
		"its own programme":                 {answer: saysAsleep, during: "0>15 82 00 00"},
		"another input was chosen":          {answer: saysAsleep, during: "0>15 80 10 00 20 00"},
		"another device was chosen":         {answer: saysAsleep, during: "0>15 86 20 00"},
		"a switch was turned":               {answer: saysAsleep, during: "5>15 81 20 00"},
		"another source after it":           {answer: saysAsleep, after: "8>15 82 20 00"},
		"another source when asked":         {answer: saysAsleep, asked: "8>15 82 20 00"},
		"somebody switched it off":          {answer: saysAsleep, during: "0>15 36"},
		"somebody switched it off after it": {answer: saysAsleep, after: "0>4 36"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newRig(t)
			hear := func(s string) {
				if s != "" {
					g.hear(s)
				}
			}
			g.Begin(g.clock)
			hear(c.answer)
			g.wait(answerTime)
			if c.during == saysAsleep {
				hear(c.during)
			}
			g.wait(20 * time.Second)
			hear(c.during)
			g.wait(time.Second)
			g.End(g.clock)
			g.wait(time.Second)
			hear(c.after)
			g.wait(patience)
			hear(c.asked)
			g.wait(time.Hour)
			for _, n := range g.notes {
				if n == sleepTight {
					t.Errorf("did %v", g.notes)
				}
			}
		})
	}
	// Nor where that was not asked for.
	g := newRig(t)
	g.TV = New(g, 0)
	g.Plugged(g.clock, Bus{0x1000, true})
	g.wakes()
	g.End(g.clock)
	g.wait(time.Hour)
	g.did()
}

// While it wakes up a television may say what it showed before it slept; after
// that it means it.
func TestOldInputWhileWaking(t *testing.T) {
	g := newRig(t)
	g.Begin(g.clock)
	g.hear(saysAsleep)
	g.wait(1500 * time.Millisecond)
	g.notes = nil
	g.hear("0>15 80 00 00 20 00")
	g.hear(saysOn)
	g.did(take)
	g.hear("0>15 80 10 00 20 00")
	g.wait(time.Hour)
	g.did()
	if s := g.State(); s.Shown || s.Woken {
		t.Errorf("state %+v", s)
	}
}

// Without a session nothing is taken, however often the cable is plugged in and
// somebody asks.
func TestIdle(t *testing.T) {
	g := newRig(t)
	for range 5 {
		g.Plugged(g.clock, Bus{})
		g.wait(time.Minute)
		g.Plugged(g.clock, Bus{0x1000, true})
		g.wait(time.Minute)
		for _, s := range []string{"0>15 85", "0>15 86 10 00", "0>15 80 00 00 10 00", "0>15 81 10 00", "0>15 82 10 00", saysOn, "0>4 44 44", "0>4 45"} {
			g.hear(s)
		}
	}
	g.wait(time.Hour)
	g.did()
}

// With one, whoever asks is told; and who chooses our input gets it.
func TestAnswersWhilePlaying(t *testing.T) {
	g := newRig(t)
	g.Begin(g.clock)
	g.hear(saysOn)
	g.wait(time.Minute)
	g.notes = nil
	g.hear("0>15 85")
	g.did(take)
	g.hear("0>15 86 20 00") // another one is chosen
	g.hear("0>15 85")
	g.did()
	g.hear("0>15 86 10 00")
	g.did(take)
	g.hear("0>15 80 10 00 30 00")
	g.hear("0>15 80 30 00 10 00")
	g.did(take)
}

// What players are asked is answered, and what is not understood refused.
func TestAnswers(t *testing.T) {
	g := newRig(t)
	for _, c := range []struct{ in, out string }{
		{"0>4 8f", "0:90 00"},
		{"0>4 8d 02", "0:8e 01"},
		{"0>4 1a 03", "0:1b 1a"},
		{"5>4 a0 00 00 00", "5:00 a0 00"},
		{"15>4 a0 00 00 00", ""}, // nobody to answer to
		{"0>15 a0 00 00 00", ""},
		{"0>15 8f", ""}, // not to be asked of all
		{"0>4 00 8f 00", ""},
		{"0>4 47 41", ""},
		{"5>15 72 01", ""},
		{"5>4 7a 32", ""},
		{"0>4", ""},
		{"0>4 90", ""},
		{"0>4 90 07", ""},
		{"8>4 90 01", ""},
		{"0>15 80 10 00 20", ""},
	} {
		g.wait(time.Second)
		g.hear(c.in)
		if got := strings.Join(g.notes, ", "); got != c.out {
			t.Errorf("%s: answers %q, want %q", c.in, got, c.out)
		}
		g.notes = nil
	}
	g.Begin(g.clock)
	g.wait(time.Minute)
	g.notes = nil
	g.hear("0>4 8d 02")
	g.hear("0>4 1a 03")
	g.did("0:8e 00", "0:1b 11")
}

// When somebody switches the television off, the sender pauses and the cable
// goes dark, until the set is on again.
func TestSwitchedOff(t *testing.T) {
	g := newRig(t)
	g.wakes()
	g.hear("0>15 36")
	g.did("pause", "show=false")
	g.hear("0>4 8f")
	g.did("0:90 01")
	g.hear("0>15 85") // it is switched on again, for something else
	g.did()
	g.Plugged(g.clock, Bus{})
	g.wait(time.Minute)
	g.Plugged(g.clock, Bus{0x1000, true})
	g.did(askPower)
	g.hear(saysAsleep)
	g.did()
	g.hear("0>15 86 10 00") // our input is chosen
	g.did("show=true", take)

	// A set that never told its power might not tell that it is on, either.
	g = newRig(t)
	g.Begin(g.clock)
	g.wait(time.Minute)
	g.notes = nil
	g.hear("0>15 36")
	g.did("pause")
}

// A television that hides its socket while it sleeps is rung all the same, and
// told once it is there.
func TestWakeWithoutLine(t *testing.T) {
	g := newRig(t)
	g.Plugged(g.clock, Bus{})
	g.Begin(g.clock)
	g.did(ring)
	g.wait(5 * time.Second)
	g.did()
	g.Plugged(g.clock, Bus{0x2000, true})
	g.did(ring, "15:82 20 00")
	g.wait(wakeTime)
	g.Plugged(g.clock, Bus{})
	g.wait(time.Minute)
	g.notes = nil
	g.Plugged(g.clock, Bus{0x2000, true}) // long after that, it is left alone
	g.wait(time.Minute)
	g.did()
}

// Behind a switch, who turns it away from us means another source, and who
// turns it towards us will say so.
func TestBehindSwitch(t *testing.T) {
	g := newRig(t)
	g.Plugged(g.clock, Bus{0x1200, true})
	g.Begin(g.clock)
	g.hear(saysOn)
	g.wait(time.Minute)
	g.notes = nil
	g.hear("0>15 80 20 00 10 00")
	if g.State().Shown {
		t.Error("that the switch is chosen does not say that we are")
	}
	g.hear("5>15 81 12 00")
	g.did("15:82 12 00")
	g.hear("5>15 81 11 00")
	if g.State().Shown {
		t.Error("another input of the switch is shown")
	}
	for _, c := range []struct {
		path, to uint16
		want     bool
	}{{0x1000, 0x1200, true}, {0x1200, 0x1234, true}, {0x1230, 0x1234, true}, {0x1300, 0x1234, false}, {0, 0x1000, false}, {0x1234, 0x1234, false}, {0x0200, 0x0210, true}} {
		if leadsTo(c.path, c.to) != c.want {
			t.Errorf("%04x on the way to %04x: %v", c.path, c.to, !c.want)
		}
	}
}

// A flood is counted, and leads to little.
func TestFlood(t *testing.T) {
	g := newRig(t)
	g.wakes()
	for range 100 {
		for _, s := range []string{"0>4 8f", "0>15 85", "0>4 44 41", "0>15 86 10 00", "0>15 36", saysOn, "0>4 a0", "0>4 41 24"} {
			g.hear(s)
		}
		g.wait(100 * time.Millisecond)
	}
	if n := len(g.notes); n > 250 {
		t.Errorf("%d things were done in ten seconds", n)
	}
	if g.Counts.Limited.Value() < 300 || g.Counts.Messages.Value() < 800 {
		t.Errorf("%d limited of %d", g.Counts.Limited.Value(), g.Counts.Messages.Value())
	}
}
