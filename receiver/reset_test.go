package receiver

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"aerie/receiver/config"
	"aerie/receiver/pairing/keystore"
)

// alone is a receiver that shows and plays nothing, and cannot be found.
func alone(t *testing.T, state string) *Receiver {
	t.Helper()
	c := config.Default()
	c.State, c.Name = state, "Test"
	c.Network.Port, c.Network.Discovery, c.Network.HTTP = 0, false, ""
	c.Video.Output, c.Audio.Output, c.TV.Control = "none", "none", "off"
	c.Access.PIN = "once"
	r, err := New(Options{Config: c, Version: "test", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A factory reset leaves nothing of what the receiver knew, everything that is
// not its business, and a receiver that begins anew.
func TestFactoryReset(t *testing.T) {
	state := t.TempDir()
	for _, name := range []string{"ota/a/aerie", "ota/state.json", "settings/good.toml", "fleet/keys", "senders.damaged", "holiday.jpg"} {
		path := filepath.Join(state, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := alone(t, state)
	if err := r.identity.store.Remember(keystore.Key{1}, "phone", "Phone", time.Now()); err != nil {
		t.Fatal(err)
	}
	elsewhere := 0
	r.OnFactoryReset(func() error { elsewhere++; return nil })
	id := r.identity.deviceID
	done := make(chan error, 1)
	go func() { done <- r.Run(t.Context()) }()
	if err := r.FactoryReset(); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	var left []string
	entries, err := os.ReadDir(state)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "senders" { // of nobody
			left = append(left, e.Name())
		}
	}
	if !slices.Equal(left, []string{"holiday.jpg", "ota"}) || elsewhere != 1 {
		t.Errorf("left are %v; elsewhere forgotten %d times", left, elsewhere)
	}
	again := alone(t, state)
	defer again.close()
	if again.identity.deviceID == id || len(again.identity.store.Senders()) != 0 {
		t.Errorf("it is %s as before (%v), and knows %v", id, again.identity.deviceID == id, again.identity.store.Senders())
	}
}
