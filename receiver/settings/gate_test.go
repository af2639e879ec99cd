package settings

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tv is what the TV shows.
type tv struct {
	pin   string
	shown int
}

func (t *tv) show(pin string) {
	t.pin = pin
	if pin != "" {
		t.shown++
	}
}

// onGate runs a test on the simulated clock.
func onGate(t *testing.T, try func(t *testing.T, g *gate, tv *tv)) {
	synctest.Test(t, func(t *testing.T) {
		tv := &tv{}
		g := newGate(tv.show)
		try(t, g, tv)
		g.hide()
	})
}

// other is a PIN that is not the one on the TV.
func other(pin string) string {
	if pin == "123456" {
		return "654321"
	}
	return "123456"
}

func TestPIN(t *testing.T) {
	onGate(t, func(t *testing.T, g *gate, tv *tv) {
		if _, _, err := g.enter(""); !errors.Is(err, errNone) {
			t.Errorf("no PIN is shown, and an empty one: %v", err)
		}
		if g.ask() != 0 || len(tv.pin) != 6 || strings.Trim(tv.pin, "0123456789") != "" || !g.shown() {
			t.Fatalf("%q", tv.pin)
		}
		pin := tv.pin
		if g.ask() != 0 || tv.pin != pin || tv.shown != 1 {
			t.Error("a second visitor's wish takes the first one's PIN away")
		}
		for _, wrong := range []string{"", other(pin), pin + " ", pin[:5], pin + "0"} {
			if _, _, err := g.enter(wrong); err == nil {
				t.Fatalf("%q is taken", wrong)
			}
			if wrong == other(pin) {
				break
			}
		}
		id, _, err := g.enter(pin)
		if err != nil || g.session(id) == nil || tv.pin != "" || g.shown() {
			t.Fatalf("%v, %q is shown", err, tv.pin)
		}
		if _, _, err := g.enter(pin); err == nil {
			t.Error("a PIN is good for twice")
		}
		for _, bad := range []string{"", id[:31], id + "0", strings.ToUpper(id) + "x", strings.Repeat("0", 32)} {
			if g.session(bad) != nil {
				t.Errorf("%q is a session", bad)
			}
		}
		// It lasts as long as it is used.
		for range 10 {
			time.Sleep(sessionLasts - time.Second)
			if g.session(id) == nil {
				t.Fatal("a session that is used ends")
			}
		}
		time.Sleep(sessionLasts)
		if g.session(id) != nil {
			t.Error("a session lasts without being used")
		}
	})
}

func TestPINExpires(t *testing.T) {
	onGate(t, func(t *testing.T, g *gate, tv *tv) {
		g.ask()
		pin := tv.pin
		time.Sleep(pinLasts)
		synctest.Wait()
		if tv.pin != "" {
			t.Error("it stays on the TV")
		}
		if _, _, err := g.enter(pin); !errors.Is(err, errNone) {
			t.Errorf("it is taken: %v", err)
		}
		// The end of the first must not take a later one away.
		g.ask()
		if _, _, err := g.enter(tv.pin); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pinLasts - time.Minute)
		g.ask()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if tv.pin == "" {
			t.Error("a PIN goes before its time")
		}
	})
}

// Guessing gets slower and slower: in a day a guesser has some 500 tries at PINs
// that change, of a million.
func TestGuessing(t *testing.T) {
	onGate(t, func(t *testing.T, g *gate, tv *tv) {
		end, tries := time.Now().Add(24*time.Hour), 0
		for time.Now().Before(end) && tries < 1000 {
			if wait := g.ask(); wait > 0 {
				time.Sleep(wait)
				continue
			}
			if _, wait, err := g.enter(other(tv.pin)); err == nil {
				t.Fatal("a wrong PIN is taken")
			} else if wait > 0 {
				if tv.pin != "" {
					t.Fatal("the PIN stays after too many tries")
				}
				if _, again, err := g.enter("000000"); err == nil || again == 0 {
					t.Fatal("tries go on while there are none")
				}
			}
			tries++
		}
		if tries < 400 || tries > 600 {
			t.Errorf("%d tries in a day", tries)
		}
		// The owner is let in as soon as the wait is over, and in time the wait is
		// short again.
		time.Sleep(lastWait)
		if g.ask() != 0 {
			t.Fatal("still blocked")
		}
		if id, _, err := g.enter(tv.pin); err != nil || g.session(id) == nil {
			t.Error(err)
		}
	})
}

// Somebody who asks for PINs without end has few of them shown.
func TestNuisance(t *testing.T) {
	onGate(t, func(t *testing.T, g *gate, tv *tv) {
		end, shown := time.Now().Add(24*time.Hour), 0
		for ; time.Now().Before(end); time.Sleep(time.Minute) {
			g.ask()
			if tv.pin != "" {
				shown++
			}
		}
		if shown > 24*60/4 {
			t.Errorf("the TV shows a PIN for %d minutes of a day", shown)
		}
		time.Sleep(lastWait)
		if g.ask() != 0 {
			t.Fatal("the owner is locked out")
		}
		if _, _, err := g.enter(tv.pin); err != nil {
			t.Error(err)
		}
	})
}

func TestSessionsAreBounded(t *testing.T) {
	onGate(t, func(t *testing.T, g *gate, tv *tv) {
		var ids []string
		for range maxSessions + 2 {
			g.ask()
			id, _, err := g.enter(tv.pin)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		open := ""
		for _, id := range ids {
			open += fmt.Sprint(g.session(id) != nil, " ")
		}
		if open != "false false true true true true " {
			t.Error(open)
		}
		g.leave(g.session(ids[5]))
		if g.session(ids[5]) != nil {
			t.Error("a session goes on after leaving")
		}
	})
}
