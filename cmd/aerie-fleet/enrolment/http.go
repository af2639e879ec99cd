package enrolment

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/receiver/fleet/enrol"
)

// Handle adds what devices ask for to a server. Its connections have to ask for
// a certificate of the authority, without requiring one.
func (e *Enrolment) Handle(mux *http.ServeMux) {
	mux.HandleFunc("POST "+enrol.PathEnrol, func(w http.ResponseWriter, r *http.Request) {
		body, ok := e.body(w, r)
		if !ok {
			return
		}
		reply, err := e.Enrol(body)
		answer(w, reply, err)
	})
	mux.HandleFunc("POST "+enrol.PathRenew, func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil {
			answer(w, enrol.Reply{}, ErrRefused)
			return
		}
		name, role, err := e.o.Authority.Identify(*r.TLS)
		if err != nil || role != authority.RoleDevice {
			e.o.Log.Warn("enrolment: refused a renewal", "device", name, "from", r.RemoteAddr, "error", err)
			answer(w, enrol.Reply{}, ErrRefused)
			return
		}
		body, ok := e.body(w, r)
		if !ok {
			return
		}
		reply, err := e.Renew(name, body)
		answer(w, reply, err)
	})
}

// perSecond bounds the requests of all devices together; ten thousand that are
// enrolled at once take three minutes.
const perSecond = 60

type rate struct {
	mu sync.Mutex
	at int64
	n  int
}

func (r *rate) ok(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Unix() != r.at {
		r.at, r.n = now.Unix(), 0
	}
	r.n++
	return r.n <= perSecond
}

func (e *Enrolment) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if !e.rate.ok(e.o.Now()) {
		answer(w, enrol.Reply{}, ErrBusy)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, enrol.MaxBody))
	if err != nil {
		answer(w, enrol.Reply{}, enrol.ErrMalformed)
		return nil, false
	}
	return body, true
}

// answer answers as package enrol says.
func answer(w http.ResponseWriter, reply enrol.Reply, err error) {
	status := http.StatusOK
	switch {
	case err == nil:
	case errors.Is(err, ErrWait):
		status = http.StatusAccepted
	case errors.Is(err, ErrBusy):
		status = http.StatusTooManyRequests
	case errors.Is(err, ErrRefused):
		status = http.StatusForbidden
	case errors.Is(err, enrol.ErrMalformed) || errors.Is(err, authority.ErrRequest):
		status = http.StatusBadRequest
	default:
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json")
	if status == http.StatusAccepted || status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "5")
	}
	var v any = reply
	if err != nil {
		v = enrol.Error{Error: err.Error()}
	}
	b, _ := json.Marshal(v) // texts and bytes only
	w.WriteHeader(status)
	w.Write(b)
}
