package audio

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"aerie/receiver/clock"
)

func loopback(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// sender plays the other side: it sends packets, loses some of them on
// purpose and answers resend requests if told to.
type sender struct {
	t       *testing.T
	data    netip.AddrPort
	control netip.AddrPort
	out     *net.UDPConn // data
	ctl     *net.UDPConn // control
	cipher  *Cipher
}

func (s *sender) wire(n int) []byte {
	d := packet(n)
	d.Payload = append([]byte(nil), d.Payload...)
	for len(d.Payload) < 40 {
		d.Payload = append(d.Payload, byte(n))
	}
	s.cipher.Encrypt(d.Payload)
	return d.AppendTo(nil)
}

func (s *sender) send(n int) {
	if _, err := s.out.WriteToUDPAddrPort(s.wire(n), s.data); err != nil {
		s.t.Error(err)
	}
}

func (s *sender) answer() {
	buf := make([]byte, 64)
	for {
		n, from, err := s.ctl.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		r, ok := ParseResend(buf[:n])
		if !ok {
			continue
		}
		for i := range int(r.Many) {
			_, _ = s.ctl.WriteToUDPAddrPort(AppendResendReply(nil, s.wire(int(r.First)+i)), from)
		}
	}
}

func TestPortsOverLoopback(t *testing.T) {
	for name, answers := range map[string]bool{"answering sender": true, "silent sender": false} {
		t.Run(name, func(t *testing.T) {
			key, iv := [16]byte{1}, [16]byte{2}
			data, control, err := ListenPair(netip.MustParseAddr("127.0.0.1"), 0)
			if err != nil {
				t.Fatal(err)
			}
			s := &sender{t: t, data: data.LocalAddr().(*net.UDPAddr).AddrPort(), control: control.LocalAddr().(*net.UDPAddr).AddrPort(), cipher: NewCipher(key, iv)}
			s.out, _ = loopback(t)
			var ctlAddr netip.AddrPort
			s.ctl, ctlAddr = loopback(t)
			if answers {
				go s.answer()
			}
			p := &Ports{Stream: NewStream(eld, NewCipher(key, iv)), Data: data, Control: control, Peer: ctlAddr, Clock: &clock.Sender{}, Now: clock.Now}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() { p.Run(ctx); close(done) }()

			sync := Sync{First: true, RTP: 0, At: clock.Remote(time.Hour), Newest: 7497}
			if _, err := s.ctl.WriteToUDPAddrPort(sync.AppendTo(nil), s.control); err != nil {
				t.Fatal(err)
			}
			const count = 120
			for n := range count {
				if n%7 != 3 || n > count-5 {
					s.send(n)
				}
			}
			want := count
			if !answers {
				want = count - 17 // the lost ones
			}
			got := map[int]bool{}
			buf := make([]byte, MaxPacket)
			for last := -1; last < count-1; {
				pkt, state := p.Stream.Next(buf)
				switch state {
				case Empty:
					time.Sleep(time.Millisecond)
				case Missing:
					if !answers {
						p.Stream.Skip()
					}
					time.Sleep(time.Millisecond)
				case Ready:
					last = int(binary.BigEndian.Uint32(pkt.Payload[6:]))
					if got[last] || pkt.Frame != int64(last*480) || len(pkt.Payload) != 40 || pkt.Payload[39] != byte(last) {
						t.Fatalf("packet %d at frame %d, %d bytes", last, pkt.Frame, len(pkt.Payload))
					}
					got[last] = true
				}
			}
			if len(got) != want {
				t.Errorf("%d packets heard, want %d", len(got), want)
			}
			if a, ok := p.Stream.Anchor(); !ok || a.Lead != 7497 || a.Frame != 0 || a.At != clock.Remote(time.Hour) {
				t.Errorf("anchor %+v, %v", a, ok)
			}
			if answers && p.Stream.Counts.Recovered.Value() != 17 {
				t.Errorf("%d recovered, %d requested", p.Stream.Counts.Recovered.Value(), p.Stream.Counts.Requested.Value())
			}
			if !answers && p.Stream.Counts.Lost.Value() != 17 {
				t.Errorf("%d lost", p.Stream.Counts.Lost.Value())
			}
			cancel()
			<-done
		})
	}
}

func TestStrangersAreNotHeard(t *testing.T) {
	data, control, err := ListenPair(netip.MustParseAddr("127.0.0.1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &Ports{Stream: NewStream(eld, nil), Data: data, Control: control, Peer: netip.MustParseAddrPort("127.0.0.9:5"), Clock: &clock.Sender{}, Now: clock.Now}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	out, _ := loopback(t)
	for p.Stream.Counts.Strangers.Value() == 0 {
		d := packet(1)
		_, _ = out.WriteToUDPAddrPort(d.AppendTo(nil), data.LocalAddr().(*net.UDPAddr).AddrPort())
		time.Sleep(time.Millisecond)
	}
	cancel()
	<-done
	if p.Stream.Counts.Received.Value() != 0 {
		t.Error("a stranger was heard")
	}
}

func TestAnchorBeforeTheFirstSync(t *testing.T) {
	s := NewStream(eld, nil)
	if _, ok := s.Anchor(); ok {
		t.Error("an anchor out of nothing")
	}
	s.Put(packet(10), clock.Remote(5e9), 200*time.Millisecond)
	if a, ok := s.Anchor(); !ok || a.Frame != 4800 || a.At != clock.Remote(5200e6) {
		t.Errorf("%+v", a)
	}
	s.Sync(Sync{RTP: 4000, At: clock.Remote(6e9), Newest: 11497})
	s.Put(packet(11), clock.Remote(9e9), 200*time.Millisecond)
	if a, _ := s.Anchor(); a.Frame != 4000 || a.At != clock.Remote(6e9) || a.Lead != 7497 {
		t.Errorf("%+v", a)
	}
}

func TestFixedPorts(t *testing.T) {
	var data, control *net.UDPConn
	var base int
	var err error
	for range 20 { // another process may take the port meanwhile
		free, addr := loopback(t)
		base = int(addr.Port())
		free.Close()
		if data, control, err = ListenPair(netip.MustParseAddr("127.0.0.1"), base); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	defer control.Close()
	if got := control.LocalAddr().(*net.UDPAddr).Port; got != base+1 {
		t.Errorf("control port %d beside %d", got, base)
	}
	if _, _, err := ListenPair(netip.MustParseAddr("127.0.0.1"), base); err == nil {
		t.Error("the same ports twice")
	}
}
