package phone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/Eyevinn/mp4ff/mp4"

	"aerie/receiver/codec/hevc"
	"aerie/receiver/mirror"
)

// Limits of a movie: of its box of tables, which is a kilobyte a second, of the
// boxes beside it, of boxes of one name within it, and of its length.
const (
	maxTables = 8 << 20
	maxBoxes  = 1 << 16
	maxAlike  = 64
	maxHours  = 1000
)

// nesting are the boxes that hold little but others.
var nesting = strings.Fields("moov trak mdia minf stbl dinf edts udta meta mvex moof traf mfra sinf schi tref ilst stsd")

var (
	errFragmented = errors.New("fragmented movies are not read; remux it with: ffmpeg -i IN -c copy OUT.mp4")
	errTables     = errors.New("the tables of the movie do not fit together")
)

// readMovie reads the first video track of an MP4 file of a size.
func (c *Clip) readMovie(f io.ReadSeeker, size int64) error {
	tables, err := findTables(f, size)
	if err != nil {
		return err
	}
	moov, err := parseTables(tables)
	if err != nil {
		return err
	}
	if moov.Mvex != nil {
		return errFragmented
	}
	for _, trak := range moov.Traks {
		if trak.Mdia != nil && trak.Mdia.Hdlr != nil && trak.Mdia.Hdlr.HandlerType == "vide" {
			return c.readTrack(trak.Mdia, f, size)
		}
	}
	return errors.New("no video track")
}

// findTables returns the moov box of a file, which may stand before or behind
// the media (ISO/IEC 14496-12, 4.2).
func findTables(f io.ReadSeeker, size int64) ([]byte, error) {
	var at int64
	for range maxBoxes {
		if _, err := f.Seek(at, io.SeekStart); err != nil {
			return nil, err
		}
		var head [16]byte
		n, err := io.ReadFull(f, head[:])
		if n < 8 {
			return nil, fmt.Errorf("no movie: no moov box in %d bytes (%w)", at, err)
		}
		length := int64(binary.BigEndian.Uint32(head[:]))
		switch {
		case length == 0:
			length = size - at
		case length == 1 && n == len(head):
			length = int64(binary.BigEndian.Uint64(head[8:]))
		}
		switch name := string(head[4:8]); {
		case length < 8 || length > size-at:
			return nil, fmt.Errorf("no movie: a box %q of %d bytes, %d are left", name, length, size-at)
		case name == "moof":
			return nil, errFragmented
		case name == "moov" && length > maxTables:
			return nil, fmt.Errorf("tables of %d bytes, limit %d", length, maxTables)
		case name == "moov":
			if _, err := f.Seek(at, io.SeekStart); err != nil {
				return nil, err
			}
			b := make([]byte, length)
			_, err := io.ReadFull(f, b)
			return b, err
		}
		at += length
	}
	return nil, fmt.Errorf("no movie: more than %d boxes", maxBoxes)
}

// parseTables parses a moov box. The library is made for files that are in
// order: it panics on some that are not, and follows nested boxes for as long
// as there is a stack.
func parseTables(b []byte) (moov *mp4.MoovBox, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errTables, r)
		}
	}()
	for _, name := range nesting {
		if n := bytes.Count(b, []byte(name)); n > maxAlike {
			return nil, fmt.Errorf("%d boxes %q, limit %d", n, name, maxAlike)
		}
	}
	box, err := mp4.DecodeBox(0, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	moov, ok := box.(*mp4.MoovBox)
	if !ok {
		return nil, errTables
	}
	return moov, nil
}

func (c *Clip) readTrack(m *mp4.MdiaBox, f io.ReadSeeker, size int64) error {
	if m.Mdhd == nil || m.Mdhd.Timescale == 0 || m.Minf == nil || m.Minf.Stbl == nil {
		return errTables
	}
	t := m.Minf.Stbl
	if t.Stsd == nil || t.Stts == nil || t.Stsz == nil || t.Stsc == nil || t.Stco == nil && t.Co64 == nil {
		return errTables
	}
	if err := c.describe(t.Stsd); err != nil {
		return err
	}
	if t.Stsz.GetNrSamples() > maxUnits {
		return errTooLong
	}
	next, stop := iter.Pull(decodeTimes(t.Stts, m.Mdhd.Timescale))
	defer stop()
	left := size // no byte belongs to two pictures
	for n, at := range samples(t) {
		length := int64(t.Stsz.GetSampleSize(n))
		when, ok := next()
		if left -= length; left < 0 || length > mirror.MaxPicture || at > uint64(size-length) || !ok || when > maxHours*time.Hour {
			return fmt.Errorf("%w: picture %d of %d bytes", errTables, n, length)
		}
		data := make([]byte, length)
		if _, err := f.Seek(int64(at), io.SeekStart); err != nil {
			return err
		}
		if _, err := io.ReadFull(f, data); err != nil {
			return err
		}
		c.units = append(c.units, unit{data, when, t.Stss == nil || t.Stss.IsSyncSample(uint32(n))})
	}
	if len(c.units) < int(t.Stsz.GetNrSamples()) {
		return fmt.Errorf("%w: %d pictures without a place", errTables, int(t.Stsz.GetNrSamples())-len(c.units))
	}
	return nil
}

// samples walks through the samples, which are numbered from 1, and tells
// where each begins: in the chunks one after the other.
func samples(t *mp4.StblBox) iter.Seq2[int, uint64] {
	return func(yield func(int, uint64) bool) {
		n, runs, many := 1, t.Stsc.Entries, uint32(0)
		for chunk := range chunks(t) {
			at := chunkOffset(t, chunk)
			for len(runs) > 0 && int(runs[0].FirstChunk) <= chunk+1 {
				many, runs = runs[0].SamplesPerChunk, runs[1:]
			}
			for range many {
				if n > int(t.Stsz.GetNrSamples()) || !yield(n, at) {
					return
				}
				at += uint64(t.Stsz.GetSampleSize(n))
				n++
			}
		}
	}
}

func chunks(t *mp4.StblBox) int {
	if t.Stco != nil {
		return len(t.Stco.ChunkOffset)
	}
	return len(t.Co64.ChunkOffset)
}

func chunkOffset(t *mp4.StblBox, chunk int) uint64 {
	if t.Stco != nil {
		return uint64(t.Stco.ChunkOffset[chunk])
	}
	return t.Co64.ChunkOffset[chunk]
}

// decodeTimes tells when each sample is to be decoded.
func decodeTimes(stts *mp4.SttsBox, scale uint32) iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		var at uint64 // at most 2^32 times maxUnits
		for i, many := range stts.SampleCount {
			for range many {
				seconds, rest := at/uint64(scale), at%uint64(scale)
				if !yield(time.Duration(min(seconds, 2*maxHours*3600))*time.Second + time.Duration(rest)*time.Second/time.Duration(scale)) {
					return
				}
				at += uint64(stts.SampleTimeDelta[i])
			}
		}
	}
}

// describe makes the codec packet out of the sample description.
func (c *Clip) describe(stsd *mp4.StsdBox) error {
	switch {
	case stsd.AvcX != nil && stsd.AvcX.AvcC != nil:
		return c.describeH264(stsd.AvcX.AvcC.SPSnalus, stsd.AvcX.AvcC.PPSnalus)
	case stsd.HvcX != nil && stsd.HvcX.HvcC != nil:
		return c.describeHEVC(stsd.HvcX)
	}
	return errors.New("neither H.264 nor HEVC")
}

// describeHEVC makes the QuickTime sample entry that phones send (reference
// section 9.3): 86 bytes, then the hvcC box.
func (c *Clip) describeHEVC(entry *mp4.VisualSampleEntryBox) error {
	if n := entry.HvcC.LengthSizeMinusOne; n != 3 {
		return fmt.Errorf("NAL unit lengths of %d bytes", n+1)
	}
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
