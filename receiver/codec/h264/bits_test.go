package h264

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// The table of section 9.1.
func TestExpGolombCodes(t *testing.T) {
	for _, c := range []struct {
		v    uint32
		bits int
		code uint64
	}{
		{0, 1, 1}, {1, 3, 0b010}, {2, 3, 0b011}, {3, 5, 0b00100}, {6, 5, 0b00111}, {7, 7, 0b0001000},
		{1<<32 - 2, 63, 1<<32 - 1},
	} {
		var w BitWriter
		w.UE(c.v)
		if w.BitLen() != c.bits {
			t.Errorf("ue(%d) has %d bits, want %d", c.v, w.BitLen(), c.bits)
		}
		w.AlignZero()
		var got uint64
		for i, b := range w.RBSP() {
			got |= uint64(b) << (56 - 8*i)
		}
		if got != c.code<<(64-c.bits) {
			t.Errorf("ue(%d) = %064b", c.v, got)
		}
	}
	for v, want := range map[int32]uint32{0: 0, 1: 1, -1: 2, 2: 3, -2: 4, 1<<31 - 1: 1<<32 - 3, -1<<31 + 1: 1<<32 - 2} {
		var w BitWriter
		w.SE(v)
		w.TrailingBits()
		r := NewBitReader(AppendEscaped(nil, w.RBSP()))
		if got := r.UE(); got != want {
			t.Errorf("se(%d) has code number %d, want %d", v, got, want)
		}
	}
}

// What is written is read, whatever the mixture, through emulation prevention.
func TestBitsRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		type op struct {
			kind, n int
			v       uint32
		}
		var ops []op
		var w BitWriter
		for range rng.IntN(200) {
			o := op{rng.IntN(4), rng.IntN(33), rng.Uint32() >> rng.IntN(32)}
			if rng.IntN(2) == 0 {
				o.v = 0 // zeros call for emulation prevention
			}
			switch o.kind {
			case 0:
				o.v = uint32(uint64(o.v) & (1<<o.n - 1))
				w.U(o.n, o.v)
			case 1:
				w.UE(o.v)
			case 2:
				w.SE(int32(o.v >> 1))
			case 3:
				w.Write([]byte{byte(o.v), 0, 0})
			}
			if rng.IntN(10) == 0 {
				w.RBSP() // looking does not disturb
			}
			ops = append(ops, o)
		}
		total := w.BitLen()
		w.TrailingBits()
		nal := AppendNAL(nil, 0x65, w.RBSP())
		if i := bytes.Index(nal, []byte{0, 0, 0}); i >= 0 || bytes.Contains(nal, []byte{0, 0, 1}) || bytes.Contains(nal, []byte{0, 0, 2}) {
			t.Fatalf("seed %d: a start code in % x", seed, nal)
		}
		r := NewBitReader(nal[1:])
		for i, o := range ops {
			if i == len(ops)-1 && !r.MoreData() && o.kind != 0 {
				t.Fatalf("seed %d: no more data before the last element", seed)
			}
			var got uint32
			switch o.kind {
			case 0:
				got = r.U(o.n)
			case 1:
				got = r.UE()
			case 2:
				got, o.v = uint32(r.SE()), o.v>>1
			case 3:
				got, o.v = r.U(24), uint32(byte(o.v))<<16
			}
			if got != o.v {
				t.Fatalf("seed %d: element %d is %d, want %d", seed, i, got, o.v)
			}
		}
		if r.BitPos() != total || r.MoreData() || r.Err() != nil {
			t.Fatalf("seed %d: at bit %d of %d, more data %v, error %v", seed, r.BitPos(), total, r.MoreData(), r.Err())
		}
	}
}

func TestAppendEscaped(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""}, {"00", "0003"}, {"0000", "000003"}, {"000000", "00000300 03"}, {"000001", "00000301"}, {"000003", "00000303"},
		{"000004", "000004"}, {"00000000 01", "000003000003 01"}, {"0100000001", "010000030001"}, {"01000080", "01000080"},
	} {
		rbsp, want := unhex(c[0]), unhex(c[1])
		got := AppendEscaped([]byte{0x67}, rbsp)[1:]
		if !bytes.Equal(got, want) {
			t.Errorf("% x becomes % x, want % x", rbsp, got, want)
		}
		r := NewBitReader(got)
		for i, b := range rbsp {
			if v := r.U(8); byte(v) != b {
				t.Errorf("% x: byte %d reads %02x", got, i, v)
			}
		}
	}
}

// A writer that is used again allocates nothing: an encoder fills one per
// picture.
func TestBitWriterAllocations(t *testing.T) {
	var w BitWriter
	nal := make([]byte, 0, 1<<16)
	samples := make([]byte, 384)
	if n := testing.AllocsPerRun(100, func() {
		w.Reset()
		for range 10 {
			w.UE(25) // mb_type I_PCM
			w.AlignZero()
			w.Write(samples)
		}
		w.TrailingBits()
		nal = AppendNAL(nal[:0], 0x65, w.RBSP())
	}); n != 0 {
		t.Errorf("%v allocations per picture", n)
	}
}

func FuzzBitReader(f *testing.F) {
	f.Add(unhex(airplaySPS), []byte{0, 8, 1, 2, 3})
	f.Fuzz(func(t *testing.T, data, ops []byte) {
		r := NewBitReader(data)
		for _, o := range ops {
			switch o & 3 {
			case 0:
				r.U(int(o>>2) % 33)
			case 1:
				r.UE()
			case 2:
				r.SE()
			case 3:
				r.MoreData()
			}
		}
		if r.BitPos() > 8*len(data) {
			t.Errorf("read %d bits of %d bytes", r.BitPos(), len(data))
		}
	})
}
