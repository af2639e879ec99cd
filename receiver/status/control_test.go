package status

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"aerie/receiver/remote"
)

// told is a Control that notes what it is told.
type told struct {
	commands []remote.Command
	err      error
}

func (c *told) Do(_ context.Context, command remote.Command) error {
	if !command.Valid() {
		return remote.ErrCommand
	}
	c.commands = append(c.commands, command)
	return c.err
}

func TestControl(t *testing.T) {
	for name, c := range map[string]struct {
		body    string
		headers map[string]string
		err     error
		want    int
	}{
		"a button":              {`{"command":"playpause"}`, map[string]string{pageHeader: "1"}, nil, http.StatusNoContent},
		"no session":            {`{"command":"pause"}`, map[string]string{pageHeader: "1"}, remote.ErrUnavailable, http.StatusConflict},
		"the sender fails":      {`{"command":"pause"}`, map[string]string{pageHeader: "1"}, errors.New("no answer"), http.StatusBadGateway},
		"no such command":       {`{"command":"shutdown"}`, map[string]string{pageHeader: "1"}, nil, http.StatusBadRequest},
		"no JSON":               {`pause`, map[string]string{pageHeader: "1"}, nil, http.StatusBadRequest},
		"without the header":    {`{"command":"pause"}`, nil, nil, http.StatusForbidden},
		"a page of another":     {`{"command":"pause"}`, map[string]string{pageHeader: "1", "Sec-Fetch-Site": "cross-site"}, nil, http.StatusForbidden},
		"a name of another":     {`{"command":"pause"}`, map[string]string{pageHeader: "1", "Host": "evil.example"}, nil, http.StatusMisdirectedRequest},
		"a form of another":     {"command=pause", map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, nil, http.StatusForbidden},
		"more than a command":   {`{"command":"` + strings.Repeat("a", maxBody) + `"}`, map[string]string{pageHeader: "1"}, nil, http.StatusBadRequest},
		"a command of two":      {`{"command":["pause"]}`, map[string]string{pageHeader: "1"}, nil, http.StatusBadRequest},
		"an object of nothing":  {`{}`, map[string]string{pageHeader: "1"}, nil, http.StatusBadRequest},
		"a header without body": {``, map[string]string{pageHeader: "1"}, nil, http.StatusBadRequest},
	} {
		control := &told{err: c.err}
		s := New(Options{Snapshot: func() Snapshot { return Snapshot{} }, Control: control})
		q := httptest.NewRequest("POST", "http://127.0.0.1:7080/control", strings.NewReader(c.body))
		for k, v := range c.headers {
			if q.Header.Set(k, v); k == "Host" {
				q.Host = v
			}
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, q)
		if w.Code != c.want {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if reached := c.want == http.StatusNoContent || c.want == http.StatusConflict || c.want == http.StatusBadGateway; reached != (len(control.commands) == 1) {
			t.Errorf("%s: told %v", name, control.commands)
		}
	}
	// Reading is no command, and without a Control there is nothing.
	w := httptest.NewRecorder()
	New(Options{Control: &told{}}).ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/control", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}
	w = httptest.NewRecorder()
	New(Options{}).ServeHTTP(w, httptest.NewRequest("POST", "http://127.0.0.1/control", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("without a Control: %d", w.Code)
	}
}
