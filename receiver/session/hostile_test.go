package session

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"aerie/receiver/fairplay/replay"
	"aerie/receiver/message"
	"aerie/receiver/rtsp"
)

// request makes a request of text and body.
func request(line, fields string, body []byte) []byte {
	return append([]byte(fmt.Sprintf("%s\r\n%sContent-Length: %d\r\n\r\n", line, fields, len(body))), body...)
}

const plistType = "Content-Type: application/x-apple-binary-plist\r\n"

func setupWith(m map[string]any) []byte {
	return request("SETUP rtsp://1/1 RTSP/1.0", "CSeq: 1\r\n"+plistType, message.Encode(m))
}

// hostile is what strangers send, each on a connection of its own. After each
// the receiver answers the next sender at once and serves it to the end.
func hostile() map[string][]byte {
	x := replay.All()[0]
	long := strings.Repeat("a", 5000)
	fp := func(change func(b []byte)) []byte {
		b := bytes.Clone(x.M3[:])
		change(b)
		return request("POST /fp-setup RTSP/1.0", "CSeq: 1\r\n", b)
	}
	deep := any(true)
	for range 40 {
		deep = []any{deep}
	}
	good := string(request("POST /fp-setup RTSP/1.0", "CSeq: 1\r\n", x.M1[:])) + string(request("POST /fp-setup RTSP/1.0", "CSeq: 2\r\n", x.M3[:]))
	after := func(b []byte) []byte { return append([]byte(good), b...) }
	ekey := func(n int) []byte { return append(bytes.Clone(x.EKey[:]), make([]byte, 1000)...)[:n] }
	streams := func(entries ...any) []byte {
		return after(append(setupWith(map[string]any{"ekey": x.EKey[:], "eiv": make([]byte, 16)}), setupWith(map[string]any{"streams": entries})...))
	}
	return map[string][]byte{
		"nothing":                     nil,
		"one byte":                    {'G'},
		"three bytes":                 []byte("GET"),
		"binary":                      bytes.Repeat([]byte{0, 1, 0xff, 0x80}, 1000),
		"TLS hello":                   []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
		"no User-Agent":               []byte("GET /info RTSP/1.0\r\nCSeq: 0\r\n\r\n"),
		"no CSeq":                     []byte("GET /info RTSP/1.0\r\n\r\n"),
		"no headers":                  []byte("SETUP rtsp://1/1 RTSP/1.0\r\n\r\n"),
		"no protocol":                 []byte("GET /info\r\n\r\n"),
		"HTTP/2":                      []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
		"long target":                 []byte("GET /" + long + " RTSP/1.0\r\n\r\n"),
		"long field":                  []byte("GET /info RTSP/1.0\r\nA: " + long + "\r\n\r\n"),
		"thousand fields":             []byte("GET /info RTSP/1.0\r\n" + strings.Repeat("A: b\r\n", 1000) + "\r\n"),
		"length of 2^40":              []byte("POST /fp-setup RTSP/1.0\r\nContent-Length: 1099511627776\r\n\r\n"),
		"length of -1":                []byte("POST /fp-setup RTSP/1.0\r\nContent-Length: -1\r\n\r\n"),
		"length without body":         []byte("POST /fp-setup RTSP/1.0\r\nContent-Length: 164\r\n\r\nFPLY"),
		"unknown method":              []byte("DESCRIBE rtsp://1/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
		"unknown path":                []byte("GET /../../etc/passwd RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
		"endless header":              []byte("GET /info RTSP/1.0\r\n" + strings.Repeat("A: b\r\n", 50)),
		"pair-setup empty":            request("POST /pair-setup RTSP/1.0", "", nil),
		"pair-setup of 31":            request("POST /pair-setup RTSP/1.0", "", make([]byte, 31)),
		"pair-setup of 100000":        request("POST /pair-setup RTSP/1.0", "", make([]byte, 100000)),
		"pair-verify empty":           request("POST /pair-verify RTSP/1.0", "", nil),
		"pair-verify zero point":      request("POST /pair-verify RTSP/1.0", "", append([]byte{1, 0, 0, 0}, make([]byte, 64)...)),
		"pair-verify second first":    request("POST /pair-verify RTSP/1.0", "", make([]byte, 68)),
		"pair-verify of 67":           request("POST /pair-verify RTSP/1.0", "", make([]byte, 67)),
		"pin without a policy":        request("POST /pair-pin-start RTSP/1.0", "", nil),
		"pin proof of 5000":           request("POST /pair-setup-pin RTSP/1.0", plistType, (&message.PINSetup{PublicKey: make([]byte, 256), Proof: make([]byte, 5000)}).Encode()),
		"pin proof first":             request("POST /pair-setup-pin RTSP/1.0", plistType, (&message.PINSetup{PublicKey: make([]byte, 256), Proof: make([]byte, 20)}).Encode()),
		"pin of wrong types":          request("POST /pair-setup-pin RTSP/1.0", plistType, message.Encode(map[string]any{"method": 5, "user": []any{}})),
		"pin body not a plist":        request("POST /pair-setup-pin RTSP/1.0", plistType, []byte("pin")),
		"fp-setup empty":              request("POST /fp-setup RTSP/1.0", "", nil),
		"fp-setup of 15":              request("POST /fp-setup RTSP/1.0", "", x.M1[:15]),
		"fp-setup of 1 MB":            request("POST /fp-setup RTSP/1.0", "", make([]byte, 1<<20)),
		"fp-setup mode 255":           fp(func(b []byte) { b[12] = 255 }),
		"fp-setup version 9":          fp(func(b []byte) { b[4] = 9 }),
		"fp-setup noise":              fp(func(b []byte) { copy(b[16:], bytes.Repeat([]byte{0xa5}, 128)) }),
		"SETUP without a body":        []byte("SETUP rtsp://1/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
		"SETUP not a plist":           request("SETUP rtsp://1/1 RTSP/1.0", plistType, []byte("hello")),
		"SETUP plist bomb":            request("SETUP rtsp://1/1 RTSP/1.0", plistType, bomb()),
		"SETUP deep plist":            setupWith(map[string]any{"streams": deep}),
		"SETUP nested 100000 deep":    request("SETUP rtsp://1/1 RTSP/1.0", plistType, nested(100000)),
		"SETUP ekey without fp-setup": setupWith(map[string]any{"ekey": x.EKey[:], "eiv": make([]byte, 16)}),
		"SETUP short ekey":            after(setupWith(map[string]any{"ekey": ekey(10), "eiv": make([]byte, 16)})),
		"SETUP long ekey":             after(setupWith(map[string]any{"ekey": ekey(1000), "eiv": make([]byte, 16)})),
		"SETUP no eiv":                after(setupWith(map[string]any{"ekey": x.EKey[:]})),
		"SETUP short eiv":             after(setupWith(map[string]any{"ekey": x.EKey[:], "eiv": make([]byte, 3)})),
		"SETUP eiv without ekey":      setupWith(map[string]any{"eiv": make([]byte, 16)}),
		"SETUP ekey as text":          setupWith(map[string]any{"ekey": "FPLY", "eiv": "x"}),
		"SETUP streams first":         setupWith(map[string]any{"streams": []any{map[string]any{"type": 110}}}),
		"SETUP stream without type":   streams(map[string]any{}),
		"SETUP stream as text":        streams("110"),
		"SETUP 10000 streams":         streams(make([]any, 0)...),
		"SETUP type 2^40":             streams(map[string]any{"type": 1 << 40}),
		"SETUP port 70000":            streams(map[string]any{"type": 96, "controlPort": 70000}),
		"TEARDOWN not a plist":        request("TEARDOWN rtsp://1/1 RTSP/1.0", plistType, []byte("x")),
		"TEARDOWN of nothing":         request("TEARDOWN rtsp://1/1 RTSP/1.0", plistType, message.Encode(map[string]any{})),
		"TEARDOWN odd entries":        after(append(setupWith(map[string]any{"ekey": x.EKey[:], "eiv": make([]byte, 16)}), request("TEARDOWN rtsp://1/1 RTSP/1.0", plistType, message.Encode(map[string]any{"streams": []any{map[string]any{"type": 7}, map[string]any{}}}))...)),
		"ANNOUNCE without a body":     []byte("ANNOUNCE rtsp://1/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
		"ANNOUNCE of noise":           request("ANNOUNCE rtsp://1/1 RTSP/1.0", "Content-Type: application/sdp\r\n", bytes.Repeat([]byte{0, 1, 0xff}, 5000)),
		"ANNOUNCE of a megabyte":      request("ANNOUNCE rtsp://1/1 RTSP/1.0", "", bytes.Repeat([]byte("a=b\n"), 1<<18)),
		"ANNOUNCE, key of noise":      request("ANNOUNCE rtsp://1/1 RTSP/1.0", "", []byte("m=audio 0 RTP/AVP 96\r\na=rtpmap:96 L16/44100/2\r\na=rsaaeskey:AAAA\r\na=aesiv:AAAAAAAAAAAAAAAAAAAAAA\r\n")),
		"SETUP without ANNOUNCE":      []byte("SETUP rtsp://1/1 RTSP/1.0\r\nTransport: RTP/AVP/UDP;control_port=1\r\n\r\n"),
		"SETUP of no transport":       append(announcement(), "SETUP rtsp://1/1 RTSP/1.0\r\nTransport: ;;=;control_port=99999\r\n\r\n"...),
		"SETUP classic, then plist":   append(append(announcement(), "SETUP rtsp://1/1 RTSP/1.0\r\nTransport: RTP/AVP/UDP\r\n\r\n"...), streams(map[string]any{"type": 96})...),
		"SETUP classic twice":         append(announcement(), strings.Repeat("SETUP rtsp://1/1 RTSP/1.0\r\nTransport: RTP/AVP/TCP\r\n\r\n", 2)...),
		"challenge of 3000":           []byte("OPTIONS * RTSP/1.0\r\nApple-Challenge: " + strings.Repeat("A", 3000) + "\r\n\r\n"),
		"auth-setup of 1 MB":          request("POST /auth-setup RTSP/1.0", "", make([]byte, 1<<20)),
		"RECORD without a session":    []byte("RECORD rtsp://1/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n"),
		"FLUSH without a session":     []byte("FLUSH rtsp://1/1 RTSP/1.0\r\nCSeq: 1\r\nRTP-Info: seq=1;rtptime=2\r\n\r\n"),
		"FLUSH with nonsense":         []byte("FLUSH rtsp://1/1 RTSP/1.0\r\nCSeq: 1\r\nRTP-Info: seq=99999999999;rtptime=x\r\n\r\n"),
		"volume of nonsense":          request("SET_PARAMETER rtsp://1/1 RTSP/1.0", "Content-Type: text/parameters\r\n", []byte("volume: loud\r\n")),
		"volume of NaN":               request("SET_PARAMETER rtsp://1/1 RTSP/1.0", "Content-Type: text/parameters\r\n", []byte("volume: NaN\r\n")),
		"volume of 1e308":             request("SET_PARAMETER rtsp://1/1 RTSP/1.0", "Content-Type: text/parameters\r\n", []byte("volume: 1e308\r\n")),
		"progress of nonsense":        request("SET_PARAMETER rtsp://1/1 RTSP/1.0", "Content-Type: text/parameters\r\n", []byte("progress: a/b\r\n")),
		"DMAP cut":                    request("SET_PARAMETER rtsp://1/1 RTSP/1.0", "Content-Type: application/x-dmap-tagged\r\n", []byte("mlit\x00\x00\xff\xffminm")),
		"artwork of 4 MB":             request("SET_PARAMETER rtsp://1/1 RTSP/1.0", "Content-Type: image/jpeg\r\n", make([]byte, 4<<20)),
		"info with noise":             request("GET /info RTSP/1.0", plistType, bytes.Repeat([]byte{0xb}, 100)),
	}
}

// announcement announces sound.
func announcement() []byte {
	return request("ANNOUNCE rtsp://1/1 RTSP/1.0", "CSeq: 1\r\nContent-Type: application/sdp\r\n", lossless().Encode())
}

// bomb is 10^9 objects in 150 bytes.
func bomb() []byte {
	b := []byte("bplist00")
	var table []byte
	add := func(o ...byte) { table = append(table, byte(len(b))); b = append(b, o...) }
	add(0x51, 'a')
	add(0x09)
	for i := range 9 {
		n := byte(i + 1)
		add(0xaa, n, n, n, n, n, n, n, n, n, n)
	}
	add(0xd1, 0, 10)
	return finish(b, table, 1, 12)
}

func nested(levels int) []byte {
	b := []byte("bplist00")
	var table []byte
	add := func(o ...byte) { table = binary.BigEndian.AppendUint32(table, uint32(len(b))); b = append(b, o...) }
	add(0x51, 'a')
	add(0x09)
	for i := range levels {
		add(binary.BigEndian.AppendUint32([]byte{0xa1}, uint32(i+1))...)
	}
	add(append([]byte{0xd1, 0, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(levels+1))...)...)
	start := len(b)
	b = append(append(b, table...), 0, 0, 0, 0, 0, 0, 4, 4)
	for _, v := range []int{levels + 3, levels + 2, start} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func finish(b, table []byte, size byte, count int) []byte {
	start := len(b)
	b = append(append(b, table...), 0, 0, 0, 0, 0, 0, size, 1)
	for _, v := range []int{count, count - 1, start} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

// answeredIn is how soon the next sender must be answered; machines that run
// tests are shared.
const answeredIn = 10 * 100 * time.Millisecond

func TestHostileRequests(t *testing.T) {
	r := newRig(t, nil)
	for name, bytes := range hostile() {
		for how, send := range map[string]func(net.Conn){
			"and goes":          func(c net.Conn) { _, _ = c.Write(bytes); c.Close() },
			"and waits":         func(c net.Conn) { _, _ = c.Write(bytes) },
			"and stops writing": func(c net.Conn) { _, _ = c.Write(bytes); _ = c.(*net.TCPConn).CloseWrite() },
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				send(c)
				began := time.Now()
				p := r.dial("22:22:22:22:22:22")
				if got := p.ask("GET", "/info", "", nil); got.Status != 200 {
					t.Errorf("the next sender: %d", got.Status)
				}
				if d := time.Since(began); d > answeredIn {
					t.Errorf("the next sender was answered after %v", d)
				}
				p.c.Close()
				c.Close()
				r.idle()
				r.works()
			})
		}
	}
}

// A request that comes byte by byte is one like any other.
func TestByteByByte(t *testing.T) {
	r := newRig(t, nil)
	p := r.dial("33:33:33:33:33:33")
	wire := (&rtsp.Request{Method: "GET", Target: "/info", Proto: rtsp.RTSP, Header: rtsp.Header{{Name: "CSeq", Value: "0"}}}).Append(nil)
	for i := range wire {
		if _, err := p.c.Write(wire[i : i+1]); err != nil {
			t.Fatal(err)
		}
	}
	var got rtsp.Response
	if err := p.c.ReadResponse(&got); err != nil || got.Status != 200 {
		t.Errorf("%d, %v", got.Status, err)
	}
}

// Known answers to requests that are wrong.
func TestStatuses(t *testing.T) {
	r := newRig(t, nil)
	for name, want := range map[string]int{
		"unknown method": 501, "unknown path": 404, "long target": 431, "thousand fields": 431, "length of 2^40": 413, "length of -1": 400,
		"no protocol": 400, "HTTP/2": 505, "fp-setup mode 255": 400, "fp-setup empty": 400, "pair-verify zero point": 400,
		"SETUP streams first": 455, "SETUP ekey without fp-setup": 400, "SETUP plist bomb": 400, "SETUP nested 100000 deep": 400,
		"RECORD without a session": 455, "FLUSH with nonsense": 456, "volume of nonsense": 451, "DMAP cut": 400, "info with noise": 400,
		"pin without a policy": 403, "no User-Agent": 200, "no CSeq": 200,
	} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(hostile()[name]); err != nil {
			t.Fatal(err)
		}
		var got rtsp.Response
		if err := rtsp.NewConn(c, rtsp.DefaultLimits, rtsp.DefaultTimeouts).ReadResponse(&got); err != nil || got.Status != want {
			t.Errorf("%s: %d, %v, want %d", name, got.Status, err, want)
		}
		c.Close()
	}
}

func FuzzConversation(f *testing.F) {
	for _, b := range hostile() {
		if len(b) < 10_000 {
			f.Add(b)
		}
	}
	r := newRig(f, nil)
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(in)
		_ = c.(*net.TCPConn).CloseWrite()
		rd := rtsp.NewReader(c, rtsp.DefaultLimits)
		var p rtsp.Response
		for rd.ReadResponse(&p) == nil {
			if p.Status == 500 {
				t.Fatalf("a fault of ours: %+v", p)
			}
		}
		c.Close()
	})
}
