package intra

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// annexB joins NAL units with start codes: parameter sets, then access units
// of length-prefixed ones.
func annexB(e *Encoder, units ...[]byte) []byte {
	var b []byte
	for _, set := range [][]byte{e.SPS(), e.PPS()} {
		b = append(append(b, 0, 0, 0, 1), set...)
	}
	for _, unit := range units {
		for len(unit) > 0 {
			n := binary.BigEndian.Uint32(unit)
			b = append(append(b, 0, 0, 0, 1), unit[4:4+n]...)
			unit = unit[4+n:]
		}
	}
	return b
}

// decode has libavcodec decode a stream into planes of yuv420p, one after the
// other.
func decode(t *testing.T, stream []byte) []byte {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: the decoder of this test")
	}
	in := filepath.Join(t.TempDir(), "in.h264")
	if err := os.WriteFile(in, stream, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(ffmpeg, "-v", "warning", "-err_detect", "explode", "-xerror", "-f", "h264", "-i", in,
		"-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "yuv420p", "-")
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("ffmpeg: %v\n%s", err, complaints.Bytes())
	}
	return out
}

// visible returns the planes inside the cropping, one after the other.
func visible(p *Picture, width, height int) (b []byte) {
	for y := range height {
		b = append(b, p.Y[y*p.Width:][:width]...)
	}
	for _, plane := range [][]byte{p.Cb, p.Cr} {
		for y := range height / 2 {
			b = append(b, plane[y*p.Width/2:][:width/2]...)
		}
	}
	return b
}

// paint fills a rectangle with one of several textures and touches it.
func paint(e *Encoder, random *rand.Rand) {
	p := e.Picture
	x0, y0 := random.IntN(p.Width), random.IntN(p.Height)
	x1, y1 := min(p.Width, x0+1+random.IntN(200)), min(p.Height, y0+1+random.IntN(100))
	texture := random.IntN(4)
	level, dx, dy := random.IntN(256), random.IntN(5)-2, random.IntN(5)-2
	at := func(x, y int) byte {
		switch texture {
		case 0: // noise
			return byte(random.IntN(256))
		case 1: // gradient
			return byte(level + (dx*x+dy*y)/4)
		case 2: // black: runs of zero bytes
			return 0
		}
		return byte(level)
	}
	if texture == 3 && random.IntN(2) == 0 { // whole macroblocks
		x0, y0, x1, y1 = x0&^15, y0&^15, (x1+15)&^15, (y1+15)&^15
	}
	for y := y0; y < y1; y++ {
		for x := x0; x < x1; x++ {
			p.Y[y*p.Width+x] = at(x, y)
			if random.IntN(3) == 0 && texture != 3 {
				p.Cb[y/2*p.Width/2+x/2] = at(x, y)
				p.Cr[y/2*p.Width/2+x/2] = at(y, x)
			}
		}
	}
	e.Touch(x0, y0, x1, y1)
}

// TestDecodedByLibavcodec paints at random and compares every sample of every
// frame with Decoded.
func TestDecodedByLibavcodec(t *testing.T) {
	for _, size := range [][2]int{{16, 16}, {34, 50}, {176, 144}, {322, 242}, {1170, 200}} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("%dx%d/%d", size[0], size[1], seed), func(t *testing.T) {
				random := rand.New(rand.NewPCG(seed, uint64(size[0])))
				e, err := New(Config{Width: size[0], Height: size[1], FPS: 60})
				if err != nil {
					t.Fatal(err)
				}
				var units [][]byte
				var want [][]byte
				for frame := range 40 {
					for range random.IntN(6) + 12*(frame%16/15) {
						paint(e, random)
					}
					units = append(units, e.AppendFrame(nil, frame%16 == 15))
					want = append(want, visible(e.Decoded, size[0], size[1]))
				}
				got := decode(t, annexB(e, units...))
				n := size[0] * size[1] * 3 / 2
				if len(got) != n*len(want) {
					t.Fatalf("%d bytes decoded, want %d frames of %d", len(got), len(want), n)
				}
				for i, frame := range want {
					if !bytes.Equal(got[i*n:][:n], frame) {
						t.Fatalf("frame %d: first difference at byte %d", i, firstDifference(got[i*n:], frame))
					}
				}
			})
		}
	}
}

// TestSparseCoefficients makes pictures of one macroblock from few
// coefficients anywhere, so that all lengths of runs occur, and large levels.
func TestSparseCoefficients(t *testing.T) {
	e, err := New(Config{Width: 16, Height: 16, FPS: 60})
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(5, 5))
	level := func() int32 { return int32(random.NormFloat64() * math.Exp2(4+8*random.Float64())) }
	var units, want [][]byte
	for range 1500 {
		var dcs block
		for range 1 + random.IntN(3) {
			dcs[random.IntN(16)] += 16 * level()
		}
		dcs.hadamard()
		for i := range 16 {
			b := block{dcs[i] / 16}
			for range random.IntN(4) {
				b[1+random.IntN(15)] += level()
			}
			b.inverse()
			flat := bytes.Repeat([]byte{128}, 16)
			b.add(e.Picture.Y[i>>2*64+i&3*4:], 16, flat, 4)
		}
		units = append(units, e.AppendFrame(nil, true))
		want = append(want, visible(e.Decoded, 16, 16))
	}
	if !bytes.Equal(decode(t, annexB(e, units...)), bytes.Join(want, nil)) {
		t.Error("decoded samples differ")
	}
}

func firstDifference(a, b []byte) int {
	for i := range b {
		if a[i] != b[i] {
			return i
		}
	}
	return -1
}
