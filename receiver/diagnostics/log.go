package diagnostics

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"sync"
)

const (
	// logBytes is how much of a log is kept: some two thousand lines.
	logBytes = 256 << 10
	// lineBytes is the longest line that is kept whole.
	lineBytes = 2 << 10
)

// Log keeps the last lines of a log in memory. The zero value is empty.
type Log struct {
	mu      sync.Mutex
	lines   [][]byte // oldest first
	bytes   int
	dropped uint64
}

// Handler returns a handler that hands every record to next, and keeps those of
// level Info and above and those that next wants.
func (l *Log) Handler(next slog.Handler) slog.Handler {
	return tee{next, slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})}
}

// Write takes one line.
func (l *Log) Write(b []byte) (int, error) {
	line := bytes.Clone(b[:min(len(b), lineBytes)])
	if len(b) > lineBytes {
		line = append(line, "...\n"...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	for l.bytes += len(line); l.bytes > logBytes; l.dropped++ {
		l.bytes -= len(l.lines[0])
		l.lines[0] = nil
		l.lines = l.lines[1:]
	}
	return len(b), nil
}

// Part is the log as a file of a bundle.
func (l *Log) Part() Part {
	return Part{"log.txt", func(_ context.Context, w io.Writer) error {
		l.mu.Lock()
		text, dropped := bytes.Join(l.lines, nil), l.dropped
		l.mu.Unlock()
		if dropped > 0 {
			if _, err := io.WriteString(w, "(older lines are not kept)\n"); err != nil {
				return err
			}
		}
		_, err := w.Write(text)
		return err
	}}
}

// tee hands records to two handlers.
type tee struct{ next, kept slog.Handler }

func (t tee) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelInfo || t.next.Enabled(ctx, l)
}

func (t tee) Handle(ctx context.Context, r slog.Record) error {
	err := t.kept.Handle(ctx, r)
	if t.next.Enabled(ctx, r.Level) {
		err = t.next.Handle(ctx, r)
	}
	return err
}

func (t tee) WithAttrs(a []slog.Attr) slog.Handler {
	return tee{t.next.WithAttrs(a), t.kept.WithAttrs(a)}
}

func (t tee) WithGroup(name string) slog.Handler {
	return tee{t.next.WithGroup(name), t.kept.WithGroup(name)}
}
