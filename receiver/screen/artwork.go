package screen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"sync"

	"golang.org/x/image/draw"
)

const (
	// maxArtworkBytes is the longest file that is decoded. Covers have tens or
	// hundreds of kilobytes.
	maxArtworkBytes = 4 << 20
	// maxArtworkPixels is the memory of the pixels, in bytes: 2048 by 2048
	// pixels of 8 bits a channel.
	maxArtworkPixels = 16 << 20
	// artworkEdge is what a cover is not made smaller than before it is drawn:
	// about its size on a screen of 1080 lines.
	artworkEdge = 600
)

// ErrArtwork is the error of artwork that is refused unread: neither JPEG nor
// PNG, or too large.
var ErrArtwork = errors.New("screen: artwork refused")

// Artwork is a cover: a square of less than 1200 pixels.
type Artwork struct {
	pixels *image.RGBA

	mu     sync.Mutex
	scaled *image.RGBA // as it was drawn last
	radius int         // of its corners then

	tint sync.Once
	glow color.RGBA // see light
}

// DecodeArtwork decodes a cover, a JPEG or PNG image that a stranger has sent.
// Of one that is not a square it takes the middle.
//
// What it costs is limited before and while it is decoded: at most 4 MB of file,
// 16 MB of pixels, and the time that ctx gives. The error is ErrArtwork, that
// of ctx, or says what is wrong with the image.
func DecodeArtwork(ctx context.Context, file []byte) (*Artwork, error) {
	if len(file) > maxArtworkBytes {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrArtwork, len(file), maxArtworkBytes)
	}
	var decode func(io.Reader) (image.Image, error)
	var config func(io.Reader) (image.Config, error)
	switch {
	case bytes.HasPrefix(file, []byte("\xff\xd8\xff")):
		decode, config = jpeg.Decode, jpeg.DecodeConfig
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		decode, config = png.Decode, png.DecodeConfig
	default:
		return nil, fmt.Errorf("%w: neither JPEG nor PNG", ErrArtwork)
	}
	c, err := config(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("screen: artwork: %w", err)
	}
	if c.Width < 1 || c.Height < 1 || int64(c.Width)*int64(c.Height) > maxArtworkPixels/pixelSize(c.ColorModel) {
		return nil, fmt.Errorf("%w: %d by %d pixels, limit %d MB", ErrArtwork, c.Width, c.Height, maxArtworkPixels>>20)
	}
	m, err := decode(&hurried{ctx, bytes.NewReader(file)})
	if err != nil {
		return nil, fmt.Errorf("screen: artwork: %w", err)
	}
	return &Artwork{pixels: shrink(square(m), artworkEdge)}, nil
}

// pixelSize returns the bytes of a pixel in memory at most.
func pixelSize(m color.Model) int64 {
	switch m {
	case color.RGBA64Model, color.NRGBA64Model, color.Gray16Model:
		return 8
	}
	return 4
}

// hurried reads a file in small pieces until the time is over. A progressive
// JPEG of 4 MB can ask for a hundred thousand passes over all of its pixels;
// none of them needs more than a few bytes.
type hurried struct {
	ctx  context.Context
	file *bytes.Reader
}

func (h *hurried) Read(b []byte) (int, error) {
	if err := h.ctx.Err(); err != nil {
		return 0, err
	}
	return h.file.Read(b[:min(len(b), 256)])
}

// square returns the largest square in the middle of an image.
func square(m image.Image) *image.RGBA {
	b := m.Bounds()
	edge := min(b.Dx(), b.Dy())
	out := image.NewRGBA(image.Rect(0, 0, edge, edge))
	corner := b.Min.Add(image.Pt((b.Dx()-edge)/2, (b.Dy()-edge)/2))
	draw.Draw(out, out.Rect, m, corner, draw.Src)
	return out
}

// shrink halves a square as often as it stays larger than edge. What is left
// for the good filter is less than a factor of two: its memory grows with the
// size of the source.
func shrink(m *image.RGBA, edge int) *image.RGBA {
	for m.Rect.Dx() >= 2*max(edge, 1) {
		m = halve(m)
	}
	return m
}

// halve makes a pixel of each four. (The general filters of x/image/draw would
// do, at the price of 100 KB of code for all kinds of image.)
func halve(m *image.RGBA) *image.RGBA {
	n := m.Rect.Dx() / 2
	half := image.NewRGBA(image.Rect(0, 0, n, n))
	for y := range n {
		upper, lower := m.Pix[2*y*m.Stride:][:8*n], m.Pix[(2*y+1)*m.Stride:][:8*n]
		to := half.Pix[y*half.Stride:][:4*n]
		for i := range to {
			from := i&^3*2 + i&3
			to[i] = uint8((uint(upper[from]) + uint(upper[from+4]) + uint(lower[from]) + uint(lower[from+4]) + 2) / 4)
		}
	}
	return half
}

// draw draws a cover over a square, with round corners, as far as img reaches.
// Scaling it is most of the work of a screen, so the result is kept for the
// next time.
func (a *Artwork) draw(img *image.RGBA, at image.Rectangle, radius int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.scaled == nil || a.scaled.Rect.Size() != at.Size() || a.radius != radius {
		size := image.Rectangle{Max: at.Size()}
		m := shrink(a.pixels, size.Dx())
		a.scaled, a.radius = image.NewRGBA(size), radius
		draw.CatmullRom.Scale(a.scaled, size, m, m.Rect, draw.Src, nil)
		a.round()
	}
	// Only the rows with corners let anything through.
	upper, lower := at, at
	upper.Max.Y = at.Min.Y + min(radius, at.Dy())
	lower.Min.Y = max(at.Max.Y-radius, upper.Max.Y)
	between := image.Rect(at.Min.X, upper.Max.Y, at.Max.X, lower.Min.Y)
	draw.Draw(img, upper, a.scaled, image.Point{}, draw.Over)
	draw.Draw(img, between, a.scaled, between.Min.Sub(at.Min), draw.Src)
	draw.Draw(img, lower, a.scaled, lower.Min.Sub(at.Min), draw.Over)
}

// round cuts the corners off.
func (a *Artwork) round() {
	r := a.scaled.Rect
	for y := range r.Dy() {
		for x := range r.Dx() {
			if part := covered(r, a.radius, x, y); part < 255 {
				px := a.scaled.Pix[a.scaled.PixOffset(x, y):][:4]
				for i := range px {
					px[i] = uint8(uint32(px[i]) * part / 255)
				}
			}
		}
	}
}

// light is the colour that the cover throws on the screen: the mean of its
// pixels, darkened so that letters on it can be read.
func (a *Artwork) light() color.RGBA {
	a.tint.Do(func() {
		small := shrink(a.pixels, 2)
		var sum [3]int
		for i := 0; i+3 < len(small.Pix); i += 4 {
			for k := range sum {
				sum[k] += int(small.Pix[i+k])
			}
		}
		n := max(len(small.Pix)/4, 1)
		c := [3]float64{float64(sum[0] / n), float64(sum[1] / n), float64(sum[2] / n)}
		// As bright as the glow of other screens at most, whatever the hue.
		const most = 46
		part := min(most/max(0.3*c[0]+0.59*c[1]+0.11*c[2], 1), 1)
		a.glow = color.RGBA{uint8(min(c[0]*part, 90)), uint8(min(c[1]*part, 90)), uint8(min(c[2]*part, 90)), 255}
	})
	return a.glow
}
