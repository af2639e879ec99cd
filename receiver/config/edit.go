package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Change is a new value of a setting, written as a flag takes it.
type Change struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// ErrEdit says that a file is written in a way that cannot be changed bit by
// bit; a new one can take its place.
var ErrEdit = errors.New("the file cannot be changed without writing it anew")

// Edit changes settings in the text of a settings file without mistakes and
// keeps everything else: comments, order, blank lines, Windows' line ends. The
// text that is returned means what the old one did, but for the changes; if that
// cannot be had, the error wraps ErrEdit. A value that a setting does not take
// is a *FileError without a line.
func Edit(raw []byte, changes []Change) ([]byte, error) {
	const name = "settings"
	want := Default()
	if err := want.parse(name, raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEdit, err)
	}
	text, err := decode(name, raw)
	if err != nil {
		return nil, err
	}
	for _, ch := range changes {
		s, err := want.set(ch)
		if err != nil {
			return nil, &FileError{name, 0, plain(fmt.Sprintf("%s: %v", ch.Key, err))}
		}
		text = put(text, ch.Key, s.literal())
	}
	got := Default()
	if err := got.parse(name, text); err != nil || !reflect.DeepEqual(got, want) {
		return nil, ErrEdit
	}
	if bytes.Contains(raw, []byte("\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	return text, nil
}

// Set changes settings in c; after an error c is as it was.
func (c *Config) Set(changes []Change) error {
	next := *c
	for _, ch := range changes {
		if _, err := next.set(ch); err != nil {
			return &FileError{"settings", 0, plain(fmt.Sprintf("%s: %v", ch.Key, err))}
		}
	}
	*c = next
	return nil
}

// set changes one setting.
func (c *Config) set(ch Change) (Setting, error) {
	for _, s := range c.Settings() {
		if s.Key == ch.Key {
			return s, (&flagValue{s}).Set(ch.Value)
		}
	}
	return Setting{}, errors.New(c.unknown(ch.Key))
}

// put writes a value in its place: that of the old one, else the end of its
// table, else a new table.
func put(text []byte, key, literal string) []byte {
	list := index(text)
	if e := find(list, key); e != nil {
		return slices.Concat(text[:e.start], []byte(literal), text[e.end:])
	}
	table, name, nested := strings.Cut(key, ".")
	if !nested {
		table, name = "", key
	}
	line := fmt.Sprintf("%s = %s\n", name, literal)
	at, found := 0, table == ""
	if found {
		at = leadingComment(text)
	}
	for _, e := range list {
		switch {
		case e.table && e.key == table:
			at, found = e.start, true
		case !e.table && found && inTable(e.key, table):
			at = e.end + lineLength(text[e.end:])
		}
	}
	if !found {
		at = len(text)
		if i := bytes.LastIndex(text, []byte("\n"+lastLine)); i >= 0 {
			at = i + 1
		}
		line = fmt.Sprintf("\n[%s]\n%s", table, line)
		if at < len(text) {
			line += "\n"
		}
	}
	if at > 0 && text[at-1] != '\n' {
		line = "\n" + line
	}
	return slices.Concat(text[:at], []byte(line), text[at:])
}

// inTable tells whether a setting stands below the heading of a table, ""
// being the part of the file above all headings.
func inTable(key, table string) bool {
	rest, ok := strings.CutPrefix(key, table+".")
	return ok && table != "" && !strings.Contains(rest, ".") || table == "" && !strings.Contains(key, ".")
}

// leadingComment is the length of the comment at the head of a file: up to its
// first blank line.
func leadingComment(text []byte) (n int) {
	for bytes.HasPrefix(text[n:], []byte("#")) {
		n += lineLength(text[n:])
	}
	return n
}
