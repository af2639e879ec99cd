package receiver

import (
	"log/slog"
	"testing"

	"aerie/hw/board"
	"aerie/receiver/config"
)

// What senders are told follows from the board, from how it fares, and from
// the settings, which have the last word.
func TestLimits(t *testing.T) {
	const gib = 1 << 30
	pi5 := board.Board{Family: board.Pi5, CPUs: 4, Memory: 8 * gib, HEVC: true}
	pi4 := board.Board{Family: board.Pi4, CPUs: 4, Memory: 2 * gib, H264: true, HEVC: true}
	zero := board.Board{Family: board.Zero2W, CPUs: 4, Memory: 427 << 20, H264: true}
	hot := board.Health{Now: board.Throttled}
	for _, c := range []*struct {
		name               string
		machine            machine
		size               string
		fps, threads       int
		width, height, max int
		decoding           int
	}{
		{"Pi 5", machine{board: pi5, decodes: true}, "auto", 0, 0, 1920, 1080, 60, 3},
		{"Pi 5, throttled", machine{board: pi5, decodes: true, health: hot}, "auto", 0, 0, 1280, 720, 30, 3},
		{"Pi 4, decoding in hardware", machine{board: pi4, decodes: true, hardware: true}, "auto", 0, 0, 1920, 1080, 60, 3},
		{"Pi 4 without its decoder", machine{board: pi4, decodes: true}, "auto", 0, 0, 1920, 1080, 30, 3},
		{"Zero 2 W", machine{board: zero, decodes: true, hardware: true}, "auto", 0, 0, 1920, 1080, 30, 3},
		{"Zero 2 W that passes pictures on", machine{board: zero}, "auto", 0, 0, 1920, 1080, 60, 1},
		{"as set", machine{board: zero, decodes: true}, "1280x800", 25, 2, 1280, 800, 25, 2},
	} {
		cfg := config.Default()
		cfg.Video.Size, cfg.Video.FPS, cfg.Video.Threads = c.size, c.fps, c.threads
		cfg.State = t.TempDir()
		l := c.machine.limits(cfg)
		id, err := openIdentity(cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		d := id.capabilities(cfg, l, false).Display
		if d.Width != c.width || d.Height != c.height || d.MaxFPS != c.max || l.Threads != c.decoding {
			t.Errorf("%s: senders are told %dx%d at %d, %d threads; want %dx%d at %d, %d", c.name, d.Width, d.Height, d.MaxFPS, l.Threads, c.width, c.height, c.max, c.decoding)
		}
	}
}
