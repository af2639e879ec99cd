package alac

import (
	"math/rand/v2"
	"testing"
)

// What was written is read, bit for bit, with and without the mark at its end.
func TestDecodeVerbatim(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for _, c := range []Config{airplay, {48000, 24, 2, 352}, {44100, 16, 1, 352}, {44100, 24, 1, 4096}, {44100, 16, 2, 1}} {
		for _, samples := range []int{c.FrameLength, max(c.FrameLength/3, 1)} {
			want := make([]int32, samples*c.Channels)
			for i := range want {
				want[i] = int32(random.Uint32()) >> (32 - c.BitDepth)
			}
			frame := c.AppendFrame(nil, want)
			head := 23
			if samples != c.FrameLength {
				head = 55
			}
			bare := (head + samples*c.Channels*c.BitDepth + 7) / 8
			pcm := make([]float32, c.FrameLength*c.Channels)
			for _, f := range [][]byte{frame, frame[:bare]} {
				n, ok := c.DecodeVerbatim(f, pcm)
				if len(f) < 8 {
					continue // a frame of one sample without its end
				}
				if !ok || n != len(want) {
					t.Fatalf("%+v: %d of %d values, %v", c, n, len(want), ok)
				}
				for i, v := range want {
					if got := int32(pcm[i] * float32(int(1)<<(c.BitDepth-1))); got != v {
						t.Fatalf("%+v: value %d is %d, want %d", c, i, got, v)
					}
				}
			}
			if _, ok := c.DecodeVerbatim(frame[:bare-1], pcm); ok {
				t.Errorf("%+v: a frame that is cut off", c)
			}
			if _, ok := c.DecodeVerbatim(frame, pcm[:len(want)-1]); ok {
				t.Errorf("%+v: a frame without room", c)
			}
		}
	}
}

// The first bytes of a frame of PipeWire's, which tells its length though it is
// the usual one.
func TestDecodeVerbatimOfPipeWire(t *testing.T) {
	frame := append([]byte{0x20, 0x00, 0x12, 0x00, 0x00, 0x02, 0xc0, 0xfe, 0x4d}, make([]byte, 1406)...)
	pcm := make([]float32, 704)
	n, ok := airplay.DecodeVerbatim(frame, pcm)
	if !ok || n != 704 || pcm[0] != float32(0x7f26-0x8000+0x8000)/32768 {
		t.Errorf("%d values, %v, the first is %v", n, ok, pcm[0]*32768)
	}
}

func TestDecodeVerbatimAllocatesNothing(t *testing.T) {
	frame, pcm := airplay.AppendFrame(nil, make([]int32, 704)), make([]float32, 704)
	if n := testing.AllocsPerRun(100, func() { airplay.DecodeVerbatim(frame, pcm) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func FuzzDecodeVerbatim(f *testing.F) {
	f.Add(airplay.AppendFrame(nil, make([]int32, 704)))
	f.Add([]byte{0x20, 0x00, 0x12, 0x00, 0x00, 0x02, 0xc0, 0xfe, 0x4d})
	f.Fuzz(func(t *testing.T, b []byte) {
		pcm := make([]float32, 704)
		n, ok := airplay.DecodeVerbatim(b, pcm)
		if ok && (n < 2 || n > 704 || n%2 != 0) {
			t.Fatalf("%d values", n)
		}
		for _, v := range pcm {
			if v < -1 || v >= 1 {
				t.Fatalf("sample %v", v)
			}
		}
	})
}
