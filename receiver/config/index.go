package config

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// entry is a setting, or the heading of a table, as it stands in a file.
type entry struct {
	key        string // in full and in lower case, as keys are compared
	table      bool
	array      bool // a heading in two brackets
	line       int
	start, end int // of its value; of a heading, the line behind it
}

// index lists what a file has, in its order, up to the first error.
func index(text []byte) (list []entry) {
	var p unstable.Parser
	p.Reset(text)
	table := ""
	for p.NextExpression() {
		node := p.Expression()
		var parts []string
		var last unstable.Range
		for it := node.Key(); it.Next(); {
			parts = append(parts, string(it.Node().Data))
			last = it.Node().Raw
		}
		e := entry{key: strings.ToLower(strings.Join(parts, ".")), line: p.Shape(last).Start.Line}
		behind := int(last.Offset + last.Length)
		switch node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table, e.table, e.array = e.key, true, node.Kind == unstable.ArrayTable
			e.start = behind + lineLength(text[behind:])
			e.end = e.start
		case unstable.KeyValue:
			if table != "" {
				e.key = table + "." + e.key
			}
			// The parser has found an = there.
			e.start = behind + bytes.IndexByte(text[behind:], '=') + 1
			e.start += len(text[e.start:]) - len(bytes.TrimLeft(text[e.start:], " \t"))
			e.end = e.start + valueLength(text[e.start:])
		default:
			continue
		}
		list = append(list, e)
	}
	return list
}

// lineLength is that of the first line, with its end.
func lineLength(text []byte) int {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// valueLength is that of the value at the beginning of a text that the parser
// has accepted.
func valueLength(text []byte) int {
	depth := 0
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"' || c == '\'':
			i += quotedLength(text[i:])
			continue
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			depth--
		case c == '#' && depth > 0:
			i += lineLength(text[i:])
			continue
		case depth == 0 && (c == '#' || c == '\n'):
			return len(bytes.TrimRight(text[:i], " \t"))
		}
		i++
	}
	return len(bytes.TrimRight(text, " \t"))
}

// quotedLength is that of the string at the beginning of a text.
func quotedLength(text []byte) int {
	quote, i := text[:1], 1
	if long := bytes.Repeat(quote, 3); bytes.HasPrefix(text, long) {
		quote, i = long, 3
	}
	for i < len(text) {
		switch {
		case text[i] == '\\' && quote[0] == '"':
			i++
		case bytes.HasPrefix(text[i:], quote):
			i += len(quote)
			// Up to two more quotes belong to a long string.
			for n := 0; len(quote) == 3 && n < 2 && i < len(text) && text[i] == quote[0]; n++ {
				i++
			}
			return i
		}
		i++
	}
	return len(text)
}

// find returns where a setting stands, nil if it does not.
func find(list []entry, key string) *entry {
	for i := range list {
		if !list[i].table && list[i].key == key {
			return &list[i]
		}
	}
	return nil
}

// lineOf is the line on which a setting stands, alone or in a table written on
// one line; 0 if it does not.
func lineOf(text []byte, key string) int {
	list := index(text)
	for key != "" {
		if e := find(list, key); e != nil {
			return e.line
		}
		key = key[:max(strings.LastIndexByte(key, '.'), 0)]
	}
	return 0
}

// misplaced returns the first entry that repeats another, or is a list of tables
// where a table is wanted, with a reason.
func misplaced(list []entry) (line int, reason string) {
	type kind struct {
		key   string
		table bool
	}
	seen := map[kind]int{}
	for _, e := range list {
		if e.array {
			return e.line, fmt.Sprintf("a table has one pair of brackets: [%s]", e.key)
		}
		k := kind{e.key, e.table}
		if first, there := seen[k]; there {
			return e.line, fmt.Sprintf("%s is here for the second time; the first is on line %d", e.key, first)
		}
		seen[k] = e.line
	}
	return 0, ""
}

// suggest returns the known name that an unknown one was probably meant to be;
// "" for none.
func suggest(key string, known []string) string {
	key = strings.ToLower(key)
	best, least := "", 3 // more than two letters are another word
	for _, k := range known {
		d := distance(key, k)
		// The right name in the wrong table.
		if name := k[strings.LastIndexByte(k, '.')+1:]; d > 1 && name == key[strings.LastIndexByte(key, '.')+1:] {
			d = 1
		}
		if d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to be added, left out, replaced or exchanged with
// the next to make b of a (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	var before, last []int
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
