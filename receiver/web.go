package receiver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/live"
	"aerie/receiver/metric"
	"aerie/receiver/playout"
	"aerie/receiver/status"
)

// web is the status page.
type web struct {
	r       *Receiver
	view    *live.View
	metrics metric.Set
	server  *status.Server
	handler http.Handler
	ln      net.Listener // nil if the page is not served
}

func openWeb(r *Receiver) (*web, error) {
	w := &web{r: r}
	var err error
	if w.view, err = live.New(live.Options{Now: r.now}); err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // a machine without a name has one page less
	o := status.Options{
		Snapshot: r.snapshot, Live: w.view, Metrics: &w.metrics, Artwork: r.playing.image, Clock: r.clocks,
		Presented: r.meters.presented.Observe, Control: r, Diagnose: r.Diagnose, Hosts: []string{host},
		ErrorLog: slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
	if r.owner != nil {
		o.Settings, o.Portal = r.owner.page, r.owner.portal
	}
	w.server = status.New(o)
	w.handler = w.server
	if addr := r.cfg.Network.HTTP; addr != "" {
		if w.ln, err = net.Listen("tcp", addr); err != nil {
			w.view.Close()
			return nil, fmt.Errorf("the status page cannot be served at %s (choose another with --http HOST:PORT, \"\" for none): %w", addr, err)
		}
	}
	return w, nil
}

// url is where the page is, "" if it is nowhere.
func (w *web) url() string {
	if w.ln == nil {
		return ""
	}
	host, port, _ := net.SplitHostPort(w.ln.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if host = w.r.mainAddress(); host == "" {
			host = "localhost"
		}
	}
	if port == "80" {
		return "http://" + strings.TrimSuffix(net.JoinHostPort(host, ""), ":") + "/"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

func (w *web) serve(ctx context.Context) {
	if w.ln == nil {
		return
	}
	if err := w.server.Serve(ctx, w.ln); err != nil {
		w.r.log.Error("the status page is gone", "error", err)
	}
}

func (w *web) close() {
	w.view.Close()
	if w.ln != nil {
		w.ln.Close()
	}
}

// clocks tells the time here, and what the sender's clock shows.
func (r *Receiver) clocks() (now clock.Time, sender clock.Remote, known bool) {
	now = r.now()
	s := r.current.Load()
	if s == nil {
		return now, 0, false
	}
	est := s.clock.Estimate()
	return now, est.ToRemote(now), est.Source != clock.None
}

// image returns the artwork of what is playing.
func (p *playing) image() (mediaType string, image []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.artType, p.artwork
}

// register names the metrics for Prometheus.
func (r *Receiver) register() {
	m, set := &r.meters, &r.web.metrics
	registerProcess(set)
	r.registerMachine(set)
	set.GaugeFunc("aerie_uptime_seconds", "Time since the receiver started.", func() float64 { return r.now().Sub(r.began).Seconds() })
	set.GaugeFunc("aerie_session_active", "Whether a sender has the stage.", func() float64 { return one(r.current.Load() != nil) })
	set.Counter("aerie_connections_total", "Control connections accepted.", &r.server.Connections)
	set.Counter("aerie_sessions_total", "Sessions begun.", &r.server.Sessions)
	set.Counter("aerie_senders_refused_total", "Senders refused because another had the stage.", &r.server.Refused)
	set.Counter("aerie_pictures_total", "Access units received.", &m.pictures)
	set.Counter("aerie_picture_bytes_total", "Bytes of access units received.", &m.pictureBytes)
	set.Counter("aerie_pictures_decoded_total", "Pictures decoded in software.", &m.decoded)
	set.Counter("aerie_pictures_decoded_in_hardware_total", "Pictures decoded by the hardware.", &m.hardwareDecoded)
	set.Counter("aerie_hardware_decoder_failures_total", "Times that software had to do instead of the hardware decoder.", &m.hardwareFailed)
	set.Counter("aerie_pictures_undecodable_total", "Errors of the decoder.", &m.undecodable)
	set.Counter("aerie_pictures_corrupt_total", "Pictures with parts made up by the decoder.", &m.corrupt)
	set.Counter("aerie_pictures_shown_total", "Pictures that appeared on the display.", &m.shown)
	set.Counter("aerie_pictures_late_total", "Pictures that appeared after they were due.", &m.late)
	set.Counter("aerie_pictures_skipped_total", "Pictures not shown because a newer one was due.", &m.skipped)
	if p := r.publishing; p != nil {
		set.Counter("aerie_mqtt_sent_total", "Values published to the MQTT broker.", &p.Sent)
		set.Counter("aerie_mqtt_replaced_total", "Values not published because a newer one came first.", &p.Replaced)
	}
	if v := r.tv; v != nil {
		v.register(set)
	}
	set.Counter("aerie_picture_copied_bytes_total", "Bytes of pictures that the processor copied or converted to show them.", &m.PixelsCopied)
	set.Gauge("aerie_picture_rate", "Access units in the last second.", &m.fps)
	set.Gauge("aerie_picture_bits_per_second", "Bit rate of the picture in the last second.", &m.bitRate)
	for _, s := range m.stages() {
		set.Histogram("aerie_latency_seconds", "Latency of each stage of a picture's way, and of the whole.", s.h, "stage", s.name)
	}
	set.Histogram("aerie_page_handover_seconds", "From the arrival of a picture to its being written to a page.", &r.web.view.HandOver)
}

// snapshot describes the receiver for the page.
func (r *Receiver) snapshot() status.Snapshot {
	out := status.Snapshot{PIN: r.pin.shown(), Warnings: r.warnings.all(), TV: r.tv.describe()}
	b := r.machine.describe()
	out.Board, out.Update = &b, r.Update()
	if err := r.Healthy(); err != nil {
		out.Health = err.Error()
	}
	out.Receiver = status.Receiver{Name: r.Name(), Version: r.version, Uptime: r.now().Sub(r.began).Seconds(), Loudspeaker: r.loudspeaker()}
	for _, a := range r.addresses() {
		if !a.IsLoopback() {
			out.Receiver.Addresses = append(out.Receiver.Addresses, net.JoinHostPort(a.String(), fmt.Sprint(r.Port())))
		}
	}
	if r.owner != nil {
		out.Receiver.Settings = true
		if m := r.owner.mistake(); m != "" {
			out.Warnings = append(out.Warnings, m)
		}
	}
	out.Receiver.Video.Name, out.Receiver.Video.Reason = r.video.describe()
	out.Receiver.Audio.Name, out.Receiver.Audio.Reason = r.audio.describe()
	for _, s := range r.meters.stages() {
		if s.h.Count() > 0 {
			out.Latency = append(out.Latency, status.NewStage(s.name, s.h))
		}
	}
	if h := &r.web.view.HandOver; h.Count() > 0 {
		out.Latency = append(out.Latency, status.NewStage("written to page", h))
	}
	if text := r.fleetText.Load(); text != nil && *text != "" {
		out.Warnings = append(out.Warnings, *text)
	}
	r.meters.mu.Lock()
	if r.meters.err != "" {
		out.Warnings = append(out.Warnings, r.meters.err)
	}
	r.meters.mu.Unlock()
	if s := r.current.Load(); s != nil {
		s.describe(&out)
	}
	return out
}

// describe adds what concerns the session.
func (s *streams) describe(out *status.Snapshot) {
	from := s.opening.Sender
	out.Sender = &status.Sender{Name: from.Name, Model: from.Model, OS: from.OS, Address: from.Addr.String(),
		Since: time.Now().Add(-s.r.now().Sub(s.began)), Remote: s.remote.Ready()}
	now := s.r.now()
	est := s.clock.Estimate()
	measured := est.Source == clock.NTP
	if s.onGroupClock() {
		est, _ = s.r.ptp.Follower.Estimate()
		measured = est.Source == clock.NTP // its messages are answered
		est.Source = clock.PTP
	}
	out.Clock = &status.Clock{Source: est.Source.String(), Drift: est.Drift * 1e6}
	if measured {
		out.Clock.OffsetError = float64(est.ErrorAt(now).Microseconds()) / 1000
	}
	if s.ntp != nil {
		out.Clock.Unanswered = s.ntp.Unanswered()
	}
	s.mu.Lock()
	picture := s.picture
	switch {
	case s.music != nil:
		out.Sound = s.music.describe()
	case s.audio != nil:
		out.Sound = s.audio.describe()
	}
	s.mu.Unlock()
	if picture != nil {
		if p := picture.sink.params.Load(); p != nil {
			m := &s.r.meters
			out.Picture = &status.Picture{Codec: codecName(p), Width: p.Width, Height: p.Height, Rate: m.fps.Value(), BitRate: m.bitRate.Value(),
				Received: picture.stats.Pictures.Value(), Late: m.skipped.Value(), Dropped: m.undecodable.Value() + picture.stats.Malformed.Value(), Paused: picture.sink.paused.Load()}
			if how := s.path.Load(); how != nil {
				out.Picture.Path = *how
			}
			if by := s.decoder.Load(); by != nil {
				out.Picture.Decoder = *by
			}
			out.Picture.Copied = m.PixelsCopied.Value()
		}
	}
	if out.Sound != nil {
		if db := s.r.Volume(); db >= -30 {
			out.Sound.Volume = &db
		}
	}
	n := &s.r.playing
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.what.Title != "" {
		at, length := n.position(s.Active())
		out.NowPlaying = &status.NowPlaying{Title: n.what.Title, Artist: n.what.Artist, Album: n.what.Album, Position: at.Seconds(), Length: length.Seconds()}
		if n.artID != 0 {
			out.NowPlaying.Artwork = strconv.FormatUint(n.artID, 36)
		}
	}
}

func (a *soundStream) describe() *status.Sound {
	f, c := a.stream.Format, &a.stream.Counts
	out := &status.Sound{Codec: f.Codec.String(), SampleRate: f.Rate, Channels: f.Channels,
		Received: c.Received.Value() - c.Copies.Value(), Lost: c.Lost.Value(), Late: c.Late.Value(), Requested: c.Requested.Value(), Recovered: c.Recovered.Value(),
		Concealed: a.track.Concealed.Value() / uint64(f.Frames), Waiting: uint64(a.stream.Waiting())}
	describePlace(out, a.sound)
	return out
}

// describePlace tells how well sound keeps its place; nil is of sound that goes
// nowhere.
func describePlace(out *status.Sound, s *playout.Sound) {
	if s == nil {
		return
	}
	out.Drift, out.SyncError, out.Spread = s.Correction.Value()*1e6, s.Error.Value()*1000, float64(s.Errors.Quantile(0.99).Microseconds())/1000
	out.Leaps, out.Resampled = s.Leaps.Value(), float64(s.Corrections.Value())/float64(out.SampleRate)
}
