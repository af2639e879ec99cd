package screen

import (
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/image/draw"
)

var (
	update = flag.Bool("update", false, "make the pictures that others are compared with")
	save   = flag.String("save", "", "directory to save every picture in whole, to look at")
)

// evening is when the pictures were taken.
var evening = time.Date(2026, 11, 28, 21, 37, 0, 0, time.UTC)

var song = State{Name: "Living Room", Address: "192.168.1.20", Sender: "Ann's iPhone", Title: "Für Elise", Artist: "Ludwig van Beethoven", Album: "Bagatelles",
	Artwork: &Artwork{pixels: sunset(900)}, Position: 83 * time.Second, Length: 177 * time.Second, Time: evening}

var idle = State{Name: "Living Room", Version: "1.3.2", Slot: "a", Address: "192.168.1.20", Page: "http://192.168.1.20:7080/", Time: evening}

// sunset is a cover as it might be one.
func sunset(edge int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, edge, edge))
	mix := func(a, b color.RGBA, part float64) color.RGBA {
		part = min(max(part, 0), 1)
		channel := func(a, b uint8) uint8 { return uint8(float64(a) + part*(float64(b)-float64(a))) }
		return color.RGBA{channel(a.R, b.R), channel(a.G, b.G), channel(a.B, b.B), 255}
	}
	for y := range edge {
		for x := range edge {
			u, v := float64(x)/float64(edge), float64(y)/float64(edge)
			c := mix(color.RGBA{52, 30, 104, 255}, color.RGBA{255, 132, 96, 255}, v*1.5)
			c = mix(color.RGBA{255, 222, 160, 255}, c, (math.Hypot(u-0.5, v-0.5)-0.18)*float64(edge)+0.5)
			for i, hill := range []color.RGBA{{150, 58, 110, 255}, {88, 36, 92, 255}, {38, 20, 58, 255}} {
				k := float64(i)
				top := 0.56 + 0.13*k + 0.05*math.Sin(u*(5+2*k)+2*k) + 0.02*math.Sin(u*13+k)
				c = mix(c, hill, (v-top)*float64(edge)+0.5)
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

// with is a state with a change.
func with(s State, change func(*State)) State {
	change(&s)
	return s
}

// states are one of every kind.
var states = map[string]State{
	"idle":       idle,
	"speaker":    with(idle, func(s *State) { s.Loudspeaker, s.Page = true, "" }),
	"no-clock":   with(idle, func(s *State) { s.Time = time.Unix(0, 0) }),
	"no-network": with(idle, func(s *State) { s.Address, s.Page = "", "" }),
	"connected":  with(idle, func(s *State) { s.Sender = "Ann's iPhone" }),
	"pin":        with(idle, func(s *State) { s.PIN = "4711" }),
	"identify":   with(idle, func(s *State) { s.Name, s.Identify = "Room 204", true }),
	"setup": with(idle, func(s *State) {
		s.Address, s.Setup = "", Setup{Title: "Connect Aerie to your Wi-Fi", Steps: []string{"Scan the code with your phone", "Choose your network on the page that opens", "Enter this PIN there"},
			Code: "2718", QR: "WIFI:T:WPA;S:Aerie-7F3A;P:correct horse battery;;", Below: "Wi-Fi “Aerie-7F3A”, password: correct horse battery"}
	}),
	"song":  song,
	"plain": with(song, func(s *State) { s.Artwork, s.Length = nil, 0 }),
	"opera": with(song, func(s *State) {
		s.Title, s.Artist, s.Album = "Der Ring des Nibelungen, third day: Götterdämmerung, prologue and first act", "Somebody, somebody else and the whole of the Royal Philharmonic Orchestra", "Complete Recordings, Volume 12 of 49"
		s.Position, s.Length = 100*time.Minute, 200*time.Minute
		s.Notices = []Notice{{Warning, "No sound", "The device of the sound is in use by another program."}}
	}),
	"available": with(idle, func(s *State) {
		s.Notices = []Notice{{Info, "Version 1.4.0 is ready", "It is installed tonight, when nobody is watching."}}
	}),
	"installing": with(idle, func(s *State) {
		s.Notices = []Notice{{Working, "Installing version 1.4.0", "The receiver starts anew in a moment."}}
	}),
	"went-back": with(idle, func(s *State) {
		s.Notices = []Notice{{Warning, "Went back to version 1.3.2", "Version 1.4.0 did not start three times: display: no mode fits."}}
	}),
	"mistake": with(idle, func(s *State) {
		s.Notices = []Notice{{Warning, "Mistake in the settings", "aerie.toml, line 12: video.rotate: 90 is none of 0, 180. The last good settings are in force."}}
	}),
	"power": with(idle, func(s *State) {
		s.Notices = []Notice{{Warning, "The power supply is too weak", "Use the one that came with the Raspberry Pi, and a short cable."}}
	}),
	"long": with(idle, func(s *State) {
		s.Name, s.Address = "The very large conference room on the second floor of the building at the back", "fe80::1234:5678:9abc:def0%eth0"
	}),
	"scripts": with(song, func(s *State) {
		s.Title, s.Artist, s.Album = "Zdeněk, Ελλάδα, Привет", "東京 Tokyo 🎵 שלום", "夜に駆ける"
	}),
}

var names = slices.Sorted(func(yield func(string) bool) {
	for name := range states {
		if !yield(name) {
			return
		}
	}
})

var sizes = map[string]image.Rectangle{
	"1080p": image.Rect(0, 0, 1920, 1080), "720p": image.Rect(0, 0, 1280, 720), "2160p": image.Rect(0, 0, 3840, 2160),
	"480p": image.Rect(0, 0, 640, 480), "tall": image.Rect(0, 0, 1080, 1920), "tiny": image.Rect(7, 5, 71, 69),
}

// drawn is a state drawn anew.
func drawn(b image.Rectangle, st State) *image.RGBA {
	m, _ := New(nil).Draw(b, &st)
	return m
}

// small is a picture of 480 by 270 pixels: small enough to be kept, large
// enough to see what is wrong.
func small(m *image.RGBA) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, 480*m.Rect.Dx()/max(m.Rect.Dx(), m.Rect.Dy()), 480*m.Rect.Dy()/max(m.Rect.Dx(), m.Rect.Dy())))
	draw.ApproxBiLinear.Scale(out, out.Rect, m, m.Rect, draw.Src, nil)
	return out
}

func writePNG(t testing.TB, file string, m image.Image, how png.CompressionLevel) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := (&png.Encoder{CompressionLevel: how}).Encode(f, m); err != nil {
		t.Fatal(err)
	}
}

// Every kind of screen looks like its picture in testdata. Processors round
// differently, so single pixels may differ by little.
func TestGolden(t *testing.T) {
	for _, name := range names {
		for size, b := range map[string]image.Rectangle{"1080p": sizes["1080p"], "tall": sizes["tall"]} {
			if size == "tall" && !slices.Contains([]string{"idle", "song", "setup", "pin", "went-back"}, name) {
				continue
			}
			whole := drawn(b, states[name])
			file := fmt.Sprintf("%s-%s.png", name, size)
			if *save != "" {
				writePNG(t, filepath.Join(*save, file), whole, png.BestSpeed)
			}
			golden(t, filepath.Join("testdata", file), small(whole))
		}
	}
}

// The picture in the documents is up to date.
func TestDocumentsPicture(t *testing.T) {
	const gap = 12
	var sheet *image.RGBA
	for i, name := range []string{"idle", "song", "setup", "went-back"} {
		m := small(drawn(sizes["1080p"], states[name]))
		if sheet == nil {
			sheet = image.NewRGBA(image.Rect(0, 0, 2*m.Rect.Dx()+gap, 2*m.Rect.Dy()+gap))
		}
		draw.Draw(sheet, m.Rect.Add(image.Pt(i%2*(m.Rect.Dx()+gap), i/2*(m.Rect.Dy()+gap))), m, image.Point{}, draw.Src)
	}
	golden(t, "../../docs/images/tv.png", sheet)
}

// golden compares a picture with a file, or makes that.
func golden(t *testing.T, file string, got *image.RGBA) {
	t.Helper()
	if *update {
		writePNG(t, file, got, png.BestCompression)
		return
	}
	f, err := os.Open(file)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	want, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if n := differing(got, want); n > 0 {
		t.Errorf("%s: %d pixels differ; -save DIR shows it, -update accepts it", file, n)
	}
}

// differing counts the pixels that differ by more than rounding.
func differing(a *image.RGBA, b image.Image) (n int) {
	if a.Rect != b.Bounds() {
		return a.Rect.Dx() * a.Rect.Dy()
	}
	for y := range a.Rect.Dy() {
		for x := range a.Rect.Dx() {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			for _, d := range []int{int(r1>>8) - int(r2>>8), int(g1>>8) - int(g2>>8), int(b1>>8) - int(b2>>8)} {
				if d > 6 || d < -6 {
					n++
					break
				}
			}
		}
	}
	return n
}
