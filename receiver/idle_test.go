package receiver

import (
	"bytes"
	"image"
	"image/png"
	"testing"
	"time"

	"aerie/receiver/codec"
	"aerie/receiver/screen"
)

// cover16 is a PNG of 16 by 16 pixels of one brightness.
func cover16(t testing.TB, grey uint8) []byte {
	m := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range m.Pix {
		m.Pix[i] = grey
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func xrgb(width, height int) *codec.Image {
	im := &codec.Image{Format: codec.XRGB8888, Width: width, Height: height}
	im.Strides[0] = width*4 + 64
	im.Planes[0] = make([]byte, im.Strides[0]*height)
	return im
}

// Whatever surfaces held before, after each drawing they hold all of the
// state; and one that differs in its position alone costs a small part.
func TestPaintMakesGoodWhatDiffers(t *testing.T) {
	art, err := screen.DecodeArtwork(t.Context(), cover16(t, 200))
	if err != nil {
		t.Fatal(err)
	}
	song := screen.State{Name: "Den", Sender: "Phone", Title: "One", Artist: "Two", Length: time.Minute}
	other, covered, asked := song, song, song
	other.Title, covered.Artwork, asked.PIN = "Three", art, "4711"
	drawing := idleDrawing{held: map[uint64]bool{}}
	small, tall := []*codec.Image{xrgb(320, 180), xrgb(320, 180)}, []*codec.Image{xrgb(180, 320), xrgb(180, 320)}
	for i, step := range []struct {
		st   screen.State
		to   []*codec.Image
		part bool
	}{
		{song, small, false}, {song, small, false}, {song, small, true}, {song, small, true}, {other, small, false}, {song, small, false},
		{song, small, false}, {covered, small, false}, {covered, small, false}, {covered, small, true}, {asked, small, false}, {covered, small, false},
		{covered, tall, false}, {covered, tall, false}, {covered, tall, true}, {covered, small, false},
	} {
		step.st.Position = time.Duration(i) * 3 * time.Second
		to := step.to[i%2]
		id := uint64(i%2 + len(step.to[0].Planes[0])<<8)
		const mark = 0xaa // in the corner, which is not of the bar
		corner := &to.Planes[0][0]
		right := *corner
		*corner = mark
		drawing.paint(to, id, step.st)
		if part := *corner == mark; part != step.part {
			t.Errorf("step %d: a part: %v", i, part)
		} else if part {
			*corner = right
		}
		want := image.NewRGBA(image.Rect(0, 0, to.Width, to.Height))
		screen.Draw(want, step.st)
		for y := range to.Height {
			for x := range to.Width {
				c, got := want.RGBAAt(x, y), to.Row(0, y)[x*4:]
				if got[0] != c.B || got[1] != c.G || got[2] != c.R || got[3] != 0xff {
					t.Fatalf("step %d: pixel %d,%d is %v, not %v", i, x, y, got[:4], c)
				}
			}
		}
	}
}

// The bar moves when the position is a multiple of the interval; without one,
// and at its end, it is left alone; where it stands it is looked at rarely.
func TestUntilAdvance(t *testing.T) {
	for _, c := range []struct {
		at, length, least, most time.Duration
	}{
		{0, time.Minute, 5 * time.Second, 5200 * time.Millisecond},
		{6 * time.Second, time.Minute, 4 * time.Second, 4200 * time.Millisecond},
		{9999 * time.Millisecond, time.Minute, time.Second, 2 * time.Second},
		{time.Minute, time.Minute, time.Hour, time.Hour},
		{time.Second, 0, time.Hour, time.Hour},
	} {
		if got := untilAdvance(screen.State{Title: "One", Position: c.at, Length: c.length}); got < c.least || got > c.most {
			t.Errorf("%v of %v: in %v", c.at, c.length, got)
		}
	}
	if got := untilAdvance(screen.State{Length: time.Minute}); got < time.Hour {
		t.Errorf("of nothing: in %v", got)
	}
}
