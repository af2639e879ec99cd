package alsa

import "math/bits"

// IEC 60958 as vc4 HDMI takes it (hardware reference section 4.2). A frame is
// two subframes of 32 bits, one per channel:
//
//	bits 0-3   preamble: B (start of block), M (first channel), W (second)
//	bits 4-27  sample, least significant bit first
//	bit 28     V: 0 says that the sample is PCM
//	bit 29     U: user data, none
//	bit 30     C: one bit of the channel status, the same for both channels
//	bit 31     P: makes the number of ones in bits 4-31 even
//
// 192 frames are a block and carry the 192 bits of the channel status.
const (
	preambleB = 0x8
	preambleM = 0x2
	preambleW = 0x4

	blockFrames = 192
)

// status is a channel status block (IEC 60958-3), bit n of it is bit n%8 of
// byte n/8.
type status [blockFrames / 8]byte

// channelStatus describes consumer PCM of 24 bits, copying permitted, no
// emphasis.
func channelStatus(rate int) status {
	s := status{0: 0x04, 1: 0x82, 4: 0x0b}
	switch rate {
	case 44100:
		s[3] = 0x00
	case 48000:
		s[3] = 0x02
	case 32000:
		s[3] = 0x03
	case 88200:
		s[3] = 0x08
	case 96000:
		s[3] = 0x0a
	case 176400:
		s[3] = 0x0c
	case 192000:
		s[3] = 0x0e
	default:
		s[3] = 0x01 // not indicated
	}
	return s
}

// subframes packs samples into subframes and remembers where in the block it
// is.
type subframes struct {
	frame int                 // 0 to blockFrames-1
	first [blockFrames]uint32 // what the first subframe has besides sample and parity
}

// init prepares the table for a channel status, at the start of a block.
func (s *subframes) init(c status) {
	s.frame = 0
	for i := range s.first {
		bit := uint32(c[i/8]>>(i%8)) & 1
		s.first[i] = preambleM | bit<<30
	}
	s.first[0] = s.first[0]&^preambleM | preambleB
}

// pack makes one frame of two 24-bit samples.
func (s *subframes) pack(a, b int32) (first, second uint32) {
	head := s.first[s.frame]
	if s.frame++; s.frame == blockFrames {
		s.frame = 0
	}
	first = parity(head | uint32(a)<<8>>4)
	second = parity(head&^0xf | preambleW | uint32(b)<<8>>4)
	return first, second
}

// parity sets bit 31 so that bits 4 to 31 hold an even number of ones.
func parity(w uint32) uint32 {
	return w | uint32(bits.OnesCount32(w&^0xf))<<31
}
