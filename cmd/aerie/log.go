package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
)

// logHandler writes log lines for people: time, level where it matters, text,
// and attributes. Under systemd the journal has the time and takes the level
// from a prefix (sd-daemon(3)).
type logHandler struct {
	mu      *sync.Mutex
	out     io.Writer
	level   slog.Level
	journal bool
	attrs   string
	group   string
}

func newLog(out io.Writer, level slog.Level) slog.Handler {
	return &logHandler{mu: &sync.Mutex{}, out: out, level: level, journal: journal()}
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	var b bytes.Buffer
	if h.journal {
		b.WriteString(map[slog.Level]string{slog.LevelDebug: "<7>", slog.LevelInfo: "<6>", slog.LevelWarn: "<4>", slog.LevelError: "<3>"}[r.Level])
	} else {
		b.WriteString(r.Time.Format("15:04:05.000 "))
	}
	if r.Level != slog.LevelInfo {
		b.WriteString(strings.ToLower(r.Level.String()) + ": ")
	}
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(attribute(h.group, a))
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(b.Bytes())
	return err
}

// attribute formats one attribute; what a stranger sent cannot forge a line.
func attribute(group string, a slog.Attr) string {
	v := a.Value.Resolve().String()
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r == '"' || !strconv.IsPrint(r) }) {
		v = strconv.Quote(v)
	}
	return fmt.Sprintf(" %s%s=%s", group, a.Key, v)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	for _, a := range attrs {
		n.attrs += attribute(h.group, a)
	}
	return &n
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	n := *h
	n.group += name + "."
	return &n
}
