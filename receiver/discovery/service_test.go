package discovery

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/miekg/dns"
)

func TestHostLabel(t *testing.T) {
	for id, want := range map[string]string{
		"AA:BB:CC:A1:B2:C3": "aerie-a1b2c3", "aabbcca1b2c3": "aerie-a1b2c3", "a1-b2": "aerie-a1b2", "": "aerie", "xyz": "aerie",
	} {
		if got := HostLabel(id); got != want {
			t.Errorf("HostLabel(%q) = %q, want %q", id, got, want)
		}
	}
}

func TestServiceNames(t *testing.T) {
	if s := AirPlay("Living Room", 7000, nil); s.Type != "_airplay._tcp" || s.Instance != "Living Room" {
		t.Errorf("%+v", s)
	}
	if s := RAOP("aa:bb:cc:dd:ee:ff", "Living Room", 7000, nil); s.Type != "_raop._tcp" || s.Instance != "AABBCCDDEEFF@Living Room" {
		t.Errorf("%+v", s)
	}
}

func TestNumbered(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		room int
		want string
	}{
		{"TV", 1, 63, "TV"}, {"TV", 2, 63, "TV (2)"}, {"TV", 10, 63, "TV (10)"},
		{"Wohnzimmer", 1, 6, "Wohnzi"}, {"Wohnzimmer", 2, 8, "Wohn (2)"}, {"Wohn zimmer", 2, 9, "Wohn (2)"},
		{"Küche", 1, 2, "K"}, {"Küche", 2, 6, "K (2)"}, {"Küche", 2, 7, "Kü (2)"},
	} {
		got := numbered(c.name, c.n, c.room)
		if got != c.want || len(got) > c.room {
			t.Errorf("numbered(%q, %d, %d) = %q, want %q", c.name, c.n, c.room, got, c.want)
		}
	}
	for name, want := range map[string]struct {
		base string
		n    int
	}{
		"TV": {"TV", 1}, "TV (2)": {"TV", 2}, "TV (17)": {"TV", 17}, "TV (1)": {"TV (1)", 1}, "TV (x)": {"TV (x)", 1},
		"TV(2)": {"TV(2)", 1}, " (2)": {" (2)", 1}, "TV (02)": {"TV (02)", 1}, "TV (99999)": {"TV (99999)", 1}, "TV  (2)": {"TV  (2)", 1},
	} {
		if base, n := splitNumber(name); base != want.base || n != want.n {
			t.Errorf("splitNumber(%q) = %q, %d", name, base, n)
		}
	}
}

// A long name is cut for all services alike, to what the longest prefix
// leaves, however often it is renamed.
func TestLongName(t *testing.T) {
	name := strings.Repeat("Küche ", 20)
	id, err := newIdentity(name, "aerie", testServices(name))
	if err != nil {
		t.Fatal(err)
	}
	for range 120 {
		for i := range id.services {
			label, _, _ := strings.Cut(id.instanceName(i), "."+id.services[i].Type)
			raw := unescape(label)
			if len(raw) > maxLabel || !utf8.ValidString(raw) || !strings.HasSuffix(raw, id.name()) {
				t.Fatalf("instance %q for the name %q", raw, id.name())
			}
		}
		id.rename(fold(id.instanceName(0)))
	}
	if !strings.HasSuffix(id.name(), " (121)") {
		t.Errorf("name %q", id.name())
	}
}

func TestConfigErrors(t *testing.T) {
	good := testServices("TV")
	for _, c := range []struct {
		name, host string
		services   []Service
		want       string
	}{
		{"", "aerie", good, "empty"},
		{" ", "aerie", good, "empty"},
		{"T\nV", "aerie", testServices("T\nV"), "control"},
		{"T\xff", "aerie", testServices("T\xff"), "UTF-8"},
		{"TV", "", good, "host label"},
		{"TV", "a.b", good, "host label"},
		{"TV", "aerie", nil, "no service"},
		{"TV", "aerie", testServices("Radio"), "does not end in"},
		{"TV", "aerie", append(good, AirPlay("TV", 1, nil)), "twice"},
		{"TV", "aerie", []Service{AirPlay("TV", 0, nil)}, "no port"},
		{"TV", "aerie", []Service{{Type: "airplay._tcp", Instance: "TV", Port: 1}}, "not of the form"},
		{"TV", "aerie", []Service{{Type: "_airplay._sctp", Instance: "TV", Port: 1}}, "not of the form"},
		{"TV", "aerie", []Service{{Type: "_air play._tcp", Instance: "TV", Port: 1}}, "character"},
		{"TV", "aerie", []Service{{Type: "_a234567890123456._tcp", Instance: "TV", Port: 1}}, "not of the form"},
		{"TV", "aerie", []Service{{Type: "_a._tcp", Instance: strings.Repeat("x", 40) + "TV", Port: 1}}, "half"},
		{"TV", "aerie", []Service{AirPlay("TV", 1, []string{"a=1", "a=2"})}, "twice"},
	} {
		if _, err := newIdentity(c.name, c.host, c.services); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %q, %v: %v, want %q", c.name, c.host, c.services, err, c.want)
		}
	}
}

// Names survive the way through a packet byte by byte, and come out of the
// library exactly as escapeLabel writes them.
func TestEscapeLabel(t *testing.T) {
	for b := range 256 {
		raw := "a" + string([]byte{byte(b)}) + "9z"
		name := escapeLabel(raw) + ".local."
		m := query(name, dns.TypeA)
		data, err := m.Pack()
		if err != nil {
			t.Fatalf("byte %d: %v", b, err)
		}
		got, err := parse(data)
		if err != nil || got.Question[0].Name != name {
			t.Errorf("byte %d: %v, %v", b, got, err)
		}
		if back := unescape(escapeLabel(raw)); back != raw {
			t.Errorf("byte %d: %q", b, back)
		}
	}
	for escaped, want := range map[string]string{`a\`: "a.", `\`: ".", `a\12`: "a12", `a\1b`: "a1b", `a\999`: "a999", `\065`: "A", `a\..`: "a.."} {
		if got := unescape(escaped); got != want {
			t.Errorf("unescape(%q) = %q, want %q", escaped, got, want)
		}
	}
}

// The examples of RFC 6762 section 8.2 and 8.2.1, and what they leave open.
func TestCompareRecords(t *testing.T) {
	set := func(texts ...string) (rrs []dns.RR) {
		for _, text := range texts {
			rrs = append(rrs, mustRR(t, text))
		}
		return rrs
	}
	for _, c := range []struct {
		a, b []dns.RR
		want int
	}{
		{set("p.local. 1 A 169.254.99.200"), set("p.local. 1 A 169.254.200.50"), -1},
		{set("p.local. 1 A 169.254.99.200", "p.local. 1 AAAA fe80::1"), set("p.local. 1 A 169.254.99.200"), 1},
		{set("p.local. 1 AAAA fe80::1", "p.local. 1 A 169.254.99.200"), set("P.local. 9 A 169.254.99.200", "p.local. 1 AAAA fe80::1"), 0},
		{set("p.local. 1 A 1.1.1.1"), set("p.local. 1 TXT a"), -1},
		{set("p.local. 1 CH A 1.1.1.1"), set("p.local. 1 IN A 2.1.1.1"), 1},
		{set("p.local. 1 SRV 0 0 1 a.local."), set("p.local. 1 SRV 0 0 1 bc.local."), -1}, // by the label's length
		{nil, set("p.local. 1 A 1.1.1.1"), -1},
		{nil, nil, 0},
	} {
		if got := compareRecords(c.a, c.b); got != c.want {
			t.Errorf("%v against %v: %d, want %d", c.a, c.b, got, c.want)
		}
		if got := compareRecords(c.b, c.a); got != -c.want {
			t.Errorf("%v against %v: %d, want %d", c.b, c.a, got, -c.want)
		}
	}
}

func TestEchoes(t *testing.T) {
	e := newEchoes()
	for i := range 3 * rememberedEchoes {
		e.add([]byte{byte(i), byte(i >> 8)})
	}
	var known []int
	for i := range 3 * rememberedEchoes {
		if e.has([]byte{byte(i), byte(i >> 8)}) {
			known = append(known, i)
		}
	}
	if len(known) != rememberedEchoes || known[0] != 2*rememberedEchoes || !slices.IsSorted(known) {
		t.Errorf("%d remembered, from %d", len(known), known[0])
	}
}
