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
// the light shows how it is, that it is asked which one it is, and how long the
// button is held, after which everything is forgotten.
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
	// says waits until the light is to say something, and then until it is seen
	// to: flashing fast or slowly (a busy machine shows some of it), or steady.
	says := func(what light.State, steady bool) {
		t.Helper()
		for end := time.Now().Add(patient); time.Now().Before(end); {
			n, was := 0, g.Level("GPIO17")
			dark := !was
			for stop := time.Now().Add(2500 * time.Millisecond); r.Light().Shown() == what && time.Now().Before(stop); time.Sleep(5 * time.Millisecond) {
				is := g.Level("GPIO17")
				if is && !was {
					n++
				}
				was, dark = is, dark || !is
				if !steady && n >= 2 {
					return
				}
			}
			if r.Light().Shown() == what && steady && !dark {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("the light does not say: %v", what)
	}
	// In the virtual machine there is no network but the loopback.
	if !r.Condition().Network {
		says(light.NoNetwork, false)
	} else {
		says(light.Ready, true)
	}
	r.Light().Set(light.Identify, true)
	says(light.Identify, false)
	r.Light().Set(light.Identify, false)

	g.Pull("GPIO26", false)
	says(light.Holding, false)
	says(light.Releasing, false)
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
