package audio

import (
	"aerie/receiver/clock"
	"aerie/receiver/metric"
)

// queueSize is how many packets the queue spans: 4 s of ALAC at 352 frames a
// packet, more than senders send ahead of time (1.75 s, some 2 s) and the
// latency on top. A power of two.
const queueSize = 512

// Counts counts what happened to packets. All fields may be read at any time.
type Counts struct {
	Received  metric.Counter // packets of sound, copies included
	Copies    metric.Counter // were here already
	Late      metric.Counter // came after their turn
	Overrun   metric.Counter // dropped unheard, for a newer one needed their place
	Requested metric.Counter // asked for again
	Recovered metric.Counter // came after that
	Lost      metric.Counter // never came in time
	Malformed metric.Counter // no packet of any kind
	Refused   metric.Counter // did not verify, or were another packet before
	Strangers metric.Counter // from another address than the sender's
}

// queue puts packets in order. Its span is a window of queueSize sequence
// numbers that begins with the next packet to be taken.
type queue struct {
	slots   [queueSize]slot
	started bool
	next    uint16 // sequence number of the next packet to be taken
	end     uint16 // one behind the newest packet seen
	holes   int    // packets missing between the two
	counts  *Counts
}

type slot struct {
	full  bool
	asked uint8      // how often it was requested
	since clock.Time // when that was last, or when it was first seen to be missing
	rtp   uint32
	size  int
	data  []byte
}

// init makes room for payloads of up to size bytes.
func (q *queue) init(counts *Counts, size int) {
	q.counts = counts
	room := make([]byte, queueSize*size)
	for i := range q.slots {
		q.slots[i].data = room[i*size : (i+1)*size : (i+1)*size]
	}
}

// distance returns by how much sequence number b is ahead of a, across the
// wrap at 65536.
func distance(a, b uint16) int { return int(int16(b - a)) }

func (q *queue) slot(seq uint16) *slot { return &q.slots[seq%queueSize] }

// put stores a packet, and tells whether it was new.
func (q *queue) put(seq uint16, rtp uint32, payload []byte) bool {
	q.counts.Received.Inc()
	if !q.started {
		q.restart(seq)
	}
	ahead := distance(q.next, seq)
	switch {
	case ahead < -queueSize || ahead >= 2*queueSize:
		// So far away that it is another beginning, not a late packet.
		q.counts.Overrun.Add(uint64(q.held()))
		q.restart(seq)
	case ahead < 0:
		q.counts.Late.Inc()
		return false
	case ahead >= queueSize:
		// Full, for its reader does not read: the oldest goes.
		for distance(q.next, seq) >= queueSize {
			q.counts.Overrun.Inc()
			q.drop()
		}
	}
	s := q.slot(seq)
	if s.full {
		q.counts.Copies.Inc()
		return false
	}
	if s.asked > 0 {
		q.counts.Recovered.Inc()
	}
	s.full, s.rtp = true, rtp
	s.size = copy(s.data[:], payload)
	if beyond := distance(q.end, seq); beyond >= 0 {
		q.end = seq + 1
		q.holes += beyond
	} else {
		q.holes--
	}
	return true
}

func (q *queue) restart(seq uint16) {
	for i := range q.slots {
		q.slots[i].clear()
	}
	q.started, q.next, q.end, q.holes = true, seq, seq, 0
}

// held returns how many packets wait.
func (q *queue) held() (n int) {
	for i := range q.slots {
		if q.slots[i].full {
			n++
		}
	}
	return n
}

// drop gives up the next packet, whether it is there or not.
func (q *queue) drop() {
	s := q.slot(q.next)
	if q.next != q.end && !s.full {
		q.holes--
	}
	s.clear()
	q.next++
	if distance(q.next, q.end) < 0 {
		q.end = q.next
	}
}

func (s *slot) clear() { s.full, s.asked, s.since = false, 0, 0 }

// peek returns the next packet; nil if it is not there. Missing tells that
// later ones are.
func (q *queue) peek() (s *slot, missing bool) {
	if !q.started {
		return nil, false
	}
	if s = q.slot(q.next); s.full {
		return s, false
	}
	return nil, q.next != q.end
}

// flush drops everything before seq.
func (q *queue) flush(seq uint16) {
	if !q.started {
		return
	}
	if n := distance(q.next, seq); n < 0 || n > queueSize {
		q.started = false
		q.restart(seq)
		return
	}
	for q.next != seq {
		q.drop()
	}
}

// gaps calls ask for runs of packets that are missing, and returns whether any
// is. Each is asked for at once, again at intervals, and limit times in all.
// Packets within recent of the newest wait for an interval first: they may
// have changed places, and of redundant sound the copies are on their way.
func (q *queue) gaps(now clock.Time, recent int, ask func(first uint16, many int)) (open bool) {
	if q.holes == 0 {
		return false
	}
	first, many := uint16(0), 0
	flush := func() {
		if many > 0 {
			q.counts.Requested.Add(uint64(many))
			ask(first, many)
		}
		many = 0
	}
	for seq := q.next; seq != q.end; seq++ {
		s := q.slot(seq)
		if s.full || !s.due(now, distance(seq, q.end) <= recent) {
			flush()
			continue
		}
		if many == 0 {
			first = seq
		}
		s.asked++
		s.since = now
		many++
	}
	flush()
	return true
}

// due tells whether a missing packet is to be asked for.
func (s *slot) due(now clock.Time, recent bool) bool {
	if s.since == 0 {
		s.since = now
	}
	if s.asked == 0 && !recent {
		return true
	}
	return s.asked < resendLimit && now.Sub(s.since) >= resendInterval
}
