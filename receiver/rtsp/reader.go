package rtsp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Limits bound what one message may cost.
type Limits struct {
	Line    int // bytes of the first line and of each field
	Fields  int // header fields
	Body    int // bytes of the body
	Skipped int // empty lines before the first line
}

// DefaultLimits are far above what senders send (20 fields, lines of 300
// bytes, artwork of 1 MB) and far below what could hurt.
var DefaultLimits = Limits{Line: 4096, Fields: 64, Body: 4 << 20, Skipped: 4}

// Error is a message that breaks the rules, with the status that says so.
// After one the connection is of no further use: where the next message
// begins is unknown.
type Error struct {
	Status int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("rtsp: %s (%d)", e.Reason, e.Status) }

// Reader reads messages from one connection. Bytes after a message are kept
// for the next: requests may be pipelined.
type Reader struct {
	br     *bufio.Reader
	limits Limits
	body   []byte
}

// NewReader reads from r under the given limits.
func NewReader(r io.Reader, limits Limits) *Reader {
	// bufio keeps a line together, so its size is the limit of a line.
	return &Reader{br: bufio.NewReaderSize(r, limits.Line), limits: limits}
}

// Wait blocks until the first byte of the next message is there, so that the
// caller can tell an idle sender from a slow one.
func (r *Reader) Wait() error {
	_, err := r.br.Peek(1)
	return err
}

// ReadRequest reads the next request. It returns io.EOF if the connection
// ended between two messages, an *Error for one that breaks the rules.
func (r *Reader) ReadRequest(q *Request) error {
	line, err := r.firstLine()
	if err != nil {
		return err
	}
	// The target is whatever stands between the first and the last blank.
	first, last := strings.IndexByte(line, ' '), strings.LastIndexByte(line, ' ')
	if first <= 0 || last <= first {
		return &Error{400, "malformed request line " + quote(line)}
	}
	q.Method, q.Target, q.Proto = line[:first], strings.Trim(line[first:last], " "), line[last+1:]
	if !isToken(q.Method) || q.Target == "" {
		return &Error{400, "malformed request line " + quote(line)}
	}
	switch q.Proto {
	case RTSP, HTTP:
	case "HTTP/1.0":
		q.Proto = HTTP
	default:
		return &Error{505, "unknown protocol " + quote(q.Proto)}
	}
	if q.Header, err = r.fields(q.Header[:0]); err != nil {
		return err
	}
	q.Body, err = r.readBody(q.Header)
	return err
}

// ReadResponse reads the next response, with the errors of ReadRequest.
func (r *Reader) ReadResponse(p *Response) error {
	line, err := r.firstLine()
	if err != nil {
		return err
	}
	proto, rest, ok := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, aerr := strconv.Atoi(code)
	if !ok || aerr != nil || status < 100 || status > 999 {
		return &Error{400, "malformed status line " + quote(line)}
	}
	p.Proto, p.Status = proto, status
	if p.Header, err = r.fields(p.Header[:0]); err != nil {
		return err
	}
	p.Body, err = r.readBody(p.Header)
	return err
}

func (r *Reader) firstLine() (string, error) {
	for i := 0; ; i++ {
		line, err := r.line()
		if err != nil {
			return "", err
		}
		if line != "" {
			return line, nil
		}
		if i >= r.limits.Skipped {
			return "", &Error{400, "empty lines instead of a message"}
		}
	}
}

// line returns the next line without its end, CRLF or a bare LF.
func (r *Reader) line() (string, error) {
	b, err := r.br.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", &Error{431, fmt.Sprintf("line longer than %d bytes", r.limits.Line)}
	case err == io.EOF && len(b) > 0:
		return "", io.ErrUnexpectedEOF
	case err != nil:
		return "", err
	}
	b = b[:len(b)-1]
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	for _, c := range b {
		if c == 0 || c == '\r' {
			return "", &Error{400, "control character in a line"}
		}
	}
	return string(b), nil
}

func (r *Reader) fields(h Header) (Header, error) {
	for {
		line, err := r.line()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return h, err
		}
		if line == "" {
			return h, nil
		}
		if len(h) >= r.limits.Fields {
			return h, &Error{431, fmt.Sprintf("more than %d header fields", r.limits.Fields)}
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !isToken(name) {
			return h, &Error{400, "malformed header field " + quote(line)}
		}
		h = append(h, Field{name, strings.Trim(value, " \t")})
	}
}

// readBody reads Content-Length bytes. The buffer grows with what arrives,
// not with what was announced, and is kept for the next message unless an
// unusually large body made it big.
func (r *Reader) readBody(h Header) ([]byte, error) {
	if h.Has("Transfer-Encoding") {
		return nil, &Error{501, "transfer encodings are not part of AirPlay"}
	}
	v := h.Get("Content-Length")
	if v == "" {
		return nil, nil
	}
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return nil, &Error{400, "malformed Content-Length " + quote(v)}
	}
	if n > uint64(r.limits.Body) {
		return nil, &Error{413, fmt.Sprintf("body of %d bytes, limit %d", n, r.limits.Body)}
	}
	const keep = 64 << 10
	if cap(r.body) > keep {
		r.body = nil
	}
	r.body = r.body[:0]
	for want := int(n); len(r.body) < want; {
		have := len(r.body)
		step := min(want-have, max(have, 4<<10))
		r.body = slices.Grow(r.body, step)[:have+step]
		if _, err := io.ReadFull(r.br, r.body[have:]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return r.body, nil
}

// isToken tells whether s is a non-empty token of RFC 9110 section 5.6.2.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

// quote shortens what a stranger sent to something fit for a log line.
func quote(s string) string {
	if len(s) > 64 {
		return strconv.Quote(s[:64]) + "..."
	}
	return strconv.Quote(s)
}
