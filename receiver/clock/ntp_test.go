package clock

import (
	"context"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestPacketForm(t *testing.T) {
	q := Packet{Transmit: 0x83c117ccafba9b32}
	const want = "80d20007000000000000000000000000000000000000000083c117ccafba9b32"
	if got := hex.EncodeToString(q.AppendTo(nil)); got != want {
		t.Errorf("request %s, want %s", got, want)
	}
	r := Packet{Reply: true, Origin: 1, Receive: 2, Transmit: 3}
	if back, ok := ParsePacket(r.AppendTo(nil)); !ok || back != r {
		t.Errorf("reply became %+v, %v", back, ok)
	}
	for _, bad := range []string{"", "80d2", "80d4000700000000000000000000000000000000000000000000000000000000", "00d20007000000000000000000000000000000000000000083c117ccafba9b32"} {
		b, _ := hex.DecodeString(bad)
		if p, ok := ParsePacket(b); ok {
			t.Errorf("%s parsed as %+v", bad, p)
		}
	}
}

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func addr(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// Client and responder over loopback: the estimate is what it should be
// within its own bound, and the bound is small.
func TestClientAndResponder(t *testing.T) {
	const ahead = 17 * time.Minute
	phone := listen(t)
	go Respond(phone, func() Remote { return Remote(Now()).Add(ahead) })
	var s Sender
	ctx, cancel := context.WithCancel(t.Context())
	c := &Client{Conn: listen(t), Peer: addr(phone), Clock: &s, Now: Now}
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	for {
		if n, _ := s.Answers(); n >= 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	e := s.Estimate()
	wrong := e.ToRemote(e.Local).Sub(Remote(e.Local).Add(ahead))
	if wrong.Abs() > e.Error || e.Error > 50*time.Millisecond {
		t.Errorf("off by %v, bound %v", wrong, e.Error)
	}
	cancel()
	<-done
}

// Answers that were not asked for, that are repeated or that come from
// elsewhere are not used.
func TestClientIgnoresStrangers(t *testing.T) {
	phone, stranger := listen(t), listen(t)
	var s Sender
	c := &Client{Conn: listen(t), Peer: addr(phone), Clock: &s, Now: Now}
	go c.Run(t.Context())
	buf := make([]byte, 64)
	n, from, err := phone.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := ParsePacket(buf[:n])
	send := func(conn *net.UDPConn, p Packet) {
		if _, err := conn.WriteToUDPAddrPort(p.AppendTo(nil), from); err != nil {
			t.Fatal(err)
		}
	}
	stamp := Remote(Now()).NTP()
	send(phone, Packet{Reply: true, Origin: q.Transmit + 1, Receive: stamp, Transmit: stamp})
	send(phone, Packet{Reply: true, Origin: 0, Receive: stamp, Transmit: stamp})
	send(phone, Packet{Origin: q.Transmit})
	send(phone, Packet{Reply: true, Origin: q.Transmit, Receive: stamp, Transmit: stamp})
	send(phone, Packet{Reply: true, Origin: q.Transmit, Receive: stamp, Transmit: stamp})
	// The next request is answered as well; once it has been used, all before
	// it have been looked at.
	n, _, err = phone.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	q, _ = ParsePacket(buf[:n])
	stamp = Remote(Now()).NTP()
	send(phone, Packet{Reply: true, Origin: q.Transmit, Receive: stamp, Transmit: stamp})
	for used, refused := s.Answers(); used+refused < 2; used, refused = s.Answers() {
		time.Sleep(time.Millisecond)
	}
	if used, refused := s.Answers(); used != 2 || refused != 0 {
		t.Errorf("%d exchanges used, %d refused", used, refused)
	}
	_ = stranger
}

func FuzzPacket(f *testing.F) {
	q := Packet{Transmit: 5}
	f.Add(q.AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := ParsePacket(b); ok {
			if back, ok := ParsePacket(p.AppendTo(nil)); !ok || back != p {
				t.Fatalf("%+v became %+v", p, back)
			}
		}
	})
}
