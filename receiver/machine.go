package receiver

import (
	"context"
	"math"
	"sync"
	"time"

	"aerie/hw/board"
	"aerie/receiver/config"
	"aerie/receiver/metric"
	"aerie/receiver/screen"
	"aerie/receiver/status"
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
		l = m.board.Limits(m.hardware, m.fares())
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
	monitor := board.Monitor{Root: "/", Mailbox: mailbox, Step: 1}
	monitor.Run(ctx, r.machineFares)
}

// machineFares is told of a change of the machine's health. What is new since
// the start is told on the TV for a while, once.
func (r *Receiver) machineFares(h board.Health) {
	r.machine.mu.Lock()
	before := r.machine.health
	r.machine.health = h
	r.machine.mu.Unlock()
	r.log.Debug("machine", "health", h)
	if news := h.Now &^ before.Now; news != 0 {
		r.log.Warn("the machine is in trouble", "what", news, "health", h)
	}
	power, heat := troubles(h.SinceBoot)
	hadPower, hadHeat := troubles(before.SinceBoot)
	until := time.Now().Add(troubleShown)
	if power && !hadPower {
		r.post(TopicPower, screen.Notice{Level: screen.Warning, Title: "The power supply is too weak",
			Text: "Pictures may stutter and Wi-Fi may drop. Use the supply that is made for this Raspberry Pi, and a short cable."}, until)
	}
	if heat && !hadHeat {
		r.post(TopicHeat, screen.Notice{Level: screen.Warning, Title: "The Raspberry Pi is too hot",
			Text: "It works more slowly until it has cooled down. Give it air, or a cooler."}, until)
	}
}

// troubles tells trouble of power from that of heat: a weak supply makes the
// firmware slow the processors down as well.
func troubles(f board.Flags) (power, heat bool) {
	power = f&board.UnderVoltage != 0
	return power, f&board.SoftLimit != 0 || !power && f&(board.Throttled|board.Capped) != 0
}

// fares is how the machine fares.
func (m *machine) fares() board.Health {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.health
}

// registerMachine names its metrics.
func (r *Receiver) registerMachine(set *metric.Set) {
	set.GaugeFunc("aerie_board_temperature_celsius", "Temperature of the processors; NaN if it is not known.", func() float64 {
		if h := r.machine.fares(); h.Warm {
			return h.Temperature
		}
		return math.NaN()
	})
	set.GaugeFunc("aerie_board_clock_hertz", "Clock of the first processor; 0 if it is not known.", func() float64 { return float64(r.machine.fares().Clock) * 1e6 })
	for _, f := range []struct {
		kind string
		flag board.Flags
	}{{"under_voltage", board.UnderVoltage}, {"capped", board.Capped}, {"throttled", board.Throttled}, {"soft_temperature_limit", board.SoftLimit}} {
		const name, help = "aerie_board_trouble", "Whether the board has trouble of power or heat, or has had since it was started."
		set.GaugeFunc(name, help, func() float64 { return one(r.machine.fares().Now&f.flag != 0) }, "kind", f.kind, "when", "now")
		set.GaugeFunc(name, help, func() float64 { return one(r.machine.fares().SinceBoot&f.flag != 0) }, "kind", f.kind, "when", "since_boot")
	}
}

// one is 1 for true.
func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// describe describes the machine for the page.
func (m *machine) describe() status.Board {
	h := m.fares()
	b := status.Board{Model: m.board.Model, Memory: m.board.Memory, Clock: float64(h.Clock)}
	if h.Warm {
		b.Temperature = &h.Temperature
	}
	if h.Power != board.NoSource {
		b.Now, b.SinceBoot = h.Now.String(), h.SinceBoot.String()
	}
	return b
}
