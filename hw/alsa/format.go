package alsa

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Format is how the device wants a sample, in the kernel's numbering
// (SNDRV_PCM_FORMAT_*).
type Format int

// The formats the package can write; all are little endian.
const (
	S16       Format = 2  // 16 bits
	S24       Format = 6  // 24 bits in the low three bytes of four
	S32       Format = 10 // 32 bits
	Float     Format = 14 // IEEE 754 single precision, -1 to 1
	IEC958    Format = 18 // IEC 958 subframe in four bytes
	S24Packed Format = 32 // 24 bits in three bytes
)

// preference is the order in which formats are taken: no loss first, and IEC
// 958 only where nothing else is offered, because a driver that packs the
// subframes itself also writes the channel status itself.
var preference = []Format{S32, S24, S24Packed, Float, S16, IEC958}

// Bytes is the size of one sample.
func (f Format) Bytes() int {
	switch f {
	case S16:
		return 2
	case S24Packed:
		return 3
	}
	return 4
}

func (f Format) String() string {
	switch f {
	case S16:
		return "S16_LE"
	case S24:
		return "S24_LE"
	case S32:
		return "S32_LE"
	case Float:
		return "FLOAT_LE"
	case IEC958:
		return "IEC958_SUBFRAME_LE"
	case S24Packed:
		return "S24_3LE"
	}
	return fmt.Sprintf("format %d", int(f))
}

// encoder turns interleaved stereo samples into a device's format. It keeps
// state between calls (dither, position in the IEC 958 block) and allocates
// nothing.
type encoder struct {
	format Format
	dither bool
	noise  noise
	blocks subframes
}

func newEncoder(f Format, rate int, dither bool) encoder {
	e := encoder{format: f, dither: dither, noise: 1}
	if f == IEC958 {
		e.blocks.init(channelStatus(rate))
	}
	return e
}

// reset starts the stream anew, as PREPARE does.
func (e *encoder) reset() { e.blocks.frame = 0 }

// encode writes src to dst, which has Bytes() bytes for each of its samples.
// A sample is scaled so that 16- and 24-bit audio divided by 1<<15 and 1<<23
// comes out as it went in, others are rounded to the nearest step; what lies
// outside [-1, 1) saturates, and NaN is silence.
func (e *encoder) encode(dst []byte, src []float32) {
	switch e.format {
	case S16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], uint16(e.sample(x, 1<<15)))
		}
	case S24:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], uint32(e.sample(x, 1<<23)))
		}
	case S24Packed:
		for i, x := range src {
			v := e.sample(x, 1<<23)
			d := dst[3*i : 3*i+3]
			d[0], d[1], d[2] = byte(v), byte(v>>8), byte(v>>16)
		}
	case S32:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], uint32(integer(float64(x)*(1<<31), 1<<31)))
		}
	case Float:
		for i, x := range src {
			if x != x {
				x = 0
			}
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(max(-1, min(x, 1))))
		}
	case IEC958:
		for i := 0; i+1 < len(src); i += 2 {
			a, b := e.blocks.pack(e.sample(src[i], 1<<23), e.sample(src[i+1], 1<<23))
			binary.LittleEndian.PutUint32(dst[4*i:], a)
			binary.LittleEndian.PutUint32(dst[4*i+4:], b)
		}
	}
}

// sample scales x to an integer of full scale, with dither if wanted.
func (e *encoder) sample(x float32, full float64) int32 {
	v := float64(x) * full
	if e.dither {
		v += e.noise.triangular()
	}
	return integer(v, full)
}

// integer rounds v to the nearest integer in [-full, full).
func integer(v, full float64) int32 {
	v = math.RoundToEven(v)
	if v >= full {
		return int32(full - 1)
	}
	if v < -full {
		return int32(-full)
	}
	if v != v {
		return 0
	}
	return int32(v)
}

// noise is a xorshift generator (G. Marsaglia, Xorshift RNGs, 2003); its state
// is never 0.
type noise uint64

// triangular returns noise of triangular density between -1 and 1 steps, the
// least that frees the rounding error from the signal (S. P. Lipshitz et al.,
// Quantization and Dither, 1992).
func (n *noise) triangular() float64 {
	x := *n
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*n = x
	return (float64(int32(x)) + float64(int32(x>>32))) / (1 << 32)
}
