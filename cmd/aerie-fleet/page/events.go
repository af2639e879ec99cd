package page

import (
	"encoding/json"
	"net/http"
	"time"
)

const (
	// eventPause is the shortest between two events: a fleet changes all the time.
	eventPause = time.Second
	// eventSilence is the longest, so that both ends notice when the other is gone.
	eventSilence = 15 * time.Second
)

// events tells the overview whenever it changes.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		http.Error(w, `{"error":"too many pages are open"}`, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	c := http.NewResponseController(w)
	// The server's limit on reading would end the stream.
	if c.SetReadDeadline(time.Time{}) != nil {
		return
	}
	for {
		changed := s.o.Fleet.Changed()
		o, err := s.o.Fleet.Overview(r.Context())
		if err != nil {
			return
		}
		b, err := json.Marshal(o)
		if err != nil || c.SetWriteDeadline(time.Now().Add(2*eventSilence)) != nil {
			return
		}
		if _, err := w.Write(append(append([]byte("data: "), b...), "\n\n"...)); err != nil || c.Flush() != nil {
			return
		}
		select {
		case <-time.After(eventPause):
		case <-r.Context().Done():
			return
		}
		select {
		case <-changed:
		case <-time.After(eventSilence):
		case <-r.Context().Done():
			return
		}
	}
}
