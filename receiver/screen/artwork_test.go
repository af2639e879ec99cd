package screen

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

func jpegOf(t testing.TB, m image.Image) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// resized makes a PNG claim another size, with the checksum that belongs to it.
func resized(file []byte, width, height uint32) []byte {
	file = bytes.Clone(file)
	header := file[12:29] // IHDR: type, width, height, depth, ...
	binary.BigEndian.PutUint32(header[4:], width)
	binary.BigEndian.PutUint32(header[8:], height)
	binary.BigEndian.PutUint32(file[29:], crc32.ChecksumIEEE(header))
	return file
}

// What is kept of a cover is the square in its middle, in its colours, not
// smaller than it is drawn if it was larger, and not much larger.
func TestArtworkIsTheSquareInTheMiddle(t *testing.T) {
	for _, c := range []struct{ size, want image.Point }{
		{image.Pt(1, 1), image.Pt(1, 1)}, {image.Pt(300, 200), image.Pt(200, 200)}, {image.Pt(600, 600), image.Pt(600, 600)},
		{image.Pt(1199, 1300), image.Pt(1199, 1199)}, {image.Pt(1400, 1400), image.Pt(700, 700)}, {image.Pt(2048, 2047), image.Pt(1023, 1023)},
	} {
		// Red in the middle; blue where it is cut off, and a bit further so that
		// only the middle is compared.
		m := image.NewRGBA(image.Rectangle{Max: c.size})
		edge := min(c.size.X, c.size.Y)
		for y := range c.size.Y {
			for x := range c.size.X {
				m.SetRGBA(x, y, color.RGBA{200, 40, 30, 255})
				if 2*x-c.size.X > edge+16 || c.size.X-2*x > edge+16 || 2*y-c.size.Y > edge+16 || c.size.Y-2*y > edge+16 {
					m.SetRGBA(x, y, color.RGBA{0, 0, 255, 255})
				}
			}
		}
		for kind, file := range map[string][]byte{"JPEG": jpegOf(t, m), "PNG": pngOf(t, m)} {
			got, err := DecodeArtwork(t.Context(), file)
			if err != nil {
				t.Fatalf("%s of %v: %v", kind, c.size, err)
			}
			if got.pixels.Rect != (image.Rectangle{Max: c.want}) {
				t.Errorf("%s of %v: %v", kind, c.size, got.pixels.Rect)
			}
			for _, at := range []image.Point{{}, c.want.Div(2), c.want.Sub(image.Pt(1, 1))} {
				if p := got.pixels.RGBAAt(at.X, at.Y); p.R < 190 || p.G > 50 || p.B > 45 {
					t.Errorf("%s of %v: %v at %v", kind, c.size, p, at)
				}
			}
		}
	}
}

// disc is a cover that shows how well it was scaled.
func disc(edge int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, edge, edge))
	for y := range edge {
		for x := range edge {
			dx, dy := 2*x-edge, 2*y-edge
			c := color.RGBA{uint8(200 * x / edge), 60, uint8(220 * y / edge), 255}
			if d := dx*dx + dy*dy; d < edge*edge/2 && d > edge*edge/30 {
				c = color.RGBA{uint8(60 + 180*((x*40/edge+y*40/edge)%2)), 170, 90, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

// On the screen it has the same colours, at the place meant for it, with round
// corners through which the ground is seen.
func TestArtworkOnTheScreen(t *testing.T) {
	red := color.RGBA{200, 40, 30, 255}
	for _, edge := range []int{1, 90, 540, 541, 1199} {
		m := image.NewRGBA(image.Rect(0, 0, edge, edge))
		drawBox(m, m.Rect, 0, red)
		for size, b := range sizes {
			s, st := New(nil), song
			st.Artwork = &Artwork{pixels: m}
			img, _ := s.Draw(b, &st)
			var at image.Rectangle
			for _, e := range s.now {
				if e.kind == coverElement {
					at = e.area
				}
			}
			if size == "tiny" {
				continue
			}
			half := at.Size().Div(2)
			for _, p := range []image.Point{at.Min.Add(half), {at.Min.X, at.Min.Y + half.Y}, {at.Max.X - 1, at.Min.Y + half.Y}, {at.Min.X + half.X, at.Max.Y - 1}} {
				if c := img.RGBAAt(p.X, p.Y); c != red {
					t.Errorf("edge %d, %s: %v at %v", edge, size, c, p)
				}
			}
			for _, p := range []image.Point{at.Min, at.Max.Sub(image.Pt(1, 1)), {at.Min.X - 1, at.Min.Y + half.Y}} {
				if c := img.RGBAAt(p.X, p.Y); c.R > 100 {
					t.Errorf("edge %d, %s: %v in the corner %v", edge, size, c, p)
				}
			}
		}
	}
}

func TestHostileArtwork(t *testing.T) {
	small := pngOf(t, disc(16))
	photo := jpegOf(t, disc(64))
	deep := pngOf(t, image.NewNRGBA64(image.Rect(0, 0, 4, 4)))
	for name, c := range map[string]struct {
		file    []byte
		refused bool
		says    string
	}{
		"nothing":           {nil, true, "neither JPEG nor PNG"},
		"text":              {[]byte("<svg/>"), true, "neither JPEG nor PNG"},
		"GIF":               {[]byte("GIF89a\x01\x00\x01\x00"), true, "neither JPEG nor PNG"},
		"long file":         {append(bytes.Clone(small), make([]byte, 4<<20)...), true, "limit 4194304"},
		"large":             {resized(small, 2049, 2048), true, "2049 by 2048 pixels"},
		"wide":              {resized(small, 1<<31-1, 1), true, "pixels"},
		"without end":       {resized(small, 1<<31-1, 1<<31-1), false, "dimension overflow"},
		"no width":          {resized(small, 0, 16), false, "non-positive dimension"},
		"deep":              {resized(deep, 2048, 1025), true, "2048 by 1025 pixels"},
		"taller than it is": {resized(small, 16, 2000), false, "not enough pixel data"},
		"cut PNG":           {small[:len(small)/2], false, "not enough pixel data"},
		"cut JPEG":          {photo[:len(photo)/2], false, "short Huffman data"},
		"head alone":        {photo[:3], false, "EOF"},
	} {
		m, err := DecodeArtwork(t.Context(), c.file)
		if m != nil || err == nil || errors.Is(err, ErrArtwork) != c.refused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, m != nil, err)
		}
	}
}

// A time that is over ends the decoding in the middle.
func TestArtworkInTime(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for kind, file := range map[string][]byte{"JPEG": jpegOf(t, disc(300)), "PNG": pngOf(t, disc(300))} {
		if _, err := DecodeArtwork(over, file); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func FuzzDecodeArtwork(f *testing.F) {
	f.Add(jpegOf(f, disc(20)))
	f.Add(pngOf(f, disc(20)))
	f.Add(pngOf(f, image.NewGray16(image.Rect(0, 0, 5, 9))))
	f.Fuzz(func(t *testing.T, file []byte) {
		m, err := DecodeArtwork(t.Context(), file)
		if (m == nil) == (err == nil) {
			t.Fatal(m, err)
		}
		if m != nil {
			if r := m.pixels.Rect; r.Dx() != r.Dy() || r.Empty() || r.Dx() >= 2*artworkEdge {
				t.Fatalf("%v kept", r)
			}
		}
	})
}

// Each pixel of half the size is the mean of four, channel by channel; what
// does not make a whole pixel is left out.
func TestHalve(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 5, 5))
	for i := range m.Pix {
		m.Pix[i] = uint8(i*37 + i/20)
	}
	got := halve(m)
	if got.Rect != image.Rect(0, 0, 2, 2) {
		t.Fatal(got.Rect)
	}
	for y := range 2 {
		for x := range 2 {
			for c := range 4 {
				at := func(dx, dy int) int { return int(m.Pix[(2*y+dy)*m.Stride+(2*x+dx)*4+c]) }
				if want := (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4; int(got.Pix[y*got.Stride+4*x+c]) != want {
					t.Errorf("pixel %d,%d channel %d is %d, not %d", x, y, c, got.Pix[y*got.Stride+4*x+c], want)
				}
			}
		}
	}
}
