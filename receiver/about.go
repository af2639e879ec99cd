package receiver

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"aerie/hw/board"
	"aerie/receiver/config"
	"aerie/receiver/metric"
)

// About is what a person in front of the terminal wants to know.
type About struct {
	Name, Address, Picture, Sound string
	Page                          string // where the page is, "" for nowhere
	Loudspeaker                   bool   // senders are offered sound alone
}

// About describes the receiver.
func (r *Receiver) About() About {
	a := About{Name: r.Name(), Page: r.web.url(), Loudspeaker: r.loudspeaker()}
	host := r.mainAddress()
	a.Address = fmt.Sprintf("%s port %d", host, r.Port())
	if addr, ok := r.control.Addr().(*net.TCPAddr); ok && !addr.IP.IsUnspecified() {
		a.Address = fmt.Sprintf("%s port %d", addr.IP, addr.Port)
	}
	where, why := r.video.describe()
	a.Picture = where + ": " + why
	where, why = r.audio.describe()
	a.Sound = where + ": " + why
	return a
}

// HardwareDecoded is how many pictures the hardware has decoded. It costs
// nothing to ask.
func (r *Receiver) HardwareDecoded() uint64 { return r.meters.hardwareDecoded.Value() }

// PrintLatency prints what was measured, stage by stage.
func (r *Receiver) PrintLatency(out io.Writer) {
	m := &r.meters
	fmt.Fprintf(out, "%-36s %8s %10s %10s %10s\n", "", "count", "median", "99 %", "most")
	for _, s := range append(m.stages(), stage{"written to page", &r.web.view.HandOver}) {
		if s.h.Count() > 0 {
			fmt.Fprintf(out, "%-36s %8d %7.2f ms %7.2f ms %7.2f ms\n", s.name, s.h.Count(), ms(s.h.Quantile(0.5)), ms(s.h.Quantile(0.99)), ms(s.h.Max()))
		}
	}
	fmt.Fprintf(out, "pictures: %d received, %d not shown, %d not decodable; frames of the pattern missing: %d\n",
		m.pictures.Value(), m.skipped.Value(), m.undecodable.Value(), m.patternGaps.Value())
	if m.pattern.Count() > 0 {
		fmt.Fprintf(out, "\nFrom the stamp drawn into the picture to its being shown or handed over:\n")
		histogram(out, &m.pattern)
	}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// histogram draws a histogram in bars, a power of two a line.
func histogram(out io.Writer, h *metric.Histogram) {
	total := h.Count()
	var below uint64
	for d := 512 * time.Microsecond; d < 4*time.Second; d *= 2 {
		n := h.CountBelow(d)
		if n > below || below > 0 && below < total {
			bar := int((n - below) * 50 / total)
			fmt.Fprintf(out, "  up to %8.2f ms %8d ", ms(d), n-below)
			for range bar {
				fmt.Fprint(out, "#")
			}
			fmt.Fprintln(out)
		}
		below = n
	}
}

// Tally is what became of the pictures so far.
type Tally struct {
	Received    uint64
	Undecodable uint64
	Stamped     uint64 // in which the stamp of the test pattern was read
	Gaps        uint64 // frames of the test pattern between those that were missing
}

// Tally counts pictures.
func (r *Receiver) Tally() Tally {
	m := &r.meters
	return Tally{m.pictures.Value(), m.undecodable.Value(), m.patternSeen.Value(), m.patternGaps.Value()}
}

// Choice is where picture and sound would go, and why.
type Choice struct {
	Picture, PictureWhy string
	Decoder             string // of H.264 for a display, and why; "" without one
	HEVC                string // the same of HEVC
	Way                 string // that pictures decoded in software take to the display, likewise
	Sound, SoundWhy     string
	Limits              board.Limits // what senders would be asked for
}

// Choose tells where picture and sound would go with the given settings, by
// opening the outputs for a moment.
func Choose(cfg *config.Config) (c Choice, err error) {
	r := &Receiver{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	r.machine.board = board.Read("/")
	r.identity.name = &atomic.Value{}
	r.identity.name.Store("Aerie") // the display shows it for that moment
	defer r.close()
	if err := r.openOutputs(false); err != nil {
		return c, err
	}
	c.Picture, c.PictureWhy = r.video.describe()
	c.Sound, c.SoundWhy = r.audio.describe()
	c.Limits = r.limits()
	if kms, ok := r.video.(*kmsOutput); ok {
		c.Way = kms.way(c.Limits.Width, c.Limits.Height)
		c.Decoder, c.HEVC = r.describeDecoder(), r.describeHEVC()
	}
	return c, nil
}
