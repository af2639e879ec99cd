package audio

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// feed writes pieces to a connection, each after a while, and closes it.
func feed(t *testing.T, pieces ...func(net.Conn)) *records {
	t.Helper()
	ours, theirs := net.Pipe()
	fed := make(chan struct{})
	t.Cleanup(func() { ours.Close(); <-fed })
	go func() {
		defer close(fed)
		defer theirs.Close()
		for _, piece := range pieces {
			piece(theirs)
		}
	}()
	return newRecords(ours)
}

func write(b string) func(net.Conn) { return func(c net.Conn) { _, _ = c.Write([]byte(b)) } }

func silence(d time.Duration) func(net.Conn) { return func(net.Conn) { time.Sleep(d) } }

// Records come together, in pieces, and after an hour of silence.
func TestRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := feed(t, write("\x00\x05abc\x00\x04de\x00"), silence(packetStall-time.Second), write("\x06f"), silence(packetStall-time.Second), write("ghi"),
			silence(time.Hour), write("\x00\x03j"))
		for _, want := range []string{"abc", "de", "fghi", "j"} {
			packet, n, err := in.next()
			if string(packet) != want || n != len(want)+2 || err != nil {
				t.Fatalf("%q of %d bytes, %v, want %q", packet, n, err, want)
			}
			in.skip(n)
		}
		if _, _, err := in.next(); err != io.EOF {
			t.Error(err)
		}
	})
}

// Only between two records may a sender stop or end.
func TestBrokenRecords(t *testing.T) {
	for name, c := range map[string]struct {
		pieces []func(net.Conn)
		want   string
	}{
		"ends in a length": {[]func(net.Conn){write("\x00")}, io.ErrUnexpectedEOF.Error()},
		"ends in a packet": {[]func(net.Conn){write("\x00\x05a")}, io.ErrUnexpectedEOF.Error()},
		"stops":            {[]func(net.Conn){write("\x00\x05a"), silence(packetStall + time.Second)}, "stopped within a packet"},
		"empty":            {[]func(net.Conn){write("\x00\x02")}, "record of 2 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if _, _, err := feed(t, c.pieces...).next(); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
			})
		})
	}
}

// endless is a connection on which the longest record comes again and again.
type endless struct {
	net.Conn
	record []byte
	at     int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		m := copy(b[n:], e.record[e.at:])
		n, e.at = n+m, (e.at+m)%len(e.record)
	}
	return n, nil
}

func (*endless) SetReadDeadline(time.Time) error { return nil }

func TestRecordsDoNotAllocate(t *testing.T) {
	in := newRecords(&endless{record: append([]byte{0xff, 0xff}, bytes.Repeat([]byte{7}, 0xffff-2)...)})
	if n := testing.AllocsPerRun(200, func() {
		packet, n, err := in.next()
		if err != nil || len(packet) != 0xffff-2 || packet[0] != 7 {
			t.Fatal(len(packet), err)
		}
		in.skip(n)
	}); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}
