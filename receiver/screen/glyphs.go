package screen

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/image/font/opentype"
	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// fallbackFiles are fonts with many scripts as distributions install them,
// those with the most scripts first, then those for Chinese, Japanese and
// Korean. A font is many times the size of this program, so
// it is not a part of it.
var fallbackFiles = []string{
	"usr/share/fonts/dejavu/DejaVuSans.ttf",
	"usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
	"usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf",
	"usr/share/fonts/droid/DroidSansFallbackFull.ttf",
	"usr/share/fonts/wqy-zenhei/wqy-zenhei.ttc",
	"usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
	"usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
	"usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
}

// Fallback returns a function that opens the fonts below root, "/" on a real
// machine, that have the letters which the program's own do not have; none if
// there are none. It opens them when it is called first, and reads of them
// what is needed.
func Fallback(root string) func() []*opentype.Font {
	return sync.OnceValue(func() (all []*opentype.Font) {
		for _, name := range fallbackFiles {
			f, err := os.Open(filepath.Join(root, name))
			if err != nil {
				continue
			}
			if of := openFont(f); of != nil {
				all = append(all, of) // the file stays open with it
				continue
			}
			f.Close()
		}
		return all
	})
}

// openFont opens a font, or the first of a collection; nil if it is none.
func openFont(f io.ReaderAt) *opentype.Font {
	c, err := opentype.ParseCollectionReaderAt(f)
	if err != nil {
		return nil
	}
	of, err := c.Font(0)
	if err != nil {
		return nil
	}
	return of
}

// legible makes text what can be drawn: of one line, composed, without
// letters that no font has. One whose accent is missing is written without;
// what is left out, such as emoji, leaves a blank.
func (f *fonts) legible(t *typeface, text string) string {
	var b strings.Builder
	lost := false
	n := 0
	for _, r := range norm.NFC.String(strings.ToValidUTF8(beginning(text), "")) {
		if n++; n > maxText {
			break
		}
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case !unicode.IsPrint(r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Variation_Selector, r):
			continue // controls, joiners, accents of letters that are missing
		}
		if _, ok := f.has(t, r); !ok {
			if r = f.plain(t, r); r == 0 {
				lost = true
				continue
			}
		}
		if lost && unicode.IsLetter(r) {
			b.WriteByte(' ')
		}
		lost = false
		b.WriteRune(r)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// beginning is as much of a text as may be looked at; letters have four bytes
// at most, and as many accents as a stranger likes.
func beginning(text string) string { return text[:min(len(text), 8*maxText)] }

// plain is a letter without its accents, 0 if no font has that either.
func (f *fonts) plain(t *typeface, r rune) rune {
	parts := []rune(norm.NFKD.String(string(r)))
	for _, mark := range parts[1:] {
		if !unicode.Is(unicode.Mn, mark) {
			return 0 // a syllable of Korean, a fraction, a symbol
		}
	}
	if _, ok := f.has(t, parts[0]); !ok || !unicode.IsLetter(parts[0]) {
		return 0
	}
	return parts[0]
}

// visual puts the letters of a line in the order in which they stand from left
// to right: Hebrew and Arabic run the other way (Unicode annex 9). Arabic
// letters are not joined, and a number within words of the other direction
// stays behind them.
func visual(line string) string {
	if !strings.ContainsFunc(line, func(r rune) bool {
		return r >= 0x590 && r <= 0x8ff || r >= 0xfb1d && r <= 0xfefc || r >= 0x10800 && r <= 0x10fff || r >= 0x1e800 && r <= 0x1efff
	}) {
		return line
	}
	var p bidi.Paragraph
	if _, err := p.SetString(line); err != nil {
		return line
	}
	order, err := p.Order()
	if err != nil {
		return line
	}
	var runs []string
	for i := range order.NumRuns() {
		run := order.Run(i)
		text := run.String()
		if run.Direction() == bidi.RightToLeft {
			text = bidi.ReverseString(text)
		}
		runs = append(runs, text)
	}
	if !p.IsLeftToRight() {
		slices.Reverse(runs)
	}
	return strings.Join(runs, "")
}
