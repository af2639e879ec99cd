package codec

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// survive sends units whatever they are: errors are welcome, as long as the
// decoder comes back and gives frames that can be looked at.
func (r *rig) survive(t testing.TB, units [][]byte) (pictures int) {
	look := func(f *Frame) {
		pictures++
		if f.Width < 1 || f.Height < 1 || f.check() != nil {
			t.Fatalf("picture of %dx%d in %v", f.Width, f.Height, f.Format)
		}
		for i := range f.Format.Planes() {
			_, rows := f.Format.PlaneSize(i, f.Width, f.Height)
			_ = f.Row(i, rows-1)[0]
		}
	}
	// A unit can hold more pictures than one, each with an error; 100 of
	// either without end is a decoder that does not move on.
	drain := func() error {
		for range 100 {
			if err := r.receiveAll(look); err == ErrAgain || err == io.EOF {
				return err
			}
		}
		t.Fatal("the decoder does not move on")
		return nil
	}
	for i, u := range units {
		if len(u) == 0 {
			continue
		}
		err := r.send(u, int64(i))
		if err == ErrAgain || err == ErrNoInput {
			t.Fatalf("unit %d: %v", i, err)
		}
		drain()
	}
	must(t, r.Drain())
	if drain() != io.EOF {
		t.Fatal("the stream does not end")
	}
	r.Flush()
	return pictures
}

// mutate damages a stream in one of the ways in which streams get damaged.
func mutate(r *rand.Rand, units, other [][]byte) [][]byte {
	out := make([][]byte, len(units))
	for i, u := range units {
		out[i] = append([]byte(nil), u...)
	}
	for range 1 + r.IntN(4) {
		i := r.IntN(len(out))
		switch u := out[i]; r.IntN(9) {
		case 0, 1: // flip bits
			for range 1 + r.IntN(8) {
				if len(u) > 0 {
					u[r.IntN(len(u))] ^= 1 << r.IntN(8)
				}
			}
		case 2: // cut off
			out[i] = u[:r.IntN(len(u)+1)]
		case 3: // lose
			out[i] = nil
		case 4: // swap
			j := r.IntN(len(out))
			out[i], out[j] = out[j], out[i]
		case 5: // another stream's parameter sets and slice before it
			out[i] = append(append([]byte(nil), other[r.IntN(len(other))]...), u...)
		case 6: // overwrite with noise
			for k := r.IntN(len(u) + 1); k < len(u); k++ {
				u[k] = byte(r.Uint32())
			}
		case 7: // repeat
			out[i] = append(u, u...)
		case 8: // remove a piece
			if len(u) > 2 {
				a := r.IntN(len(u))
				b := a + r.IntN(len(u)-a)
				out[i] = append(u[:a], u[b:]...)
			}
		}
	}
	return out
}

// TestMutatedStreams decodes damaged clips on every threading model, into own
// memory and into memory between guard pages. After each, a whole clip decodes
// as ever.
func TestMutatedStreams(t *testing.T) {
	rounds := 150
	if testing.Short() || instrumented {
		rounds = 30
	}
	for k, v := range clips {
		for _, o := range threadings {
			t.Run(v.name+"/"+o.String(), func(t *testing.T) {
				c := loadClip(t, v.name, v.codec)
				other := loadClip(t, clips[(k+1)%3].name, clips[(k+1)%3].codec)
				o.MaxPixels, o.MaxMemory = 1<<20, 32<<20
				own := newRig(t, v.codec, o)
				o.Memory = newDisplay(t, 20)
				lent := newRig(t, v.codec, o)
				random := rand.New(rand.NewPCG(uint64(k), 5))
				for range rounds {
					units := mutate(random, c.units[:8], other.units[:4])
					own.survive(t, units)
					lent.survive(t, units)
				}
				for _, r := range []*rig{own, lent} {
					n := 0
					must(t, r.decode(c.units, func(f *Frame) {
						if sum(&f.Image) != c.sums[n] {
							t.Errorf("picture %d differs", n)
						}
						n++
					}))
					r.frame.Release()
					r.Close()
				}
			})
		}
	}
}

// TestMutatedParameterSets flips every bit of the parameter sets in turn:
// sizes, reference counts, depths and chroma formats of all kinds come up. The
// process must not grow beyond its limits.
func TestMutatedParameterSets(t *testing.T) {
	for _, v := range clips {
		c := loadClip(t, v.name, v.codec)
		r := newRig(t, v.codec, VideoOptions{MaxPixels: 1 << 21, MaxMemory: 48 << 20})
		// The parameter sets, and the header of the first slice.
		bits := 8 * 120
		pictures := 0
		for bit := range bits {
			first := append([]byte(nil), c.units[0]...)
			first[bit/8] ^= 1 << (bit % 8)
			pictures += r.survive(t, [][]byte{first, c.units[1], c.units[2]})
		}
		if pictures == 0 {
			t.Errorf("%s: no picture came out of %d variants", v.name, bits)
		}
	}
	if kib := status(t, "VmHWM"); !instrumented && kib > 300<<10 {
		t.Errorf("the process grew to %d KiB", kib)
	}
}

// ue writes an unsigned Exp-Golomb code (ITU-T H.264 section 9.1).
func (w *bitWriter) ue(v uint64) {
	n := 0
	for (v+1)>>n > 1 {
		n++
	}
	w.put(0, n)
	w.put(v+1, n+1)
}

// nal ends the RBSP with its stop bit and adds start code, header and
// emulation prevention.
func (w *bitWriter) nal(header byte) []byte {
	w.put(1, 1)
	out := []byte{0, 0, 0, 1, header}
	zeros := 0
	for _, b := range w.b {
		if zeros >= 2 && b <= 3 {
			out = append(out, 3)
			zeros = 0
		}
		if zeros++; b != 0 {
			zeros = 0
		}
		out = append(out, b)
	}
	return out
}

// sizedStream is a key frame of H.264 whose parameter set says width x height
// macroblocks and refs reference frames, and further skipped frames, which
// cost a few bytes each and a picture's memory.
func sizedStream(width, height, refs uint64, frames int) (units [][]byte) {
	var sps bitWriter
	sps.put(66<<16|51, 24) // Baseline, level 5.1
	sps.ue(0)
	sps.ue(0) // 4 bits of frame_num
	sps.ue(2) // output in decoding order
	sps.ue(refs)
	sps.put(0, 1)
	sps.ue(width - 1)
	sps.ue(height - 1)
	sps.put(1, 1) // frames only
	sps.put(1, 1)
	sps.put(0, 2) // no cropping, no VUI
	var pps bitWriter
	pps.ue(0)
	pps.ue(0)
	pps.put(0, 2) // CAVLC
	pps.ue(0)     // one slice group
	pps.ue(0)
	pps.ue(0)
	pps.put(0, 3) // no weighted prediction
	for range 3 {
		pps.ue(0)
	}
	pps.put(0, 3)
	head := append(sps.nal(0x67), pps.nal(0x68)...)
	for n := range frames {
		var s bitWriter
		s.ue(0)
		if n == 0 {
			s.ue(7) // I
		} else {
			s.ue(5) // P
		}
		s.ue(0)
		s.put(uint64(n%16), 4)
		if n == 0 {
			s.ue(0)       // idr_pic_id
			s.put(0, 2)   // no long-term reference
			s.ue(0)       // slice_qp_delta
			s.put(0, 400) // and then nonsense
			units = append(units, append(head, s.nal(0x65)...))
			continue
		}
		s.put(0, 3) // default references, sliding window
		s.ue(0)
		s.ue(width * height) // all macroblocks skipped
		units = append(units, s.nal(0x41))
	}
	return units
}

// TestAbsurdSizes announces pictures beyond the limits, and as many of those
// within as there may be.
func TestAbsurdSizes(t *testing.T) {
	for _, size := range [][2]uint64{{1 << 12, 1 << 12}, {1, 1 << 16}, {1025, 1}, {1, 1025}, {1 << 20, 1 << 20}, {1<<31 - 1, 1}, {513, 144}} {
		r := newRig(t, H264, VideoOptions{})
		if n := r.survive(t, sizedStream(size[0], size[1], 1, 4)); n != 0 {
			t.Errorf("%d pictures of %v macroblocks came out", n, size)
		}
	}
	// 256x144 macroblocks are the largest picture allowed: 14 MB each.
	r := newRig(t, H264, VideoOptions{MaxMemory: 100 << 20})
	before := status(t, "VmRSS")
	for range 3 {
		if n := r.survive(t, sizedStream(256, 144, 16, 30)); n == 0 {
			t.Error("no picture of the largest size came out")
		}
	}
	// Beside the pictures there are motion vectors and tables.
	if grown := status(t, "VmRSS") - before; !instrumented && grown > 250<<10 {
		t.Errorf("the process grew by %d KiB", grown)
	}
	r = newRig(t, H264, VideoOptions{MaxPixels: 64 << 10})
	if n := r.survive(t, sizedStream(16, 17, 1, 4)); n != 0 {
		t.Errorf("%d pictures beyond MaxPixels came out", n)
	}
	if n := r.survive(t, sizedStream(16, 15, 1, 4)); n == 0 {
		t.Error("no picture within MaxPixels came out")
	}
}

// TestMutatedSound does to packets what TestMutatedStreams does to pictures.
func TestMutatedSound(t *testing.T) {
	packets, _ := loadELD(t)
	alac := AudioParameters{Codec: ALAC, Rate: 44100, Channels: 2, FrameLength: 352}
	alac.Config = cookie(alac, 16)
	random := rand.New(rand.NewPCG(3, 4))
	var frames [][]byte
	for range 20 {
		s := make([]int32, 704)
		for i := range s {
			s[i] = random.Int32N(1 << 16)
		}
		frames = append(frames, verbatim(s, 16))
	}
	for _, v := range []struct {
		p       AudioParameters
		packets [][]byte
	}{{eld, packets}, {alac, frames}} {
		t.Run(fmt.Sprint(v.p.Codec), func(t *testing.T) {
			d := newAudio(t, v.p)
			buf := make([]float32, 2*v.p.FrameLength+1)
			for range 400 {
				for _, p := range mutate(random, v.packets[:10], v.packets) {
					buf[len(buf)-1] = 9
					n, err := d.Decode(p, buf[:len(buf)-1])
					if n > len(buf)-1 || err != nil && n != 0 || buf[len(buf)-1] != 9 {
						t.Fatalf("%d samples, %v", n, err)
					}
					for _, s := range buf[:n] {
						if !(s >= -1 && s < 1) {
							t.Fatalf("sample %v", s)
						}
					}
				}
			}
			if n, err := d.Decode(v.packets[0], buf); n == 0 || err != nil {
				t.Errorf("after all that: %d samples, %v", n, err)
			}
		})
	}
}
