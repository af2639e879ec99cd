// Package audio receives sound: in realtime, stream type 96 over UDP and that
// of classic senders, which may come over TCP (Pipe), and buffered, stream
// type 103 (Buffered). It is encrypted by AES-CBC per packet, in AirPlay 2 by
// ChaCha20-Poly1305, or not at all (reference sections 8, 11, 14, 15).
//
// A Stream takes packets from the network, drops copies, decrypts, puts them
// in order, asks for lost ones again, and keeps the sync packets that say
// when a frame is to be heard. Its reader pulls packets as late as it can
// (just before their sound is due), so that a lost one has all the time there
// is to come back, and conceals those that did not.
//
// Decoding is the reader's business, through package codec; when a sample is
// heard is decided in package playout.
//
// Proof: packet_test.go (captured packets), queue_test.go (a model of order,
// copies, wrap-around and loss against a simple list; zero allocations),
// stream_test.go (a sender over loopback with loss, reordering and answered or
// ignored resend requests), pipe_test.go (a sender over TCP), anchor_test.go
// (senders whose sync packets tremble, drift and leap), seal_test.go (what is
// done to sealed packets), buffered_test.go (buffered sound, its flushes and
// changes of format), records_test.go (how it is cut into packets, without an
// allocation), conceal_test.go (no click above -40 dBFS), and fuzz
// targets for the ports and the connections.
package audio

import "fmt"

// Codec is how the sound is coded.
type Codec uint8

// Codecs of stream type 96; the values are those of "ct" in SETUP.
const (
	PCM    Codec = 1 // L16, L24: network byte order
	ALAC   Codec = 2
	AACLC  Codec = 4
	AACELD Codec = 8
)

func (c Codec) String() string {
	switch c {
	case PCM:
		return "PCM"
	case ALAC:
		return "ALAC"
	case AACLC:
		return "AAC-LC"
	case AACELD:
		return "AAC-ELD"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// Format describes a stream of sound.
type Format struct {
	Codec    Codec
	Rate     int // frames a second
	Channels int
	Bits     int // of PCM and ALAC: 16 or 24
	Frames   int // frames a packet: 480, 352, 1024
}

func (f Format) String() string {
	return fmt.Sprintf("%v %d Hz, %d channels, %d bits, %d frames a packet", f.Codec, f.Rate, f.Channels, f.Bits, f.Frames)
}

// formats is the table of reference section 8.4 for what realtime streams
// carry; the key is the bit number of "audioFormat".
var formats = map[int]Format{
	10: {PCM, 44100, 1, 16, 352}, 11: {PCM, 44100, 2, 16, 352}, 12: {PCM, 44100, 1, 24, 352}, 13: {PCM, 44100, 2, 24, 352},
	14: {PCM, 48000, 1, 16, 352}, 15: {PCM, 48000, 2, 16, 352}, 16: {PCM, 48000, 1, 24, 352}, 17: {PCM, 48000, 2, 24, 352},
	18: {ALAC, 44100, 2, 16, 352}, 19: {ALAC, 44100, 2, 24, 352}, 20: {ALAC, 48000, 2, 16, 352}, 21: {ALAC, 48000, 2, 24, 352},
	22: {AACLC, 44100, 2, 16, 1024}, 23: {AACLC, 48000, 2, 16, 1024},
	24: {AACELD, 44100, 2, 16, 480}, 25: {AACELD, 48000, 2, 16, 480}, 31: {AACELD, 44100, 1, 16, 480}, 32: {AACELD, 48000, 1, 16, 480},
}

// usual is what a codec means when audioFormat is not told.
var usual = map[Codec]int{PCM: 11, ALAC: 18, AACLC: 22, AACELD: 24}

// MaxPayload is the room that a payload needs: that of a datagram, or more for
// packets that come over TCP.
func (f Format) MaxPayload() int {
	const header = 64 // of ALAC, and what the cipher of newer senders appends
	if f.Codec == PCM || f.Codec == ALAC {
		return max(MaxPacket, f.Frames*f.Channels*f.Bits/8+header)
	}
	return MaxPacket
}

// MaxFrames is the largest number of frames in a packet that is accepted.
const MaxFrames = 4096

// ParseFormat returns the format that a SETUP asks for: ct, audioFormat (a
// single bit, or 0), spf and sr, the latter two 0 for what is usual.
func ParseFormat(ct int, audioFormat uint64, spf, rate int) (Format, error) {
	for bit, f := range formats {
		if audioFormat == 1<<bit {
			if ct != 0 && Codec(ct) != f.Codec {
				return Format{}, fmt.Errorf("audio: format %#x is %v, but ct is %d", audioFormat, f.Codec, ct)
			}
			return f.with(spf, rate)
		}
	}
	if audioFormat != 0 {
		return Format{}, fmt.Errorf("audio: format %#x is not known", audioFormat)
	}
	bit, ok := usual[Codec(ct)]
	if !ok || ct > 255 {
		return Format{}, fmt.Errorf("audio: codec %d is not known", ct)
	}
	return formats[bit].with(spf, rate)
}

// AudioFormat returns the bit of "audioFormat" that stands for the format, 0
// if none does.
func (f Format) AudioFormat() uint64 {
	for bit, known := range formats {
		if known.Frames = f.Frames; known == f {
			return 1 << bit
		}
	}
	return 0
}

func (f Format) with(spf, rate int) (Format, error) {
	if rate != 0 && rate != 44100 && rate != 48000 {
		return Format{}, fmt.Errorf("audio: %d frames a second", rate)
	}
	if spf < 0 || spf > MaxFrames {
		return Format{}, fmt.Errorf("audio: %d frames a packet", spf)
	}
	if rate != 0 {
		f.Rate = rate
	}
	if spf != 0 {
		f.Frames = spf
	}
	return f, nil
}
