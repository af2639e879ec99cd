package codec

import (
	"bytes"
	"crypto/md5"
	_ "embed"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// A clip of High profile as phones send it, 30 pictures of 350x198, and the
// checksum of each picture by another decoder (see clip_test.go).
var (
	//go:embed testdata/high.h264
	sampleClip []byte
	//go:embed testdata/high.h264.md5
	sampleSums string
)

// SelfTest decodes a built-in clip and compares every picture with what it has
// to be, to the last bit. It tells how many pictures there were. A processor
// whose instructions are not what was assumed, or a broken build, shows here.
func SelfTest(o VideoOptions) (pictures int, err error) {
	d, err := NewVideoDecoder(H264, o)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	pool, err := NewInputPool(d.Inputs(), 1<<20)
	if err != nil {
		return 0, err
	}
	defer pool.Close()
	f, err := NewFrame()
	if err != nil {
		return 0, err
	}
	defer f.Free()
	sums := strings.Fields(sampleSums)
	take := func() error {
		for {
			err := d.Receive(f)
			if err != nil {
				return err
			}
			if pictures >= len(sums) || sum(&f.Image) != sums[pictures] {
				return fmt.Errorf("codec: picture %d of the built-in clip is not decoded right", pictures)
			}
			pictures++
		}
	}
	for i, unit := range accessUnits(H264, sampleClip) {
		in, err := pool.Lease(len(unit))
		if err != nil {
			return pictures, err
		}
		copy(in.Bytes(), unit)
		if err := d.Send(in, in.Bytes(), int64(i)); err != nil {
			return pictures, err
		}
		if err := take(); err != ErrAgain {
			return pictures, err
		}
	}
	if err := d.Drain(); err != nil {
		return pictures, err
	}
	if err := take(); err != io.EOF {
		return pictures, err
	}
	if pictures != len(sums) {
		return pictures, fmt.Errorf("codec: %d pictures of the built-in clip were decoded, of %d", pictures, len(sums))
	}
	return pictures, nil
}

// accessUnits cuts an Annex B stream of one-slice pictures: a unit ends with
// its slice.
func accessUnits(codec VideoCodec, stream []byte) (units [][]byte) {
	code := []byte{0, 0, 1}
	start := 0
	for at := bytes.Index(stream, code); at >= 0; {
		next := bytes.Index(stream[at+3:], code)
		end := len(stream)
		if next >= 0 {
			next += at + 3
			end = next
			if stream[end-1] == 0 {
				end--
			}
		}
		if at+3 < len(stream) && isSlice(codec, stream[at+3]) {
			units = append(units, stream[start:end])
			start = end
		}
		at = next
	}
	return units
}

func isSlice(codec VideoCodec, header byte) bool {
	if codec == H264 {
		return header&31 == 1 || header&31 == 5
	}
	return header>>1&63 < 32
}

// sum returns the MD5 of the visible rows of a picture.
func sum(im *Image) string {
	h := md5.New()
	for i := range im.Format.Planes() {
		_, rows := im.Format.PlaneSize(i, im.Width, im.Height)
		for y := range rows {
			h.Write(im.Row(i, y))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
