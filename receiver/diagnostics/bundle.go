// Package diagnostics puts together what helps to find out why a receiver does
// not do what it should: a ZIP file of texts for whoever is asked for help.
//
// A bundle is made of parts, which others provide: each writes one file, and
// one that fails, hangs, panics or has too much to say costs no other. All of
// them together are bounded in size and time. What is secret stays out twice
// over: parts are not to write it, and a Redactor removes from every file what
// it knows to be secret, in the forms in which it may be written, and what
// looks like it. Log keeps the last lines of the program's own log.
//
// What there is to tell of displays, sound and sessions is the business of
// package receiver; when a bundle may be asked for, of package status.
//
// Proof: bundle_test.go (parts that fail, hang, panic and do not end; a reader
// that goes away), redact_test.go (secrets in every form, and texts without
// any that stay as they are; FuzzRedactor), log_test.go (the last lines,
// bounded), collect_test.go (files that are none, commands that do not end).
// Package receiver plants secrets in every store of a receiver and looks for
// them in its bundle.
package diagnostics

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// Limits of a bundle. They are variables for the tests.
var (
	partTime = 4 * time.Second  // for one part
	allTime  = 14 * time.Second // for all: a page waits for them
)

const (
	partBytes = 1 << 20  // of a file, before it is compressed
	allBytes  = 12 << 20 // of all
)

// Part is one file of a bundle.
type Part struct {
	Name string // of the file, such as "log.txt"
	// Collect writes the text. It has to return soon after ctx has ended; an
	// error goes into the file. What it writes beyond a megabyte is cut off.
	Collect func(ctx context.Context, w io.Writer) error
}

// Text is a part that is there already.
func Text(name, text string) Part {
	return Part{name, func(_ context.Context, w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}
}

// readme is the first file of a bundle.
const readme = `This is a diagnostics bundle of an Aerie receiver, made at %s.

It holds what helps to find out what is wrong: logs, versions, settings, and the
state of the board, the display, the sound and the network. It tells names of
devices and addresses in your network. Passwords, PINs, keys and tokens are
removed; look through the files before you pass them on.

Files:
`

// Write writes a bundle of parts to w, one after the other. The error is that
// of w, or of ctx; a part that fails says so in its file.
func Write(ctx context.Context, w io.Writer, now time.Time, parts []Part, secrets *Redactor) error {
	ctx, cancel := context.WithTimeout(ctx, allTime)
	defer cancel()
	z := zip.NewWriter(w)
	var text strings.Builder
	fmt.Fprintf(&text, readme, now.UTC().Format(time.RFC3339))
	for _, p := range parts {
		fmt.Fprintln(&text, "  "+p.Name)
	}
	if err := add(z, "README.txt", now, []byte(text.String())); err != nil {
		return err
	}
	left := allBytes
	for _, p := range parts {
		content := secrets.Apply(collect(ctx, p, min(partBytes, left)))
		left -= min(left, len(content))
		if err := add(z, p.Name, now, content); err != nil {
			return err
		}
	}
	return z.Close()
}

func add(z *zip.Writer, name string, now time.Time, content []byte) error {
	f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: now})
	if err != nil {
		return fmt.Errorf("diagnostics: %w", err)
	}
	if _, err := f.Write(content); err != nil {
		return fmt.Errorf("diagnostics: %w", err)
	}
	// What has been collected is on its way before the next part is asked.
	if err := z.Flush(); err != nil {
		return fmt.Errorf("diagnostics: %w", err)
	}
	return nil
}

// collect asks a part. One that does not come to an end is left behind, with
// what it has written so far.
func collect(ctx context.Context, p Part, most int) []byte {
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	out := &capped{left: most}
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				ended <- fmt.Errorf("it panicked: %v", v)
			}
		}()
		ended <- p.Collect(ctx, out)
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		// It may be about to end, with a better word than this.
		select {
		case err = <-ended:
		case <-time.After(partTime / 16):
			err = errors.New("it took too long")
		}
	}
	return out.take(err)
}

// capped is text up to a size. It can be taken while another goroutine still
// writes.
type capped struct {
	mu    sync.Mutex
	text  bytes.Buffer
	left  int
	cut   bool
	taken bool
}

// errCapped ends what has no end.
var errCapped = errors.New("diagnostics: the file is full")

func (c *capped) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken || len(b) > c.left {
		n := 0
		if !c.taken {
			n, _ = c.text.Write(b[:c.left]) // a Buffer has no errors
			c.left = 0
		}
		c.cut = true
		return n, errCapped
	}
	c.left -= len(b)
	return c.text.Write(b)
}

// take returns what was written, and a last line about what went wrong.
func (c *capped) take(err error) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = true
	switch {
	case c.cut:
		c.text.WriteString("\n(the rest is left out: too long)\n")
	case err != nil:
		fmt.Fprintf(&c.text, "\n(not complete: %v)\n", err)
	}
	return c.text.Bytes()
}
