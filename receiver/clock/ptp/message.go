package ptp

import (
	"encoding/binary"
	"time"

	"aerie/receiver/clock"
)

// Kind is the type of a message (IEEE 1588-2008 table 19).
type Kind uint8

// Kinds that are used here. The first two go to the event port.
const (
	Sync      Kind = 0x0
	DelayReq  Kind = 0x1
	FollowUp  Kind = 0x8
	DelayResp Kind = 0x9
	Announce  Kind = 0xb
)

// Sizes of messages without what may stand behind them.
const (
	headerSize    = 34
	stampSize     = 10
	syncSize      = headerSize + stampSize // Delay_Req and Follow_Up have the same
	delayRespSize = syncSize + portSize
	announceSize  = headerSize + 30
	portSize      = 10

	// MaxSize is the largest message that is taken.
	MaxSize = 512
)

const (
	version = 2

	flagTwoStep = 1 << 9
	flagUnicast = 1 << 10

	utcOffset = 37 // seconds; no clock here is set to UTC, but the field is there
)

// Port names a port of a clock.
type Port struct {
	Clock  uint64
	Number uint16
}

// Quality is what clocks are compared by (IEEE 1588-2008 section 9.3.4), in
// the order of the comparison; less is better.
type Quality struct {
	Priority1 uint8
	Class     uint8
	Accuracy  uint8
	Variance  uint16
	Priority2 uint8
	Clock     uint64 // the grandmaster
	Steps     uint16 // between it and the port that tells of it
}

// Better tells whether a clock of this quality is to be followed rather than
// one of the other.
func (q Quality) Better(o Quality) bool {
	for _, c := range [][2]uint64{
		{uint64(q.Priority1), uint64(o.Priority1)}, {uint64(q.Class), uint64(o.Class)}, {uint64(q.Accuracy), uint64(o.Accuracy)},
		{uint64(q.Variance), uint64(o.Variance)}, {uint64(q.Priority2), uint64(o.Priority2)}, {q.Clock, o.Clock}, {uint64(q.Steps), uint64(o.Steps)},
	} {
		if c[0] != c[1] {
			return c[0] < c[1]
		}
	}
	return false
}

// Message is a message of one of the kinds above.
type Message struct {
	Kind       Kind
	TwoStep    bool // of Sync: the stamp follows
	Correction time.Duration
	Source     Port
	Sequence   uint16
	Interval   int8 // logarithm, base 2, of the seconds between messages

	Stamp      clock.Remote // time since the epoch of the clock
	Requesting Port         // of Delay_Resp
	Quality    Quality      // of Announce
}

// Parse parses a message. It returns false for anything that is not one of
// version 2 in domain 0, or of another kind. What stands behind the message
// proper, where some senders put more, is passed over.
func Parse(b []byte) (m Message, ok bool) {
	if len(b) < headerSize || len(b) > MaxSize || b[1]&0xf != version || b[4] != 0 {
		return m, false
	}
	be := binary.BigEndian
	m.Kind = Kind(b[0] & 0xf)
	size := leastSize[m.Kind]
	length := int(be.Uint16(b[2:]))
	if size == 0 || length < size || length > len(b) {
		return m, false
	}
	m.TwoStep = be.Uint16(b[6:])&flagTwoStep != 0
	m.Correction = time.Duration(int64(be.Uint64(b[8:])) >> 16)
	m.Source = parsePort(b[20:])
	m.Sequence = be.Uint16(b[30:])
	m.Interval = int8(b[33])
	if m.Stamp, ok = parseStamp(b[headerSize:]); !ok {
		return m, false
	}
	switch m.Kind {
	case DelayResp:
		m.Requesting = parsePort(b[syncSize:])
	case Announce:
		a := b[headerSize:]
		m.Quality = Quality{Priority1: a[13], Class: a[14], Accuracy: a[15], Variance: be.Uint16(a[16:]), Priority2: a[18],
			Clock: be.Uint64(a[19:]), Steps: be.Uint16(a[27:])}
	}
	return m, true
}

// leastSize is the least size of each kind, 0 for those that are not used.
var leastSize = [16]int{Sync: syncSize, DelayReq: syncSize, FollowUp: syncSize, DelayResp: delayRespSize, Announce: announceSize}

func parsePort(b []byte) Port {
	return Port{binary.BigEndian.Uint64(b), binary.BigEndian.Uint16(b[8:])}
}

// parseStamp parses 48 bits of seconds and 32 of nanoseconds. It refuses what
// is longer than half of what a Remote holds, and a second of more than a second.
func parseStamp(b []byte) (clock.Remote, bool) {
	const most = 1 << 32 // seconds, 136 years
	sec := uint64(binary.BigEndian.Uint16(b))<<32 | uint64(binary.BigEndian.Uint32(b[2:]))
	ns := binary.BigEndian.Uint32(b[6:])
	return clock.Remote(sec*1e9 + uint64(ns)), sec < most && ns < 1e9
}

// AppendTo appends the message in its form on the wire.
func (m *Message) AppendTo(b []byte) []byte {
	be := binary.BigEndian
	at := len(b)
	b = append(b, make([]byte, headerSize)...)
	h := b[at:]
	h[0], h[1] = byte(m.Kind), version
	be.PutUint16(h[2:], uint16(leastSize[m.Kind]))
	flags := uint16(flagUnicast)
	if m.TwoStep {
		flags |= flagTwoStep
	}
	be.PutUint16(h[6:], flags)
	be.PutUint64(h[8:], uint64(m.Correction)<<16)
	be.PutUint64(h[20:], m.Source.Clock)
	be.PutUint16(h[28:], m.Source.Number)
	be.PutUint16(h[30:], m.Sequence)
	h[32] = controlField[m.Kind]
	h[33] = byte(m.Interval)
	sec, ns := uint64(m.Stamp)/1e9, uint64(m.Stamp)%1e9
	b = be.AppendUint16(b, uint16(sec>>32))
	b = be.AppendUint32(b, uint32(sec))
	b = be.AppendUint32(b, uint32(ns))
	switch m.Kind {
	case DelayResp:
		b = be.AppendUint64(b, m.Requesting.Clock)
		b = be.AppendUint16(b, m.Requesting.Number)
	case Announce:
		q := &m.Quality
		b = append(b, 0, utcOffset, 0, q.Priority1, q.Class, q.Accuracy)
		b = be.AppendUint16(b, q.Variance)
		b = append(b, q.Priority2)
		b = be.AppendUint64(b, q.Clock)
		b = be.AppendUint16(b, q.Steps)
		b = append(b, 0xa0) // an oscillator of its own
	}
	return b
}

// controlField is that of version 1, which some still look at.
var controlField = [16]byte{Sync: 0, DelayReq: 1, FollowUp: 2, DelayResp: 3, Announce: 5}
