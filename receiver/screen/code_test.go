package screen

import (
	"image"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"image/png"
)

// Another program reads what the code says, off the whole screen, in each
// size.
func TestCodeIsReadBack(t *testing.T) {
	reader, err := exec.LookPath("zbarimg")
	if err != nil {
		t.Skip("no zbarimg here (Debian: zbar-tools)")
	}
	texts := map[string]string{
		"Wi-Fi": states["setup"].Setup.QR,
		"page":  "http://192.168.4.1/#271828",
		"long":  strings.Repeat("0123456789", maxCode/10),
	}
	for name, text := range texts {
		for size, b := range sizes {
			if size == "tiny" || size == "2160p" || size == "480p" && name == "long" {
				continue // too small for a code; as long as the others and slow to read
			}
			st := states["setup"]
			st.Setup.QR = text
			file := filepath.Join(t.TempDir(), "screen.png")
			writePNG(t, file, drawn(b, st), png.BestSpeed)
			out, err := exec.CommandContext(t.Context(), reader, "--quiet", "--raw", file).Output()
			if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != text {
				t.Errorf("%s, %s: %q, %v", name, size, got, err)
			}
		}
	}
}

// A text that has no code leaves its place to the rest.
func TestNoCode(t *testing.T) {
	for name, text := range map[string]string{"none": "", "too long": strings.Repeat("x", maxCode+1)} {
		st := states["setup"]
		st.Setup.QR = text
		for _, e := range laid(sizes["720p"], st) {
			if e.kind == codeElement || e.color == white {
				t.Errorf("%s: a code at %v", name, e.area)
			}
		}
	}
	drawCode(image.NewRGBA(image.Rect(0, 0, 9, 9)), image.Rect(0, 0, 9, 9), "x", ink) // too small: no harm
}
