package mp4

import (
	"encoding/binary"
	"time"
)

// A liveClock turns time of the sender into time of the stream.
type liveClock struct {
	started bool
	last    time.Duration // pts of the last sample
	at      time.Duration // its time in the stream
	samples int64         // of sound so far
}

// picture moves the clock to the next picture. Pauses above maxGap are cut to
// it; a clock that runs backwards stands still.
func (c *liveClock) picture(pts, maxGap time.Duration) {
	if !c.started {
		c.started = true
		c.at = max(pts, 0)
	} else {
		c.at += min(max(pts-c.last, 0), maxGap)
	}
	c.last = pts
}

// sound moves the clock to n samples that follow without a gap and returns
// when they begin, in samples.
func (c *liveClock) sound(pts time.Duration, n int64, rate int) (at int64) {
	if !c.started {
		c.started = true
		c.samples = ticks(max(pts, 0), uint32(rate))
	}
	at = c.samples
	c.samples += n
	c.last = pts
	c.at = timeOf(at, uint32(rate))
	return at
}

// The sizes of a fragment: everything in front of the samples has a fixed
// layout, so a fragment is written in one go.
const (
	boxHeader = 8
	mfhdSize  = 16
	tfdtSize  = 20
	trunSize  = 20 // and 4 or 8 for each sample

	pictureTfhd   = 28
	pictureMoof   = boxHeader + mfhdSize + boxHeader + pictureTfhd + tfdtSize + trunSize
	pictureHeader = pictureMoof + boxHeader

	soundTfhd   = 24
	soundMoof   = boxHeader + mfhdSize + boxHeader + soundTfhd + tfdtSize + trunSize // and 4 per frame
	soundHeader = soundMoof + boxHeader

	// MaxOverhead is how much longer than its access unit the fragment of a
	// picture can be, if all start codes have 4 bytes. The fragment of n frames
	// of sound is longer than they are by at most MaxOverhead+4*n.
	MaxOverhead = 128
)

// Flags of tfhd and trun (ISO/IEC 14496-12 sections 8.8.7 and 8.8.8).
const (
	tfhdDuration   = 0x08
	tfhdSize       = 0x10
	tfhdFlags      = 0x20
	tfhdBaseIsMoof = 0x020000

	trunDataOffset = 0x001
	trunFirstFlags = 0x004
	trunDuration   = 0x100
	trunSizes      = 0x200
)

// AppendVideo appends the fragment of one access unit that is shown at pts,
// in time of the sender, not before the one before; key says that decoding
// can begin with it. It allocates nothing if dst has room for MaxOverhead
// bytes more than the sample.
//
// Every second a picture of H.264 gets a recovery point in front and is marked
// as one to start from. A player that does so sees a picture that becomes
// whole only by and by.
func (l *Live) AppendVideo(dst, sample []byte, pts time.Duration, key bool) []byte {
	if l.video == nil || len(sample) == 0 {
		return dst
	}
	duration := liveDuration
	if l.audio != nil {
		duration = sharedDuration
		l.clock.picture(pts, maxSharedGap)
	} else {
		l.clock.picture(pts, maxLiveGap)
	}
	start := len(dst)
	var header [pictureHeader]byte
	dst = append(dst, header[:]...)
	if !key && l.video.codec == H264 && l.clock.at-l.recovery >= recoveryInterval {
		dst, sample = l.video.insert(dst, sample, recoverySEI)
		key = true
	}
	if key {
		l.recovery = l.clock.at
	}
	dst = l.video.appendSample(dst, sample)
	l.putPicture(dst[start:], uint32(duration/time.Microsecond), key)
	return dst
}

// putPicture writes moof and the header of mdat into the first bytes of a
// fragment, behind which the sample stands.
func (l *Live) putPicture(fragment []byte, duration uint32, key bool) {
	size := uint32(len(fragment) - pictureHeader)
	flags := uint32(flagNonSync)
	if key {
		flags = flagSync
	}
	be := binary.BigEndian
	b := l.appendMoof(fragment[:0], pictureMoof)
	b = append(be.AppendUint32(b, pictureTfhd), "tfhd"...)
	b = be.AppendUint32(b, tfhdBaseIsMoof|tfhdDuration|tfhdSize|tfhdFlags)
	b = be.AppendUint32(b, videoTrackID)
	b = be.AppendUint32(b, duration)
	b = be.AppendUint32(b, size)
	b = be.AppendUint32(b, flags)
	b = appendTfdt(b, uint64(l.clock.at/time.Microsecond))
	b = append(be.AppendUint32(b, trunSize), "trun"...)
	b = be.AppendUint32(b, trunDataOffset)
	b = be.AppendUint32(b, 1)
	b = be.AppendUint32(b, pictureHeader)
	appendMdat(b, size)
}

// AppendAudio appends one fragment of frames that follow one another without
// a gap, the first of which is heard at pts. The fewer frames, the lower the
// latency and the higher the overhead; two or three of AAC-LC are a good
// number. It allocates nothing if dst has room.
func (l *Live) AppendAudio(dst []byte, pts time.Duration, frames ...[]byte) []byte {
	n := len(frames)
	if l.audio == nil || n == 0 {
		return dst
	}
	rate, frame := l.audio.rate, uint32(l.audio.frameLength)
	at := ticks(max(pts, 0), uint32(rate))
	if l.video == nil {
		at = l.clock.sound(pts, int64(n)*int64(frame), rate)
	}
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	be := binary.BigEndian
	b := l.appendMoof(dst, soundMoof+4*uint32(n))
	b = append(be.AppendUint32(b, soundTfhd), "tfhd"...)
	b = be.AppendUint32(b, tfhdBaseIsMoof|tfhdDuration|tfhdFlags)
	b = be.AppendUint32(b, audioTrackID)
	b = be.AppendUint32(b, frame)
	b = be.AppendUint32(b, flagSync)
	b = appendTfdt(b, uint64(at))
	b = append(be.AppendUint32(b, trunSize+4*uint32(n)), "trun"...)
	b = be.AppendUint32(b, trunDataOffset|trunSizes)
	b = be.AppendUint32(b, uint32(n))
	b = be.AppendUint32(b, soundHeader+4*uint32(n))
	for _, f := range frames {
		b = be.AppendUint32(b, uint32(len(f)))
	}
	b = appendMdat(b, uint32(size))
	for _, f := range frames {
		b = append(b, f...)
	}
	return b
}

// appendMoof opens moof, of the given size in all, and traf, which fills the
// rest of it.
func (l *Live) appendMoof(b []byte, size uint32) []byte {
	l.sequence++
	be := binary.BigEndian
	b = append(be.AppendUint32(b, size), "moof"...)
	b = append(be.AppendUint32(b, mfhdSize), "mfhd"...)
	b = be.AppendUint64(b, uint64(l.sequence))
	return append(be.AppendUint32(b, size-boxHeader-mfhdSize), "traf"...)
}

func appendTfdt(b []byte, at uint64) []byte {
	b = append(binary.BigEndian.AppendUint32(b, tfdtSize), "tfdt"...)
	b = binary.BigEndian.AppendUint32(b, 1<<24) // version 1: 64 bits
	return binary.BigEndian.AppendUint64(b, at)
}

func appendMdat(b []byte, size uint32) []byte {
	return append(binary.BigEndian.AppendUint32(b, size+boxHeader), "mdat"...)
}
