package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"aerie/receiver/clock"
)

var eld = Format{AACELD, 44100, 2, 16, 480}

// payload and time stamp of packet number n of a simulated sender.
func packet(n int) Data {
	return Data{Seq: uint16(n), RTP: uint32(n * 480), Payload: binary.BigEndian.AppendUint32([]byte("packet"), uint32(n))}
}

func number(p Packet) int { return int(binary.BigEndian.Uint32(p.Payload[6:])) }

// permuted returns the packets in the order of their keys.
func permuted(wire []Data, keys []int) []Data {
	index := make([]int, len(wire))
	for i := range index {
		index[i] = i
	}
	slices.SortStableFunc(index, func(a, b int) int { return keys[a] - keys[b] })
	out := make([]Data, len(wire))
	for i, from := range index {
		out[i] = wire[from]
	}
	return out
}

// Whatever the network does, the reader sees every packet at most once, in
// order, and exactly those that came in time. Sequence numbers and time stamps
// wrap on the way.
func TestOrder(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := NewStream(eld, nil)
		const first, count = 65536 - 300, 1200
		base := int(uint32(0xffffffff)-200*480) / 480 // time stamps wrap too
		var wire []Data
		for n := first; n < first+count; n++ {
			p := packet(n)
			p.RTP = uint32((base + n) * 480)
			if rng.IntN(10) > 0 || n == first {
				wire = append(wire, p)
			}
			if rng.IntN(5) == 0 {
				wire = append(wire, p) // a copy
			}
		}
		// Packets overtake up to seven others, though not the first.
		order := make([]int, len(wire))
		for i := range order {
			order[i] = i*8 + rng.IntN(64)
		}
		order[0] = -1
		wire = permuted(wire, order)
		buf := make([]byte, MaxPacket)
		var got []int
		var frames []int64
		lost, lostBetween := 0, 0
		for i, d := range wire {
			s.Put(Data{Seq: d.Seq, RTP: d.RTP, Marker: d.Marker, Payload: bytes.Clone(d.Payload)}, 0, 0)
			// The reader is 30 packets behind, as one that waits for sound to
			// be due.
			for i > 60 && distance(s.q.next, s.q.end) > 30 {
				p, state := s.Next(buf)
				if state == Missing {
					s.Skip()
					lost++
					continue
				}
				got, frames, lostBetween = append(got, number(p)), append(frames, p.Frame), lost
			}
			if n := holes(&s.q); n != s.q.holes {
				t.Fatalf("seed %d: %d holes counted, there are %d", seed, s.q.holes, n)
			}
		}
		sent := map[int]bool{}
		for _, d := range wire {
			sent[int(binary.BigEndian.Uint32(d.Payload[6:]))] = true
		}
		for i, n := range got {
			if !sent[n] {
				t.Fatalf("seed %d: packet %d out of nothing", seed, n)
			}
			if i > 0 && (n <= got[i-1] || frames[i]-frames[i-1] != int64(n-got[i-1])*480) {
				t.Fatalf("seed %d: packet %d at frame %d after %d at %d", seed, n, frames[i], got[i-1], frames[i-1])
			}
			delete(sent, n)
		}
		if last := got[len(got)-1]; lostBetween+len(got) != last-first+1 {
			t.Errorf("seed %d: %d heard and %d lost of %d", seed, len(got), lostBetween, last-first+1)
		}
		for n := range sent {
			if n < got[len(got)-1] {
				t.Errorf("seed %d: packet %d was sent in time and not heard", seed, n)
			}
		}
	}
}

func holes(q *queue) (n int) {
	for seq := q.next; seq != q.end; seq++ {
		if !q.slot(seq).full {
			n++
		}
	}
	return n
}

func TestQueueFullDropsTheOldest(t *testing.T) {
	s := NewStream(eld, nil)
	for n := range queueSize + 10 {
		s.Put(packet(n), 0, 0)
	}
	buf := make([]byte, MaxPacket)
	if p, state := s.Next(buf); state != Ready || number(p) != 10 {
		t.Errorf("state %v, packet %d", state, number(p))
	}
	if n := s.Counts.Overrun.Value(); n != 10 {
		t.Errorf("%d dropped", n)
	}
}

func TestLeap(t *testing.T) {
	s := NewStream(eld, nil)
	s.Put(packet(5), 0, 0)
	s.Put(packet(20000), 0, 0)
	buf := make([]byte, MaxPacket)
	if p, state := s.Next(buf); state != Ready || number(p) != 20000 {
		t.Errorf("state %v, packet %v", state, p)
	}
	if _, state := s.Next(buf); state != Empty {
		t.Error("something else is there")
	}
}

func TestFlush(t *testing.T) {
	s := NewStream(eld, nil)
	for n := range 20 {
		s.Put(packet(n), 0, 0)
	}
	s.Flush(12, 12*480, true)
	buf := make([]byte, MaxPacket)
	p, state := s.Next(buf)
	if state != Ready || number(p) != 12 || p.Epoch != 1 {
		t.Errorf("state %v, packet %d, epoch %d", state, number(p), p.Epoch)
	}
	s.Flush(0, 0, false)
	if _, state = s.Next(buf); state != Empty {
		t.Error("a flush of everything left something")
	}
	s.Put(packet(500), 0, 0)
	if p, state = s.Next(buf); state != Ready || number(p) != 500 || p.Epoch != 2 {
		t.Errorf("after the flush: state %v, packet %v", state, p)
	}
}

func TestResendRequests(t *testing.T) {
	s := NewStream(eld, nil)
	var asked []string
	ask := func(at int) bool {
		return s.Requests(clock.Time(at)*1e6, func(r Resend) { asked = append(asked, fmt.Sprintf("%d:%d+%d", r.Count, r.First, r.Many)) })
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if fmt.Sprint(asked) != fmt.Sprint(want) {
			t.Errorf("%s: asked %v, want %v", what, asked, want)
		}
		asked = nil
	}
	for _, n := range []int{0, 1, 3} {
		s.Put(packet(n), 0, 0)
	}
	if !ask(100) {
		t.Error("a gap is open and nothing is to come")
	}
	expect("2 may just have changed places with 3")
	s.Put(packet(4), 0, 0)
	ask(101)
	expect("two packets later", "1:2+1")
	ask(120)
	expect("too soon after that")
	s.Put(packet(9), 0, 0)
	s.Put(packet(10), 0, 0)
	ask(140)
	expect("a new gap, and 8 may have changed places with 9", "2:5+4")
	ask(142)
	expect("the old gap again", "3:2+1")
	s.Put(packet(2), 0, 0)
	s.Put(packet(6), 0, 0)
	ask(181)
	expect("what is still missing", "4:5+1", "5:7+2")
	s.Put(packet(12), 0, 0)
	ask(190)
	expect("11 may have changed places with 12")
	ask(230)
	expect("and nothing came for a while", "6:5+1", "7:7+2", "8:11+1")
	for i := range 20 {
		ask(1000 + i*100)
	}
	asked = nil
	ask(9000)
	expect("no end of asking")
	if n := s.Counts.Recovered.Value(); n != 2 {
		t.Errorf("%d recovered", n)
	}
	for range 100 {
		if _, state := s.Next(make([]byte, MaxPacket)); state == Missing {
			s.Skip()
		}
	}
	if ask(9999) {
		t.Error("more to come though nothing is missing")
	}
}

func TestNoAllocationPerPacket(t *testing.T) {
	s := NewStream(eld, NewCipher([16]byte{}, [16]byte{}))
	buf := make([]byte, MaxPacket)
	wire := make([]byte, 0, MaxPacket)
	n := 0
	body := make([]byte, 300)
	allocs := testing.AllocsPerRun(2000, func() {
		d := Data{Seq: uint16(n), RTP: uint32(n * 480), Payload: body}
		n++
		wire = d.AppendTo(wire[:0])
		if n%50 == 0 {
			return // lost
		}
		d, _ = ParseData(wire)
		s.Put(d, 0, 0)
		s.Requests(clock.Time(n)*11e6, func(Resend) {})
		if _, state := s.Next(buf); state == Missing {
			s.Skip()
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations a packet", allocs)
	}
}

func BenchmarkPacket(b *testing.B) {
	s := NewStream(eld, NewCipher([16]byte{}, [16]byte{}))
	buf, body := make([]byte, MaxPacket), make([]byte, 300)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		s.Put(Data{Seq: uint16(n), RTP: uint32(n * 480), Payload: body}, 0, 0)
		s.Next(buf)
	}
}
