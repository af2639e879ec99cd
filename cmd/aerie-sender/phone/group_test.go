package phone

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
)

// The music begins when the last of the group is ready, at the same instant for
// all, and each is told of all.
func TestGroupWaitsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender := netip.MustParseAddr("192.0.2.1")
		members := []netip.Addr{netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3"), netip.MustParseAddr("192.0.2.4")}
		g := newGroup(len(members))
		type told struct {
			peers []netip.Addr
			begin clock.Time
		}
		out := make(chan told, len(members))
		for i, m := range members {
			if len(out) > 0 {
				t.Fatalf("it begins with %d of %d", i, len(members))
			}
			go func() {
				peers, begin, err := g.join(t.Context(), sender, m)
				if err != nil {
					t.Error(err)
				}
				out <- told{peers, begin}
			}()
			synctest.Wait()
		}
		for range members {
			got := <-out
			if len(got.peers) != 4 || got.peers[0] != sender || got.peers[3] != members[2] || got.begin != g.begin || got.begin == 0 {
				t.Errorf("%+v, the music begins at %v", got, g.begin)
			}
		}
	})
}

// Who is left waiting is told why.
func TestGroupLeftWaiting(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errDone)
	if _, _, err := newGroup(2).join(ctx, netip.Addr{}, netip.Addr{}); err != errDone {
		t.Error(err)
	}
}

// What cannot be played in step is refused before anybody is called; a member
// that cannot be reached, or speaks no AirPlay 2, ends it for all.
func TestGroupRefused(t *testing.T) {
	sound, err := NewTone(audio.ALAC)
	if err != nil {
		t.Fatal(err)
	}
	good := Options{Address: "127.0.0.1:1", Sound: sound, Buffered: true, PTPPort: 319}
	for name, change := range map[string]func(*Options){
		"realtime": func(o *Options) { o.Buffered = false }, "NTP": func(o *Options) { o.PTPPort = 0 }, "silent": func(o *Options) { o.Sound = nil },
	} {
		bad := good
		change(&bad)
		if reports, err := Group(t.Context(), []Options{good, bad}); err == nil || reports != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	reports, err := Group(t.Context(), []Options{good, good})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1: ") || len(reports) != 2 {
		t.Errorf("%d reports, %v", len(reports), err)
	}
	legacy := newPartner(t)
	legacy.start()
	good.Address = legacy.ln.Addr().String()
	if _, err := Group(t.Context(), []Options{good}); err == nil || !strings.Contains(err.Error(), "speaks no AirPlay 2") {
		t.Error(err)
	}
}
