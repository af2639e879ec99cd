package screen

import (
	"bytes"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// laid is the scene of a state.
func laid(b image.Rectangle, st State) scene {
	return layouts.layOut(nil, b, &st)
}

var layouts = New(nil)

// Nothing but the ground, and the field that fills it, is outside of the middle
// 90 % of each side, at any time of the drift. Letters may reach over by an
// accent.
func TestSafeArea(t *testing.T) {
	for name, st := range states {
		for size, b := range sizes {
			if size == "tiny" {
				continue
			}
			for range 5 {
				st.Time = time.Unix(rand.Int64N(4e9), 0).UTC()
				u := unit(b)
				ok := image.Rect(b.Min.X+int(0.05*float64(b.Dx())), b.Min.Y+int(0.05*float64(b.Dy())), b.Max.X-int(0.05*float64(b.Dx())), b.Max.Y-int(0.05*float64(b.Dy())))
				for _, e := range laid(b, st) {
					in := ok
					switch {
					case e.area == b:
						continue
					case e.kind == textElement:
						in = in.Inset(-int(0.035 * u))
					case e.kind == iconElement:
						in = in.Inset(-int(0.01 * u))
					}
					if !e.area.In(in) {
						t.Errorf("%s, %s: %q at %v, safe is %v", name, size, e.text, e.area, in)
					}
				}
			}
		}
	}
}

// Texts, covers and codes have places of their own.
func TestNothingOverlaps(t *testing.T) {
	for name, st := range states {
		for size, b := range sizes {
			if size == "tiny" {
				continue
			}
			var taken []element
			for _, e := range laid(b, st) {
				if e.kind != textElement && e.kind != coverElement && e.kind != codeElement {
					continue
				}
				if e.kind == textElement { // from the top of its capital letters to its line
					base := e.dot.Y.Floor()
					e.area.Min.Y, e.area.Max.Y = base-int(capRatio*float64(e.font.size)/4), base
				}
				for _, o := range taken {
					if e.area.Overlaps(o.area) {
						t.Errorf("%s, %s: %q at %v and %q at %v", name, size, e.text, e.area, o.text, o.area)
					}
				}
				taken = append(taken, e)
			}
		}
	}
}

// Letters have the heights that the package promises. Those that matter are
// larger than notes.
func TestReadsFromTheSofa(t *testing.T) {
	matters := []string{"Living Room", "Ready for your screen", "Control Centre", "Screen Mirroring", "21:37", "4", "Für Elise", "Room 204", "2", "Scan the code with your phone",
		"Connect Aerie to your Wi-Fi", "Went back to version 1.3.2", "Mistake in the settings", "The power supply is too weak", "Ludwig van Beethoven", "Connected to Ann's iPhone"}
	for size, b := range sizes {
		if size == "tiny" {
			continue
		}
		found := map[string]float64{}
		for name, st := range states {
			for _, e := range laid(b, st) {
				if e.kind != textElement {
					continue
				}
				// The size of a font is in quarters of a pixel.
				height := capRatio * (float64(e.font.size) + 0.5) / 4 / unit(b)
				found[e.text] = max(found[e.text], height)
				if height < 1.0/42 {
					t.Errorf("%s, %s: %q is %.1f %% of the height", name, size, e.text, 100*height)
				}
			}
		}
		for _, text := range matters {
			if found[text] < 1.0/25 {
				t.Errorf("%s: %q is %.1f %% of the height", size, text, 100*found[text])
			}
		}
	}
}

// luminance and contrast are those of WCAG 2.1.
func luminance(c color.RGBA) float64 {
	part := func(v uint8) float64 {
		if s := float64(v) / 255; s > 0.04045 {
			return math.Pow((s+0.055)/1.055, 2.4)
		} else {
			return s / 12.92
		}
	}
	return 0.2126*part(c.R) + 0.7152*part(c.G) + 0.0722*part(c.B)
}

func contrast(a, b color.RGBA) float64 {
	l, m := luminance(a), luminance(b)
	return (max(l, m) + 0.05) / (min(l, m) + 0.05)
}

// Every text stands out from every pixel behind it: by 7 to 1, which is more
// than the 4.5 that WCAG 2.1 asks for (1.4.3), for TVs are seen in daylight.
func TestContrast(t *testing.T) {
	b := sizes["720p"]
	for _, tint := range []color.RGBA{{255, 255, 255, 255}, {255, 0, 0, 255}, {0, 0, 255, 255}, {255, 255, 0, 255}, {}} {
		m := image.NewRGBA(image.Rect(0, 0, 8, 8))
		drawBox(m, m.Rect, 0, color.RGBA{tint.R, tint.G, tint.B, 255})
		states["tint"] = with(song, func(s *State) { s.Artwork = &Artwork{pixels: m} })
		for name, st := range states {
			if name != "tint" && tint.A != 0 {
				continue
			}
			s := New(nil)
			img, _ := s.Draw(b, &st)
			texts := slices.DeleteFunc(slices.Clone(s.now), func(e element) bool { return e.kind != textElement })
			s.paint(slices.DeleteFunc(slices.Clone(s.now), func(e element) bool { return e.kind == textElement }), b)
			for _, e := range texts {
				worst := math.Inf(1)
				for y := e.area.Min.Y; y < e.area.Max.Y; y += 3 {
					for x := e.area.Min.X; x < e.area.Max.X; x += 3 {
						worst = min(worst, contrast(e.color, img.RGBAAt(x, y)))
					}
				}
				if worst < 7 {
					t.Errorf("%s %v: %q has a contrast of %.1f", name, tint, e.text, worst)
				}
			}
		}
	}
	delete(states, "tint")
}

// Whatever was drawn before, and however little of it has changed, the picture
// is that of the state, and areas that are not told of are as they were.
func TestDrawingWhatChanged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	list := make([]State, 0, len(states))
	for _, name := range names {
		list = append(list, states[name])
	}
	for size, steps := range map[string]int{"480p": 150, "tall": 12, "tiny": 60} {
		b := sizes[size]
		s, st, before := New(nil), list[0], image.NewRGBA(b)
		for i := range steps {
			switch rng.IntN(4) {
			case 0:
				st = list[rng.IntN(len(list))]
			case 1:
				st.Time = st.Time.Add(time.Duration(rng.IntN(100)) * time.Second)
			case 2:
				st.Position += time.Duration(rng.IntN(9000)) * time.Millisecond
			case 3:
				st.Notices = list[rng.IntN(len(list))].Notices
			}
			m, changed := s.Draw(b, &st)
			want := drawn(b, st)
			if !bytes.Equal(m.Pix, want.Pix) {
				t.Fatalf("%s, step %d: differs from the state drawn anew", size, i)
			}
			for y := b.Min.Y; y < b.Max.Y; y++ {
				for x := b.Min.X; x < b.Max.X; x++ {
					if m.RGBAAt(x, y) != before.RGBAAt(x, y) && !slices.ContainsFunc(changed, func(r image.Rectangle) bool { return image.Pt(x, y).In(r) }) {
						t.Fatalf("%s, step %d: pixel %d,%d changed outside of %v", size, i, x, y, changed)
					}
				}
			}
			copy(before.Pix, m.Pix)
		}
	}
}

// Areas that were merged cover what was added, do not overlap, and are few.
func TestMerge(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		var list, all []image.Rectangle
		for range rng.IntN(40) {
			x, y := rng.IntN(100), rng.IntN(100)
			r := image.Rect(x, y, x+rng.IntN(30), y+rng.IntN(30))
			all, list = append(all, r), Merge(list, r)
		}
		if len(list) > maxAreas {
			t.Fatalf("%d areas", len(list))
		}
		for i, r := range list {
			for _, o := range list[i+1:] {
				if r.Overlaps(o) {
					t.Fatalf("%v and %v", r, o)
				}
			}
		}
		for _, r := range all {
			if !r.Empty() && !slices.ContainsFunc(list, func(in image.Rectangle) bool { return r.In(in) }) {
				t.Fatalf("%v is not in %v", r, list)
			}
		}
	}
}

// A second of an idle screen changes nothing; five of music change the bar and
// its time; a minute changes what has moved.
func TestHowMuchChanges(t *testing.T) {
	b := sizes["1080p"]
	share := func(changed []image.Rectangle) (sum float64) {
		for _, r := range changed {
			sum += float64(r.Dx()*r.Dy()) / float64(b.Dx()*b.Dy())
		}
		return sum
	}
	s, st := New(nil), states["idle"]
	if _, changed := s.Draw(b, &st); share(changed) != 1 {
		t.Errorf("at first: %v", changed)
	}
	st.Time = st.Time.Add(time.Second)
	if _, changed := s.Draw(b, &st); len(changed) != 0 {
		t.Errorf("a second later: %v", changed)
	}
	st.Time = st.Time.Add(time.Minute)
	if _, changed := s.Draw(b, &st); len(changed) == 0 {
		t.Error("a minute later: nothing")
	}
	s, st = New(nil), song
	s.Draw(b, &st)
	st.Position += 5 * time.Second
	if _, changed := s.Draw(b, &st); share(changed) == 0 || share(changed) > 0.02 {
		t.Errorf("the bar: %v", changed)
	}
	if _, changed := s.Draw(sizes["720p"], &st); len(changed) != 1 || changed[0] != sizes["720p"] {
		t.Errorf("on another screen: %v", changed)
	}
}

// The drift stays within six pixels of 1080 lines, moves by one at most and by
// something every minute, and is everywhere as often.
func TestDrift(t *testing.T) {
	const lap = 120
	seen := map[image.Point]int{}
	for n := int64(-lap); n < 10*lap; n++ {
		a, b := drift(1080, n), drift(1080, n+1)
		d := b.Sub(a)
		if max(a.X, -a.X) > 6 || max(a.Y, -a.Y) > 6 || max(d.X, -d.X) > 1 || max(d.Y, -d.Y) > 1 || d == (image.Point{}) {
			t.Fatalf("minute %d: %v, then %v", n, a, b)
		}
		if a != drift(1080, n+lap) {
			t.Fatalf("minute %d: not the same after %d", n, lap)
		}
		if n >= 0 && n < lap {
			seen[a]++
		}
		if two := drift(2160, n); two != a.Mul(2) {
			t.Fatalf("minute %d: %v on a screen of twice the size", n, two)
		}
	}
	if len(seen) < 50 {
		t.Errorf("%d places in two hours", len(seen))
	}
}

// No clock is shown while the time cannot be right; several notices take
// turns.
func TestClockAndNotices(t *testing.T) {
	has := func(st State, text string) bool {
		return slices.ContainsFunc(laid(sizes["720p"], st), func(e element) bool { return e.text == text })
	}
	for year, want := range map[int]bool{1970: false, 2019: false, 2020: true, 2026: true} {
		if got := has(with(idle, func(s *State) { s.Time = time.Date(year, 6, 1, 8, 5, 0, 0, time.UTC) }), "08:05"); got != want {
			t.Errorf("%d: %v", year, got)
		}
	}
	st := with(idle, func(s *State) { s.Notices = []Notice{{Warning, "One", ""}, {Info, "Two", "x"}, {Done, "Three", ""}} })
	for n := range 9 {
		st.Time = evening.Add(time.Duration(n) * time.Minute)
		shown := 0
		for _, title := range []string{"One", "Two", "Three"} {
			if has(st, title) {
				shown++
			}
		}
		if next := st; shown != 1 || has(next, "One") && has(with(next, func(s *State) { s.Time = s.Time.Add(time.Minute) }), "One") {
			t.Errorf("minute %d: %d notices", n, shown)
		}
	}
}

// What fills the screen follows from the state in the order that is said.
func TestPriorities(t *testing.T) {
	st := with(song, func(s *State) {
		s.PIN, s.Identify, s.Setup = "4711", true, Setup{Title: "Set up"}
		s.Notices = []Notice{{Warning, "Notice", ""}}
	})
	for _, step := range []struct {
		shows, hides string
		next         func()
	}{
		{"Enter this code on your device", "Notice", func() { st.PIN = "" }},
		{"Living Room", "Notice", func() { st.Identify = false }},
		{"Set up", "Für Elise", func() { st.Setup = Setup{} }},
		{"Für Elise", "Connected to Ann's iPhone", func() { st.Title = "" }},
		{"Connected to Ann's iPhone", "Control Centre", func() { st.Sender = "" }},
		{"Control Centre", "Ready for your music", func() {}},
	} {
		sc := laid(sizes["720p"], st)
		shows := func(text string) bool {
			return slices.ContainsFunc(sc, func(e element) bool { return e.text == text })
		}
		if !shows(step.shows) || shows(step.hides) {
			t.Errorf("%q: shown %v; %q: shown %v", step.shows, shows(step.shows), step.hides, shows(step.hides))
		}
		step.next()
	}
}

// A tick that changes nothing allocates nothing but the words of clock and
// version; the bar's costs little.
func TestTicksAllocateLittle(t *testing.T) {
	b := sizes["1080p"]
	for name, most := range map[string]float64{"idle": 8, "song": 14} {
		s, st := New(nil), states[name]
		s.Draw(b, &st)
		if n := testing.AllocsPerRun(20, func() { st.Position += 5 * time.Second; s.Draw(b, &st) }); n > most {
			t.Errorf("%s: %.0f allocations", name, n)
		}
	}
}

func TestClockFace(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0:00", 59999 * time.Millisecond: "0:59", 83 * time.Second: "1:23", time.Hour: "1:00:00", 27*time.Hour + 61*time.Second: "27:01:01"} {
		if got := clockFace(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}

// BenchmarkDraw is what a redraw costs: of everything with nothing prepared,
// of everything because it has moved, of the bar, and of nothing.
func BenchmarkDraw(b *testing.B) {
	bounds := sizes["1080p"]
	s, st := New(nil), song
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			st.Artwork.scaled = nil
			New(nil).Draw(bounds, &st)
		}
	})
	for name, change := range map[string]func(){
		"minute": func() { st.Time = st.Time.Add(time.Minute) },
		"bar":    func() { st.Position = (st.Position + 5*time.Second) % st.Length },
		"none":   func() {},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			s.Draw(bounds, &st)
			for b.Loop() {
				change()
				s.Draw(bounds, &st)
			}
		})
	}
}
