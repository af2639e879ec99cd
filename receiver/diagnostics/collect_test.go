package diagnostics

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func collected(t testing.TB, ctx context.Context, p Part) (string, error) {
	t.Helper()
	var b bytes.Buffer
	err := p.Collect(ctx, &b)
	return b.String(), err
}

// Files are written with their names, those that are not text as digits; pipes,
// folders and what is not there do no harm.
func TestFiles(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{"a/one": "first\n", "a/two": "\x00\xff\xff\xff\xff\xff\xff\x00edid", "b": "x=1\x00y=2\x00", "long": strings.Repeat("x", 2*fileBytes)} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(filepath.Join(root, "a/pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	text, err := collected(t, t.Context(), Files("x", root, "a/*", "b", "nothing", "a"))
	want := "== /a/one\nfirst\n\n== /a/pipe\n(no regular file)\n\n== /a/two\n00000000  00 ff ff ff ff ff ff 00  65 64 69 64              |........edid|\n\n\n== /b\nx=1 y=2\n\n== /a\n(no regular file)\n\n"
	if err != nil || text != want {
		t.Errorf("%v, %q", err, text)
	}
	if text, _ := collected(t, t.Context(), Files("x", root, "long")); len(text) > fileBytes+100 {
		t.Errorf("%d bytes", len(text))
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := collected(t, over, Files("x", root, "*")); err == nil {
		t.Error("it goes on when the time is over")
	}
	if _, err := collected(t, t.Context(), Files("x", root, "[")); err == nil {
		t.Error("a pattern that is none")
	}
}

// A command's output is taken, one that is not there is said, one that does not
// end is killed with what it has started.
func TestCommand(t *testing.T) {
	if text, err := collected(t, t.Context(), Command("x", "sh", "-c", "echo out; echo err >&2")); err != nil || text != "out\nerr\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := collected(t, t.Context(), Command("x", "no-such-program")); err == nil {
		t.Error("a program that is not there")
	}
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if text, err := collected(t, soon, Command("x", "sh", "-c", "echo first; sleep 60 & sleep 60")); err == nil || text != "first\n" {
		t.Errorf("%q, %v", text, err)
	}
	if d := time.Since(began); d > 10*time.Second {
		t.Errorf("it took %v", d)
	}
}
