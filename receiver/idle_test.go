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
	song := screen.State{Name: "Den", Sender: "Phone", Title: "One", Artist: "Two", Length: time.Minute, Time: time.Unix(1.8e9, 0)}
	other, covered, asked, later := song, song, song, song
	other.Title, covered.Artwork, asked.PIN, later.Time = "Three", art, "4711", song.Time.Add(time.Minute)
	drawing := idleDrawing{screen: screen.New(nil), owed: map[uint64][]image.Rectangle{}}
	small, tall := []*codec.Image{xrgb(320, 180), xrgb(320, 180)}, []*codec.Image{xrgb(180, 320), xrgb(180, 320)}
	for i, step := range []struct {
		st   screen.State
		to   []*codec.Image
		part bool
	}{
		{song, small, false}, {song, small, false}, {song, small, true}, {song, small, true}, {other, small, true}, {song, small, true},
		{later, small, true}, {covered, small, false}, {covered, small, false}, {covered, small, true}, {asked, small, false}, {covered, small, false},
		{covered, tall, false}, {covered, tall, false}, {covered, tall, true}, {covered, small, false},
	} {
		step.st.Position = time.Duration(i) * 3 * time.Second
		to := step.to[i%2]
		id := uint64(i%2 + len(step.to[0].Planes[0])<<8)
		const mark = 0xaa // in the corner, which changes with the ground alone
		corner := &to.Planes[0][0]
		right := *corner
		*corner = mark
		if !drawing.draw(to.Width, to.Height, &step.st) {
			t.Errorf("step %d: nothing changed", i)
		}
		drawing.paint(to, id)
		if part := *corner == mark; part != step.part {
			t.Errorf("step %d: a part: %v", i, part)
		} else if part {
			*corner = right
		}
		want, _ := screen.New(nil).Draw(image.Rect(0, 0, to.Width, to.Height), &step.st)
		for y := range to.Height {
			for x := range to.Width {
				c, got := want.RGBAAt(x, y), to.Row(0, y)[x*4:]
				if got[0] != c.B || got[1] != c.G || got[2] != c.R || got[3] != 0xff {
					t.Fatalf("step %d: pixel %d,%d is %v, not %v", i, x, y, got[:4], c)
				}
			}
		}
	}
	if drawing.draw(320, 180, &song); drawing.draw(320, 180, &song) {
		t.Error("the same state is drawn twice")
	}
}

// The screen is looked at when the minute ends, and while music plays when the
// position is a multiple of the interval; where that stands, rarely.
func TestUntilTick(t *testing.T) {
	at := time.Date(2026, 11, 28, 21, 37, 10, 0, time.UTC)
	for _, c := range []struct {
		title       string
		at, length  time.Duration
		least, most time.Duration
	}{
		{"", 0, 0, 50 * time.Second, 51 * time.Second},
		{"", time.Second, time.Minute, 50 * time.Second, 51 * time.Second},
		{"One", 0, time.Minute, 5 * time.Second, 5200 * time.Millisecond},
		{"One", 6 * time.Second, time.Minute, 4 * time.Second, 4200 * time.Millisecond},
		{"One", 9999 * time.Millisecond, time.Minute, time.Second, 2 * time.Second},
		{"One", time.Minute, time.Minute, 50 * time.Second, 51 * time.Second},
		{"One", time.Second, 0, 50 * time.Second, 51 * time.Second},
	} {
		if got := untilTick(&screen.State{Time: at, Title: c.title, Position: c.at, Length: c.length}); got < c.least || got > c.most {
			t.Errorf("%q, %v of %v: in %v", c.title, c.at, c.length, got)
		}
	}
}
