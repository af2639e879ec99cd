package intra

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestConfigErrors(t *testing.T) {
	for want, c := range map[string]Config{
		"1921x1080": {Width: 1921, Height: 1080, FPS: 60},
		"1920x0":    {Width: 1920, Height: 0, FPS: 60},
		"8194x16":   {Width: 8194, Height: 16, FPS: 60},
		"0 frames":  {Width: 1920, Height: 1080, FPS: 0},
		"highest":   {Width: 8192, Height: 8192, FPS: 60},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", c, err, want)
		}
	}
}

// TestTouchedIsExact checks that what was touched since the last key frame
// needs no model to be foretold: it is decoded as painted.
func TestTouchedIsExact(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	e, err := New(Config{Width: 176, Height: 144, FPS: 60})
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		paint(e, random)
	}
	e.AppendFrame(nil, false)
	e.Touch(0, 0, 176, 144)
	e.AppendFrame(nil, false)
	for range 50 {
		if !bytes.Equal(visible(e.Decoded, 176, 144), visible(e.Picture, 176, 144)) {
			t.Fatal("Decoded differs from Picture")
		}
		paint(e, random)
		e.AppendFrame(nil, false)
	}
	if n := len(e.AppendFrame(nil, false)); n > 16 {
		t.Errorf("a frame without changes takes %d bytes", n)
	}
	e.Touch(-100, -100, 1000, 1000)
	if n := len(e.AppendFrame(nil, false)); n > 16 {
		t.Errorf("a frame touched without changes takes %d bytes", n)
	}
}

// TestKeyFrameIsGood measures what a key frame loses of a picture of all
// textures.
func TestKeyFrameIsGood(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	e, err := New(Config{Width: 640, Height: 480, FPS: 60})
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		paint(e, random)
	}
	e.AppendFrame(nil, true)
	sum := 0.0
	for i, v := range e.Picture.Y {
		d := float64(v) - float64(e.Decoded.Y[i])
		sum += d * d
	}
	if psnr := 10 * math.Log10(255*255*float64(len(e.Picture.Y))/sum); psnr < 43 {
		t.Errorf("luma at %.1f dB", psnr)
	}
}

func TestFrameAllocatesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	e, err := New(Config{Width: 640, Height: 480, FPS: 60})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		paint(e, random)
	}
	unit := e.AppendFrame(nil, false)
	e.Touch(0, 0, 640, 480)
	unit = e.AppendFrame(unit[:0], false) // the largest frame possible
	n := testing.AllocsPerRun(20, func() {
		paint(e, random)
		unit = e.AppendFrame(unit[:0], false)
		unit = e.AppendFrame(unit[:0], true)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkKeyFrame(b *testing.B) {
	random := rand.New(rand.NewPCG(4, 4))
	e, err := New(Config{Width: 1920, Height: 1080, FPS: 60})
	if err != nil {
		b.Fatal(err)
	}
	for range 30 {
		paint(e, random)
	}
	var unit []byte
	b.ReportAllocs()
	for b.Loop() {
		unit = e.AppendFrame(unit[:0], true)
	}
	b.ReportMetric(float64(len(unit)), "bytes/frame")
}

// BenchmarkMacroblocks measures the two kinds of changed macroblocks.
func BenchmarkMacroblocks(b *testing.B) {
	e, err := New(Config{Width: 1920, Height: 1080, FPS: 60})
	if err != nil {
		b.Fatal(err)
	}
	var unit []byte
	for name, level := range map[string]int{"flat": 0, "PCM": 1} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				for row := range 16 {
					line := e.Picture.Y[row*1920:][:1600]
					for x := range line {
						line[x] = byte(20 + i&127 + level*(x&1))
					}
				}
				e.Touch(0, 0, 1600, 16)
				unit = e.AppendFrame(unit[:0], i == 0)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/macroblock")
		})
	}
}
