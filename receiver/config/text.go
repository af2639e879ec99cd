package config

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// decode makes plain text of what an editor has saved: UTF-8 without a mark,
// and line feeds. An error names what no editor should have written.
func decode(name string, raw []byte) ([]byte, error) {
	if len(raw) > maxFile {
		return nil, &FileError{name, 0, fmt.Sprintf("longer than %d bytes", maxFile)}
	}
	text := raw
	switch {
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		text = raw[3:]
	case bytes.HasPrefix(raw, []byte("\xff\xfe")):
		text = fromUTF16(raw[2:], 0)
	case bytes.HasPrefix(raw, []byte("\xfe\xff")):
		text = fromUTF16(raw[2:], 1)
	}
	// A line may end as it does on Windows, or as it once did on a Mac.
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	line := 1
	for rest := text; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == '\n':
			line++
		case r == 0:
			return nil, &FileError{name, line, "zero bytes: the file is damaged, or saved in a form that is not plain text"}
		case r < ' ' && r != '\t' || r == 0x7f:
			return nil, &FileError{name, line, fmt.Sprintf("a control character (%U) that does not belong into a text", r)}
		case r == utf8.RuneError && size == 1:
			return nil, &FileError{name, line, "a letter is not in UTF-8: save the file as plain text in UTF-8"}
		}
		rest = rest[size:]
	}
	return text, nil
}

// fromUTF16 decodes UTF-16 whose low byte is at the given place of each pair.
// A byte too many becomes a zero, which decode then finds.
func fromUTF16(b []byte, low int) []byte {
	units := make([]uint16, 0, len(b)/2+1)
	for ; len(b) > 1; b = b[2:] {
		units = append(units, uint16(b[low])|uint16(b[1-low])<<8)
	}
	if len(b) > 0 {
		units = append(units, 0)
	}
	return []byte(string(utf16.Decode(units)))
}

// The lines by which a torn file is known: one that begins with the first must
// have the second.
const (
	firstLine = "# Settings of Aerie."
	lastLine  = "# End of the settings."
)

// torn tells whether the end of a file is missing, as it may be when the power
// fails while it is written.
func torn(text []byte) bool {
	return bytes.HasPrefix(text, []byte(firstLine)) && !bytes.Contains(text, []byte("\n"+lastLine))
}

// typographic are quotes that word processors and phones put in the place of "
// and '.
const typographic = "“”„‟‘’‚‛«»‹›″′＂＇"

// hint says in the words of an owner why a line of a text cannot be parsed; ""
// if there is no better reason than the parser's. It does not repeat values.
func (c *Config) hint(text []byte, line string) string {
	line = strings.Trim(line, " \t")
	if i := strings.IndexAny(line, typographic); i >= 0 {
		r, _ := utf8.DecodeRuneInString(line[i:])
		return fmt.Sprintf("%c is a typographic quote; settings take the plain one, \"", r)
	}
	if i := strings.IndexFunc(line, invisible); i >= 0 {
		r, _ := utf8.DecodeRuneInString(line[i:])
		return fmt.Sprintf("an invisible character (%U) stands where a blank or nothing should", r)
	}
	key, value, ok := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	switch {
	case heading.MatchString(line):
		return "something above this line is not closed: a quote or a ] is missing"
	case strings.HasPrefix(line, "["):
		return "a table is a name in brackets on a line of its own, such as [video]"
	case !ok && strings.Contains(key, ":"):
		return "a setting is written with =, not with a colon"
	case !ok:
		return "a setting is a name, = and a value; here is no ="
	case key == "":
		return "the name in front of the = is missing"
	case strings.ContainsAny(key, " \t"):
		return "the name in front of the = is more than one word"
	case value == "" || value[0] == '#':
		return fmt.Sprintf("the value of %s is missing", key)
	case value[0] == '"' && strings.Contains(value, `\`):
		return fmt.Sprintf(`the value of %s has a \, which is written \\`, key)
	case (value[0] == '"' || value[0] == '\'') && strings.Count(value, value[:1])%2 == 1:
		return fmt.Sprintf("the value of %s lacks a quote", key)
	case unicode.IsLetter(rune(value[0])) || value[0] >= utf8.RuneSelf:
		return fmt.Sprintf("%s takes %s", key, c.wanted(text, key))
	}
	return ""
}

var heading = regexp.MustCompile(`^\[[\w. -]+\]\s*(#.*)?$`)

// wanted is what the setting takes that stands behind all of a text that can be
// parsed.
func (c *Config) wanted(text []byte, key string) string {
	table := ""
	for _, e := range index(text) {
		if e.table {
			table = e.key + "."
		}
	}
	for _, s := range c.Settings() {
		if s.Key == strings.ToLower(table+key) {
			return s.takes()
		}
	}
	return "text in quotes"
}

// invisible tells of characters that look like a blank, or like nothing.
func invisible(r rune) bool {
	return r > 0x7f && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r))
}

// plain makes a reason one line of bounded length, whatever was in the file.
func plain(reason string) string {
	const longest = 160 // runes: two lines of a screen
	reason = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, reason)
	if r := []rune(reason); len(r) > longest {
		return string(r[:longest-1]) + "…"
	}
	return reason
}
