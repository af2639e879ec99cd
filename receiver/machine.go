package receiver

import (
	"context"
	"sync"

	"aerie/hw/board"
	"aerie/receiver/config"
)

// machine is what the receiver runs on, and how it fares.
type machine struct {
	board    board.Board
	hardware bool // its H.264 decoder is in use
	decodes  bool // pictures are decoded here, not by a browser or not at all

	mu     sync.Mutex
	health board.Health
}

// limits are what senders are asked for, and the number of decoding threads:
// what the settings say, and where they say "auto", what the machine is good
// for at the moment. What is passed on as it is costs nothing: then senders
// are asked for the usual.
func (m *machine) limits(cfg *config.Config) board.Limits {
	l := board.Limits{Width: 1920, Height: 1080, FPS: 60, Threads: 1, Reason: "pictures are not decoded here"}
	if m.decodes {
		m.mu.Lock()
		l = m.board.Limits(m.hardware, m.health)
		m.mu.Unlock()
	}
	v := &cfg.Video
	if width, height, err := config.ParseSize(v.Size); err == nil {
		l.Width, l.Height = width, height
	}
	if v.FPS != 0 {
		l.FPS = v.FPS
	}
	if v.Threads != 0 {
		l.Threads = v.Threads
	}
	return l
}

// limits are the machine's, under the settings.
func (r *Receiver) limits() board.Limits { return r.machine.limits(r.cfg) }

// watchMachine follows the machine's health until ctx ends: a supply that is
// too weak is the most common trouble of a Pi, and a hot one is asked for less.
func (r *Receiver) watchMachine(ctx context.Context) {
	mailbox, closeIt, err := board.OpenMailbox("/")
	if err == nil {
		defer closeIt()
	}
	monitor := board.Monitor{Root: "/", Mailbox: mailbox}
	monitor.Run(ctx, func(h board.Health) {
		r.machine.mu.Lock()
		before := r.machine.health
		r.machine.health = h
		r.machine.mu.Unlock()
		r.log.Debug("machine", "health", h)
		if news := h.Now &^ before.Now; news != 0 {
			r.log.Warn("the machine is in trouble", "what", news, "health", h)
		}
		if news := h.SinceBoot &^ before.SinceBoot; news != 0 {
			r.warnings.add("trouble of power or heat since the machine started: " + news.String())
		}
	})
}
