package lab

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"aerie/hw/lab/bench"
	"aerie/receiver"
	"aerie/receiver/config"
	"aerie/receiver/light"
)

// TestLabPanel has a receiver with a light and a button on lines of gpio-sim:
// the light shows that it is ready, that an update is installed, and how long
// the button is held, after which everything is forgotten.
func TestLabPanel(t *testing.T) {
	bench.Need(t)
	t.Parallel()
	g := bench.Lines(t, "GPIO17", "GPIO26")
	c := config.Default()
	c.Name, c.State = "Lab", t.TempDir()
	c.Network.Port, c.Network.Discovery, c.Network.HTTP = 0, false, ""
	c.Video.Output, c.Audio.Output, c.TV.Control = "none", "none", "off"
	c.Panel.LED, c.Panel.Button = "GPIO17", "GPIO26"
	r, err := receiver.New(receiver.Options{Config: c, Version: "lab", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	// flashes waits until the light has come on so many times within the time
	// given, or, for 0, has stayed on.
	flashes := func(what string, least int, within time.Duration) {
		t.Helper()
		for end := time.Now().Add(patient); time.Now().Before(end); {
			n, was, steady := 0, g.Level("GPIO17"), true
			for stop := time.Now().Add(within); time.Now().Before(stop); time.Sleep(5 * time.Millisecond) {
				is := g.Level("GPIO17")
				if is && !was {
					n++
				}
				was, steady = is, steady && is
			}
			if least > 0 && n >= least || least == 0 && steady {
				return
			}
		}
		t.Fatalf("the light does not say: %s", what)
	}
	// In the virtual machine there is no network but the loopback.
	if !r.Condition().Network {
		flashes("no network", 2, 2*time.Second)
	} else {
		flashes("ready", 0, time.Second)
	}
	r.Light().Set(light.Updating, true)
	flashes("updating", 1, 3*time.Second)
	r.Light().Set(light.Updating, false)

	g.Pull("GPIO26", false)
	flashes("the button is held", 5, 2*time.Second)
	// 25 Hz; a busy machine shows some of it.
	flashes("let go", 8, time.Second)
	select {
	case err := <-done:
		t.Fatalf("before the button was let go Run returned %v", err)
	default:
	}
	g.Pull("GPIO26", true)
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(patient):
		t.Fatal("it goes on as if nothing had been")
	}
	if _, err := os.Stat(c.State + "/identity"); !os.IsNotExist(err) {
		t.Errorf("the identity is still there: %v", err)
	}
	if g.Level("GPIO17") {
		t.Error("the light is left on")
	}
}
