package enrol

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCodes(t *testing.T) {
	issued, err := Issue(strings.NewReader("abcdefghijklmnopqrst"))
	if err != nil || issued.String() != "1234-5678-9ABC-DEFG-HJKM" || issued.Name != "1234" {
		t.Errorf("%q, %v", issued, err)
	}
	shown, err := Show(strings.NewReader("abcdefgh"))
	if err != nil || shown.String() != "1234-5678" || shown.Name != "" {
		t.Errorf("%q, %v", shown, err)
	}
	if _, err := Issue(strings.NewReader("abc")); err == nil {
		t.Error("a code without randomness")
	}
	for text, want := range map[string]Code{
		"1234-5678-9ABC-DEFG-HJKM": issued, "1234 5678 9abc defg hjkm": issued, "I2345678-9abcdefghjkm": issued, "l2345678": shown, "1234-5678": shown,
	} {
		if c, err := ParseCode(text); err != nil || c != want {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
	for _, text := range []string{"", "-", "1234", "1234-567", "1234-5678-9", "1234-567U", "1234-567é", strings.Repeat("1234-", 100)} {
		if c, err := ParseCode(text); !errors.Is(err, ErrMalformed) || strings.Contains(err.Error(), "567") {
			t.Errorf("%q: %v, %v", text, c, err)
		}
	}
	if Digest("1234-5678-9abc-defg-hjkm") != Digest(issued.String()) || Digest("1234-5678") == Digest(issued.String()) {
		t.Error("digests of codes")
	}
}

// A proof is good for one code, one request, one authority and one reply.
func TestProofs(t *testing.T) {
	code, _ := ParseCode("1234-5678")
	request := Request{Device: "tv", Name: "TV", Pool: "pool", CSR: []byte("csr")}
	reply := Reply{Certificate: []byte("cert"), CA: []byte("ca"), Broker: "mqtts://b:1"}
	seal := func(c Code, r Request, ca string) Seal {
		s, err := c.Seal(r, []byte(ca))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	device := seal(code, request, "ca")
	request.Proof, reply.Proof = device.Request(), device.Reply(reply)
	service := seal(code, request, "ca")
	if err := service.CheckRequest(request); err != nil {
		t.Error(err)
	}
	if err := service.CheckReply(reply); err != nil {
		t.Error(err)
	}
	if bytes.Equal(request.Proof, reply.Proof) {
		t.Error("one side's proof is the other's")
	}
	wrong, _ := ParseCode("1234-5679")
	for name, s := range map[string]Seal{
		"another code":      seal(wrong, request, "ca"),
		"another authority": seal(code, request, "CA"),
		"another device":    seal(code, Request{Device: "radio", Name: "TV", Pool: "pool", CSR: []byte("csr")}, "ca"),
		"another name":      seal(code, Request{Device: "tv", Name: "Radio", Pool: "pool", CSR: []byte("csr")}, "ca"),
		"another pool":      seal(code, Request{Device: "tv", Name: "TV", Pool: "loop", CSR: []byte("csr")}, "ca"),
		"another key":       seal(code, Request{Device: "tv", Name: "TV", Pool: "pool", CSR: []byte("CSR")}, "ca"),
		"a shifted name":    seal(code, Request{Device: "tvT", Name: "V", Pool: "pool", CSR: []byte("csr")}, "ca"),
	} {
		if err := s.CheckRequest(request); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.CheckReply(reply); !errors.Is(err, ErrProof) {
			t.Errorf("%s, reply: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Reply){
		"another certificate": func(r *Reply) { r.Certificate = []byte("CERT") }, "another authority": func(r *Reply) { r.CA = []byte("CA") },
		"another broker": func(r *Reply) { r.Broker = "mqtts://b:2" }, "no proof": func(r *Reply) { r.Proof = nil },
	} {
		r := reply
		change(&r)
		if err := service.CheckReply(r); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	code, _ := ParseCode("1234-5678")
	for b.Loop() {
		if _, err := code.Seal(Request{Device: "tv"}, nil); err != nil {
			b.Fatal(err)
		}
	}
}
