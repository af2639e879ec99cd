package codec

import (
	"encoding/binary"
	"fmt"
)

// decodePCM16 converts 16-bit network-order samples. A packet that does not
// hold whole samples of all channels is refused.
func decodePCM16(packet []byte, dst []float32, channels int) (int, error) {
	n, err := pcmSamples(packet, dst, 2, channels)
	for i := range n {
		dst[i] = float32(int16(binary.BigEndian.Uint16(packet[2*i:]))) * (1.0 / (1 << 15))
	}
	return n, err
}

// decodePCM24 converts packed 24-bit network-order samples.
func decodePCM24(packet []byte, dst []float32, channels int) (int, error) {
	n, err := pcmSamples(packet, dst, 3, channels)
	for i := range n {
		b := packet[3*i : 3*i+3]
		v := int32(b[0])<<24 | int32(b[1])<<16 | int32(b[2])<<8
		dst[i] = float32(v>>8) * (1.0 / (1 << 23))
	}
	return n, err
}

func pcmSamples(packet []byte, dst []float32, size, channels int) (int, error) {
	if len(packet)%(size*channels) != 0 {
		return 0, fmt.Errorf("codec: %d bytes are no whole number of %d-byte samples of %d channels: %w", len(packet), size, channels, ErrInvalid)
	}
	n := len(packet) / size
	if n > len(dst) {
		return 0, fmt.Errorf("codec: %d samples for %d: %w", n, len(dst), ErrRoom)
	}
	return n, nil
}
