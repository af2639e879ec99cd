package codec

import (
	"encoding/binary"
	"errors"
	"testing"
)

// TestPCM sends every 16-bit value, and 24-bit values of every kind, there and
// back.
func TestPCM(t *testing.T) {
	var b16, b24 []byte
	var v16, v24 []int32
	for v := int32(-1 << 15); v < 1<<15; v++ {
		b16, v16 = binary.BigEndian.AppendUint16(b16, uint16(v)), append(v16, v)
		w := v<<8 | v&0xff
		b24, v24 = append(b24, byte(w>>16), byte(w>>8), byte(w)), append(v24, w)
	}
	for _, c := range []struct {
		codec  AudioCodec
		packet []byte
		want   []int32
		scale  float32
	}{{PCM16, b16, v16, 1 << 15}, {PCM24, b24, v24, 1 << 23}} {
		d := newAudio(t, AudioParameters{Codec: c.codec, Rate: 44100, Channels: 2, FrameLength: 352})
		got := make([]float32, len(c.want))
		n, err := d.Decode(c.packet, got)
		if err != nil || n != len(got) {
			t.Fatalf("%v: %d samples, %v", c.codec, n, err)
		}
		for i, v := range got {
			if v < -1 || v >= 1 || int32(v*c.scale) != c.want[i] {
				t.Fatalf("%v: sample %d is %v, want %d", c.codec, i, v*c.scale, c.want[i])
			}
		}
		if n, err := d.Decode(c.packet, got[1:]); n != 0 || !errors.Is(err, ErrRoom) {
			t.Errorf("%v into too little: %d, %v", c.codec, n, err)
		}
		if n, err := d.Decode(c.packet[:len(c.packet)-1], got); n != 0 || !errors.Is(err, ErrInvalid) {
			t.Errorf("%v of half a sample: %d, %v", c.codec, n, err)
		}
		if n, err := d.Decode(nil, got); n != 0 || err != nil {
			t.Errorf("%v of nothing: %d, %v", c.codec, n, err)
		}
		d.Reset()
	}
}
