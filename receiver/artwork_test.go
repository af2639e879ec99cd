package receiver

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An artwork is decoded once, while the former is shown; of those that come in
// a flood one in a second is, the newest; what is wrong is said once.
func TestCover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var said bytes.Buffer
		told := 0
		c := cover{log: slog.New(slog.NewTextHandler(&said, nil)), ready: func() { told++ }}
		if c.of(ctx, 0, nil) != nil || c.of(ctx, 1, cover16(t, 10)) != nil {
			t.Error("a picture of nothing")
		}
		synctest.Wait()
		first := c.of(ctx, 1, nil)
		if first == nil || told != 1 {
			t.Fatalf("not decoded, told %d times", told)
		}
		for id := uint64(2); id < 100; id++ {
			if c.of(ctx, id, cover16(t, 20)) != first {
				t.Fatal("the former picture is gone")
			}
		}
		synctest.Wait()
		if told != 1 {
			t.Errorf("told %d times during the pause", told)
		}
		time.Sleep(2 * artworkPause)
		if told != 2 || c.of(ctx, 99, cover16(t, 20)) != first {
			t.Errorf("told %d times after the pause", told)
		}
		synctest.Wait()
		second := c.of(ctx, 99, nil)
		if second == nil || second == first {
			t.Error("the newest was not decoded")
		}
		time.Sleep(2 * artworkPause)
		for id := uint64(200); id < 203; id++ {
			c.of(ctx, id, []byte("no image"))
			time.Sleep(2 * artworkPause)
			if c.of(ctx, id, []byte("no image")) != nil {
				t.Error("a picture of what is none")
			}
		}
		if n := strings.Count(said.String(), "neither JPEG nor PNG"); n != 1 {
			t.Errorf("said %d times: %s", n, &said)
		}
		if c.of(ctx, 0, nil) != nil {
			t.Error("a picture of nothing")
		}
		// The end does not wait for the pause.
		c.of(ctx, 300, cover16(t, 30))
		synctest.Wait()
		began := time.Now()
		cancel()
		c.done.Wait()
		if d := time.Since(began); d != 0 {
			t.Errorf("the end took %v", d)
		}
	})
}

// A cover is told from others by what it shows, not by its length, and is a
// copy.
func TestArtworkHasAnIdentity(t *testing.T) {
	s := &streams{r: new(Receiver)}
	p := &s.r.playing
	id := func(file string) uint64 {
		b := []byte(file)
		s.Artwork("image/png", b)
		clear(b)
		id, kept := p.cover()
		if string(kept) != file {
			t.Errorf("%q became %q", file, kept)
		}
		return id
	}
	a := id("one")
	if b := id("two"); a == 0 || a == b || a != id("one") || id("") != 0 {
		t.Errorf("%d, %d", a, b)
	}
	id("one")
	p.clear()
	if id, file := p.cover(); id != 0 || file != nil {
		t.Errorf("%d, %q after the end", id, file)
	}
}
