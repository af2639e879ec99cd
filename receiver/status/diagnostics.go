package status

import (
	"net/http"
	"time"
)

// diagnosticsTime is how long the making of a bundle and its way to the page
// may take.
const diagnosticsTime = 40 * time.Second

// diagnostics answers with a diagnostics bundle, to the page alone: a link on
// another one must not make people download what tells of their network. One is
// made at a time.
func (s *Server) diagnostics(w http.ResponseWriter, r *http.Request) {
	if !fromPage(w, r) {
		return
	}
	if !s.diagnosing.TryLock() {
		http.Error(w, "A bundle is being made already.", http.StatusTooManyRequests)
		return
	}
	defer s.diagnosing.Unlock()
	// Of a writer that has no deadline, as in tests, none is moved.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(diagnosticsTime))
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Disposition", `attachment; filename="aerie-diagnostics.zip"`)
	if err := s.options.Diagnose(r.Context(), w); err != nil {
		// The answer has begun: that it is cut off tells the page.
		panic(http.ErrAbortHandler)
	}
}
