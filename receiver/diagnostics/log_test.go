package diagnostics

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

func kept(t testing.TB, l *Log) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.Part().Collect(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What is logged goes where it went before, and is kept with its attributes;
// details are kept if they are wanted at all.
func TestLog(t *testing.T) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelError} {
		var l Log
		var out bytes.Buffer
		log := slog.New(l.Handler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))).With("part", "x").WithGroup("g")
		log.Debug("details", "n", 1)
		log.Info("news", "n", 2)
		log.Error("trouble", "what", "line\nof a stranger")
		text := kept(t, &l)
		if want := level == slog.LevelDebug; strings.Contains(text, "msg=details") != want || strings.Contains(out.String(), "details") != want {
			t.Errorf("%v: kept %q, out %q", level, text, &out)
		}
		if !strings.Contains(text, `msg=news part=x g.n=2`) || !strings.Contains(text, `msg=trouble part=x g.what="line\nof a stranger"`) || strings.Contains(out.String(), "news") != (level <= slog.LevelInfo) {
			t.Errorf("%v: kept %q, out %q", level, text, &out)
		}
	}
}

// The last lines are kept, up to a size, however many and long they are.
func TestLogIsBounded(t *testing.T) {
	var l Log
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 5000 {
				fmt.Fprintf(&l, "line %d of %d %s\n", n, i, strings.Repeat("x", 100))
			}
		})
	}
	wg.Wait()
	fmt.Fprintln(&l, strings.Repeat("y", 1<<20))
	text := kept(t, &l)
	if len(text) > logBytes+100 || len(text) < logBytes/2 || !strings.HasSuffix(text, "y...\n") || !strings.HasPrefix(text, "(older lines are not kept)\nline ") || cap(l.lines) > 20000 {
		t.Errorf("%d bytes, %d places", len(text), cap(l.lines))
	}
}

func BenchmarkLog(b *testing.B) {
	var l Log
	log := slog.New(l.Handler(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError})))
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(context.Background(), slog.LevelInfo, "news", slog.Int("n", 1))
	}
}
