package rtsp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// recordedKey is that of the sender in the recorded exchange (reference
// section 18.6).
const recordedKey = "d9fc62b5f6911a46ea169dca46859fddbb72f4a488174cd6835967674ba37c76"

const (
	recordedText = "OPTIONS * RTSP/1.0\r\nCSeq: 4\r\n\r\n"
	recordedOne  = "1f0019e3f59fff90efc7f550d1839a1e69828eca0e4593f9d40dd86c277adf2500cef23faafd94f3bba85eaa68b952a425"
	recordedTwo  = "1f00e375b60e2b8443358e7b05887f924f0a6c15b8d57fe01f1cc12ac63c8fa68f6fb4c678cbe13f74e01b35fbe2cf40e7"
)

// TestRecordedRecords writes and reads two records as they stand in the
// reference.
func TestRecordedRecords(t *testing.T) {
	key := [32]byte(unhex(t, recordedKey))
	want := unhex(t, recordedOne+recordedTwo)
	var b bytes.Buffer
	w := newRecords(nil, &b, [32]byte{}, key)
	for range 2 {
		if n, err := w.Write([]byte(recordedText)); n != len(recordedText) || err != nil {
			t.Fatal(n, err)
		}
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("wrote %x", b.Bytes())
	}
	got, err := io.ReadAll(newRecords(bytes.NewReader(want), nil, key, [32]byte{}))
	if err != nil || string(got) != recordedText+recordedText {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestRecordSizes sends texts of all sizes, and reads records larger than
// ours.
func TestRecordSizes(t *testing.T) {
	for _, n := range []int{1, recordText - 1, recordText, recordText + 1, 10 * recordText, 40*recordText + 7} {
		text := bytes.Repeat([]byte("airplay "), n/8+1)[:n]
		var b bytes.Buffer
		if done, err := newRecords(nil, &b, [32]byte{}, [32]byte{1}).Write(text); done != n || err != nil {
			t.Fatal(done, err)
		}
		if want := n + (n+recordText-1)/recordText*(recordHead+recordTag); b.Len() != want {
			t.Errorf("%d bytes became %d, want %d", n, b.Len(), want)
		}
		got, err := io.ReadAll(newRecords(&b, nil, [32]byte{1}, [32]byte{}))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("%d bytes: read %d, %v", n, len(got), err)
		}
	}
	text := make([]byte, 65535)
	d := newDirection([32]byte{1})
	large := d.aead.Seal([]byte{0xff, 0xff}, d.next(), text, []byte{0xff, 0xff})
	got, err := io.ReadAll(newRecords(bytes.NewReader(large), nil, [32]byte{1}, [32]byte{}))
	if err != nil || len(got) != len(text) {
		t.Errorf("the largest record: read %d, %v", len(got), err)
	}
}

// TestHostileRecords: what was changed, repeated, left out, cut off or is
// empty ends the connection, and nothing behind it is believed.
func TestHostileRecords(t *testing.T) {
	one, two := unhex(t, recordedOne), unhex(t, recordedTwo)
	change := func(at int) []byte {
		b := bytes.Clone(one)
		b[at] ^= 1
		return append(b, two...)
	}
	for name, c := range map[string]struct {
		wire []byte
		want error
		text int // records that are believed
	}{
		"changed length":     {change(0), ErrRecord, 0},
		"changed text":       {change(10), ErrRecord, 0},
		"changed tag":        {change(len(one) - 1), ErrRecord, 0},
		"repeated":           {bytes.Join([][]byte{one, one, two}, nil), ErrRecord, 1},
		"left out":           {two, ErrRecord, 0},
		"exchanged":          {bytes.Join([][]byte{two, one}, nil), ErrRecord, 0},
		"empty":              {append([]byte{0, 0}, make([]byte, 16)...), ErrRecord, 0},
		"in the clear":       {[]byte(recordedText), io.ErrUnexpectedEOF, 0},
		"half a length":      {one[:1], io.ErrUnexpectedEOF, 0},
		"a length":           {one[:2], io.ErrUnexpectedEOF, 0},
		"half a second":      {append(bytes.Clone(one), two[:20]...), io.ErrUnexpectedEOF, 1},
		"65535 bytes missed": {append([]byte{0xff, 0xff}, one...), io.ErrUnexpectedEOF, 0},
	} {
		r := newRecords(bytes.NewReader(c.wire), nil, [32]byte(unhex(t, recordedKey)), [32]byte{})
		got, err := io.ReadAll(r)
		if !errors.Is(err, c.want) || string(got) != strings.Repeat(recordedText, c.text) {
			t.Errorf("%s: read %q, %v", name, got, err)
		}
		if n, again := r.Read(make([]byte, 9)); n != 0 || again == nil {
			t.Errorf("%s: and then read %d bytes, %v", name, n, again)
		}
	}
}

// TestEncrypt changes a connection over between two messages, the second of
// which came with the first.
func TestEncrypt(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	c := NewConn(ours, DefaultLimits, DefaultTimeouts)
	read, write := [32]byte(unhex(t, recordedKey)), [32]byte{7}
	go func() {
		_, _ = theirs.Write(append([]byte("POST /pair-setup RTSP/1.0\r\nCSeq: 3\r\n\r\n"), unhex(t, recordedOne)...))
	}()
	var q Request
	if err := c.ReadRequest(&q); err != nil || q.Method != "POST" || c.Encrypted() {
		t.Fatal(q, err)
	}
	c.Encrypt(read, write)
	if err := c.ReadRequest(&q); err != nil || q.Method != "OPTIONS" || q.CSeq() != "4" || !c.Encrypted() {
		t.Fatal(q, err)
	}
	go func() { _ = c.WriteResponse(&Response{Proto: RTSP, Status: 200, Body: make([]byte, 3000)}) }()
	other := NewConn(theirs, DefaultLimits, DefaultTimeouts)
	other.Encrypt(write, read)
	var p Response
	if err := other.ReadResponse(&p); err != nil || p.Status != 200 || len(p.Body) != 3000 {
		t.Fatal(p.Status, err)
	}
}

// loop is a pipe that never blocks.
type loop struct{ bytes.Buffer }

func TestRecordsDoNotAllocate(t *testing.T) {
	var l loop
	w, r := newRecords(nil, &l, [32]byte{}, [32]byte{1}), newRecords(&l, nil, [32]byte{1}, [32]byte{})
	text := make([]byte, 3*recordText)
	l.Grow(8 * recordText)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(r, text); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations for three records", n)
	}
}

func FuzzRecords(f *testing.F) {
	f.Add(unhex(f, recordedOne+recordedTwo), uint8(1))
	f.Add([]byte{0, 0, 1}, uint8(9))
	f.Fuzz(func(t *testing.T, wire []byte, chunk uint8) {
		r := newRecords(bytes.NewReader(wire), nil, [32]byte(unhex(t, recordedKey)), [32]byte{})
		b := make([]byte, int(chunk)+1)
		for {
			n, err := r.Read(b)
			if err != nil {
				return
			}
			if n == 0 {
				t.Fatal(fmt.Sprintf("read nothing of %x", wire))
			}
		}
	})
}
