package audio

import (
	"sync"
	"time"

	"aerie/receiver/clock"
)

// Anchor ties frames to the sender's clock: Frame is heard at the instant At.
type Anchor struct {
	Frame int64 // as in Packet
	At    clock.Remote
	Lead  int // frames between this one and the newest that was sent then
}

// Heard returns when a frame is heard, at a rate of frames a second.
func (a *Anchor) Heard(frame int64, rate int) clock.Remote {
	return a.At.Add(time.Duration(frame-a.Frame) * time.Second / time.Duration(rate))
}

// Packet is one packet in its turn.
type Packet struct {
	// Frame is the number of its first frame: the RTP time stamp, continued
	// beyond 32 bits.
	Frame   int64
	Payload []byte // in the memory that Next was given; decrypted
	Silent  bool   // holds no sound on purpose
	Epoch   int    // changes when the decoder must start anew
}

// State is what Next found.
type State uint8

// States.
const (
	Empty   State = iota // nothing is there
	Ready                // a packet
	Missing              // this one is not, later ones are
	Changed              // the next packet is of another format
)

// resend timing: a packet is asked for as soon as it is clear that it did not
// just change places with its neighbour, and again while there is no answer.
const (
	resendInterval = 40 * time.Millisecond
	resendLimit    = 8
	// How far behind the newest packet a missing one is not asked for yet.
	// Redundant sound is sent in the order 0 0 1 0 1 2 1 2 3 ...: when packet
	// n+2 first appears, the last copy of n was sent.
	recentSpan    = 2
	redundantSpan = 3
)

// Stream is one stream of sound between its two ports and its reader. It is
// safe for concurrent use.
type Stream struct {
	Format    Format
	Redundant bool // packets are sent several times
	Classic   bool // of a sender of sound alone (reference section 14)
	Counts    Counts
	cipher    *Cipher

	mu       sync.Mutex
	q        queue
	epoch    int
	anchor   Anchor
	anchored bool
	syncs    anchorFilter
	timeline Timeline // of anchors by PTP
	clock    uint64   // whose time the anchor is, where on is set
	on       bool
	counter  frameCounter
	floor    int64 // frames before this one were flushed
	requests uint16
}

// NewStream makes a stream; cipher nil is for sound in the clear.
func NewStream(f Format, cipher *Cipher) *Stream {
	s := &Stream{Format: f, cipher: cipher}
	s.q.init(&s.Counts, f.MaxPayload())
	return s
}

// SetTimeline tells what the clocks of anchors by PTP are; it is called before
// the first packet.
func (s *Stream) SetTimeline(t Timeline) { s.timeline = t }

// Put takes a packet from the network, which is decrypted in place. Before
// the first sync packet, the arrival of the first packet stands for one: its
// sound is heard delay after at. It returns when the first frame of the packet
// is heard, and whether the packet is new.
func (s *Stream) Put(d Data, at clock.Remote, delay time.Duration) (heard clock.Remote, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.cipher.verify(&d) {
		s.Counts.Refused.Inc()
		return 0, false
	}
	frame := s.counter.next(d.RTP)
	if !s.anchored {
		s.anchored = true
		s.anchor = Anchor{Frame: frame, At: at.Add(delay)}
	}
	quiet := silent(d.Payload)
	if !quiet {
		s.cipher.Decrypt(d.Payload)
	}
	if quiet {
		d.Payload = nil
	}
	fresh = s.q.put(d.Seq, d.RTP, d.Payload)
	a, ok := s.placed()
	if !ok {
		return at, false // nothing is known of that clock yet
	}
	return a.Heard(frame, s.Format.Rate), fresh
}

// Sync takes a sync packet.
func (s *Stream) Sync(p Sync) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anchored = true
	a := Anchor{Frame: s.counter.next(p.RTP), At: p.At, Lead: int(int32(p.Newest - p.RTP))}
	if s.on, s.clock = p.PTP, p.Clock; p.PTP {
		s.anchor = a // the clock is measured, and has no tremble of its own
		return
	}
	if s.Classic && p.Relaxed {
		a.At = a.At.Add(relaxedLatency(a.Lead))
	}
	s.anchor = s.syncs.add(a, p.First, s.Format.Rate)
}

// ClassicLatency is what a classic receiver adds to the lead of its sender, and
// tells it in the answer to RECORD: 11025 frames (reference section 11).
const ClassicLatency = 250 * time.Millisecond

// relaxedLatency is by how much later than a relaxed sync packet says its frame
// is heard. A sender without any lead gets twice as much: its packets come
// just when they are to be heard, if not later.
func relaxedLatency(lead int) time.Duration {
	if lead <= 0 {
		return 2 * ClassicLatency
	}
	return ClassicLatency
}

// Anchor returns the present anchor; ok is false before the first packet.
func (s *Stream) Anchor() (a Anchor, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.placed()
}

// placed returns the anchor, on the local clock where it is on a time line.
func (s *Stream) placed() (a Anchor, ok bool) {
	a = s.anchor
	if !s.on {
		return a, s.anchored
	}
	if s.timeline == nil {
		return a, false
	}
	local, ok := s.timeline.Local(s.clock, a.At)
	a.At = clock.Remote(local)
	return a, ok
}

// Waiting returns how many packets are here, or expected, before their turn.
func (s *Stream) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return distance(s.q.next, s.q.end)
}

// Postpone makes a frame that came too late the one that is heard at the
// instant at, and all after it with it.
func (s *Stream) Postpone(rtp uint32, at clock.Remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.anchored = true
	s.anchor = Anchor{Frame: s.counter.next(rtp), At: at}
}

// Next copies the next packet in its turn into buf, which holds
// Format.MaxPayload bytes, and takes it out of the queue.
func (s *Stream) Next(buf []byte) (Packet, State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		slot, missing := s.q.peek()
		if slot == nil {
			if missing {
				return Packet{Epoch: s.epoch}, Missing
			}
			return Packet{Epoch: s.epoch}, Empty
		}
		p := Packet{Frame: s.counter.peek(slot.rtp), Epoch: s.epoch, Silent: slot.size == 0}
		p.Payload = buf[:copy(buf, slot.data[:slot.size])]
		s.q.drop()
		if p.Frame+int64(s.Format.Frames) > s.floor {
			return p, Ready
		}
	}
}

// Skip gives up the missing packet that Next found.
func (s *Stream) Skip() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot, missing := s.q.peek(); slot == nil && missing {
		s.Counts.Lost.Inc()
		s.q.drop()
	}
}

// Upcoming returns the format, which does not change, and Accept is of no use:
// they are for streams where it does.
func (s *Stream) Upcoming() Format { return s.Format }
func (s *Stream) Accept()          {}

// Flush drops what waits: everything before the given packet, or everything
// if given is false. The decoder starts anew.
func (s *Stream) Flush(seq uint16, rtp uint32, given bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.syncs = anchorFilter{} // what comes next has a place of its own
	if given {
		s.q.flush(seq)
		s.floor = s.counter.next(rtp)
		return
	}
	s.q.started = false
}

// Requests calls send for each resend request that is due at the instant now
// and returns whether more may become due.
func (s *Stream) Requests(now clock.Time, send func(Resend)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	recent := recentSpan
	if s.Redundant {
		recent = redundantSpan
	}
	return s.q.gaps(now, recent, func(first uint16, many int) {
		s.requests++
		send(Resend{Count: s.requests, First: first, Many: uint16(many)})
	})
}
