package codec

import (
	"bytes"
	"testing"
)

// fuzzVideo decodes what the fuzzer makes of the clips. The first byte chooses
// the threading model, and own or lent memory.
func fuzzVideo(f *testing.F, codec VideoCodec) {
	for _, v := range clips {
		if v.codec != codec {
			continue
		}
		c := loadClip(f, v.name, v.codec)
		for i := range byte(8) {
			f.Add(append([]byte{i}, bytes.Join(c.units[:3], nil)...))
		}
	}
	for _, size := range [][2]uint64{{3, 5}, {120, 68}, {1 << 20, 1}} {
		f.Add(append([]byte{0}, bytes.Join(sizedStream(size[0], size[1], 4, 8), nil)...))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 5 || len(data) > 1<<16 {
			return
		}
		o := threadings[data[0]%4]
		o.MaxPixels, o.MaxMemory = 1<<20, 32<<20
		if data[0]&4 != 0 {
			o.Memory = newDisplay(t, 8)
		}
		r := newRig(t, codec, o)
		units := accessUnits(codec, data[1:])
		if len(units) == 0 {
			units = [][]byte{data[1:]}
		}
		r.survive(t, units[:min(len(units), 64)])
		r.frame.Release()
		r.Close()
	})
}

func FuzzH264(f *testing.F) { fuzzVideo(f, H264) }

func FuzzHEVC(f *testing.F) { fuzzVideo(f, HEVC) }

// FuzzAudio opens a decoder with a configuration and gives it packets, each
// with a length byte before it, of the fuzzer's making.
func FuzzAudio(f *testing.F) {
	packets, _ := loadELD(f)
	pack := func(packets ...[]byte) (b []byte) {
		for _, p := range packets {
			b = append(b, byte(len(p)/4))
			b = append(b, p[:len(p)/4*4]...)
		}
		return b
	}
	f.Add(byte(AAC), uint32(44100), uint16(480), byte(2), eld.Config, pack(packets[:4]...))
	f.Add(byte(AAC), uint32(44100), uint16(1024), byte(2), []byte{0x12, 0x10}, pack(packets[4:8]...))
	f.Add(byte(PCM16), uint32(44100), uint16(352), byte(2), []byte{}, pack(packets[:2]...))
	f.Add(byte(PCM24), uint32(48000), uint16(352), byte(2), []byte{}, pack(packets[:2]...))
	for _, depth := range []byte{16, 20, 24, 32} {
		p := AudioParameters{Codec: ALAC, Rate: 48000, Channels: 2, FrameLength: 100}
		frame := verbatim(make([]int32, 200), int(depth))
		f.Add(byte(ALAC), uint32(48000), uint16(100), byte(2), cookie(p, depth), pack(frame, frame))
	}
	f.Fuzz(func(t *testing.T, codec byte, rate uint32, length uint16, channels byte, config, data []byte) {
		d, err := NewAudioDecoder(AudioParameters{AudioCodec(codec), int(rate), int(channels), int(length), config})
		if err != nil {
			return
		}
		defer d.Close()
		dst := make([]float32, int(length)*int(channels))
		for len(data) > 0 {
			n := min(4*int(data[0]), len(data)-1)
			packet := data[1 : 1+n]
			data = data[1+n:]
			got, err := d.Decode(packet, dst)
			if got > len(dst) || err != nil && got != 0 {
				t.Fatalf("%d samples, %v", got, err)
			}
			for _, s := range dst[:got] {
				if !(s >= -1 && s < 1) {
					t.Fatalf("sample %v", s)
				}
			}
			if len(packet)%3 == 0 {
				d.Reset()
			}
		}
	})
}
