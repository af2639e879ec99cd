package screen

import (
	"image"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/image/math/fixed"
)

// written is what of a text is drawn in a style, line by line.
func written(t testing.TB, f *fonts, text string, s style, width int) []string {
	t.Helper()
	got := f.fit(text, s, 1080, width)
	for i, w := range got.widths {
		if w > fixed.I(width) {
			t.Errorf("%q: line %q is %v wide, room is %d", text, got.lines[i], w, width)
		}
	}
	if len(got.lines) > max(s.lines, 1) {
		t.Errorf("%q: %d lines", text, len(got.lines))
	}
	return got.lines
}

// Long texts are broken at blanks and cut in the end; one that nearly fits gets
// smaller letters instead.
func TestFit(t *testing.T) {
	var f fonts
	main := style{cap: capMain, color: bright, lines: 2}
	for _, c := range []struct {
		text  string
		style style
		width int
		want  string
	}{
		{"short", main, 800, "short"},
		{"two words that take two lines in all", main, 600, "two words that take|two lines in all"},
		{"many words that would take more than two lines in all of the room that they are given here", main, 600, "many words that|would take more th…"},
		{"one line is too long for the room", main.of(1), 600, "one line is too long f…"},
		{"Donaudampfschifffahrtsgesellschaftskapitän", main, 600, "Donaudampfschiffffff|"},
		{"a name that is nearly", style{cap: 0.06, least: 0.04, lines: 2}, 780, "a name that is nearly"},
		{"", main, 600, ""},
		{"  \n\t ", main, 600, ""},
	} {
		got := strings.Join(written(t, &f, c.text, c.style, c.width), "|")
		if strings.HasSuffix(c.want, "|") { // broken somewhere within
			if n := strings.Count(got, "|"); n != 1 || strings.ReplaceAll(got, "|", "") != c.text && !strings.HasSuffix(got, "…") {
				t.Errorf("%q: %q", c.text, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// Letters that no font has are left out or written without their accents;
// nothing that is not a letter is ever drawn.
func TestLegible(t *testing.T) {
	var f fonts
	for text, want := range map[string]string{
		"Zdeněk Ελλάδα Привет":        "Zdeněk Ελλάδα Привет",
		"Cafe\u0301 Zu\u0308rich":     "Café Zürich", // decomposed, as names of files of a Mac
		"Phòng khách, Bế Văn Đàn":     "Phòng khách, Be Văn Đàn",
		"Living\u200dRoom\u202e evil": "LivingRoom evil",
		"🎵 Music 🎶 & more 👩‍👩‍👧":      "Music & more",
		"東京Tokyo":                     "Tokyo",
		"Tokyo東京Osaka":                "Tokyo Osaka",
		"客厅, 거실":                      ",",
		"bad \xff\xfe bytes":          "bad bytes",
		"two\nlines\x1b[2J":           "two lines[2J",
	} {
		if got := strings.Join(written(t, &f, text, style{cap: 0.02}, 1800), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// A receiver with a name that cannot be written has one all the same, and
// music a title.
func TestNothingLegible(t *testing.T) {
	for want, st := range map[string]State{nameless: with(idle, func(s *State) { s.Name = "客厅 거실" }), "♪": with(song, func(s *State) { s.Title = "夜に駆ける" })} {
		found := false
		for _, e := range laid(sizes["720p"], st) {
			found = found || e.text == want
		}
		if !found {
			t.Errorf("no %q", want)
		}
	}
}

// With fonts of the system every script has letters. Hebrew runs from right to
// left, numbers in it do not.
func TestFallbackFonts(t *testing.T) {
	f := fonts{fallback: Fallback("/")}
	have := f.fallback()
	if len(have) < 2 {
		t.Skipf("%d of two fonts here (Debian: fonts-dejavu-core, fonts-droid-fallback)", len(have))
	}
	for text, want := range map[string]string{
		"客厅 東京":         "客厅 東京",
		"שלום עולם":     "םלוע םולש",
		"חדר 204":       "204 רדח",
		"TV של דני":     "TV ינד לש",
		"Phòng Bế Văn":  "Phòng Bế Văn",
		"სალონი Սենյակ": "სალონი Սենյակ",
	} {
		if got := strings.Join(written(t, &f, text, style{cap: 0.03}, 1800), "|"); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	// Chinese is broken between any two letters.
	if got := written(t, &f, strings.Repeat("漢字", 12), style{cap: capMain, lines: 2}, 1000); len(got) != 2 || got[0]+got[1] != strings.Repeat("漢字", 12) {
		t.Errorf("%q", got)
	}
	s, st := New(f.fallback), with(song, func(s *State) { s.Title = "夜に駆ける" })
	a, _ := s.Draw(sizes["720p"], &st)
	b := drawn(sizes["720p"], st)
	if differing(a, b) < 500 {
		t.Error("the letters are not drawn")
	}
}

// A font that is damaged is none.
func TestBrokenFallback(t *testing.T) {
	root := t.TempDir()
	if got := Fallback(root)(); len(got) != 0 {
		t.Errorf("%d fonts in an empty directory", len(got))
	}
	file := root + "/usr/share/fonts/dejavu/DejaVuSans.ttf"
	if err := os.MkdirAll(file[:strings.LastIndex(file, "/")], 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"empty": "", "text": "not a font", "cut": "\x00\x01\x00\x00\x00\x10\x01\x00\x00\x04\x00\x00"} {
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := Fallback(root)(); len(got) != 0 {
			t.Errorf("%s: a font", name)
		}
	}
}

// Any text, in any of its places, is drawn within its room and harms nothing.
func FuzzText(f *testing.F) {
	f.Add("Für Elise", "Ludwig van Beethoven", 640, 360)
	f.Add(strings.Repeat("W", 4000), strings.Repeat("a\u0301", 4000), 300, 900)
	f.Add("שלום \u202eabc\u202c 123", "\xff\xfe\x00", 64, 64)
	f.Add("客厅", "السلام عليكم", 1, 1)
	from := New(Fallback("/"))
	f.Fuzz(func(t *testing.T, a, b string, width, height int) {
		bounds := image.Rect(0, 0, min(max(width, 1), 700), min(max(height, 1), 700))
		for _, st := range []State{
			{Name: a, Address: b, Time: evening},
			{Name: b, PIN: a},
			{Title: a, Artist: b, Album: a + b, Sender: b, Length: time.Minute, Notices: []Notice{{Warning, a, b}}},
			{Name: a, Setup: Setup{Title: a, Steps: []string{b, a, b, a, b}, Code: b, QR: b, Below: a}, Time: evening},
			{Name: b, Address: a, Identify: true},
		} {
			from.Draw(bounds, &st)
			for _, e := range from.now {
				if !utf8.ValidString(e.text) && e.kind == textElement || e.kind == textElement && strings.ContainsAny(e.text, "\n\x00\x1b") {
					t.Fatalf("%q is drawn", e.text)
				}
			}
		}
	})
}
