package cec

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/hw/lab/bench"
)

// TestLabBus has an Adapter talk with a television over the kernel's bus: both
// ways, through a flood, and with the cable pulled.
func TestLabBus(t *testing.T) {
	bench.Need(t)
	tv := bench.Television(t)
	var mu sync.Mutex
	var got []string
	state := make(chan State, 64)
	a, err := Open(tv.Player, Options{
		Name: "Aerie",
		Received: func(f Frame) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, f.String())
		},
		Changed: func(s State) { state <- s },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if d := a.Device(); d.Driver != "vivid" {
		t.Errorf("the adapter is %v", d)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	until := func(what string, is func(State) bool) State {
		t.Helper()
		for {
			select {
			case s := <-state:
				if is(s) {
					return s
				}
			case <-time.After(30 * time.Second):
				t.Fatalf("not %s: %v", what, a.State())
			}
		}
	}
	at := until("ready", State.Ready)
	if at != (State{0x1000, 4}) {
		t.Errorf("ready at %v", at)
	}
	if err := a.Send(Television, 0x04); err != nil {
		t.Error(err)
	}
	if err := a.Send(Broadcast, 0x82, 0x10, 0x00); err != nil {
		t.Error(err)
	}
	tv.Await("4004", "4f821000")
	tv.Send(4, 0x8f)
	const flood = 30
	for i := range flood {
		tv.Send(4, 0x44, byte(i))
	}
	tv.Send(15, 0x36)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		mu.Lock()
		all := strings.Join(got, ", ")
		mu.Unlock()
		if strings.Contains(all, "0>4 8f") && strings.Contains(all, "0>4 44 1d") && strings.Contains(all, "0>15 36") {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got %s", all)
		}
	}
	if c := a.Counts(); c.Received+c.Lost < flood+2 || c.Sent < 2 {
		t.Errorf("counts %+v", c)
	}
	for range 3 {
		tv.Plug(false)
		until("unplugged", func(s State) bool { return s.Physical == NoPhysical })
		if err := a.Send(Broadcast, 0x82, 0x10, 0x00); err != ErrUnregistered {
			t.Errorf("with the cable pulled: %v", err)
		}
		tv.Plug(true)
		until("ready again", State.Ready)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestLabFind finds the adapters of the bench, which know no display.
func TestLabFind(t *testing.T) {
	bench.Need(t)
	tv := bench.Television(t)
	seen := false
	for _, d := range List() {
		if d.Err != nil || d.Wired || d.Driver != "vivid" {
			t.Errorf("%v: %v, wired: %v", d, d.Err, d.Wired)
		}
		seen = seen || d.Path == tv.Player
	}
	if !seen {
		t.Error("the player's adapter was not found")
	}
	if _, err := Find(0, 1); err == nil {
		t.Error("one of two was chosen")
	}
}
