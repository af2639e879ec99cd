package stamp

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"
	"math/rand/v2"
	"testing"
)

var someStamp = Stamp{Frame: 0x89abcdef, Time: 0x123456789abc}

// picture returns a picture of that size with a gradient, some stripes that
// look like rings, and the stamp in its place.
func picture(width, height int, s Stamp) Plane {
	p := ground(width, height)
	g := Place(width, height)
	drawStamp(p, int(g.X), int(g.Y), int(g.CellWidth), s)
	return p
}

// ground returns what picture has the stamp on.
func ground(width, height int) Plane {
	p := Plane{make([]byte, width*height), width, width, height}
	for y := range height {
		for x := range width {
			v := byte(30 + 60*x/width + 40*y/height)
			if y < height/8 && x/9%2 == 0 {
				v = 200
			}
			p.Pix[y*width+x] = v
		}
	}
	return p
}

func drawStamp(p Plane, x, y, cell int, s Stamp) {
	fill(p, x-cell/2, y-cell/2, 29*cell, 7*cell, 16)
	cells := s.Cells()
	for r := range Rows {
		for c := range Columns {
			if cells.White(r, c) {
				fill(p, x+c*cell, y+r*cell, cell, cell, 235)
			}
		}
	}
}

func fill(p Plane, x, y, width, height int, v byte) {
	for i := range height {
		for j := range width {
			p.Pix[(y+i)*p.Stride+x+j] = v
		}
	}
}

// scaled returns p resampled to another size by averaging the area of each
// new pixel.
func scaled(p Plane, width, height int) Plane {
	across := make([]float64, width*p.Height)
	for y := range p.Height {
		resample(across[y*width:], 1, width, func(x int) float64 { return float64(p.Pix[y*p.Stride+x]) }, p.Width)
	}
	q := Plane{make([]byte, width*height), width, width, height}
	column := make([]float64, height)
	for x := range width {
		resample(column, 1, height, func(y int) float64 { return across[y*width+x] }, p.Height)
		for y, v := range column {
			q.Pix[y*width+x] = byte(v + 0.5)
		}
	}
	return q
}

func resample(to []float64, step, n int, from func(int) float64, m int) {
	size := float64(m) / float64(n)
	for i := range n {
		start, end := float64(i)*size, float64(i+1)*size
		sum := 0.0
		for j := int(start); j < m && float64(j) < end; j++ {
			sum += from(j) * (min(end, float64(j+1)) - max(start, float64(j)))
		}
		to[i*step] = sum / size
	}
}

// blurred returns p after a box filter of so many pixels.
func blurred(p Plane, size int) Plane {
	q := Plane{make([]byte, len(p.Pix)), p.Stride, p.Width, p.Height}
	for y := range p.Height {
		for x := range p.Width {
			sum, n := 0, 0
			for i := max(y-size/2, 0); i <= min(y+size/2, p.Height-1); i++ {
				for j := max(x-size/2, 0); j <= min(x+size/2, p.Width-1); j++ {
					sum += int(p.Pix[i*p.Stride+j])
					n++
				}
			}
			q.Pix[y*q.Stride+x] = byte(sum / n)
		}
	}
	return q
}

func mapped(p Plane, f func(v float64) float64) Plane {
	q := Plane{make([]byte, len(p.Pix)), p.Stride, p.Width, p.Height}
	for i, v := range p.Pix {
		q.Pix[i] = byte(min(max(math.Round(f(float64(v))), 0), 255))
	}
	return q
}

func grey(p Plane) *image.Gray {
	return &image.Gray{Pix: p.Pix, Stride: p.Stride, Rect: image.Rect(0, 0, p.Width, p.Height)}
}

// expect finds and reads the stamp in p, at the place where it must be.
func expect(t *testing.T, p Plane, want Geometry) {
	t.Helper()
	s, g, ok := Find(p)
	if !ok || s != someStamp {
		t.Fatalf("found %v %+v, want %+v", ok, s, someStamp)
	}
	last := func(g Geometry) (x, y float64) { return g.X + Columns*g.CellWidth, g.Y + Rows*g.CellHeight }
	gx, gy := last(g)
	wx, wy := last(want)
	if off := max(math.Abs(g.X-want.X), math.Abs(g.Y-want.Y), math.Abs(gx-wx), math.Abs(gy-wy)); off > 0.25*want.CellWidth+0.25 {
		t.Errorf("found at %+v, want %+v", g, want)
	}
	if s, ok := Read(p, want); !ok || s != someStamp {
		t.Errorf("read %v %+v in the known place, want %+v", ok, s, someStamp)
	}
}

func TestPlace(t *testing.T) {
	for _, c := range []struct {
		width, height int
		want          Geometry
	}{
		{1920, 1080, Geometry{512, 848, 32, 32}},
		{1280, 720, Geometry{416, 608, 16, 16}},
		{640, 480, Geometry{96, 368, 16, 16}},
		{1170, 2532, Geometry{128, 2304, 32, 32}},
		{3840, 2160, Geometry{1024, 1712, 64, 64}},
		{160, 120, Geometry{24, 92, 4, 4}},
		{158, 120, Geometry{}},
	} {
		if got := Place(c.width, c.height); got != c.want {
			t.Errorf("%dx%d: %+v, want %+v", c.width, c.height, got, c.want)
		}
	}
	for width := MinWidth; width < 4000; width += 38 {
		for height := MinHeight; height < 3000; height += 38 {
			g := Place(width, height)
			room := g.CellWidth / 2
			if g.CellWidth < 4 || g.X < room || g.Y < room || g.X+28.5*g.CellWidth > float64(width) || g.Y+6.5*g.CellHeight > float64(height) {
				t.Fatalf("%dx%d: %+v leaves no room", width, height, g)
			}
		}
	}
}

func TestCells(t *testing.T) {
	cells := Stamp{Frame: 1 << 31, Time: 1}.Cells()
	// The top row of the ring; then frame bit 31 is the first data cell.
	if cells[0] != 0x5555555 || !cells.White(1, 1) || cells.White(1, 2) {
		t.Errorf("cells %x", cells)
	}
	for _, s := range []Stamp{{}, {1, 2}, {math.MaxUint32, MaxTime}, someStamp} {
		cells := s.Cells()
		if got, ok := cells.Parse(); !ok || got != s {
			t.Errorf("%+v parsed as %v %+v", s, ok, got)
		}
		for r := range Rows {
			for c := range Columns {
				broken := cells
				broken[r] ^= 1 << c
				if _, ok := broken.Parse(); ok {
					t.Fatalf("a wrong cell %d,%d goes unnoticed", r, c)
				}
			}
		}
	}
	if crc := crc24([]byte("123456789")); crc != 0x21cf02 { // the CRC catalogue's check value of CRC-24/OPENPGP
		t.Errorf("crc %06x", crc)
	}
}

// TestNoiseIsNoStamp reads random grids, half of them with a proper ring.
func TestNoiseIsNoStamp(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 100_000 {
		var c Cells
		for r := range c {
			c[r] = random.Uint32() & (1<<Columns - 1)
			if i%2 == 0 {
				c[r] = c[r]&^ringMask[r] | ring[r]
			}
		}
		if s, ok := c.Parse(); ok {
			t.Fatalf("random cells %x read as %+v", c, s)
		}
	}
}

func TestScaledPictures(t *testing.T) {
	for _, from := range [][2]int{{1920, 1080}, {640, 480}, {1170, 2532}, {320, 240}} {
		original := picture(from[0], from[1], someStamp)
		g := Place(from[0], from[1])
		expect(t, original, g)
		factors := [][2]float64{{3 / g.CellWidth, 3 / g.CellWidth}, {0.667, 0.5}}
		if from[0] < 1000 {
			factors = append(factors, [][2]float64{{1.5, 1.5}, {0.9, 1.2}, {1.3, 0.7}}...)
		}
		for _, factor := range factors {
			width, height := int(factor[0]*float64(from[0])), int(factor[1]*float64(from[1]))
			t.Run(fmt.Sprintf("%dx%d to %dx%d", from[0], from[1], width, height), func(t *testing.T) {
				expect(t, scaled(original, width, height),
					g.Scale(float64(width)/float64(from[0]), float64(height)/float64(from[1])))
			})
		}
	}
}

func TestDegradedPictures(t *testing.T) {
	original := picture(1280, 720, someStamp)
	small := scaled(original, 480, 270) // cells of 6 pixels
	random := rand.New(rand.NewPCG(3, 4))
	noise := func(v float64) float64 { return v + 18*random.NormFloat64() }
	for name, p := range map[string]Plane{
		"blurred":     blurred(original, 11),
		"blurred, 6":  blurred(small, 5),
		"noisy":       mapped(original, noise),
		"noisy, 6":    mapped(small, noise),
		"dimmed":      mapped(original, func(v float64) float64 { return 10 + 0.25*v }),
		"overexposed": mapped(original, func(v float64) float64 { return 1.6*v + 40 }),
		"gamma":       mapped(small, func(v float64) float64 { return 255 * math.Pow(v/255, 2.2) }),
	} {
		t.Run(name, func(t *testing.T) {
			expect(t, p, Place(1280, 720).Scale(float64(p.Width)/1280, float64(p.Height)/720))
		})
	}
	for _, quality := range []int{50, 20, 8} {
		t.Run(fmt.Sprintf("JPEG quality %d", quality), func(t *testing.T) {
			var b bytes.Buffer
			if err := jpeg.Encode(&b, grey(small), &jpeg.Options{Quality: quality}); err != nil {
				t.Fatal(err)
			}
			img, err := jpeg.Decode(&b)
			if err != nil {
				t.Fatal(err)
			}
			if s, _, ok := FindImage(img); !ok || s != someStamp {
				t.Errorf("found %v %+v", ok, s)
			}
		})
	}
}

// TestScreenshot finds a stamp in a picture that is only a part of an image,
// of each of the kinds that image decoders return.
func TestScreenshot(t *testing.T) {
	bounds := image.Rect(-7, 5, 1500, 905)
	video := image.Rect(101, 303, 101+720, 303+405)
	p := scaled(picture(1920, 1080, someStamp), 720, 405)
	want := Place(1920, 1080).Scale(0.375, 0.375).Move(101, 303)
	for name, img := range map[string]draw.Image{
		"RGBA":   image.NewRGBA(bounds),
		"NRGBA":  image.NewNRGBA(bounds),
		"Gray":   image.NewGray(bounds),
		"RGBA64": image.NewRGBA64(bounds),
	} {
		draw.Draw(img, bounds, image.NewUniform(color.White), image.Point{}, draw.Src)
		if _, _, ok := FindImage(img); ok {
			t.Errorf("%s: a stamp on a white page", name)
		}
		draw.Draw(img, video, grey(p), image.Point{}, draw.Src)
		s, g, ok := FindImage(img)
		if !ok || s != someStamp || math.Abs(g.X-want.X)+math.Abs(g.Y-want.Y) > 1 {
			t.Errorf("%s: found %v %+v at %+v, want it at %+v", name, ok, s, g, want)
		}
	}
}

// TestTornPicture joins the upper half of one frame and the lower half of the
// next.
func TestTornPicture(t *testing.T) {
	g := Place(1280, 720)
	random := rand.New(rand.NewPCG(5, 6))
	for i := range 200 {
		p := picture(1280, 720, Stamp{random.Uint32(), random.Uint64() & MaxTime})
		q := picture(1280, 720, Stamp{random.Uint32(), random.Uint64() & MaxTime})
		at := (int(g.Y) + int(g.CellHeight)*(2+i%3)) * p.Stride
		copy(p.Pix[at:], q.Pix[at:])
		if s, ok := Read(p, g); ok {
			t.Fatalf("torn stamp read as %+v", s)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	p := picture(640, 480, someStamp)
	g := Place(640, 480)
	for name, c := range map[string]struct {
		p Plane
		g Geometry
	}{
		"no place":        {p, Geometry{}},
		"outside":         {p, g.Move(200, 0)},
		"above":           {p, g.Move(0, -400)},
		"NaN":             {p, Geometry{math.NaN(), g.Y, g.CellWidth, g.CellHeight}},
		"infinite":        {p, Geometry{g.X, g.Y, math.Inf(1), g.CellHeight}},
		"half a cell off": {p, g.Move(8, 8)},
		"short memory":    {Plane{p.Pix[:len(p.Pix)-1], p.Stride, p.Width, p.Height}, g},
		"narrow stride":   {Plane{p.Pix, 639, p.Width, p.Height}, g},
		"empty":           {Plane{}, g},
		"flat":            {mapped(p, func(v float64) float64 { return 100 + v/20 }), g},
		"inverted":        {mapped(p, func(v float64) float64 { return 255 - v }), g},
	} {
		if s, ok := Read(c.p, c.g); ok {
			t.Errorf("%s: read as %+v", name, s)
		}
	}
}

// TestStripesCostLittle searches pictures in which every edge could be that
// of a ring, and counts the candidates that are looked at more closely.
func TestStripesCostLittle(t *testing.T) {
	for _, width := range []int{2, 3, 9} {
		var edges []float64
		row := make([]byte, 1920)
		for x := range row {
			row[x] = byte(255 * (x / width % 2))
		}
		edges = line{row, 1, len(row)}.edges(nil, minContrast)
		candidates := 0
		for first := 0; first+ringEdges <= len(edges); first += 2 {
			if _, ok := ringRow(edges[first:]); ok {
				candidates++
			}
		}
		if candidates > 1 {
			t.Errorf("stripes of %d pixels: %d candidates in a row", width, candidates)
		}
	}
}

func TestReadAllocatesNothing(t *testing.T) {
	p, g := picture(1920, 1080, someStamp), Place(1920, 1080)
	if n := testing.AllocsPerRun(100, func() { Read(p, g) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzFind searches pictures of any content and reads at any place. What it
// finds must be drawn there.
func FuzzFind(f *testing.F) {
	p := ground(62, 15)
	drawStamp(p, 2, 1, 2, someStamp)
	f.Add(p.Pix, uint16(62), 2.0, 1.0, 2.0, 2.0)
	f.Add(p.Pix[:800], uint16(62), -1.0, 0.0, 1e300, 4.0)
	f.Add([]byte{0, 255, 0, 255}, uint16(2), 0.0, 0.0, 0.0, 0.0)
	f.Fuzz(func(t *testing.T, pix []byte, width uint16, x, y, w, h float64) {
		if width == 0 || len(pix) > 1<<16 {
			return
		}
		p := Plane{pix, int(width), int(width), len(pix) / int(width)}
		Read(p, Geometry{x, y, w, h})
		s, g, ok := Find(p)
		if !ok {
			return
		}
		if again, ok := Read(p, g); !ok || again != s {
			t.Errorf("found %+v, read %v %+v", s, ok, again)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	p, g := picture(1920, 1080, someStamp), Place(1920, 1080)
	b.ReportAllocs()
	for b.Loop() {
		Read(p, g)
	}
}

func BenchmarkFind(b *testing.B) {
	p := picture(1920, 1080, someStamp)
	fill(p, 0, 0, 1920, 1080/8, 50) // without the stripes
	for b.Loop() {
		Find(p)
	}
}
