package receiver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"aerie/receiver/screen"
)

const (
	// artworkTime is how long a cover may take to decode. A large one takes half
	// a second on a Pi 3.
	artworkTime = 5 * time.Second
	// artworkPause is between two covers: a sender that sends them without end
	// does not get all of a core. The newest of those that came meanwhile is
	// next.
	artworkPause = time.Second
)

// cover is the artwork of what is playing as the screen shows it. Each is
// decoded once, by a goroutine of its own, so neither the session that sent it
// nor the screen waits.
type cover struct {
	log   *slog.Logger
	ready func() // tells that the picture is another; must not block

	mu      sync.Mutex
	id      uint64 // of the artwork that was decoded last, 0 for none
	picture *screen.Artwork
	busy    bool
	asked   bool // for another one while busy
	failing bool // has been said
	done    sync.WaitGroup
}

// of returns the picture of an artwork, which id tells from others; 0 is none.
// While it is being decoded that is the former one, and ready is called
// afterwards. It is nil for what cannot be decoded. The file must not change.
func (c *cover) of(ctx context.Context, id uint64, file []byte) *screen.Artwork {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case id == 0:
		c.id, c.picture = 0, nil
	case id == c.id:
	case c.busy:
		c.asked = true
	default:
		c.busy, c.asked = true, false
		c.done.Go(func() { c.decode(ctx, id, file) })
	}
	return c.picture
}

// decode decodes one artwork, and pauses.
func (c *cover) decode(ctx context.Context, id uint64, file []byte) {
	hurry, cancel := context.WithTimeout(ctx, artworkTime)
	picture, err := screen.DecodeArtwork(hurry, file)
	cancel()
	c.mu.Lock()
	c.id, c.picture = id, picture
	say := err != nil && !c.failing && ctx.Err() == nil
	c.failing = err != nil
	c.mu.Unlock()
	if say {
		c.log.Warn("the artwork cannot be shown", "error", err)
	}
	c.ready()
	select {
	case <-ctx.Done():
	case <-time.After(artworkPause):
	}
	c.mu.Lock()
	c.busy = false
	asked := c.asked
	c.mu.Unlock()
	if asked {
		c.ready()
	}
}
