package status

import (
	"time"

	"aerie/receiver/metric"
	"aerie/receiver/ota"
)

// Snapshot is what the receiver tells about itself at one moment; GET /status
// answers with it as JSON. Parts that are nil do not apply at the moment.
type Snapshot struct {
	Receiver   Receiver    `json:"receiver"`
	PIN        string      `json:"pin,omitempty"` // to be shown, only while a sender is asked for it
	Sender     *Sender     `json:"sender,omitempty"`
	Picture    *Picture    `json:"picture,omitempty"`
	Sound      *Sound      `json:"sound,omitempty"`
	Clock      *Clock      `json:"clock,omitempty"`
	Latency    []Stage     `json:"latency,omitempty"` // in the order in which a picture passes the stages
	NowPlaying *NowPlaying `json:"now_playing,omitempty"`
	TV         *TV         `json:"tv,omitempty"`
	Viewers    int         `json:"viewers"` // pages that watch; the server fills it in
	Board      *Board      `json:"board,omitempty"`
	Update     *ota.Status `json:"update,omitempty"` // nil for a receiver that does not update itself
	Health     string      `json:"health,omitempty"` // what is stuck; "" if nothing is
	Warnings   []string    `json:"warnings,omitempty"`
}

// Receiver is the receiver itself.
type Receiver struct {
	Name      string   `json:"name"` // in the sender's list
	Version   string   `json:"version"`
	Uptime    float64  `json:"uptime_seconds"`
	Addresses []string `json:"addresses"` // where it can be reached: host:port
	Video     Output   `json:"video"`
	Audio     Output   `json:"audio"`
	// Loudspeaker tells that senders are offered sound alone.
	Loudspeaker bool `json:"loudspeaker,omitempty"`
	// Settings tells that there is a page for them.
	Settings bool `json:"settings,omitempty"`
}

// Output is where picture or sound go.
type Output struct {
	Name   string `json:"name"`   // "HDMI-A-1 1920x1080@60", "browser"
	Reason string `json:"reason"` // why that was chosen
}

// TV is the television, as far as it can be spoken to.
type TV struct {
	Adapter string `json:"adapter,omitempty"` // empty: there is none
	Reason  string `json:"reason,omitempty"`  // why there is none
	Socket  string `json:"socket,omitempty"`  // where we are on its bus: "1.0.0.0, address 4"
	Power   string `json:"power,omitempty"`   // "on", "standby", "changing" or "unknown"
	Shown   bool   `json:"shown"`             // it shows us
	Woken   bool   `json:"woken"`             // it was woken by us
}

// Sender is the device that has the stage.
type Sender struct {
	Name    string    `json:"name"`    // "Ann's iPhone"
	Model   string    `json:"model"`   // "iPhone14,5"
	OS      string    `json:"os"`      // "iPhone OS 16.2 (20C65)"
	Address string    `json:"address"` // of its control connection
	Since   time.Time `json:"since"`
	Remote  bool      `json:"remote"` // whether it can be told to pause and the like
}

// Picture is the mirrored screen.
type Picture struct {
	Codec   string  `json:"codec"` // "H.264 High, level 4.2"
	Width   int     `json:"width"`
	Height  int     `json:"height"`
	Rate    float64 `json:"fps"`      // pictures in the last second
	BitRate float64 `json:"bit_rate"` // bits in the last second

	Received uint64 `json:"received"`            // pictures since the session began
	Late     uint64 `json:"late"`                // not shown because a newer one was due
	Dropped  uint64 `json:"dropped"`             // not decoded, or not decodable
	Paused   bool   `json:"paused"`              // the sender's screen does not change or is locked
	Path     string `json:"path,omitempty"`      // which way decoded pictures take to the display
	Decoder  string `json:"decoder,omitempty"`   // "software", or "hardware: " and the device
	Copied   uint64 `json:"pixels_copied_bytes"` // by the processor, since the receiver started
}

// Sound is what is heard with the picture or alone.
type Sound struct {
	Codec      string `json:"codec"` // "AAC-ELD"
	SampleRate int    `json:"sample_rate"`
	Channels   int    `json:"channels"`

	Received  uint64 `json:"received"`  // packets
	Lost      uint64 `json:"lost"`      // packets that never came
	Late      uint64 `json:"late"`      // packets that came after their turn
	Requested uint64 `json:"requested"` // packets that were asked for again
	Recovered uint64 `json:"recovered"` // packets that came when asked for again
	Concealed uint64 `json:"concealed"` // packets whose time was filled in
	Waiting   uint64 `json:"waiting"`   // packets that are here before their turn

	Drift     float64  `json:"drift_ppm"`     // by how much the sender's samples are fast against ours
	SyncError float64  `json:"sync_error_ms"` // sound behind the picture; negative: before it
	Spread    float64  `json:"sync_99_ms"`    // 99 % of the time sound is nearer to its place than this
	Leaps     uint64   `json:"leaps"`         // how often it jumped there
	Resampled float64  `json:"resampled_s"`   // how much of it was played slower or faster to get there
	Volume    *float64 `json:"volume_db"`     // -30 to 0; null when muted
}

// Clock is what is known of the sender's clock.
type Clock struct {
	Source      string  `json:"source"`          // "ntp", "ptp", "arrival" or "none"
	OffsetError float64 `json:"offset_error_ms"` // bound of the error, for sources "ntp" and "ptp"
	Drift       float64 `json:"drift_ppm"`       // by how much the sender's clock is fast
	Unanswered  uint64  `json:"unanswered"`      // requests
}

// Stage is the latency of one stage of a picture's way.
type Stage struct {
	Name   string  `json:"name"`
	Count  uint64  `json:"count"`
	Median float64 `json:"median_ms"`
	P95    float64 `json:"p95_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
	// Buckets counts the observations up to 16.384 µs, then those of each
	// doubling; the last takes all above 1.07 s.
	Buckets []uint64 `json:"buckets"`
}

// The buckets of a Stage.
const (
	firstBucket = 1024 << 4
	buckets     = 18
)

// NewStage describes a histogram.
func NewStage(name string, h *metric.Histogram) Stage {
	s := Stage{
		Name:    name,
		Count:   h.Count(),
		Median:  milliseconds(h.Quantile(0.5)),
		P95:     milliseconds(h.Quantile(0.95)),
		P99:     milliseconds(h.Quantile(0.99)),
		Max:     milliseconds(h.Max()),
		Buckets: make([]uint64, buckets),
	}
	var below uint64
	for i := range buckets {
		n := h.CountBelow(firstBucket << i)
		if i == buckets-1 {
			n = max(h.Count(), below)
		}
		s.Buckets[i] = n - below
		below = n
	}
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// NowPlaying is the piece of music or the film that the sender plays.
type NowPlaying struct {
	Title    string  `json:"title"`
	Artist   string  `json:"artist"`
	Album    string  `json:"album"`
	Position float64 `json:"position_seconds"`
	Length   float64 `json:"length_seconds"` // 0 if it is not known
	Artwork  string  `json:"artwork"`        // changes with the image at /artwork; empty if there is none
}

// Board is the machine, and how it fares.
type Board struct {
	Model       string   `json:"model"`
	Memory      int64    `json:"memory_bytes"`
	Clock       float64  `json:"clock_mhz"`                     // of the first processor; 0 if it is not known
	Temperature *float64 `json:"temperature_celsius,omitempty"` // of the processors
	Now         string   `json:"trouble_now,omitempty"`         // of power or heat, "none" for none; "" if the board does not tell
	SinceBoot   string   `json:"trouble_since_boot,omitempty"`
}
