package phone

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
)

// Clip is a recorded picture: the video track of an MP4 file, or an elementary
// stream of H.264 (.h264, .264).
type Clip struct {
	payload       []byte // codec packet
	width, height int
	hevc          bool
	units         []unit
	next          int
	// Loop begins again at the end; the clip must begin with a key picture.
	Loop  bool
	loops int
}

// unit is one access unit.
type unit struct {
	data []byte
	at   time.Duration
	key  bool
}

// Limits of a clip: what is read into memory, and hours of pictures.
const (
	maxClip  = 1 << 30 // bytes
	maxUnits = 1 << 20
)

// OpenClip reads a clip; fps is the rate of an elementary stream, which does
// not tell its own.
func OpenClip(name string, fps int) (*Clip, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() || st.Size() > maxClip {
		return nil, fmt.Errorf("%s is no file of at most %d bytes", name, maxClip)
	}
	c := &Clip{}
	if strings.HasSuffix(name, ".h264") || strings.HasSuffix(name, ".264") {
		err = c.readElementary(f, fps)
	} else {
		err = c.readMovie(f, st.Size())
	}
	if err == nil && len(c.units) == 0 {
		err = errors.New("no pictures")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// readElementary reads an elementary stream (annex B).
func (c *Clip) readElementary(r io.Reader, fps int) error {
	if fps <= 0 {
		return fmt.Errorf("%d pictures a second", fps)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	var sps, pps [][]byte
	var au []byte
	key, slices := false, false
	flush := func() {
		if slices {
			c.units = append(c.units, unit{au, time.Duration(len(c.units)) * time.Second / time.Duration(fps), key})
			au, key, slices = nil, false, false
		}
	}
	for nal := range h264.AnnexB(b) {
		switch t := h264.TypeOf(nal); {
		case t == h264.TypeSPS || t == h264.TypePPS:
			flush()
			if len(c.units) == 0 && t == h264.TypeSPS {
				sps = append(sps, nal)
			} else if len(c.units) == 0 {
				pps = append(pps, nal)
			}
			continue
		case t == h264.TypeAUD || t == h264.TypeSEI && slices || t.IsSlice() && h264.IsFirstSlice(nal):
			flush()
		}
		if len(c.units) == maxUnits {
			return errTooLong
		}
		if t := h264.TypeOf(nal); t.IsSlice() {
			slices = true
			key = key || t == h264.TypeIDR
		}
		au = h264.AppendLengthPrefixed(au, nal)
	}
	flush()
	return c.describeH264(sps, pps)
}

var errTooLong = fmt.Errorf("more than %d pictures", maxUnits)

// describeH264 makes the codec packet: an avcC record.
func (c *Clip) describeH264(sps, pps [][]byte) error {
	conf, err := h264.NewConfig(sps, pps)
	if err != nil {
		return err
	}
	first, err := h264.ParseSPS(conf.SPS[0])
	if err != nil {
		return err
	}
	c.payload = conf.Append(nil)
	c.width, c.height = first.Size()
	return nil
}

// Describe returns the codec packet.
func (c *Clip) Describe() ([]byte, int, int, bool) { return c.payload, c.width, c.height, c.hevc }

// length is the time after which a loop begins again; a single picture is
// repeated every second.
func (c *Clip) length() time.Duration {
	last := c.units[len(c.units)-1].at
	if last == 0 {
		return time.Second
	}
	return last + last/time.Duration(len(c.units)-1)
}

// When returns when the next access unit is due.
func (c *Clip) When() (time.Duration, error) {
	if c.next == len(c.units) {
		if !c.Loop {
			return 0, io.EOF
		}
		c.next, c.loops = 0, c.loops+1
	}
	return c.units[c.next].at + time.Duration(c.loops)*c.length(), nil
}

// Next returns the next access unit.
func (c *Clip) Next(dst []byte, _ clock.Remote, _ bool) ([]byte, bool, error) {
	if _, err := c.When(); err != nil {
		return nil, false, err
	}
	u := &c.units[c.next]
	c.next++
	return append(dst, u.data...), u.key, nil
}
