package mirror

import (
	"encoding/binary"
	"math"

	"aerie/receiver/clock"
)

// HeaderSize is the length of the header of every packet.
const HeaderSize = 128

// Type tells what a packet carries (reference section 9.2).
type Type uint16

// Packet types.
const (
	Video     Type = 0      // an access unit, encrypted
	VideoIDR  Type = 0x1000 // the same, as some senders mark key pictures
	Codec     Type = 1      // parameter sets in the clear
	Heartbeat Type = 2
	Report    Type = 5 // statistics of the sender
)

// Options of a packet.
const (
	optionH264   = 0x0116
	optionHEVC   = 0x011e
	optionPaused = 0x0040 // beside either: the sender sleeps or is locked
)

// Header is the header of a packet.
type Header struct {
	Size   uint32 // payload bytes
	Type   Type
	Option uint16
	Time   clock.Remote // since the sender booted; no stamp in reports

	SourceWidth, SourceHeight   float32 // the sender's screen (codec packets)
	EncodedWidth, EncodedHeight float32 // the picture in the stream
	ShownWidth, ShownHeight     float32 // the display it was made for
}

// Paused tells whether the sender announces that pictures stop.
func (h *Header) Paused() bool { return h.Option&optionPaused != 0 }

// Parse parses the header of a packet; every pattern of bytes is one.
func (h *Header) Parse(b *[HeaderSize]byte) {
	le := binary.LittleEndian
	h.Size = le.Uint32(b[0:])
	h.Type = Type(le.Uint16(b[4:]))
	h.Option = le.Uint16(b[6:])
	h.Time = clock.FromFixed(le.Uint64(b[8:]))
	h.SourceWidth, h.SourceHeight = float32At(b, 16), float32At(b, 20)
	h.EncodedWidth, h.EncodedHeight = float32At(b, 40), float32At(b, 44)
	h.ShownWidth, h.ShownHeight = float32At(b, 56), float32At(b, 60)
}

// Put is the inverse of Parse, for software senders.
func (h *Header) Put(b *[HeaderSize]byte) {
	clear(b[:])
	le := binary.LittleEndian
	le.PutUint32(b[0:], h.Size)
	le.PutUint16(b[4:], uint16(h.Type))
	le.PutUint16(b[6:], h.Option)
	le.PutUint64(b[8:], h.Time.Fixed())
	for _, f := range []struct {
		at    int
		value float32
	}{{16, h.SourceWidth}, {20, h.SourceHeight}, {40, h.EncodedWidth}, {44, h.EncodedHeight}, {56, h.ShownWidth}, {60, h.ShownHeight}} {
		le.PutUint32(b[f.at:], math.Float32bits(f.value))
	}
}

func float32At(b *[HeaderSize]byte, at int) float32 {
	return math.Float32frombits(binary.LittleEndian.Uint32(b[at:]))
}

// Option returns the option of a packet of a stream.
func Option(hevc, paused bool) uint16 {
	o := uint16(optionH264)
	if hevc {
		o = optionHEVC
	}
	if paused {
		o |= optionPaused
	}
	return o
}
