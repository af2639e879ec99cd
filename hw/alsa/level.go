package alsa

import (
	"errors"
	"fmt"
	"unsafe"
)

// Element names of playback volumes, before " Playback Volume" and
// " Playback Switch".
var levels = map[string]bool{"PCM": true, "Master": true, "Headphone": true, "Headphones": true}

// setLineLevel sets the card's playback volumes to 0 dB and unmutes them. A
// volume without a decibel scale stays as it is.
func setLineLevel(sys system, card Card) error {
	c, err := openControl(sys, card)
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.list(); err != nil {
		return err
	}
	var errs []error
	for _, id := range c.elements {
		if id.Iface != ifaceMixer {
			continue
		}
		switch name := id.name(); {
		case levels[trim(name, " Playback Volume")]:
			err = c.zeroDecibels(id)
		case levels[trim(name, " Playback Switch")]:
			err = c.setAll(id, elemBoolean, func(*elemInfo) (int, bool) { return 1, true })
		default:
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", id.name(), err))
		}
	}
	return errors.Join(errs...)
}

// trim removes suffix, or returns "" if s does not end in it.
func trim(s, suffix string) string {
	if n := len(s) - len(suffix); n > 0 && s[n:] == suffix {
		return s[:n]
	}
	return ""
}

// zeroDecibels sets a volume to the value that is 0 dB, or to the nearest in
// its range.
func (c *control) zeroDecibels(id elemID) error {
	return c.setAll(id, elemInteger, func(i *elemInfo) (int, bool) {
		if i.Access&accessTLVRead == 0 {
			return 0, false
		}
		t := &tlv{Numid: i.ID.Numid}
		t.Length = uint32(unsafe.Sizeof(t.Data))
		if err := c.call(ctlTLVRead, unsafe.Pointer(t)); err != nil {
			return 0, false
		}
		return unity(t.Data[:], long(i.Value[:], 0), long(i.Value[:], 1))
	})
}

// maxValues is how many integers an element can have.
const maxValues = 128

// setAll writes one value to all channels of an element of the type given,
// if choose finds one.
func (c *control) setAll(id elemID, typ int32, choose func(*elemInfo) (int, bool)) error {
	i, err := c.info(id)
	if err != nil || i.Type != typ {
		return err
	}
	value, ok := choose(i)
	if !ok {
		return nil
	}
	v := &elemValue{ID: i.ID}
	for n := range min(i.Count, maxValues) {
		setLong(v.Value[:], int(n), value)
	}
	return c.call(ctlElemWrite, unsafe.Pointer(v))
}

// Types of decibel scales (include/uapi/sound/tlv.h). All levels are in
// hundredths of a decibel.
const (
	tlvScale      = 1 // minimum, step
	tlvLinear     = 2 // minimum, maximum, linear in voltage
	tlvRange      = 3 // ranges with a scale each: from, to, type, length, ...
	tlvMinMax     = 4 // minimum, maximum
	tlvMinMaxMute = 5 // likewise, the minimum is silence
)

// unity finds the value in [lo, hi] that is nearest to 0 dB on the scale that
// t (type, length in bytes, data) describes. ok is false for a scale that is
// not understood.
func unity(t []uint32, lo, hi int) (value int, ok bool) {
	if len(t) < 4 || hi <= lo || hi-lo < 0 {
		return 0, false
	}
	typ, data := t[0], t[2:]
	data = data[:min(len(data), int(t[1]/4))]
	if typ == tlvRange {
		return unityRange(data, lo, hi)
	}
	if len(data) < 2 {
		return 0, false
	}
	first := int64(int32(data[0]))
	switch typ {
	case tlvScale:
		step := int64(data[1] & 0xffff)
		if step == 0 {
			return 0, false
		}
		return clamp(int64(lo)+(-first+step/2)/step, lo, hi), true
	case tlvLinear, tlvMinMax, tlvMinMaxMute:
		last := int64(int32(data[1]))
		if last <= first {
			return 0, false
		}
		if typ == tlvLinear {
			// Only the top of a scale that is linear in voltage is known exactly.
			return hi, last <= 0
		}
		return clamp(int64(lo)+(-first*int64(hi-lo)+(last-first)/2)/(last-first), lo, hi), true
	}
	return 0, false
}

// unityRange looks through the ranges of a compound scale for 0 dB. The last
// range that starts below it has it.
func unityRange(data []uint32, lo, hi int) (value int, ok bool) {
	for len(data) >= 6 {
		from, to := max(lo, int(int32(data[0]))), min(hi, int(int32(data[1])))
		size := int(data[3] / 4)
		if data[2] == tlvRange || size > len(data)-4 {
			return 0, false
		}
		if v, good := unity(data[2:4+size], from, to); good && (!ok || v > from) {
			value, ok = v, true
		}
		data = data[4+size:]
	}
	return value, ok
}

func clamp(v int64, lo, hi int) int {
	return int(max(int64(lo), min(v, int64(hi))))
}
