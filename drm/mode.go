package drm

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Mode is a display timing.
type Mode struct {
	Width, Height int // visible pixels
	Refresh       int // fields or frames per second, in mHz: 59940
	Clock         int // pixel clock in kHz
	Interlaced    bool
	Preferred     bool // the display's own wish

	info modeInfo
}

// newMode works the exact rate out from the timing: the kernel's own vrefresh
// is rounded to whole hertz.
func newMode(in modeInfo) Mode {
	m := Mode{Width: int(in.hdisplay), Height: int(in.vdisplay), Clock: int(in.clock),
		Interlaced: in.flags&modeFlagInterlace != 0, Preferred: in.typ&modeTypePreferred != 0, info: in}
	total := uint64(in.htotal) * uint64(in.vtotal)
	if total == 0 {
		m.Refresh = int(in.vrefresh) * 1000
		return m
	}
	if in.vscan > 1 {
		total *= uint64(in.vscan)
	}
	rate := uint64(in.clock) * 1e6 // mHz times total
	if m.Interlaced {
		rate *= 2
	}
	if in.flags&modeFlagDblScan != 0 {
		rate /= 2
	}
	m.Refresh = int((rate + total/2) / total)
	return m
}

// Interval is the time from one vertical blanking to the next.
func (m Mode) Interval() time.Duration {
	total := int64(m.info.htotal) * int64(m.info.vtotal)
	if m.Clock <= 0 || total <= 0 {
		if m.Refresh <= 0 {
			return time.Second / 60
		}
		return time.Duration(1e12 / int64(m.Refresh))
	}
	if m.info.vscan > 1 {
		total *= int64(m.info.vscan)
	}
	d := time.Duration(total * 1e6 / int64(m.Clock))
	if m.Interlaced {
		d /= 2
	}
	if m.info.flags&modeFlagDblScan != 0 {
		d *= 2
	}
	return d
}

// String is the mode as an override spells it: 1920x1080@59.94, 1920x1080i@50.
func (m Mode) String() string {
	i := ""
	if m.Interlaced {
		i = "i"
	}
	hz := strconv.FormatFloat(float64(m.Refresh)/1000, 'f', 3, 64)
	hz = strings.TrimRight(strings.TrimRight(hz, "0"), ".")
	return fmt.Sprintf("%dx%d%s@%s", m.Width, m.Height, i, hz)
}

// Name is the name the kernel gives the mode.
func (m Mode) Name() string {
	b, _, _ := bytes.Cut(m.info.name[:], []byte{0})
	return string(b)
}

// Override is a mode asked for by name.
type Override struct {
	Width, Height int
	Refresh       int // mHz; 0: the highest
	Interlaced    bool
}

// ParseOverride reads WIDTHxHEIGHT[i][@HERTZ]: "1920x1080@60", "1280x720@59.94",
// "1920x1080". A rate that is not offered also means the one beside it: 60 is
// 59.94 on a display that has only that.
func ParseOverride(s string) (Override, error) {
	bad := func(what string) (Override, error) {
		return Override{}, fmt.Errorf("drm: mode %q: %s (want for example 1920x1080@60)", s, what)
	}
	size, rate, rated := strings.Cut(strings.TrimSpace(s), "@")
	var o Override
	if t := strings.TrimSuffix(size, "i"); t != size {
		size, o.Interlaced = t, true
	}
	w, h, ok := strings.Cut(size, "x")
	if !ok {
		return bad("no size")
	}
	var err error
	if o.Width, err = strconv.Atoi(w); err != nil || o.Width < 1 || o.Width > 1<<15 {
		return bad("bad width")
	}
	if o.Height, err = strconv.Atoi(h); err != nil || o.Height < 1 || o.Height > 1<<15 {
		return bad("bad height")
	}
	if rated {
		hz, err := strconv.ParseFloat(rate, 64)
		if err != nil || !(hz >= 1 && hz <= 1000) {
			return bad("bad refresh rate")
		}
		o.Refresh = int(hz*1000 + 0.5)
	}
	return o, nil
}

// matches compares rates to one part in the number given: 2000 tells 60 from
// 59.94, but takes 59.94 for 60000/1001; 100 takes one for the other.
func (o Override) matches(m Mode, parts int) bool {
	d := m.Refresh - o.Refresh
	return m.Width == o.Width && m.Height == o.Height && m.Interlaced == o.Interlaced &&
		(o.Refresh == 0 || d*parts <= o.Refresh && -d*parts <= o.Refresh)
}

// maxSafeClock is the pixel clock in kHz below which every Raspberry Pi works;
// 1600x1200@60 at exactly this clock has failed (hardware reference section
// 3.5).
const maxSafeClock = 162000

// ChooseMode picks the mode for moving pictures from those a display offers:
// the override when it is offered, else 1920x1080 at 60, 59.94 or 50 Hz with
// the timing television sets use, else the display's preferred mode if it is
// no larger than that, else the largest progressive one with a pixel clock
// every board can make, else 640x480, else the first. Why says which. A set
// that prefers 4K at 30 Hz thus still gets 1080p60 (hardware reference section
// 3.5). With no modes at all ok is false.
func ChooseMode(modes []Mode, override *Override) (m Mode, why string, ok bool) {
	if override != nil {
		for _, parts := range []int{2000, 100} {
			if m, ok := best(modes, func(m Mode) bool { return override.matches(m, parts) }); ok {
				return m, "as set", true
			}
		}
	}
	for _, hz := range []int{60000, 59940, 50000} {
		o := Override{Width: 1920, Height: 1080, Refresh: hz}
		// CTA-861 VIC 16 and 31: 148.5 MHz, or that over 1.001.
		tv := func(m Mode) bool { return o.matches(m, 2000) && m.Clock >= 148351 && m.Clock <= 148500 }
		if m, ok := best(modes, tv); ok {
			return m, "1080p", true
		}
	}
	preferred := func(m Mode) bool { return m.Preferred && m.Width <= 1920 && m.Height <= 1080 && safe(m) }
	if m, ok := best(modes, preferred); ok {
		return m, "preferred by the display", true
	}
	if m, ok := best(modes, safe); ok {
		return m, "largest safe", true
	}
	if m, ok := best(modes, func(m Mode) bool { return m.Width == 640 && m.Height == 480 }); ok {
		return m, "smallest", true
	}
	if len(modes) > 0 {
		return modes[0], "first offered", true
	}
	return Mode{}, "no mode offered", false
}

func safe(m Mode) bool { return !m.Interlaced && m.Clock > 0 && m.Clock < maxSafeClock }

// best is the largest, then fastest, then earliest mode that is fit.
func best(modes []Mode, fit func(Mode) bool) (b Mode, ok bool) {
	for _, m := range modes {
		if !fit(m) {
			continue
		}
		size, top := m.Width*m.Height, b.Width*b.Height
		if !ok || size > top || size == top && m.Refresh > b.Refresh {
			b, ok = m, true
		}
	}
	return b, ok
}
