package rtsp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const infoRequest = "GET /info RTSP/1.0\r\nCSeq: 0\r\nContent-Length: 4\r\nUser-Agent: AirPlay/670.6.2\r\n\r\nbpli"

var requests = []struct {
	name, in string
	want     []string // summaries of the requests, in order
	err      any      // status of the final *Error, or the final error; nil is io.EOF
}{
	{"one", infoRequest, []string{`GET /info RTSP/1.0 seq="0" body="bpli"`}, nil},
	{"pipelined", infoRequest + "POST /feedback RTSP/1.0\r\nCSeq: 1\r\n\r\n" + infoRequest,
		[]string{`GET /info RTSP/1.0 seq="0" body="bpli"`, `POST /feedback RTSP/1.0 seq="1" body=""`, `GET /info RTSP/1.0 seq="0" body="bpli"`}, nil},
	{"both protocols", "GET /server-info HTTP/1.1\r\n\r\n" + infoRequest,
		[]string{`GET /server-info HTTP/1.1 seq="" body=""`, `GET /info RTSP/1.0 seq="0" body="bpli"`}, nil},
	{"unbracketed IPv6 target", "SETUP rtsp://fe80::1%25wlan0/4711 RTSP/1.0\r\ncseq:3\r\n\r\n",
		[]string{`SETUP /4711 RTSP/1.0 seq="3" body=""`}, nil},
	{"target without path", "OPTIONS rtsp://1.2.3.4 RTSP/1.0\r\n\r\n", []string{`OPTIONS / RTSP/1.0 seq="" body=""`}, nil},
	{"asterisk", "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", []string{`OPTIONS * RTSP/1.0 seq="1" body=""`}, nil},
	{"bare line feeds", "GET /info RTSP/1.0\nCSeq: 9\n\n", []string{`GET /info RTSP/1.0 seq="9" body=""`}, nil},
	{"empty lines before", "\r\n\r\nGET /info RTSP/1.0\r\n\r\n", []string{`GET /info RTSP/1.0 seq="" body=""`}, nil},
	{"nothing", "", nil, nil},
	{"cut in the first line", "GET /in", nil, io.ErrUnexpectedEOF},
	{"cut in the header", "GET /info RTSP/1.0\r\nCSeq: 1\r\n", nil, io.ErrUnexpectedEOF},
	{"cut in the body", "GET /info RTSP/1.0\r\nContent-Length: 10\r\n\r\n12345", nil, io.ErrUnexpectedEOF},
	{"many empty lines", strings.Repeat("\r\n", 50), nil, 400},
	{"no target", "GET RTSP/1.0\r\n\r\n", nil, 400},
	{"no method", " /info RTSP/1.0\r\n\r\n", nil, 400},
	{"unknown protocol", "GET / SIP/2.0\r\n\r\n", nil, 505},
	{"binary first line", "\x00\x01\x02\n\r\n", nil, 400},
	{"field without colon", "GET / RTSP/1.0\r\nCSeq\r\n\r\n", nil, 400},
	{"folded field", "GET / RTSP/1.0\r\nA: b\r\n c: d\r\n\r\n", nil, 400},
	{"long line", "GET /" + strings.Repeat("a", 5000) + " RTSP/1.0\r\n\r\n", nil, 431},
	{"many fields", "GET / RTSP/1.0\r\n" + strings.Repeat("A: b\r\n", 65) + "\r\n", nil, 431},
	{"huge body", "POST / RTSP/1.0\r\nContent-Length: 99999999\r\n\r\n", nil, 413},
	{"absurd length", "POST / RTSP/1.0\r\nContent-Length: 99999999999999999999\r\n\r\n", nil, 400},
	{"negative length", "POST / RTSP/1.0\r\nContent-Length: -1\r\n\r\n", nil, 400},
	{"chunked", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", nil, 501},
}

func TestReadRequest(t *testing.T) {
	readers := map[string]func(io.Reader) io.Reader{
		"whole":        func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
		"halves":       iotest.HalfReader,
	}
	for _, c := range requests {
		for how, wrap := range readers {
			t.Run(c.name+"/"+how, func(t *testing.T) {
				r := NewReader(wrap(strings.NewReader(c.in)), DefaultLimits)
				var q Request
				var got []string
				var err error
				for err = r.ReadRequest(&q); err == nil; err = r.ReadRequest(&q) {
					got = append(got, fmt.Sprintf("%s %s %s seq=%q body=%q", q.Method, q.Path(), q.Proto, q.CSeq(), q.Body))
				}
				if fmt.Sprint(got) != fmt.Sprint(c.want) {
					t.Errorf("read %q, want %q", got, c.want)
				}
				checkErr(t, err, c.err)
			})
		}
	}
}

func checkErr(t *testing.T, err error, want any) {
	t.Helper()
	switch want := want.(type) {
	case nil:
		if err != io.EOF {
			t.Errorf("ended with %v, want io.EOF", err)
		}
	case int:
		var e *Error
		if !errors.As(err, &e) || e.Status != want {
			t.Errorf("ended with %v, want status %d", err, want)
		}
	case error:
		if !errors.Is(err, want) {
			t.Errorf("ended with %v, want %v", err, want)
		}
	}
}

// An announced length must cost nothing before the bytes are there.
func TestAnnouncedBodyIsNotAllocated(t *testing.T) {
	in := "POST / RTSP/1.0\r\nContent-Length: 4194304\r\n\r\nx"
	perRun := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			var q Request
			_ = NewReader(strings.NewReader(in), DefaultLimits).ReadRequest(&q)
		}
	}).AllocedBytesPerOp()
	if perRun > 32<<10 {
		t.Errorf("an announcement of 4 MiB allocated %d bytes", perRun)
	}
}

func TestLargeBody(t *testing.T) {
	body := bytes.Repeat([]byte("artwork!"), 100_000)
	q := Request{Method: "SET_PARAMETER", Target: "rtsp://x/1", Proto: RTSP, Body: body}
	wire := q.Append(nil)
	wire = append(wire, infoRequest...)
	r := NewReader(bytes.NewReader(wire), DefaultLimits)
	var got Request
	if err := r.ReadRequest(&got); err != nil || !bytes.Equal(got.Body, body) {
		t.Fatalf("large body: %v, %d bytes", err, len(got.Body))
	}
	if err := r.ReadRequest(&got); err != nil || string(got.Body) != "bpli" {
		t.Fatalf("request after a large body: %v %q", err, got.Body)
	}
}

func TestResponse(t *testing.T) {
	p := Response{Proto: RTSP, Status: 200, Header: Header{{"CSeq", "3"}, {"Content-Type", TypeBinaryPlist}}, Body: []byte("bplist00")}
	const wire = "RTSP/1.0 200 OK\r\nCSeq: 3\r\nContent-Type: application/x-apple-binary-plist\r\nContent-Length: 8\r\n\r\nbplist00"
	if got := string(p.Append(nil)); got != wire {
		t.Errorf("wrote %q, want %q", got, wire)
	}
	var back Response
	r := NewReader(strings.NewReader(wire), DefaultLimits)
	if err := r.ReadResponse(&back); err != nil {
		t.Fatal(err)
	}
	if back.Status != 200 || back.Header.Get("cseq") != "3" || string(back.Body) != "bplist00" {
		t.Errorf("read %+v", back)
	}
	checkErr(t, r.ReadResponse(&back), nil)
	for _, bad := range []string{"RTSP/1.0\r\n\r\n", "RTSP/1.0 OK 200\r\n\r\n", "RTSP/1.0 20000 OK\r\n\r\n"} {
		checkErr(t, NewReader(strings.NewReader(bad), DefaultLimits).ReadResponse(&back), 400)
	}
}

// FuzzReadRequest checks that whatever is read can be written and read again
// with the same result.
func FuzzReadRequest(f *testing.F) {
	for _, c := range requests {
		f.Add([]byte(c.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in), DefaultLimits)
		var q Request
		for r.ReadRequest(&q) == nil {
			_, _, _ = q.Path(), q.Query(), q.ContentType()
			again := Request{Method: q.Method, Target: q.Target, Proto: q.Proto, Body: q.Body}
			for _, h := range q.Header {
				if !strings.EqualFold(h.Name, "Content-Length") {
					again.Header = append(again.Header, h)
				}
			}
			var back Request
			if err := NewReader(bytes.NewReader(again.Append(nil)), DefaultLimits).ReadRequest(&back); err != nil {
				t.Fatalf("%+v does not survive: %v", q, err)
			}
			if back.Method != q.Method || back.Target != q.Target || !bytes.Equal(back.Body, q.Body) {
				t.Fatalf("%+v became %+v", q, back)
			}
		}
	})
}

func FuzzReadResponse(f *testing.F) {
	f.Add([]byte("RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := NewReader(bytes.NewReader(in), DefaultLimits)
		var p Response
		for r.ReadResponse(&p) == nil {
		}
	})
}
