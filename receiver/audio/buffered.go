package audio

import (
	"encoding/binary"
	"fmt"
	"sync"

	"aerie/receiver/clock"
)

// BufferSize is how much of a buffered stream waits to be heard at most, as
// senders are told: minutes of compressed sound (reference section 7.2). When
// it is full the connection is not read, and the sender waits.
const BufferSize = 8 << 20

// MaxBuffered is the largest packet of a buffered stream: a frame of lossless
// sound with 24 bits, 4096 samples long.
const MaxBuffered = 32 << 10

const (
	sequenceBits = 23
	sequenceMask = 1<<sequenceBits - 1
	maxFlushes   = 16 // that wait for their time; the oldest is forgotten
)

// Timeline turns instants of a clock of a group, named by its identity, into
// local ones. Package clock/ptp has one.
type Timeline interface {
	Local(timeline uint64, at clock.Remote) (clock.Time, bool)
}

// Buffered is a buffered stream between its connection and its reader: stream
// type 103 (reference section 15.2). It is safe for concurrent use.
type Buffered struct {
	Counts Counts

	cipher   *Cipher
	timeline Timeline // nil: anchors are on the sender's own clock

	mu      sync.Mutex
	room    sync.Cond // the ring has more room, or the stream has ended
	ring    ring
	ended   bool
	setup   Format // that was agreed on, for packets that name none
	format  Format // of the packets that Next gives
	epoch   int
	flushes []flush

	playing  bool
	anchored bool
	anchor   struct {
		rtp      uint32
		at       clock.Remote
		timeline uint64
	}
	counter frameCounter
}

// flush is a run of packets that are not to be heard.
type flush struct{ from, until uint32 }

// NewBuffered makes a stream of sound sealed by the cipher.
func NewBuffered(f Format, cipher *Cipher, timeline Timeline) *Buffered {
	b := &Buffered{cipher: cipher, timeline: timeline, setup: f, format: f, ring: newRing(BufferSize)}
	b.room.L = &b.mu
	return b
}

// sequenceAhead returns by how much sequence number b is ahead of a, across
// the wrap.
func sequenceAhead(a, b uint32) int {
	return int(int32((b-a)<<(32-sequenceBits)) >> (32 - sequenceBits))
}

// sources is the table of formats that packets name in place of a source
// (reference section 15.2). Those with more than two channels are not played.
var sources = map[uint32]Format{
	0x15000000: {ALAC, 48000, 2, 24, 352},
	0x16000000: {AACLC, 44100, 2, 16, 1024},
	0x17000000: {AACLC, 48000, 2, 16, 1024},
}

// SourceOf returns how packets name a format, 0 for one that SETUP tells: for
// software senders.
func SourceOf(f Format) uint32 {
	for source, known := range sources {
		if known == f {
			return source
		}
	}
	return 0
}

func (b *Buffered) formatOf(source uint32) Format {
	if f, ok := sources[source]; ok {
		return f
	}
	return b.setup
}

// Put takes one packet, which is opened in place, and waits until there is
// room for it. It fails for what is no packet; one that does not verify is
// counted and dropped. After End it does nothing.
func (b *Buffered) Put(packet []byte) error {
	if len(packet) < headerSize+SealOverhead || len(packet) > MaxBuffered+headerSize+SealOverhead {
		b.Counts.Malformed.Inc()
		return fmt.Errorf("audio: buffered packet of %d bytes", len(packet))
	}
	be := binary.BigEndian
	seq := be.Uint32(packet) & sequenceMask
	d := Data{Seq: uint16(seq), RTP: be.Uint32(packet[4:]), Payload: packet[headerSize:], sealed: [8]byte(packet[4:])}
	b.Counts.Received.Inc()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.cipher.verify(&d) {
		b.Counts.Refused.Inc()
		return nil
	}
	for !b.ended && !b.flushed(seq) && !b.ring.fits(len(d.Payload)) {
		b.room.Wait()
	}
	if b.ended || b.flushed(seq) {
		return nil
	}
	b.ring.put(entry{seq: seq, rtp: d.RTP, source: be.Uint32(packet[8:]), payload: d.Payload})
	return nil
}

// End lets Put return, for good.
func (b *Buffered) End() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	b.room.Broadcast()
}

// flushed tells whether a packet is not to be heard.
func (b *Buffered) flushed(seq uint32) bool {
	for _, f := range b.flushes {
		if sequenceAhead(f.from, seq) >= 0 && sequenceAhead(f.until, seq) < 0 {
			return true
		}
	}
	return false
}

// forget drops the flushes that a packet has left behind.
func (b *Buffered) forget(seq uint32) {
	kept := b.flushes[:0]
	for _, f := range b.flushes {
		if sequenceAhead(f.until, seq) < 0 {
			kept = append(kept, f)
		}
	}
	b.flushes = kept
}

// Flush drops the packets before until, now; of a deferred flush those from
// from on, when their turn comes.
func (b *Buffered) Flush(deferred bool, from, until uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.room.Broadcast()
	if !deferred {
		from = (until - sequenceMask/2) & sequenceMask // all that can be before it
		b.flushes = b.flushes[:0]
		b.epoch++
	}
	if len(b.flushes) == maxFlushes {
		b.flushes = append(b.flushes[:0], b.flushes[1:]...)
	}
	b.flushes = append(b.flushes, flush{from, until})
	b.drop()
}

// drop takes packets out of the ring that are not to be heard, as far as the
// first that is.
func (b *Buffered) drop() {
	for {
		e, ok := b.ring.front()
		if !ok || !b.flushed(e.seq) {
			return
		}
		b.ring.pop()
	}
}

// SetAnchor lets the stream play, or pauses it. Where anchored is set, frame
// rtp is to be heard at an instant of a time line; else the last anchor holds.
func (b *Buffered) SetAnchor(playing, anchored bool, rtp uint32, at clock.Remote, timeline uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.playing = playing
	if anchored {
		b.anchored = true
		b.anchor.rtp, b.anchor.at, b.anchor.timeline = rtp, at, timeline
	}
}

// Anchor returns the present anchor, on the local clock where there is a time
// line; ok is false while nothing is to be heard.
func (b *Buffered) Anchor() (a Anchor, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.playing || !b.anchored {
		return a, false
	}
	a = Anchor{Frame: b.counter.peek(b.anchor.rtp), At: b.anchor.at}
	if b.timeline != nil {
		local, ok := b.timeline.Local(b.anchor.timeline, b.anchor.at)
		if !ok {
			return a, false
		}
		a.At = clock.Remote(local)
	}
	return a, true
}

// Next copies the next packet in its turn into buf, which holds MaxBuffered
// bytes, and takes it out of the buffer. Where the format of the next one is
// another it returns Changed, until Accept.
func (b *Buffered) Next(buf []byte) (Packet, State) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop()
	e, ok := b.ring.front()
	if !ok {
		return Packet{Epoch: b.epoch}, Empty
	}
	if b.formatOf(e.source) != b.format {
		return Packet{Epoch: b.epoch}, Changed
	}
	p := Packet{Frame: b.counter.next(e.rtp), Epoch: b.epoch, Silent: len(e.payload) == 0}
	p.Payload = buf[:copy(buf, e.payload)]
	b.ring.pop()
	b.forget(e.seq)
	b.room.Signal()
	return p, Ready
}

// Skip does nothing: nothing is missing in a stream of bytes.
func (b *Buffered) Skip() {}

// Upcoming returns the format of the next packet, or of the last where none
// waits.
func (b *Buffered) Upcoming() Format {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.upcoming()
}

func (b *Buffered) upcoming() Format {
	if e, ok := b.ring.front(); ok {
		return b.formatOf(e.source)
	}
	return b.format
}

// Accept switches to the format of the next packet. Where its rate is another,
// time stamps go on at that rate from there; an anchor that counts by the rate
// before is moved to the packet, which is heard when it was to be heard.
func (b *Buffered) Accept() {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.format
	b.format = b.upcoming()
	e, ok := b.ring.front()
	if !ok || !b.anchored || before.Rate == b.format.Rate {
		return
	}
	anchor := Anchor{Frame: b.counter.peek(b.anchor.rtp), At: b.anchor.at}
	b.anchor.at = anchor.Heard(b.counter.peek(e.rtp), before.Rate)
	b.anchor.rtp = e.rtp
}

// Held returns how many bytes and packets wait.
func (b *Buffered) Held() (bytes, packets int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ring.used(), b.ring.count
}

// frameCounter continues RTP time stamps beyond 32 bits.
type frameCounter struct {
	rtp     uint32 // the last time stamp seen, and
	frame   int64  // the frame it stands for
	started bool
}

// next returns the frame of a time stamp, which becomes the last.
func (c *frameCounter) next(rtp uint32) int64 {
	c.frame, c.rtp, c.started = c.peek(rtp), rtp, true
	return c.frame
}

// peek returns the frame of a time stamp, which is near the last.
func (c *frameCounter) peek(rtp uint32) int64 {
	if !c.started {
		c.rtp, c.frame, c.started = rtp, int64(rtp), true
	}
	return c.frame + int64(int32(rtp-c.rtp))
}
