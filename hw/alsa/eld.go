package alsa

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ELD is what a television says of its ears: the EDID-like data that the
// kernel hands from the display to the sound driver (HDA specification 1.0a
// section 7.3.3.34; kernel include/drm/drm_eld.h).
type ELD struct {
	Monitor      string // its name, at most 31 bytes of printable ASCII
	Manufacturer string // three letters
	Product      uint16
	DisplayPort  bool
	SyncDelay    time.Duration // how much later its sound is than its picture; 0 if it does not say
	Speakers     byte          // CEA-861 speaker allocation
	Audio        []Audio       // what it decodes, as its EDID lists it
}

// Audio is a short audio descriptor (CEA-861-D section 7.5.2).
type Audio struct {
	Coding   int // 1 is LPCM, 2 AC-3, ...
	Channels int // at most
	Rates    []int
	Bits     []int // LPCM: 16, 20, 24
}

const (
	codingLPCM = 1
	maxELD     = 128
)

var descriptorRates = [...]int{32000, 44100, 48000, 88200, 96000, 176400, 192000}

// ErrNoELD says that no television has introduced itself.
var ErrNoELD = errors.New("alsa: ELD: empty")

// ParseELD reads the value of an "ELD" control element.
func ParseELD(b []byte) (ELD, error) {
	var e ELD
	if len(b) < 20 || b[0]>>3 == 0 {
		return e, ErrNoELD
	}
	if v := b[0] >> 3; v != 2 && v != 31 {
		return e, fmt.Errorf("alsa: ELD: version %d", v)
	}
	b = b[:min(len(b), 4+4*int(b[2]))]
	if len(b) < 20 {
		return e, fmt.Errorf("alsa: ELD: baseline block of %d bytes", len(b))
	}
	name, n := 20+int(b[4]&0x1f), int(b[5]>>4)
	if name+3*n > len(b) {
		return e, fmt.Errorf("alsa: ELD: name and %d descriptors exceed %d bytes", n, len(b))
	}
	e.Monitor = printable(b[20:name])
	e.Manufacturer = letters(uint16(b[16])<<8 | uint16(b[17]))
	e.Product = uint16(b[18]) | uint16(b[19])<<8
	e.DisplayPort = b[5]>>2&3 == 1
	if b[6] <= 250 { // in steps of 2 ms
		e.SyncDelay = time.Duration(b[6]) * 2 * time.Millisecond
	}
	e.Speakers = b[7]
	for i := range n {
		e.Audio = append(e.Audio, parseAudio(b[name+3*i:]))
	}
	return e, nil
}

func parseAudio(b []byte) Audio {
	a := Audio{Coding: int(b[0] >> 3 & 0xf), Channels: int(b[0]&7) + 1}
	for i, r := range descriptorRates {
		if b[1]>>i&1 != 0 {
			a.Rates = append(a.Rates, r)
		}
	}
	for i, bits := range [...]int{16, 20, 24} {
		if a.Coding == codingLPCM && b[2]>>i&1 != 0 {
			a.Bits = append(a.Bits, bits)
		}
	}
	return a
}

// LPCM reports whether stereo PCM is understood at rate. Every HDMI sink with
// sound takes 32, 44.1 and 48 kHz, listed or not (HDMI 1.4 section 7.3).
func (e *ELD) LPCM(rate int) bool {
	if rate == 32000 || rate == 44100 || rate == 48000 {
		return true
	}
	for _, a := range e.Audio {
		for _, r := range a.Rates {
			if a.Coding == codingLPCM && a.Channels >= 2 && r == rate {
				return true
			}
		}
	}
	return false
}

func printable(b []byte) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, text(b)))
}

// letters decodes an EDID manufacturer: three times five bits, A is 1.
func letters(v uint16) string {
	s := make([]byte, 3)
	for i := range s {
		c := v >> (10 - 5*i) & 0x1f
		if c < 1 || c > 26 {
			return ""
		}
		s[i] = 'A' - 1 + byte(c)
	}
	return string(s)
}
