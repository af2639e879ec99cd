package phone

import (
	"math/rand/v2"
	"net"
	"slices"
	"testing"
	"time"

	"aerie/receiver/audio"
)

// A wire carries the packets of one soundStream, with ends to look at.
type wire struct {
	t             *testing.T
	a             *soundStream
	data, control *net.UDPConn // the receiver's ends
}

// newWire makes a stream that sends when the test says so. PCM has no copies
// of packets before.
func newWire(t *testing.T, o Options, copies int) *wire {
	t.Helper()
	w := &wire{t: t, data: listenUDP(t), control: listenUDP(t)}
	p := &Phone{o: o, group: newGroup(1)}
	src := tone(t, audio.PCM)
	w.a = &soundStream{p: p, src: src, f: src.Format(), cipher: audio.NewCipher(p.key, p.iv), control: listenUDP(t), first: 65000, copies: copies}
	w.a.rng = rand.New(rand.NewPCG(o.Seed, 1))
	var err error
	if w.a.data, err = net.DialUDP("udp", nil, w.data.LocalAddr().(*net.UDPAddr)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.a.data.Close() })
	return w
}

// send sends so many packets and returns what arrives, by the packet's number.
func (w *wire) send(packets int) (arrived []int) {
	w.t.Helper()
	var b [2048]byte
	for i := range packets {
		w.a.make(i)
		if err := w.a.send(i); err != nil {
			w.t.Fatal(err)
		}
		// One by one, so that no socket is too small for them.
		for int64(len(arrived)) < w.a.p.report.SoundPackets {
			arrived = append(arrived, w.read(w.data, b[:]))
		}
	}
	return arrived
}

func (w *wire) read(c *net.UDPConn, b []byte) int {
	w.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(b)
	if err != nil {
		w.t.Fatal(err)
	}
	d, ok := audio.ParseData(b[:n])
	if !ok {
		w.t.Fatalf("a packet of %d bytes that is none", n)
	}
	return int(d.Seq - w.a.first)
}

// faults counts what did not arrive and what arrived before its predecessor.
func faults(arrived []int, packets int) (lost, swapped int) {
	seen := make([]bool, packets)
	for i, n := range arrived {
		seen[n] = true
		if i > 0 && n < arrived[i-1] {
			swapped++
		}
	}
	for _, s := range seen[:packets-1] { // the last may wait for one more
		if !s {
			lost++
		}
	}
	return lost, swapped
}

// Packets are lost and change places as often as asked, the same ones with the
// same seed, and the report counts them.
func TestLossAndReordering(t *testing.T) {
	const packets = 2000
	for _, c := range []struct{ loss, reorder float64 }{{0, 0}, {0.1, 0}, {0, 0.1}, {0.3, 0.2}, {1, 0}} {
		o := Options{Loss: c.loss, Reorder: c.reorder, Seed: 7}
		w := newWire(t, o, 1)
		arrived := w.send(packets)
		lost, swapped := faults(arrived, packets)
		if r := &w.a.p.report; lost < int(r.SoundLost)-1 || lost > int(r.SoundLost) || r.SoundPackets != int64(len(arrived)) {
			t.Errorf("%+v: %d lost and %d arrived, reported %d and %d", c, lost, len(arrived), r.SoundLost, r.SoundPackets)
		}
		about := func(got int, want float64) bool { return float64(got) >= 0.8*want && float64(got) <= 1.2*want }
		if !about(lost, c.loss*packets) {
			t.Errorf("%+v: %d of %d lost", c, lost, packets)
		}
		// Of what is not lost, one is held and the next is not.
		if rest := (1 - c.loss) * packets; !about(swapped, rest*c.reorder/(1+c.reorder)) {
			t.Errorf("%+v: %d of %.0f changed places", c, swapped, rest)
		}
		if again := newWire(t, o, 1).send(packets); !slices.Equal(arrived, again) {
			t.Errorf("%+v: the same seed has another fate", c)
		}
		o.Seed++
		if other := newWire(t, o, 1).send(packets); c.loss > 0 && c.loss < 1 && slices.Equal(arrived, other) {
			t.Errorf("%+v: another seed has the same fate", c)
		}
	}
}

// Redundant sound comes as phones send it: each packet three times.
func TestCopies(t *testing.T) {
	arrived := newWire(t, Options{}, 3).send(5)
	if want := []int{0, 0, 1, 0, 1, 2, 1, 2, 3, 2, 3, 4}; !slices.Equal(arrived, want) {
		t.Errorf("%v, want %v", arrived, want)
	}
}

// Lost packets are sent again when asked for, as long as they are kept; a deaf
// phone does not hear.
func TestResend(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		w := newWire(t, Options{Deaf: deaf}, 1)
		w.send(keptPackets + 100)
		done := make(chan struct{})
		go func() { defer close(done); w.a.answer() }()
		ask := func(number, many int) {
			q := audio.Resend{First: w.a.first + uint16(number), Many: uint16(many)}
			if _, err := w.control.WriteToUDP(q.AppendTo(nil), w.a.control.LocalAddr().(*net.UDPAddr)); err != nil {
				t.Fatal(err)
			}
		}
		for _, noise := range []string{"", "x", "\x80\xd5\x00", "\x80\xd4\x00\x01\x00\x00\x00\x01"} {
			if _, err := w.control.WriteToUDP([]byte(noise), w.a.control.LocalAddr().(*net.UDPAddr)); err != nil {
				t.Fatal(err)
			}
		}
		ask(99, 1)                  // no longer kept
		ask(keptPackets+100, 65535) // not sent yet
		ask(200, 3)
		ask(keptPackets+99, 2) // the last, and one that is none
		var got []int
		for want := 4; !deaf && len(got) < want; {
			var b [2048]byte
			_ = w.control.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := w.control.Read(b[:])
			if err != nil {
				t.Fatalf("%d of %d came: %v", len(got), want, err)
			}
			d, ok := audio.ParseData(b[4:n]) // behind the header of a resend
			if !ok || b[1]&0x7f != 0x56 {
				t.Fatalf("%x is no packet that is sent again", b[:min(n, 16)])
			}
			got = append(got, int(d.Seq-w.a.first))
		}
		if want := []int{200, 201, 202, keptPackets + 99}; !deaf && !slices.Equal(got, want) {
			t.Errorf("sent again %v, want %v", got, want)
		}
		for range 1000 {
			if w.a.p.report.ResendAsked.Value() == 1+65535+3+2 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		w.a.control.Close()
		<-done
		sent, asked := w.a.p.report.ResendSent.Value(), w.a.p.report.ResendAsked.Value()
		if asked != 1+65535+3+2 || deaf && sent != 0 || !deaf && sent != 4 {
			t.Errorf("deaf %v: asked for %d, sent %d", deaf, asked, sent)
		}
	}
}
