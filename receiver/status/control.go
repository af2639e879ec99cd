package status

import (
	"encoding/json"
	"errors"
	"net/http"

	"aerie/receiver/remote"
)

// control tells the sender what a button of the page stands for.
func (s *Server) control(w http.ResponseWriter, r *http.Request) {
	if !fromPage(w, r) {
		return
	}
	var order struct {
		Command remote.Command `json:"command"`
	}
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		http.Error(w, "a command is wanted", http.StatusBadRequest)
		return
	}
	switch err := s.options.Control.Do(r.Context(), order.Command); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, remote.ErrCommand):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, remote.ErrUnavailable):
		http.Error(w, err.Error(), http.StatusConflict)
	default:
		http.Error(w, err.Error(), http.StatusBadGateway)
	}
}
