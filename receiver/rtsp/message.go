package rtsp

import (
	"strconv"
	"strings"
)

// Protocols of the first line. A response repeats that of its request.
const (
	RTSP = "RTSP/1.0"
	HTTP = "HTTP/1.1"
)

// Content types of the bodies on this wire.
const (
	TypeBinaryPlist = "application/x-apple-binary-plist"
	TypeOctets      = "application/octet-stream"
	TypeParameters  = "text/parameters"
	TypeDMAP        = "application/x-dmap-tagged"
)

// Header is the header fields of a message in their order on the wire.
type Header []Field

// Field is one header field, without the colon and the blanks around the
// value.
type Field struct{ Name, Value string }

// Get returns the value of the first field of that name, in any case, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Has tells whether there is a field of that name.
func (h Header) Has(name string) bool {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return true
		}
	}
	return false
}

// Add appends a field.
func (h *Header) Add(name, value string) { *h = append(*h, Field{name, value}) }

// Request is one request of either protocol.
type Request struct {
	Method string // GET, POST, SETUP, ... as on the wire
	Target string // as on the wire: "/info", "rtsp://fe80::1/1234", "*"
	Proto  string // RTSP or HTTP
	Header Header
	Body   []byte // valid until the next read from the same Reader
}

// Path returns the part of the target that names a resource: "/info" of
// "/info?txtAirPlay", "/1234" of "rtsp://fe80::1/1234", "*" of "*".
func (r *Request) Path() string {
	p := r.Target
	if _, rest, ok := strings.Cut(p, "://"); ok {
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return "/"
		}
		p = rest[i:]
	}
	p, _, _ = strings.Cut(p, "?")
	return p
}

// Query returns the part of the target after the first question mark.
func (r *Request) Query() string {
	_, q, _ := strings.Cut(r.Target, "?")
	return q
}

// CSeq returns the sequence number as it stands, "" if there is none.
func (r *Request) CSeq() string { return r.Header.Get("CSeq") }

// ContentType returns the media type of the body without its parameters.
func (r *Request) ContentType() string {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(t))
}

// Append appends the request in its form on the wire. Content-Length is
// written from Body and must not be among the fields.
func (r *Request) Append(dst []byte) []byte {
	dst = append(dst, r.Method...)
	dst = append(dst, ' ')
	dst = append(dst, r.Target...)
	dst = append(dst, ' ')
	dst = append(dst, r.Proto...)
	dst = append(dst, "\r\n"...)
	return appendRest(dst, r.Header, r.Body, len(r.Body) > 0)
}

// Response is the answer to one request.
type Response struct {
	Proto  string
	Status int
	Header Header
	Body   []byte // of a read response: valid until the next read
}

// Append appends the response in its form on the wire, Content-Length last, as
// the receivers do that senders are used to (reference section 3).
func (r *Response) Append(dst []byte) []byte {
	dst = append(dst, r.Proto...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, StatusText(r.Status)...)
	dst = append(dst, "\r\n"...)
	return appendRest(dst, r.Header, r.Body, r.Status != 101)
}

func appendRest(dst []byte, h Header, body []byte, withLength bool) []byte {
	for _, f := range h {
		dst = append(dst, f.Name...)
		dst = append(dst, ": "...)
		dst = append(dst, f.Value...)
		dst = append(dst, "\r\n"...)
	}
	if withLength {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(body)), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

var statusText = map[int]string{
	101: "Switching Protocols",
	200: "OK",
	400: "Bad Request",
	401: "Unauthorized",
	403: "Forbidden",
	404: "Not Found",
	405: "Method Not Allowed",
	408: "Request Timeout",
	409: "Conflict",
	412: "Precondition Failed",
	413: "Request Entity Too Large",
	421: "Misdirected Request",
	429: "Too Many Requests",
	431: "Request Header Fields Too Large",
	451: "Parameter Not Understood",
	453: "Not Enough Bandwidth",
	454: "Session Not Found",
	455: "Method Not Valid in This State",
	456: "Header Field Not Valid for Resource",
	470: "Connection Authorization Required",
	500: "Internal Server Error",
	501: "Not Implemented",
	503: "Service Unavailable",
	505: "RTSP Version not supported",
}

// StatusText returns the reason phrase of a status code of RFC 2326, RFC 9110
// or Apple's own 470.
func StatusText(code int) string {
	if t, ok := statusText[code]; ok {
		return t
	}
	return "Status " + strconv.Itoa(code)
}
