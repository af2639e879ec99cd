package status

import (
	"encoding/json"
	"net/http"
	"time"
)

// pageHeader is a header that a browser lets pages of other sites set only
// after asking, which is never granted.
const pageHeader = "Aerie-Page"

// maxPresented bounds the number of latencies in one request: the page sends
// those of a second.
const maxPresented = 256

// maxLatency is the longest latency that is believed.
const maxLatency = 10 * time.Second

// fromPage refuses what does not come from the page.
func fromPage(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get(pageHeader) != "" {
		return true
	}
	http.Error(w, pageHeader+" is missing: only the page itself may ask for this.", http.StatusForbidden)
	return false
}

// presented takes what a page has measured.
func (s *Server) presented(w http.ResponseWriter, r *http.Request) {
	if !fromPage(w, r) {
		return
	}
	var report struct {
		Latencies []int64 `json:"latencies"` // µs
	}
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil || len(report.Latencies) > maxPresented {
		http.Error(w, "latencies are wanted, in microseconds", http.StatusBadRequest)
		return
	}
	for _, us := range report.Latencies {
		if us >= 0 && us <= maxLatency.Microseconds() {
			s.options.Presented(time.Duration(us) * time.Microsecond)
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
