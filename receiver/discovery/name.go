package discovery

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/miekg/dns"
)

// maxLabel is the length of the longest DNS label, in bytes (RFC 1035 section
// 2.3.4). An instance name is one label.
const maxLabel = 63

const localDomain = ".local."

// serviceEnumeration is the name under which a browser asks for all types of
// service on the link (RFC 6763 section 9).
const serviceEnumeration = "_services._dns-sd._udp.local."

// escapeLabel writes raw text as one label of a domain name in presentation
// form, exactly as dns.Msg.Unpack would, so that names compare as strings.
func escapeLabel(raw string) string {
	var b strings.Builder
	for i := range len(raw) {
		switch c := raw[i]; {
		case strings.IndexByte(`. '@;()"\`, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// unescape turns presentation form into raw text. A lone backslash at the end
// stands for a dot: it is what is left of an escaped one where a library has
// trimmed the name's dots.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		rest := s[i+1:]
		if code, err := strconv.ParseUint(rest[:min(3, len(rest))], 10, 8); err == nil && len(rest) >= 3 {
			b.WriteByte(byte(code))
			i += 3
		} else if rest != "" {
			b.WriteByte(rest[0])
			i++
		} else {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// fold returns the form of a domain name by which names are compared: ASCII
// letters are lower case, all other bytes stand for themselves (RFC 6762
// section 16).
func fold(name string) string { return dns.CanonicalName(name) }

// truncate shortens s to at most n bytes without cutting a character in two.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// numbered returns the n-th choice of a display name, at most room bytes long:
// the name itself for 1, "Name (2)", "Name (3)" and so on after it.
func numbered(name string, n, room int) string {
	if n <= 1 {
		return truncate(name, room)
	}
	suffix := fmt.Sprintf(" (%d)", n)
	return strings.TrimRight(truncate(name, room-len(suffix)), " ") + suffix
}

// splitNumber undoes numbered, so that a receiver configured as "TV (2)" goes
// on to "TV (3)" rather than to "TV (2) (2)".
func splitNumber(name string) (base string, n int) {
	open := strings.LastIndex(name, " (")
	if open <= 0 || !strings.HasSuffix(name, ")") {
		return name, 1
	}
	n, err := strconv.Atoi(name[open+2 : len(name)-1])
	if err != nil || n < 2 || n > 9999 || numbered(name[:open], n, len(name)) != name {
		return name, 1
	}
	return name[:open], n
}

// numberedHost returns the n-th choice of a host label: "aerie-a1b2c3",
// "aerie-a1b2c3-2" and so on.
func numberedHost(label string, n int) string {
	if n <= 1 {
		return truncate(label, maxLabel)
	}
	suffix := fmt.Sprintf("-%d", n)
	return truncate(label, maxLabel-len(suffix)) + suffix
}
