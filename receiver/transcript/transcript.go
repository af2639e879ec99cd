// Package transcript writes down conversations with senders and plays them
// back.
//
// New systems say new things every year, and who owns such a phone seldom
// owns a debugger. A Recorder makes a file that its user can read and attach
// to a report: one JSON object a line, a message each, in the order of the
// wire. What is secret or personal is replaced where it stands, by zeros or by
// a name that says what was there; bodies that are neither property lists nor
// text are left out beyond their first bytes, media altogether. A Player holds
// the same conversation with a receiver again, with secrets of its own in the
// place of those that are gone, and tells where the answers differ.
//
// Proof: redact_test.go (nothing secret survives, whatever the message),
// player_test.go (a recorded conversation plays back against the receiver),
// and a fuzz target for the reader.
package transcript

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Entry is one line.
type Entry struct {
	At   float64 `json:"at"`   // seconds since the recording began
	Conn int     `json:"conn"` // which connection
	Kind Kind    `json:"kind"`

	Method string      `json:"method,omitempty"` // of a request
	Target string      `json:"target,omitempty"`
	Proto  string      `json:"proto,omitempty"`
	Status int         `json:"status,omitempty"` // of a response
	Header [][2]string `json:"header,omitempty"`
	Body   *Body       `json:"body,omitempty"`

	Text string `json:"text,omitempty"` // of the other kinds
}

// Kind tells what a line is.
type Kind string

// Kinds of lines.
const (
	About    Kind = "about"    // the first line: what wrote the file
	Opened   Kind = "opened"   // a connection
	Closed   Kind = "closed"   // and why
	Request  Kind = "request"  // of the sender
	Response Kind = "response" // of the receiver
)

// Body is the body of a message. One of the fields is set beside Size.
type Body struct {
	Size  int            `json:"size"`           // bytes on the wire
	Plist map[string]any `json:"plist,omitzero"` // a property list, see toJSON
	Text  string         `json:"text,omitempty"`
	Head  string         `json:"head,omitempty"` // the first bytes in hex; the rest is left out
}

const (
	maxLine    = 1 << 20
	maxEntries = 100_000
)

// Read reads a transcript.
func Read(r io.Reader) ([]Entry, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 64<<10), maxLine)
	var entries []Entry
	for line := 1; sc.Scan(); line++ {
		if len(sc.Bytes()) == 0 {
			continue
		}
		var e Entry
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("transcript: line %d: %w", line, err)
		}
		if len(entries) == maxEntries {
			return nil, fmt.Errorf("transcript: more than %d lines", maxEntries)
		}
		entries = append(entries, e)
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("transcript: %w", err)
	}
	return entries, nil
}
