// Package status is the receiver's web page and what programs ask it: the
// live picture with its sound, who is connected, how late everything is, as a
// page, as JSON and for Prometheus.
//
//	GET  /            the page
//	GET  /status      a Snapshot as JSON
//	GET  /metrics     all metrics in Prometheus' text format
//	GET  /live/video  the streams of package live
//	GET  /live/audio
//	GET  /artwork     the cover of what is being played
//	GET  /clock       what time it is here and at the sender
//	POST /presented   from the page: how late pictures were shown
//	POST /control     from the page: pause, go on, the next piece, louder
//	POST /diagnostics from the page: a bundle of what helps to find out what is wrong
//	     /settings/   the page of package settings
//
// Whoever reaches the address sees what is mirrored, and may press the buttons
// that the sender offers; what else can be changed asks for a PIN. A page of
// another site can neither read from it nor, under a name of its own that it
// lets point here, be taken for it.
//
// The page consists of a few scripts without framework or build step. They
// play the streams at the lowest latency at which the browser plays smoothly
// and keep picture and sound together by the sender's time; see page/player.js.
//
// Proof: server_test.go (every answer and header), abuse_test.go (foreign
// hosts, traversal, hundreds of connections, slow readers and writers,
// FuzzRequest), diagnostics_test.go (who gets a bundle), and page_test.go, which plays the test pattern in headless
// Chromium: late and reloaded pages, rotation, pauses, restarts, and the
// frame number in a screenshot.
package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/live"
	"aerie/receiver/metric"
	"aerie/receiver/remote"
)

// Options say what the server shows. Only Snapshot is required; what is nil
// is answered with 404.
type Options struct {
	Snapshot func() Snapshot
	Live     *live.View
	Metrics  *metric.Set

	// Artwork returns a JPEG or PNG image with its media type, or none.
	Artwork func() (mediaType string, image []byte)

	// Clock tells the time, and what the sender's clock shows at that
	// instant, if that is known.
	Clock func() (now clock.Time, sender clock.Remote, known bool)

	// Presented is called with the time from the stamp of a picture of the
	// test pattern to its presentation on a page.
	Presented func(latency time.Duration)

	// Control is told what the buttons of the page stand for.
	Control remote.Control

	// Settings is the page of package settings, below SettingsPath.
	Settings http.Handler

	// Portal returns where people should be, if the receiver is their whole
	// network and any name leads to it: in its access point. "" else.
	Portal func() string

	// Diagnose writes a diagnostics bundle, a ZIP file without secrets.
	Diagnose func(ctx context.Context, w io.Writer) error

	// Hosts are names by which the server may be called beside IP addresses,
	// localhost and names in .local.
	Hosts []string

	// ErrorLog takes the server's complaints; nil drops them.
	ErrorLog *log.Logger
}

// Server answers requests. It is an http.Handler for tests; Serve puts limits
// on the connections too.
type Server struct {
	options    Options
	handler    http.Handler
	diagnosing sync.Mutex // held while a bundle is made
}

// New returns a server.
func New(o Options) *Server {
	s := &Server{options: o}
	mux := http.NewServeMux()
	for path, a := range assets {
		mux.HandleFunc("GET "+path, a.serve)
	}
	mux.HandleFunc("GET /status", s.status)
	if o.Live != nil {
		mux.HandleFunc("GET /live/video", o.Live.ServeVideo)
		mux.HandleFunc("GET /live/audio", o.Live.ServeAudio)
	}
	if o.Metrics != nil {
		mux.HandleFunc("GET /metrics", s.metrics)
	}
	if o.Artwork != nil {
		mux.HandleFunc("GET /artwork", s.artwork)
	}
	if o.Clock != nil {
		mux.HandleFunc("GET /clock", s.clock)
	}
	if o.Presented != nil {
		mux.HandleFunc("POST /presented", s.presented)
	}
	if o.Control != nil {
		mux.HandleFunc("POST /control", s.control)
	}
	if o.Diagnose != nil {
		mux.HandleFunc("POST /diagnostics", s.diagnostics)
	}
	if o.Settings != nil {
		mux.Handle(SettingsPath, o.Settings)
	}
	s.handler = http.MaxBytesHandler(portal(guard(mux, o.Hosts), o.Hosts, o.Portal), maxBody)
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Serve answers requests on a listener, which it closes, until the context is
// done. The streams go on until the live.View is closed.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	errorLog := s.options.ErrorLog
	if errorLog == nil {
		errorLog = log.New(discard{}, "", 0)
	}
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second, // streams have deadlines of their own
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          errorLog,
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	err := server.Serve(limitConns(ln))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func (s *Server) status(w http.ResponseWriter, r *http.Request) {
	snapshot := s.options.Snapshot()
	if s.options.Live != nil {
		snapshot.Viewers = s.options.Live.Viewers()
	}
	answerJSON(w, snapshot)
}

func answerJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil { // a number that is not finite
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer(w, "application/json", append(b, '\n'))
}

func answer(w http.ResponseWriter, mediaType string, b []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Write(b)
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	s.options.Metrics.WritePrometheus(&b) // a Buffer has no errors
	answer(w, metric.PrometheusType, b.Bytes())
}

// artwork answers with the image if it is one: it comes from the sender.
func (s *Server) artwork(w http.ResponseWriter, r *http.Request) {
	_, image := s.options.Artwork()
	found := http.DetectContentType(image)
	if found != "image/jpeg" && found != "image/png" {
		http.NotFound(w, r)
		return
	}
	answer(w, found, image)
}

// instant is the answer of /clock, in microseconds.
type instant struct {
	Now    int64  `json:"now"`
	Sender *int64 `json:"sender,omitempty"`
}

func (s *Server) clock(w http.ResponseWriter, r *http.Request) {
	now, sender, known := s.options.Clock()
	i := instant{Now: int64(now) / 1000}
	if known {
		at := int64(sender) / 1000
		i.Sender = &at
	}
	answerJSON(w, i)
}
