package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile is far more than all settings with their comments.
const maxFile = 256 << 10

// FileError is a mistake in a settings file.
type FileError struct {
	File   string
	Line   int // from 1; 0 if it concerns no line
	Reason string
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// ReadFile reads settings from a file into c, over what is there. c is
// unchanged if there is a mistake, which is a *FileError.
func (c *Config) ReadFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return err
	}
	return c.parse(name, text)
}

func (c *Config) parse(name string, text []byte) error {
	if len(text) > maxFile {
		return &FileError{name, 0, fmt.Sprintf("longer than %d bytes", maxFile)}
	}
	// Editors on other systems leave a byte-order mark and CRLF behind.
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	next := *c
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	if err := d.Decode(&next); err != nil {
		return fileError(name, text, err)
	}
	for _, s := range next.Settings() {
		if s.check == nil {
			continue
		}
		if err := s.check(); err != nil {
			return &FileError{name, lineOf(text, s.Key), fmt.Sprintf("%s: %v", s.Key, err)}
		}
	}
	*c = next
	return nil
}

func fileError(name string, text []byte, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		e := &unknown.Errors[0]
		line, _ := e.Position()
		return &FileError{name, line, fmt.Sprintf("there is no setting %q", strings.Join(e.Key(), "."))}
	}
	reason := strings.TrimPrefix(err.Error(), "toml: ")
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		line, _ := bad.Position()
		// The parser speaks of its own types; the user has a line to look at.
		if strings.Contains(reason, "cannot decode TOML") || strings.Contains(reason, "cannot be assigned") {
			lines := strings.Split(string(text), "\n")
			left, right, _ := strings.Cut(lines[min(max(line-1, 0), len(lines)-1)], "=")
			reason = fmt.Sprintf("%s is of the wrong type: %s", strings.TrimSpace(left), strings.TrimSpace(right))
		}
		return &FileError{name, line, reason}
	}
	return &FileError{name, 0, reason}
}

// lineOf finds the line on which a key is set, for the messages of checks
// that the parser knows nothing of; 0 if it is not there.
func lineOf(text []byte, key string) int {
	table, name, nested := strings.Cut(key, ".")
	if !nested {
		table, name = "", key
	}
	current := ""
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			current = strings.Trim(strings.TrimSpace(strings.Split(line, "#")[0]), "[] ")
			continue
		}
		left, _, ok := strings.Cut(line, "=")
		left = strings.Trim(strings.TrimSpace(left), `"'`)
		if ok && (current == table && left == name || current == "" && left == key) {
			return i + 1
		}
	}
	return 0
}

// File returns the settings file: every setting with its comment and its
// present value.
func (c *Config) File() []byte {
	var b bytes.Buffer
	b.WriteString("# Settings of Aerie. What is left out has the value shown here.\n")
	table := ""
	for _, s := range c.Settings() {
		name := s.Key
		if t, n, ok := strings.Cut(s.Key, "."); ok {
			if name = n; t != table {
				table = t
				fmt.Fprintf(&b, "\n[%s]\n", t)
			}
		}
		b.WriteString("\n")
		for _, line := range wrap(s.Help, 76) {
			fmt.Fprintf(&b, "# %s\n", line)
		}
		if strings.Contains(s.Arg, "|") {
			fmt.Fprintf(&b, "# %s\n", s.Arg)
		}
		fmt.Fprintf(&b, "%s = %s\n", name, s.literal())
	}
	return b.Bytes()
}

// literal returns the present value in the syntax of the file.
func (s *Setting) literal() string {
	quote := func(text string) string {
		// Basic strings of TOML escape like JSON, not like Go.
		b, err := json.Marshal(text)
		if err != nil {
			panic("config: " + err.Error()) // a string always has a form
		}
		return string(b)
	}
	switch p := s.value.(type) {
	case *string:
		return quote(*p)
	case *[]string:
		list := make([]string, 0, len(*p))
		for _, v := range *p {
			list = append(list, quote(v))
		}
		return "[" + strings.Join(list, ", ") + "]"
	}
	return s.Text()
}

// wrap breaks text into lines of at most width bytes.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
