// Package page is what the owner of a fleet sees: a web page, the same as JSON
// for programs and for the command, and metrics.
//
//	GET  /                              the page
//	POST /login /logout                 a token for a cookie, and back
//	GET  /api/overview                  service.Overview
//	GET  /api/events                    the same, whenever it changes (server-sent events)
//	GET  /api/devices?search=&status=&sort=&offset=&limit=
//	GET  /api/devices/ID                service.Detail
//	POST /api/devices/ID/call/METHOD    runs a method; the body is its argument
//	POST /api/devices/ID/settings       {"name": value, ...}
//	GET  /api/devices/ID/diagnostics    a file
//	POST /api/devices/ID/revoke
//	POST /api/rollout/start|pause|resume|cancel
//	GET  /api/enrolment                 codes, devices that wait, members
//	POST /api/enrolment/codes           {"note": text} -> a one-time code
//	POST /api/enrolment/admit           {"device": id, "code": text}
//	GET  /metrics                       for Prometheus
//
// Everything but the page's own files needs the owner's token, as a cookie that
// the page got for it or as "Authorization: Bearer". Whoever comes over the
// local socket needs none: the file system has checked that. A page of another
// site gets nowhere: the cookie is not sent with its requests, and what changes
// anything needs a header that such a page cannot send.
//
// The page consists of a few scripts without framework or build step. The
// server searches and sorts, so that the browser never holds more than it shows.
//
// Proof: page_test.go (every answer, who may and who may not, floods),
// browser_test.go (headless Chromium with a fleet of ten thousand, screenshots),
// and FuzzRequest.
package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/net/netutil"

	"aerie/cmd/aerie-fleet/enrolment"
	"aerie/cmd/aerie-fleet/rollout"
	"aerie/cmd/aerie-fleet/service"
	"aerie/receiver/fleet/content"
	"aerie/receiver/fleet/enrol"
	"aerie/receiver/metric"
)

// Fleet is what the page shows; a *service.Service is one.
type Fleet interface {
	Overview(context.Context) (service.Overview, error)
	List(context.Context, service.Query) (service.Page, error)
	Device(ctx context.Context, id string) (service.Detail, error)
	Call(ctx context.Context, id, method string, argument []byte) (service.Result, error)
	Set(ctx context.Context, id, name string, value any) error
	Order(ctx context.Context, kind rollout.Kind, id string, plan *rollout.Plan) error
	Changed() <-chan struct{}
}

// Options make a Server.
type Options struct {
	Fleet Fleet
	// Enrolment is nil where another instance has the authority.
	Enrolment *enrolment.Enrolment
	Metrics   *metric.Set
	Token     string // of the owner
	Log       *slog.Logger
	Now       func() time.Time
	// NewID names a rollout.
	NewID func() string
}

// Server answers requests.
type Server struct {
	o       Options
	mux     *http.ServeMux
	logins  limiter
	streams chan struct{}
}

// Limits of requests.
const (
	maxBody    = 64 << 10
	maxStreams = 64
	// Who does nothing with a connection loses it after a minute at most.
	maxConnections = 1024
	// patience is how long a request may take that asks the fleet.
	patience = 40 * time.Second
)

// New returns a server.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, mux: http.NewServeMux(), streams: make(chan struct{}, maxStreams)}
	for path, a := range assets {
		s.mux.HandleFunc("GET "+path, a.serve)
	}
	s.mux.HandleFunc("POST /login", s.login)
	s.mux.HandleFunc("POST /logout", s.logout)
	api := func(pattern string, f func(*http.Request) (any, error)) {
		s.mux.Handle(pattern, s.owner(answerWith(f)))
	}
	api("GET /api/overview", func(r *http.Request) (any, error) { return o.Fleet.Overview(r.Context()) })
	api("GET /api/devices", s.list)
	api("GET /api/devices/{id}", func(r *http.Request) (any, error) { return o.Fleet.Device(r.Context(), r.PathValue("id")) })
	api("POST /api/devices/{id}/call/{method}", s.call)
	api("POST /api/devices/{id}/settings", s.settings)
	api("POST /api/devices/{id}/revoke", s.revoke)
	api("POST /api/rollout/{kind}", s.rollout)
	api("GET /api/enrolment", s.enrolment)
	api("POST /api/enrolment/codes", s.issue)
	api("POST /api/enrolment/admit", s.admit)
	s.mux.Handle("GET /api/events", s.owner(s.events))
	s.mux.Handle("GET /api/devices/{id}/diagnostics", s.owner(s.diagnostics))
	if o.Metrics != nil {
		s.mux.Handle("GET /metrics", s.owner(func(w http.ResponseWriter, _ *http.Request) {
			var b bytes.Buffer
			o.Metrics.WritePrometheus(&b) // a Buffer has no errors
			w.Header().Set("Content-Type", metric.PrometheusType)
			w.Write(b.Bytes())
		}))
	}
	if o.Enrolment != nil {
		o.Enrolment.Handle(s.mux)
	}
	return s
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range headers {
		w.Header().Set(name, value)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.mux.ServeHTTP(w, r)
}

// Serve answers requests on a listener, which it closes, until the context is
// done.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      time.Minute, // streams have deadlines of their own
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // strangers would fill it
		ConnContext:       local,
	}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(netutil.LimitListener(ln, maxConnections)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// errRequest is wrapped by errors about requests that make no sense.
var errRequest = errors.New("page: bad request")

// answerWith answers with what a function returns, as JSON.
func answerWith(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		v, err := f(r.WithContext(ctx))
		if err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(statusOf(err))
			b, _ := json.Marshal(enrol.Error{Error: err.Error()}) // a text
			w.Write(append(b, '\n'))
			return
		}
		b, err := json.Marshal(v)
		if err != nil { // a number that is not finite
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)+1))
		w.Write(append(b, '\n'))
	}
}

func statusOf(err error) int {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case is(errRequest), is(rollout.ErrPlan), is(enrol.ErrMalformed):
		return http.StatusBadRequest
	case is(service.ErrNoDevice):
		return http.StatusNotFound
	case is(service.ErrNotReady), is(context.DeadlineExceeded):
		return http.StatusServiceUnavailable
	case is(service.ErrNoAnswer):
		return http.StatusGatewayTimeout
	case is(service.ErrTooMany), is(enrolment.ErrBusy):
		return http.StatusTooManyRequests
	}
	return http.StatusConflict
}

// read decodes the body of a request.
func read(r *http.Request, v any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %v", errRequest, err)
	}
	return nil
}

func (s *Server) list(r *http.Request) (any, error) {
	q := service.Query{Search: r.FormValue("search"), Status: service.Status(r.FormValue("status")), Sort: r.FormValue("sort")}
	for name, to := range map[string]*int{"offset": &q.Offset, "limit": &q.Limit} {
		if v := r.FormValue(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return nil, fmt.Errorf("%w: %s", errRequest, name)
			}
			*to = n
		}
	}
	if len(q.Search) > 200 {
		return nil, fmt.Errorf("%w: a search of %d bytes", errRequest, len(q.Search))
	}
	return s.o.Fleet.List(r.Context(), q)
}

// methods are those that the page offers; diagnostics comes as a file.
var methods = map[string]bool{content.MethodIdentify: true, content.MethodRestart: true, content.MethodForgetSenders: true}

func (s *Server) call(r *http.Request) (any, error) {
	method := r.PathValue("method")
	if !methods[method] {
		return nil, fmt.Errorf("%w: there is no method %.40q", errRequest, method)
	}
	s.o.Log.Info("page: method", "device", r.PathValue("id"), "method", method, "from", r.RemoteAddr)
	result, err := s.o.Fleet.Call(r.Context(), r.PathValue("id"), method, nil)
	if err == nil && result.Status != http.StatusOK {
		err = fmt.Errorf("the device answers %d: %.200s", result.Status, result.Payload)
	}
	return result, err
}

func (s *Server) settings(r *http.Request) (any, error) {
	var settings map[string]any
	if err := read(r, &settings); err != nil {
		return nil, err
	}
	for name, value := range settings {
		if name != content.SettingName { // releases are rolled out
			return nil, fmt.Errorf("%w: there is no setting %.40q", errRequest, name)
		}
		if value != nil {
			if _, err := content.ParseName(value); err != nil {
				return nil, fmt.Errorf("%w: %v", errRequest, err)
			}
		}
		s.o.Log.Info("page: setting", "device", r.PathValue("id"), "setting", name, "from", r.RemoteAddr)
		if err := s.o.Fleet.Set(r.Context(), r.PathValue("id"), name, value); err != nil {
			return nil, err
		}
	}
	return struct{}{}, nil
}

func (s *Server) rollout(r *http.Request) (any, error) {
	kind := rollout.Kind(r.PathValue("kind"))
	s.o.Log.Info("page: rollout", "order", kind, "from", r.RemoteAddr)
	switch kind {
	case rollout.Start:
		plan := rollout.DefaultPlan
		if err := read(r, &plan); err != nil {
			return nil, err
		}
		id := s.o.NewID()
		return map[string]string{"id": id}, s.o.Fleet.Order(r.Context(), kind, id, &plan)
	case rollout.Pause, rollout.Resume, rollout.Cancel:
		o, err := s.o.Fleet.Overview(r.Context())
		if err != nil {
			return nil, err
		}
		if o.Rollout == nil {
			return nil, fmt.Errorf("page: there is no rollout")
		}
		return struct{}{}, s.o.Fleet.Order(r.Context(), kind, o.Rollout.ID, nil)
	}
	return nil, fmt.Errorf("%w: there is no order %.40q", errRequest, kind)
}
