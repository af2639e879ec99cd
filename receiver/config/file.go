package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// maxFile is several times all settings with their comments.
const maxFile = 32 << 10

// FileError is a mistake in a settings file.
type FileError struct {
	File   string
	Line   int    // from 1; 0 if it concerns no line
	Reason string // one line, without the value of a secret
}

func (e *FileError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// Plain says the same to somebody in front of a screen.
func (e *FileError) Plain() string {
	name := filepath.Base(e.File)
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", name, e.Reason)
	}
	return fmt.Sprintf("%s, line %d: %s", name, e.Line, e.Reason)
}

// ReadFile reads settings from a file into c, over what is there. c is
// unchanged if there is a mistake, which is a *FileError.
func (c *Config) ReadFile(name string) error {
	raw, err := readLimited(name)
	if err != nil {
		return err
	}
	return c.parse(name, raw)
}

// readLimited reads a file up to one byte more than is allowed.
func readLimited(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

func (c *Config) parse(name string, raw []byte) error {
	text, err := decode(name, raw)
	if err != nil {
		return err
	}
	if torn(text) {
		return &FileError{name, bytes.Count(text, []byte("\n")) + 1, fmt.Sprintf("the file has been cut off: the line %q is missing", lastLine)}
	}
	next := *c
	if err := c.decodeInto(&next, name, text); err != nil {
		return err
	}
	for _, s := range next.Settings() {
		if s.check == nil {
			continue
		}
		if err := s.check(); err != nil {
			return &FileError{name, lineOf(text, s.Key), plain(fmt.Sprintf("%s: %v", s.Key, err))}
		}
	}
	*c = next
	return nil
}

// decodeInto parses plain text into next, which has the settings of c.
func (c *Config) decodeInto(next *Config, name string, text []byte) error {
	d := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields()
	err := d.Decode(next)
	// What is repeated the parser knows, but not where.
	if line, reason := misplaced(index(text)); line != 0 && (err == nil || !errors.As(err, new(*toml.DecodeError))) {
		return &FileError{name, line, plain(reason)}
	}
	if err != nil {
		return c.explain(name, text, err)
	}
	return nil
}

// explain makes one line of what the parser says.
func (c *Config) explain(name string, text []byte, err error) error {
	var unknown *toml.StrictMissingError
	if errors.As(err, &unknown) && len(unknown.Errors) > 0 {
		e := &unknown.Errors[0]
		line, _ := e.Position()
		return &FileError{name, line, c.unknown(strings.Join(e.Key(), "."))}
	}
	reason := strings.TrimPrefix(err.Error(), "toml: ")
	var bad *toml.DecodeError
	line := 0
	if errors.As(err, &bad) {
		line, _ = bad.Position()
	} else if line = c.firstOfWrongType(text); line == 0 {
		return &FileError{name, 0, plain(reason)}
	}
	// A file that ends too early is wrong on its last line that has anything.
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	line = min(max(line, 1), len(lines))
	if better := c.wrongType(text, line); better != "" {
		reason = better
	} else if better := c.hint(text, lines[line-1]); better != "" {
		reason = better
	}
	return &FileError{name, line, plain(reason)}
}

// unknown says that there is no such setting, and which was meant.
func (c *Config) unknown(key string) string {
	var known []string
	for _, s := range c.Settings() {
		known = append(known, s.Key)
		if table, _, ok := strings.Cut(s.Key, "."); ok && !slices.Contains(known, table) {
			known = append(known, table)
		}
	}
	reason := fmt.Sprintf("there is no setting %q", key)
	if meant := suggest(key, known); meant != "" {
		reason += fmt.Sprintf("; is %q meant?", meant)
	}
	return plain(reason)
}

// wrongType says what a setting takes, if the parser got as far as its line and
// stumbled over the value.
func (c *Config) wrongType(text []byte, line int) string {
	for _, e := range index(text) {
		if e.line != line {
			continue
		}
		for _, s := range c.Settings() {
			if s.Key != e.key {
				continue
			}
			is := ""
			if !s.Secret() {
				is = ", and not " + string(text[e.start:e.end])
			}
			return fmt.Sprintf("%s takes %s%s", s.Key, s.takes(), is)
		}
		return fmt.Sprintf("%s is a table: it is written [%s] on a line of its own", e.key, e.key)
	}
	return ""
}

// firstOfWrongType is the line of the first list or table where something else
// is wanted, which the parser does not tell the place of; 0 for none.
func (c *Config) firstOfWrongType(text []byte) int {
	for _, e := range index(text) {
		for _, s := range c.Settings() {
			_, list := s.value.(*[]string)
			if opens := text[e.start:e.end]; s.Key == e.key && !e.table && (opens[0] == '{' || opens[0] == '[' && !list) {
				return e.line
			}
		}
	}
	return 0
}

// takes names the type of a setting, for people.
func (s *Setting) takes() string {
	switch s.value.(type) {
	case *int:
		return "a whole number without quotes"
	case *bool:
		return "true or false without quotes"
	case *[]string:
		return `a list such as ["a", "b"]`
	}
	return "text in quotes"
}

// File returns the settings file: every setting with its comment and its
// present value, but for secrets.
func (c *Config) File() []byte { return c.file(false) }

// file is File, with secrets or without.
func (c *Config) file(secrets bool) []byte {
	var b bytes.Buffer
	b.WriteString(firstLine + " What is left out has the value shown here. The last line\n# tells that the file is whole: let it stay.\n")
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
		if !secrets && s.Secret() && s.Text() != "" {
			fmt.Fprintf(&b, "# It is set, and is not shown.\n# %s = \"\"\n", name)
			continue
		}
		fmt.Fprintf(&b, "%s = %s\n", name, s.literal())
	}
	b.WriteString("\n" + lastLine + "\n")
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
