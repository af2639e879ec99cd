package phone

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"aerie/receiver/message"
	"aerie/receiver/metric"
)

// Report is what a session looked like from the phone.
type Report struct {
	Receiver message.Info
	Paired   bool
	// Encrypted tells that requests were, Updates how often the receiver told
	// of a change.
	Encrypted bool
	Updates   metric.Counter
	Connect   time.Duration // from dialling to the answer to RECORD
	SetUp     time.Duration // from dialling to the picture's connection

	Pictures     int64
	PictureBytes int64
	Draw         metric.Histogram // drawing and coding a picture, or reading it
	Write        metric.Histogram // until the kernel had taken it
	Sent         metric.Histogram // from its stamp until then

	SoundPackets int64
	SoundLost    int64 // on purpose
	Encode       metric.Histogram
	ResendAsked  metric.Counter
	ResendSent   metric.Counter

	Feedback metric.Histogram // round trip of a request

	Notes []string // what is odd about the receiver
}

// stages are the histograms in the order of the way of a picture.
func (r *Report) stages() []struct {
	Name string
	h    *metric.Histogram
} {
	return []struct {
		Name string
		h    *metric.Histogram
	}{{"draw", &r.Draw}, {"write", &r.Write}, {"stamp to sent", &r.Sent}, {"encode sound", &r.Encode}, {"feedback", &r.Feedback}}
}

// Stage is one histogram in figures.
type Stage struct {
	Name   string  `json:"name"`
	Count  uint64  `json:"count"`
	Median float64 `json:"median_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Stages returns the histograms in figures.
func (r *Report) Stages() (out []Stage) {
	for _, s := range r.stages() {
		if s.h.Count() > 0 {
			out = append(out, Stage{s.Name, s.h.Count(), ms(s.h.Quantile(0.5)), ms(s.h.Quantile(0.99)), ms(s.h.Max())})
		}
	}
	return out
}

// MarshalJSON gives the report for scripts.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{
		"receiver": map[string]any{"name": r.Receiver.Name, "model": r.Receiver.Model, "version": r.Receiver.Version, "features": r.Receiver.Features.String(),
			"width": r.Receiver.Width, "height": r.Receiver.Height, "max_fps": r.Receiver.MaxFPS},
		"paired": r.Paired, "encrypted": r.Encrypted, "connect_ms": ms(r.Connect), "setup_ms": ms(r.SetUp),
		"pictures": r.Pictures, "picture_bytes": r.PictureBytes, "sound_packets": r.SoundPackets, "sound_lost": r.SoundLost,
		"resend_asked": r.ResendAsked.Value(), "resend_sent": r.ResendSent.Value(), "stages": r.Stages(), "notes": r.Notes,
	})
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) {
	if r.Receiver.Name != "" {
		wish := ""
		if r.Receiver.Width > 0 {
			wish = fmt.Sprintf(", asks for %dx%d at %d", r.Receiver.Width, r.Receiver.Height, r.Receiver.MaxFPS)
		}
		fmt.Fprintf(w, "receiver   %s (%s/%s)%s\n", r.Receiver.Name, r.Receiver.Model, r.Receiver.Version, wish)
		fmt.Fprintf(w, "connected  in %.1f ms, paired: %v, encrypted: %v\n", ms(r.Connect), r.Paired, r.Encrypted)
	} else {
		fmt.Fprintf(w, "connected  in %.1f ms\n", ms(r.Connect))
	}
	if r.Pictures > 0 {
		fmt.Fprintf(w, "picture    %d access units, %.1f MB, its connection after %.1f ms\n", r.Pictures, float64(r.PictureBytes)/1e6, ms(r.SetUp))
	}
	if r.SoundPackets > 0 {
		fmt.Fprintf(w, "sound      %d packets, %d lost on purpose, %d asked for again, %d sent again\n", r.SoundPackets, r.SoundLost, r.ResendAsked.Value(), r.ResendSent.Value())
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note       %s\n", note)
	}
	fmt.Fprintf(w, "%-15s %8s %10s %10s %10s\n", "", "count", "median", "99 %", "most")
	for _, s := range r.Stages() {
		fmt.Fprintf(w, "%-15s %8d %7.2f ms %7.2f ms %7.2f ms\n", s.Name, s.Count, s.Median, s.P99, s.Max)
	}
}
