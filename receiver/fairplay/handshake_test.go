package fairplay

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// message1 returns an m1 as senders send it.
func message1(mode byte) []byte {
	return []byte{'F', 'P', 'L', 'Y', 3, 1, 1, 0, 0, 0, 0, 4, 2, 0, mode, 0xbb}
}

// TestM2 compares the four replies with the digests of the recorded ones
// (reference section 6).
func TestM2(t *testing.T) {
	for mode, want := range []string{
		"8e1a11ea61e4c397f30480910786893aaebb5bff59bf2074db9d7e84fda49dbc",
		"e3730ce34481b93312c97ecbebe5b2128ee16a8e4d0140e89904ac9ff7509df3",
		"c6ab6f9488d29f4c7ec395981cdd12f14a5fa5c51ce61ae6ce43c570f7eae989",
		"8c53e03e2a08e23558e48287851d1cf39297039a7a60bf906a582e22c92f826b",
	} {
		h, log := newHandshake()
		m2, err := h.Reply(message1(byte(mode)))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(m2)
		equal(t, "digest of m2", sum[:], unhex(t, want))
		if len(m2) != m2Size || log.Len() > 0 {
			t.Errorf("mode %d: %d bytes, log %q", mode, len(m2), log)
		}
	}
}

// TestReplyRejects goes through the refusals of FairPlay reference section 9,
// each of which must name its reason and leave the handshake as it was.
func TestReplyRejects(t *testing.T) {
	v := loadVectors(t).Exchanges[0]
	change := func(message []byte, at int, to byte) []byte {
		b := append([]byte(nil), message...)
		b[at] = to
		return b
	}
	m1, m3 := message1(0), []byte(v.M3)
	for _, c := range []struct {
		name string
		body []byte
		want string
	}{
		{"nothing", nil, "0 bytes"},
		{"m1 cut", m1[:15], "15 bytes"},
		{"m1 and a byte", append(m1[:16:16], 0), "17 bytes"},
		{"m3 cut", m3[:163], "163 bytes"},
		{"m3 and a byte", append(m3[:164:164], 0), "165 bytes"},
		{"m1 magic", change(m1, 3, 'y'), "begins with"},
		{"m3 magic", change(m3, 0, 0), "begins with"},
		{"m1 version 2", change(m1, 4, 2), "version 2"},
		{"m3 version 2", change(m3, 4, 2), "version 2"},
		{"m1 byte 5", change(m1, 5, 0), "type 000100"},
		{"m1 number 3", change(m1, 6, 3), "type 010300"},
		{"m3 number 1", change(m3, 6, 1), "type 010100"},
		{"m3 number 4", change(m3, 6, 4), "type 010400"},
		{"m1 byte 7", change(m1, 7, 1), "type 010101"},
		{"m1 length", change(m1, 11, 5), "announces 5"},
		{"m1 length high", change(m1, 8, 0xff), "announces 4278190084"},
		{"m3 length", change(m3, 11, 0x97), "announces 151"},
		{"m1 mode 4", change(m1, 14, 4), "mode 4"},
		{"m1 mode 255", change(m1, 14, 255), "mode 255"},
		{"m3 mode 4", change(m3, 12, 4), "mode 4"},
		{"m3 mode 255", change(m3, 12, 255), "mode 255"},
	} {
		h, _ := newHandshake()
		if _, err := h.Reply(m3); err != nil {
			t.Fatal(err)
		}
		reply, err := h.Reply(c.body)
		if err == nil || !strings.Contains(err.Error(), c.want) || reply != nil {
			t.Errorf("%s: reply %x, error %v, want one with %q", c.name, reply, err, c.want)
		}
		if key, _, err := h.SessionKey(v.EKey); err != nil || string(key[:]) != string(v.Key) {
			t.Errorf("%s: the handshake before it is lost: key %x, error %v", c.name, key, err)
		}
	}
}

// TestReplyAccepts goes through what section 9 accepts and logs.
func TestReplyAccepts(t *testing.T) {
	v := loadVectors(t).Exchanges[0]
	change := func(message []byte, at int) []byte {
		b := append([]byte(nil), message...)
		b[at] ^= 0x55
		return b
	}
	m1, m3 := message1(0), []byte(v.M3)
	for _, c := range []struct {
		name   string
		bodies [][]byte
		want   string
	}{
		{"m3 alone", [][]byte{m3}, "without a message 1"},
		{"another mode", [][]byte{message1(1), m3}, "another mode"},
		{"m1 byte 12", [][]byte{change(m1, 12), m3}, "message 1 ends unusually"},
		{"m1 byte 13", [][]byte{change(m1, 13), m3}, "message 1 ends unusually"},
		{"m1 byte 15", [][]byte{change(m1, 15), m3}, "message 1 ends unusually"},
		{"m3 byte 13", [][]byte{m1, change(m3, 13)}, "message 3 begins unusually"},
		{"m3 byte 14", [][]byte{m1, change(m3, 14)}, "message 3 begins unusually"},
		{"m3 byte 15", [][]byte{m1, change(m3, 15)}, "message 3 begins unusually"},
		{"as usual", [][]byte{m1, m3}, ""},
	} {
		h, log := newHandshake()
		for _, body := range c.bodies {
			if _, err := h.Reply(body); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if !strings.Contains(log.String(), c.want) || c.want == "" && log.Len() > 0 {
			t.Errorf("%s: log %q, want %q", c.name, log, c.want)
		}
		key, verified, err := h.SessionKey(v.EKey)
		if err != nil || !verified || string(key[:]) != string(v.Key) {
			t.Errorf("%s: key %x, verified %v, error %v", c.name, key, verified, err)
		}
	}
}

func TestSessionKeyRejects(t *testing.T) {
	v := loadVectors(t).Exchanges[0]
	change := func(at int, to byte) []byte {
		b := append([]byte(nil), v.EKey...)
		b[at] = to
		return b
	}
	for _, c := range []struct {
		name string
		ekey []byte
		want string
	}{
		{"nothing", nil, "0 bytes"},
		{"cut", v.EKey[:71], "71 bytes"},
		{"and a byte", append(v.EKey[:72:72], 0), "73 bytes"},
		{"magic", change(0, 'f'), "begins with"},
		{"length", change(11, 0x3d), "announces 61"},
		{"length high", change(8, 0x80), "announces 2147483708"},
		{"key length", change(35, 0x20), "32 bytes"},
		{"key length high", change(32, 1), "16777232 bytes"},
	} {
		h, _ := newHandshake()
		if _, err := h.Reply(v.M3); err != nil {
			t.Fatal(err)
		}
		_, verified, err := h.SessionKey(c.ekey)
		if err == nil || !strings.Contains(err.Error(), c.want) || verified {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}

	h, log := newHandshake()
	if _, _, err := h.SessionKey(v.EKey); err == nil {
		t.Error("a key without a handshake")
	}
	if _, err := h.Reply(v.M3); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Reply(message1(3)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.SessionKey(v.EKey); err == nil {
		t.Error("a new message 1 leaves the old message 3 in force")
	}
	if _, err := h.Reply(v.M3); err != nil {
		t.Fatal(err)
	}
	if _, verified, err := h.SessionKey(change(5, 9)); err != nil || verified || !strings.Contains(log.String(), "unusual kind") {
		t.Errorf("ekey of another kind: verified %v, error %v, log %q", verified, err, log)
	}
}

// TestCheckCoversKey shows that no bit of the check value, of what it covers
// or of the key can be changed unnoticed.
func TestCheckCoversKey(t *testing.T) {
	v := loadVectors(t).Exchanges[0]
	h, log := newHandshake()
	if _, err := h.Reply(v.M3); err != nil {
		t.Fatal(err)
	}
	for at := 12; at < ekeySize; at++ {
		if at >= 32 && at < 36 {
			continue // the length of the key, which has one value
		}
		ekey := append([]byte(nil), v.EKey...)
		ekey[at] ^= 0x10
		if _, verified, err := h.SessionKey(ekey); err != nil || verified {
			t.Errorf("byte %d changed: verified %v, error %v", at, verified, err)
		}
	}
	if !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("log %q", log)
	}
}

// TestNotesAreBounded shows that a connection cannot fill the log with
// oddities.
func TestNotesAreBounded(t *testing.T) {
	h, log := newHandshake()
	odd := message1(0)
	odd[15] = 0
	for range 1000 {
		if _, err := h.Reply(odd); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != maxNotes {
		t.Errorf("%d lines in the log, want %d", n, maxNotes)
	}
}

func FuzzReply(f *testing.F) {
	v := loadVectors(f)
	f.Add(message1(3))
	for _, e := range v.Exchanges[:4] {
		f.Add([]byte(e.M3))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		h, _ := newHandshake()
		reply, err := h.Reply(body)
		switch {
		case err != nil && reply != nil:
			t.Error("a reply beside an error")
		case err != nil:
		case len(body) == m1Size && len(reply) != m2Size, len(body) == m3Size && len(reply) != m4Size:
			t.Errorf("%d bytes answered with %d", len(body), len(reply))
		case len(body) == m3Size:
			if _, _, err := h.SessionKey(v.Exchanges[0].EKey); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzSessionKey(f *testing.F) {
	v := loadVectors(f)
	for _, e := range v.Exchanges[:4] {
		f.Add([]byte(e.M3), []byte(e.EKey))
	}
	f.Fuzz(func(t *testing.T, m3, ekey []byte) {
		h, _ := newHandshake()
		_, replyErr := h.Reply(m3)
		key, verified, err := h.SessionKey(ekey)
		if err != nil && (verified || key != [16]byte{}) {
			t.Error("a key beside an error")
		}
		if err == nil && (replyErr != nil || len(m3) != m3Size) {
			t.Error("a key without a handshake")
		}
	})
}
