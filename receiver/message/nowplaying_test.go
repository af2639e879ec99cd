package message

import (
	"strings"
	"testing"
	"time"
)

func TestNowPlaying(t *testing.T) {
	in := NowPlaying{Title: "Für Elise", Artist: "Beethoven", Album: "Klavier", Genre: "Classical", Composer: "L. v. B.", Length: 175 * time.Second}
	body := in.Append(nil)
	if out, err := ParseNowPlaying(body); err != nil || out != in {
		t.Errorf("got %+v, %v", out, err)
	}
	// What others add is passed over.
	extra := appendElement(nil, "asdk", []byte{0})
	extra = appendElement(extra, "astm", []byte{1, 2}) // a length of the wrong size
	extra = appendElement(extra, "minm", []byte("x\xff\xfey"))
	if out, err := ParseNowPlaying(appendElement(nil, "mlit", extra)); err != nil || out.Title != "xy" || out.Length != 0 {
		t.Errorf("got %+v, %v", out, err)
	}
	long := appendElement(nil, "minm", []byte(strings.Repeat("a", 100_000)))
	if out, err := ParseNowPlaying(long); err != nil || len(out.Title) != dmapString {
		t.Errorf("%d bytes kept, %v", len(out.Title), err)
	}
	deep := body
	for range 10 {
		deep = appendElement(nil, "mlit", deep)
	}
	for name, bad := range map[string][]byte{"cut": body[:len(body)-3], "length beyond": []byte("mlit\xff\xff\xff\xff"), "short": []byte("mli"), "deep": deep} {
		if _, err := ParseNowPlaying(bad); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestProgress(t *testing.T) {
	p, err := ParseProgress(" 3444084843/3445239162/3483520518\r\n")
	if err != nil {
		t.Fatal(err)
	}
	if at, length := p.Position(44100); at.Truncate(time.Millisecond) != 26175*time.Millisecond || length.Truncate(time.Millisecond) != 894232*time.Millisecond {
		t.Errorf("%v of %v", at, length)
	}
	// Time stamps wrap.
	p = Progress{Start: 0xffffff00, Current: 0x100, End: 0x10000}
	if at, _ := p.Position(512); at != time.Second {
		t.Errorf("%v", at)
	}
	for _, bad := range []string{"", "1/2", "1/2/3/4", "a/b/c", "1/2/99999999999"} {
		if _, err := ParseProgress(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzNowPlaying(f *testing.F) {
	n := NowPlaying{Title: "a", Length: time.Second}
	f.Add(n.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n, err := ParseNowPlaying(b); err == nil {
			if back, err := ParseNowPlaying(n.Append(nil)); err != nil || back != n {
				t.Fatalf("%+v became %+v, %v", n, back, err)
			}
		}
	})
}
