package phone

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
	"aerie/receiver/codec/hevc"
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

// maxClip bounds what is read into memory.
const maxClip = 2 << 30

// OpenClip reads a clip; fps is the rate of an elementary stream, which does
// not tell its own.
func OpenClip(name string, fps int) (*Clip, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxClip {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxClip)
	}
	var c *Clip
	if strings.HasSuffix(name, ".h264") || strings.HasSuffix(name, ".264") {
		c, err = openElementary(name, fps)
	} else {
		c, err = openMovie(name)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(c.units) == 0 {
		return nil, fmt.Errorf("%s: no pictures", name)
	}
	return c, nil
}

// openElementary reads an elementary stream (annex B).
func openElementary(name string, fps int) (*Clip, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	c := &Clip{}
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
		if t := h264.TypeOf(nal); t.IsSlice() {
			slices = true
			key = key || t == h264.TypeIDR
		}
		au = h264.AppendLengthPrefixed(au, nal)
	}
	flush()
	conf, err := h264.NewConfig(sps, pps)
	if err != nil {
		return nil, err
	}
	return c, c.describeH264(conf)
}

func (c *Clip) describeH264(conf *h264.Config) error {
	sps, err := h264.ParseSPS(conf.SPS[0])
	if err != nil {
		return err
	}
	c.payload = conf.Append(nil)
	c.width, c.height = sps.Size()
	return nil
}

// openMovie reads the first video track of an MP4 file.
func openMovie(name string) (*Clip, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	movie, err := mp4.DecodeFile(f)
	if err != nil {
		return nil, err
	}
	if movie.IsFragmented() || movie.Moov == nil {
		return nil, errors.New("fragmented movies are not read; remux it with: ffmpeg -i IN -c copy OUT.mp4")
	}
	for _, trak := range movie.Moov.Traks {
		if trak.Mdia == nil || trak.Mdia.Hdlr == nil || trak.Mdia.Hdlr.HandlerType != "vide" {
			continue
		}
		c := &Clip{}
		if err := c.readTrack(trak, f); err != nil {
			return nil, err
		}
		return c, nil
	}
	return nil, errors.New("no video track")
}

func (c *Clip) readTrack(trak *mp4.TrakBox, f io.ReadSeeker) error {
	table := trak.Mdia.Minf.Stbl
	if err := c.describe(table.Stsd); err != nil {
		return err
	}
	samples := table.Stsz.GetNrSamples()
	scale := time.Duration(trak.Mdia.Mdhd.Timescale)
	var at time.Duration
	for n := uint32(1); n <= samples; n++ {
		decode, _ := table.Stts.GetDecodeTime(n)
		at = time.Duration(decode) * time.Second / scale
		ranges, err := trak.GetRangesForSampleInterval(n, n)
		if err != nil {
			return err
		}
		data := make([]byte, 0, ranges[0].Size)
		for _, r := range ranges {
			if _, err := f.Seek(int64(r.Offset), io.SeekStart); err != nil {
				return err
			}
			part := make([]byte, r.Size)
			if _, err := io.ReadFull(f, part); err != nil {
				return err
			}
			data = append(data, part...)
		}
		c.units = append(c.units, unit{data, at, table.Stss == nil || table.Stss.IsSyncSample(n)})
	}
	return nil
}

// describe makes the codec packet out of the sample description.
func (c *Clip) describe(stsd *mp4.StsdBox) error {
	switch {
	case stsd.AvcX != nil && stsd.AvcX.AvcC != nil:
		conf, err := h264.NewConfig(stsd.AvcX.AvcC.SPSnalus, stsd.AvcX.AvcC.PPSnalus)
		if err != nil {
			return err
		}
		return c.describeH264(conf)
	case stsd.HvcX != nil && stsd.HvcX.HvcC != nil:
		return c.describeHEVC(stsd.HvcX)
	}
	return errors.New("neither H.264 nor HEVC")
}

// describeHEVC makes the QuickTime sample entry that phones send (reference
// section 9.3): 86 bytes, then the hvcC box.
func (c *Clip) describeHEVC(entry *mp4.VisualSampleEntryBox) error {
	var sets [3][][]byte
	for _, a := range entry.HvcC.NaluArrays {
		if i := int(a.NaluType()) - 32; i >= 0 && i < 3 {
			sets[i] = append(sets[i], a.Nalus...)
		}
	}
	conf, err := hevc.NewConfig(sets[0], sets[1], sets[2])
	if err != nil {
		return err
	}
	sps, err := hevc.ParseSPS(sets[1][0])
	if err != nil {
		return err
	}
	c.hevc = true
	c.width, c.height = sps.Size()
	box := func(name string, body []byte) []byte {
		n := len(body) + 8
		return append([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n), name[0], name[1], name[2], name[3]}, body...)
	}
	head := make([]byte, 86-8)
	head[7] = 1 // data reference
	head[24], head[25] = byte(c.width>>8), byte(c.width)
	head[26], head[27] = byte(c.height>>8), byte(c.height)
	c.payload = box("hvc1", append(head, box("hvcC", conf.Append(nil))...))
	return nil
}

// Describe returns the codec packet.
func (c *Clip) Describe() ([]byte, int, int, bool) { return c.payload, c.width, c.height, c.hevc }

// length is the time after which a loop begins again.
func (c *Clip) length() time.Duration {
	last := c.units[len(c.units)-1].at
	return last + last/time.Duration(max(len(c.units)-1, 1))
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
