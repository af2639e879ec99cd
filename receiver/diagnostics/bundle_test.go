package diagnostics

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// unpacked makes a bundle and returns its files.
func unpacked(t testing.TB, ctx context.Context, parts []Part, secrets *Redactor) map[string]string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(ctx, &b, noon, parts, secrets); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}

// Parts that fail in any way cost no other, neither their text nor their time.
func TestBundle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		part := func(name string, f func(context.Context, io.Writer) error) Part { return Part{name, f} }
		say := func(w io.Writer) { io.WriteString(w, "first line\n") }
		endless := make(chan struct{})
		files := unpacked(t, t.Context(), []Part{
			Text("text.txt", "hello"),
			part("fails.txt", func(_ context.Context, w io.Writer) error { say(w); return errors.New("no such thing") }),
			part("panics.txt", func(_ context.Context, w io.Writer) error { say(w); panic("ouch") }),
			part("waits.txt", func(ctx context.Context, w io.Writer) error { say(w); <-ctx.Done(); return ctx.Err() }),
			part("hangs.txt", func(_ context.Context, w io.Writer) error { say(w); <-endless; say(w); return nil }),
			part("endless.txt", func(_ context.Context, w io.Writer) error {
				for {
					if _, err := w.Write(make([]byte, 1000)); err != nil {
						return err
					}
				}
			}),
			Text("last.txt", "password=hunter2 and the end"),
		}, nil)
		close(endless)
		for name, want := range map[string]string{
			"text.txt":   "hello",
			"fails.txt":  "first line\n\n(not complete: no such thing)\n",
			"panics.txt": "first line\n\n(not complete: it panicked: ouch)\n",
			"waits.txt":  "first line\n\n(not complete: context deadline exceeded)\n",
			"hangs.txt":  "first line\n\n(not complete: it took too long)\n",
			"last.txt":   "password= [removed] and the end",
		} {
			if files[name] != want {
				t.Errorf("%s: %q, want %q", name, files[name], want)
			}
			if !strings.Contains(files["README.txt"], "  "+name+"\n") {
				t.Errorf("README.txt does not name %s", name)
			}
		}
		if e := files["endless.txt"]; len(e) > partBytes+100 || !strings.HasSuffix(e, "(the rest is left out: too long)\n") {
			t.Errorf("endless.txt: %d bytes", len(e))
		}
		if d := time.Since(began); d > 2*partTime+time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// Many parts that hang do not take longer than one may wait.
func TestBundleInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var parts []Part
		for range 50 {
			parts = append(parts, Part{"x", func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return ctx.Err() }})
		}
		unpacked(t, t.Context(), parts, nil)
		if d := time.Since(began); d > allTime+time.Second {
			t.Errorf("it took %v", d)
		}
	})
}

// All parts together have a limit.
func TestBundleSize(t *testing.T) {
	var parts []Part
	for range 30 {
		parts = append(parts, Text("x", strings.Repeat("x", partBytes)))
	}
	var b bytes.Buffer
	if err := Write(t.Context(), &b, noon, parts, nil); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	for _, f := range z.File {
		sum += f.UncompressedSize64
	}
	if sum > allBytes+10<<10 {
		t.Errorf("%d bytes in all", sum)
	}
}

// A reader that goes away ends it.
func TestReaderGoesAway(t *testing.T) {
	asked := 0
	var parts []Part
	for range 9 {
		parts = append(parts, Part{"x", func(context.Context, io.Writer) error { asked++; return nil }})
	}
	if err := Write(t.Context(), &away{left: 300}, noon, parts, nil); !errors.Is(err, io.ErrClosedPipe) || asked > 6 {
		t.Errorf("%v after %d parts", err, asked)
	}
}

type away struct{ left int }

func (a *away) Write(b []byte) (int, error) {
	if a.left -= len(b); a.left < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(b), nil
}
