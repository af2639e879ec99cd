package discovery

import (
	"slices"
	"testing"

	"github.com/miekg/dns"
)

func TestParseKeepsGoodRecords(t *testing.T) {
	// The answer of python-zeroconf 0.47 to a probe, with its broken NSEC record.
	data := []byte("\x00\x00\x84\x00\x00\x00\x00\x02\x00\x00\x00\x02\x0bLiving Room\x08_airplay\x04_tcp\x05local\x00\x00\x10\x80\x01\x00\x00\x11\x94\x00\x0c\x0bmodel=Other" +
		"\xc0\x0c\x00!\x80\x01\x00\x00\x00x\x00\x14\x00\x00\x00\x00\x13\x88\x0bpython-peer\xc0&\xc0U\x00\x01\x80\x01\x00\x00\x00x\x00\x04\x7f\x00\x00\x01" +
		"\xc0U\x00/\x80\x01\x00\x00\x11\x94\x00\n\xc0U\x00\x00\x00\x04\x00\x00\x00\x08")
	if new(dns.Msg).Unpack(data) == nil {
		t.Error("the library reads it: parse is not needed")
	}
	m, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	got := summary(append(m.Answer, m.Extra...))
	if want := []string{`Living\ Room._airplay._tcp.local. TXT`, `Living\ Room._airplay._tcp.local. SRV`, "python-peer.local. A", "python-peer.local. NSEC"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A record whose data is bad is left out, one whose frame is bad ends it all.
func TestParseBadRecords(t *testing.T) {
	good := "\x02tv\x05local\x00\x00\x01\x00\x01\x00\x00\x00\x78\x00\x04\x0a\x00\x00\x01"
	frame := func(typ byte, data string) string {
		return "\x02tv\x05local\x00\x00" + string(typ) + "\x00\x01\x00\x00\x00\x78\x00" + string([]byte{byte(len(data))}) + data
	}
	for _, c := range []struct {
		name, record string
		want         int // records; -1: none at all
	}{
		{"A", frame(1, "\x0a\x00\x00\x02"), 2},
		{"A of three bytes", frame(1, "\x0a\x00\x00"), 1},
		{"A of no bytes", frame(1, ""), 1},
		{"AAAA of four bytes", frame(28, "\x0a\x00\x00\x02"), 1},
		{"PTR to itself", frame(12, "\xc0\x27"), 1},
		{"SRV without a name", frame(33, "\x00\x00\x00\x00\x00"), 1},
		{"TXT longer than it is", frame(16, "\x09a=1"), 1},
		{"an unknown type", frame(99, "\xff\xff"), 2},
		{"longer than the packet", frame(1, "")[:19] + "\xff\xff", -1},
		{"a name that never ends", "\xc0\x0c", -1},
		{"nothing", "", -1},
	} {
		data := "\x00\x00\x84\x00\x00\x00\x00\x02\x00\x00\x00\x00" + c.record + good
		if c.want < 0 {
			data = data[:12] + c.record // the second one is missing
		}
		m, err := parse([]byte(data))
		switch {
		case c.want < 0 && err == nil:
			t.Errorf("%s: read %v", c.name, m.Answer)
		case c.want >= 0 && (err != nil || len(m.Answer) != c.want):
			t.Errorf("%s: %v, %v", c.name, m, err)
		}
	}
	for _, data := range []string{"", "\x00\x00\x84", "\x00\x00\x28\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x00\x00\x84\x03\x00\x00\x00\x00\x00\x00\x00\x00", string(make([]byte, maxPacket+1))} {
		if m, err := parse([]byte(data)); err == nil {
			t.Errorf("%.12q: read %v", data, m)
		}
	}
}
