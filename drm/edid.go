package drm

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// EDID is what a display says of itself (VESA E-EDID 1.4 with CTA-861
// extensions). Fields it does not give are zero.
type EDID struct {
	Manufacturer string // three letters registered with the UEFI forum
	Product      uint16
	Serial       uint32
	Year         int // of manufacture, or of the model
	Name         string
	Digital      bool
	WidthCM      int // of the picture
	HeightCM     int
	Preferred    Timing   // the first detailed timing
	Timings      []Timing // all detailed timings
	VICs         []uint8  // CTA-861 video identification codes in the display's order
	HDMI         bool     // it carries an HDMI vendor block: not a DVI input
	BasicAudio   bool     // it plays two-channel LPCM
	Audio        []AudioFormat
	Speakers     uint32 // CTA-861 speaker allocation, 24 bits
	Physical     uint16 // CEC physical address, 0xffff without one
	MaxTMDS      int    // highest TMDS character rate in kHz, 0 if not said
	Latency      Latency
}

// Timing is a detailed timing descriptor.
type Timing struct {
	Width, Height int
	Clock         int // kHz
	HTotal        int
	VTotal        int // of one field if interlaced
	Interlaced    bool
}

// Refresh is the number of frames, or fields, per second in mHz.
func (t Timing) Refresh() int {
	total := t.HTotal * t.VTotal
	if total == 0 {
		return 0
	}
	return int((uint64(t.Clock)*1e6 + uint64(total)/2) / uint64(total))
}

// AudioFormat is a CTA-861 short audio descriptor.
type AudioFormat struct {
	Code     uint8 // 1: LPCM
	Channels int   // at most
	Rates    uint8 // bits 0-6: 32, 44.1, 48, 88.2, 96, 176.4, 192 kHz
	Detail   uint8 // LPCM: bits 0-2 for 16, 20, 24 bits per sample
}

// Latency is how long the display takes from its input to light and sound, as
// the HDMI vendor block says; 0 is unknown, or none.
type Latency struct {
	Video, Audio                     time.Duration
	InterlacedVideo, InterlacedAudio time.Duration
}

// ErrNoEDID says that the bytes are no EDID at all.
var ErrNoEDID = errors.New("drm: not an EDID")

const edidBlock = 128

// ParseEDID reads an EDID. A base block without its header or with a wrong
// checksum is an error; an extension block with a wrong checksum, or cut short,
// is left out.
func ParseEDID(b []byte) (EDID, error) {
	if len(b) < edidBlock || string(b[:8]) != "\x00\xff\xff\xff\xff\xff\xff\x00" {
		return EDID{}, ErrNoEDID
	}
	if sum(b[:edidBlock]) != 0 {
		return EDID{}, fmt.Errorf("%w: wrong checksum", ErrNoEDID)
	}
	e := EDID{Physical: 0xffff}
	e.base(b[:edidBlock])
	for n := 1; n <= int(b[126]) && (n+1)*edidBlock <= len(b); n++ {
		x := b[n*edidBlock : (n+1)*edidBlock]
		if x[0] == 0x02 && sum(x) == 0 {
			e.cta(x)
		}
	}
	if len(e.Timings) > 0 {
		e.Preferred = e.Timings[0]
	}
	return e, nil
}

func sum(b []byte) (s byte) {
	for _, c := range b {
		s += c
	}
	return s
}

// base reads the base block.
func (e *EDID) base(b []byte) {
	id := uint16(b[8])<<8 | uint16(b[9])
	for shift := 10; shift >= 0; shift -= 5 {
		c := byte(id >> shift & 31)
		if c < 1 || c > 26 {
			e.Manufacturer = ""
			break
		}
		e.Manufacturer += string(rune('A' - 1 + c))
	}
	e.Product = uint16(b[10]) | uint16(b[11])<<8
	e.Serial = uint32(b[12]) | uint32(b[13])<<8 | uint32(b[14])<<16 | uint32(b[15])<<24
	e.Year = 1990 + int(b[17])
	e.Digital = b[20]&0x80 != 0
	if b[21] != 0 && b[22] != 0 { // one of them 0: an aspect ratio or a projector
		e.WidthCM, e.HeightCM = int(b[21]), int(b[22])
	}
	for i := 54; i < 126; i += 18 {
		d := b[i : i+18]
		if d[0] != 0 || d[1] != 0 {
			e.timing(d)
		} else if d[3] == 0xfc {
			e.Name = text(d[5:])
		}
	}
}

// text reads a descriptor's string: printable ASCII, ended by a line feed.
func text(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{'\n'})
	return string(bytes.TrimSpace(bytes.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, b)))
}

// timing reads a detailed timing descriptor.
func (e *EDID) timing(d []byte) {
	t := Timing{
		Clock:      (int(d[0]) | int(d[1])<<8) * 10,
		Width:      int(d[2]) | int(d[4]&0xf0)<<4,
		Height:     int(d[5]) | int(d[7]&0xf0)<<4,
		Interlaced: d[17]&0x80 != 0,
	}
	t.HTotal = t.Width + int(d[3]) + int(d[4]&0x0f)<<8
	t.VTotal = t.Height + int(d[6]) + int(d[7]&0x0f)<<8
	if t.Interlaced {
		t.Height *= 2
	}
	if t.Width > 0 && t.Height > 0 {
		e.Timings = append(e.Timings, t)
	}
}

// cta reads a CTA-861 extension: data blocks from byte 4 up to the offset in
// byte 2, then detailed timings.
func (e *EDID) cta(b []byte) {
	timings := int(b[2])
	if b[1] >= 2 {
		e.BasicAudio = e.BasicAudio || b[3]&0x40 != 0
	}
	if timings != 0 && (timings < 4 || timings > edidBlock-1) {
		return
	}
	if b[1] >= 3 {
		for d := b[4:max(4, timings)]; len(d) > 0; {
			n := int(d[0] & 0x1f)
			if n+1 > len(d) {
				break
			}
			e.dataBlock(d[0]>>5, d[1:n+1])
			d = d[n+1:]
		}
	}
	for i := timings; timings != 0 && i+18 <= edidBlock-1 && (b[i] != 0 || b[i+1] != 0); i += 18 {
		e.timing(b[i : i+18])
	}
}

// dataBlock reads one CTA-861 data block.
func (e *EDID) dataBlock(tag byte, d []byte) {
	switch tag {
	case 1:
		for ; len(d) >= 3; d = d[3:] {
			e.Audio = append(e.Audio, AudioFormat{d[0] >> 3 & 15, int(d[0]&7) + 1, d[1] & 0x7f, d[2]})
		}
	case 2:
		for _, v := range d {
			// Codes to 64 carry a flag for "native" in the top bit.
			if v >= 129 && v <= 192 {
				v &= 0x7f
			}
			if v != 0 && v != 128 && v < 254 {
				e.VICs = append(e.VICs, v)
			}
		}
	case 3:
		e.vendor(d)
	case 4:
		if len(d) >= 3 {
			e.Speakers = uint32(d[0]) | uint32(d[1])<<8 | uint32(d[2])<<16
		}
	}
}

// vendor reads the HDMI vendor-specific data blocks: HDMI 1.4b section 8.3.2
// and HDMI 2.1 section 10.3.2.
func (e *EDID) vendor(d []byte) {
	if len(d) < 5 {
		return
	}
	switch uint32(d[2])<<16 | uint32(d[1])<<8 | uint32(d[0]) {
	case 0x000c03:
		e.HDMI = true
		e.Physical = uint16(d[3])<<8 | uint16(d[4])
		if len(d) > 6 {
			e.MaxTMDS = max(e.MaxTMDS, int(d[6])*5000)
		}
		if len(d) > 7 {
			e.latency(d[7], d[8:])
		}
	case 0xc45dd8:
		e.HDMI = true
		e.MaxTMDS = max(e.MaxTMDS, int(d[4])*5000)
	}
}

// latency reads the fields whose presence flags announces.
func (e *EDID) latency(flags byte, d []byte) {
	one := func(v byte) time.Duration {
		if v == 0 || v > 251 { // 255: no such output
			return 0
		}
		return time.Duration(v-1) * 2 * time.Millisecond
	}
	if flags&0x80 != 0 && len(d) >= 2 {
		e.Latency.Video, e.Latency.Audio = one(d[0]), one(d[1])
		if flags&0x40 != 0 && len(d) >= 4 {
			e.Latency.InterlacedVideo, e.Latency.InterlacedAudio = one(d[2]), one(d[3])
		}
	}
}

// PhysicalAddress writes the CEC physical address as it is usually seen:
// "1.0.0.0", or "" without one.
func (e *EDID) PhysicalAddress() string {
	if e.Physical == 0xffff {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d.%d", e.Physical>>12, e.Physical>>8&15, e.Physical>>4&15, e.Physical&15)
}
