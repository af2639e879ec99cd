package transcript

import (
	"encoding/json"
	"io"
	"sync"

	"aerie/receiver/clock"
	"aerie/receiver/rtsp"
)

// maxRecorded bounds the file: what an hour of feedback takes.
const maxRecorded = 8 << 20

// Recorder writes a transcript. It is a session.Recorder and safe for
// concurrent use.
type Recorder struct {
	mu      sync.Mutex
	w       io.Writer
	now     func() clock.Time
	began   clock.Time
	redact  redactor
	written int
	err     error
}

// NewRecorder begins a transcript; about tells what writes it.
func NewRecorder(w io.Writer, now func() clock.Time, about string) *Recorder {
	r := &Recorder{w: w, now: now, began: now()}
	r.write(Entry{Kind: About, Text: about})
	return r
}

// Err returns why writing stopped: the first error, or nil.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *Recorder) write(e Entry) {
	e.At = float64(r.now().Sub(r.began).Milliseconds()) / 1000
	line, err := json.Marshal(e)
	if err != nil {
		r.err = err
	}
	if r.err != nil || r.written+len(line) > maxRecorded {
		return
	}
	n, err := r.w.Write(append(line, '\n'))
	r.written += n
	r.err = err
}

// Connected notes a new connection.
func (r *Recorder) Connected(id int, from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(Entry{Conn: id, Kind: Opened, Text: r.redact.pseudonym("address", from)})
}

// Closed notes the end of a connection.
func (r *Recorder) Closed(id int, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(Entry{Conn: id, Kind: Closed, Text: reason})
}

// Request notes a request.
func (r *Recorder) Request(id int, q *rtsp.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(Entry{Conn: id, Kind: Request, Method: q.Method, Target: r.redact.target(q.Target), Proto: q.Proto,
		Header: r.redact.header(q.Header), Body: r.redact.body(q.ContentType(), q.Body)})
}

// Response notes a response.
func (r *Recorder) Response(id int, p *rtsp.Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(Entry{Conn: id, Kind: Response, Proto: p.Proto, Status: p.Status, Header: r.redact.header(p.Header),
		Body: r.redact.body(p.Header.Get("Content-Type"), p.Body)})
}
