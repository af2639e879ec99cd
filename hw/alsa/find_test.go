package alsa

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Machines by their /proc/asound/cards and the names of the devices.
func pi4(t *testing.T) *machine {
	m := newMachine(t)
	for _, c := range [][2]string{{"Headphones", "bcm2835 Headphones"}, {"vc4hdmi0", "vc4-hdmi-0"}, {"vc4hdmi1", "vc4-hdmi-1"}} {
		p := m.card(c[0], c[1])
		if strings.HasPrefix(c[0], "vc4") {
			p.formats, p.name = []Format{IEC958}, "MAI PCM i2s-hifi-0"
		} else {
			p.formats, p.rates = []Format{S16}, []int{8000, 44100, 48000}
		}
	}
	return m
}

func laptop(t *testing.T) *machine {
	m := newMachine(t)
	p := m.card("PCH", "HDA Intel PCH")
	p.name = "ALC257 Analog"
	for _, name := range []string{"HDMI 0", "HDMI 1"} {
		q := *p
		q.name = name
		p.card.pcms = append(p.card.pcms, &q)
	}
	p.card.jack("Headphone Jack", false)
	p.card.jack("HDMI/DP,pcm=1 Jack", false)
	p.card.jack("HDMI/DP,pcm=2 Jack", false)
	return m
}

// plug tells a card's jack and ELD.
func plug(c *simCard, monitor string) (jack *simElement) {
	jack = c.jack("HDMI Jack", true)
	e := c.element(ifacePCM, "ELD", elemBytes, maxELD)
	copy(e.value[:], television(monitor, 0x09, 0x07, 0x07))
	return jack
}

func TestFind(t *testing.T) {
	for _, c := range []struct {
		machine func(*testing.T) *machine
		plugged map[string]bool // jacks, by card
		want    string
		device  string // or part of the error
	}{
		{pi4, map[string]bool{"vc4hdmi0": true, "vc4hdmi1": false}, "auto", "vc4hdmi0,0"},
		{pi4, map[string]bool{"vc4hdmi0": false, "vc4hdmi1": true}, "", "vc4hdmi1,0"},
		{pi4, map[string]bool{"vc4hdmi0": false, "vc4hdmi1": false}, "default", "Headphones,0"},
		{pi4, nil, "auto", "Headphones,0"}, // an old kernel before the first modeset
		{pi4, map[string]bool{"vc4hdmi0": false, "vc4hdmi1": true}, "hdmi", "vc4hdmi1,0"},
		{pi4, map[string]bool{"vc4hdmi0": false, "vc4hdmi1": false}, "HDMI", "vc4hdmi0,0"},
		{pi4, nil, "headphones", "Headphones,0"},
		{pi4, nil, "Analog", "Headphones,0"},
		{pi4, nil, "vc4hdmi1", "vc4hdmi1,0"},
		{pi4, nil, "vc4-hdmi-0", "vc4hdmi0,0"},
		{pi4, nil, "hw:vc4hdmi0,0", "vc4hdmi0,0"},
		{pi4, nil, "hw:CARD=vc4hdmi0,DEV=0", "vc4hdmi0,0"},
		{pi4, nil, "bcm2835", "Headphones,0"},
		{pi4, nil, "hw:vc4hdmi0,3", "no such playback device; there are: Headphones,0 (bcm2835 Headphones, analog); vc4hdmi0,0"},
		{pi4, nil, "vc4", "2 devices are called so"},
		{pi4, nil, "hw:1,0", "card numbers change from boot to boot"},
		{pi4, nil, "USB Audio", `"USB Audio": no such playback device; there are: Headphones,0`},
		{pi4, map[string]bool{"vc4hdmi0": true}, "x", "vc4hdmi0,0 (vc4-hdmi-0, HDMI, plugged, SAMSUNG)"},
		{laptop, nil, "auto", "PCH,0"},
		{laptop, nil, "hw:PCH,2", "PCH,2"},
		{laptop, nil, "hdmi 1", "PCH,2"},
		{newMachineForFind, nil, "auto", `"auto": no such playback device: the machine has none`},
	} {
		m := c.machine(t)
		for _, card := range m.cards {
			if on, ok := c.plugged[card.id]; ok {
				jack := plug(card, "SAMSUNG")
				setLong(jack.value[:], 0, btoi(on))
			}
		}
		list, err := candidates(m, c.want)
		switch {
		case err != nil && !strings.Contains(err.Error(), c.device):
			t.Errorf("Find(%q): error %q, want %q in it", c.want, err, c.device)
		case err != nil && !errors.Is(err, ErrNoDevice):
			t.Errorf("Find(%q): %v is no ErrNoDevice", c.want, err)
		case err == nil && list[0].String() != c.device:
			t.Errorf("Find(%q) = %v, want %s", c.want, list[0], c.device)
		}
		m.leaks()
	}
}

func newMachineForFind(t *testing.T) *machine { return newMachine(t) }

// On a kernel that does not report jacks, an ELD is the sign of a television.
func TestSinkWithoutJack(t *testing.T) {
	m := pi4(t)
	e := m.cards[2].element(ifacePCM, "ELD", elemBytes, maxELD)
	copy(e.value[:], television("LG TV", 0x09, 0x07, 0x07))
	list, err := candidates(m, "auto")
	if err != nil || list[0].Card.ID != "vc4hdmi1" || list[0].Sink.ELD.Monitor != "LG TV" {
		t.Errorf("%v, %v", list, err)
	}
}

// A card that refuses to talk does not hide the others.
func TestDevicesOfAFailingCard(t *testing.T) {
	for _, call := range []string{"open control", "CARD_INFO", "PCM_NEXT_DEVICE", "PCM_INFO", "ELEM_LIST"} {
		for _, errno := range []error{unix.ENOTTY, unix.EINVAL, unix.EBUSY, unix.ENODEV, unix.EACCES} {
			m := pi4(t)
			done := false
			m.fault = func(c string) error {
				if c == call && !done {
					done = true
					return errno
				}
				return nil
			}
			list, err := devices(m)
			if err == nil || !strings.Contains(err.Error(), "Headphones") || !errors.Is(err, errno) {
				t.Errorf("%s fails with %v: %v", call, errno, err)
			}
			if len(list) < 2 || list[len(list)-1].Card.ID != "vc4hdmi1" {
				t.Errorf("%s fails with %v: %v", call, errno, list)
			}
			m.leaks()
		}
	}
}

func TestParseCards(t *testing.T) {
	text := " 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi\n                      vc4-hdmi\n" +
		" 1 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n                      bcm2835 Headphones\n" +
		"31 [Loopback       ]: Loopback - Loopback\n                      Loopback 1\n"
	got := parseCards([]byte(text))
	want := []Card{{0, "vc4hdmi", "vc4-hdmi", "vc4-hdmi", "vc4-hdmi"},
		{1, "Headphones", "bcm2835_headpho", "bcm2835 Headphones", "bcm2835 Headphones"},
		{31, "Loopback", "Loopback", "Loopback", "Loopback 1"}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("card %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if c := parseCards([]byte("--- no soundcards ---\n")); len(c) != 0 {
		t.Errorf("no cards: %+v", c)
	}
}

func FuzzParseCards(f *testing.F) {
	f.Add([]byte(" 0 [vc4hdmi        ]: vc4-hdmi - vc4-hdmi\n                      vc4-hdmi\n"))
	f.Add([]byte("--- no soundcards ---\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range parseCards(b) {
			if c.ID == "" || c.Number < 0 || c.Number > 255 {
				t.Errorf("%+v", c)
			}
		}
	})
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"auto", "hw:vc4hdmi0,0", "hw:CARD=Headphones,DEV=0", "hw:,", "hdmi", "0,0"} {
		f.Add(s)
	}
	m := pi4(&testing.T{})
	all, _ := devices(m)
	f.Fuzz(func(t *testing.T, s string) {
		list, err := choose(all, s)
		if (err == nil) != (len(list) > 0) {
			t.Errorf("%d devices and %v", len(list), err)
		}
	})
}
