// Package eld encodes AAC-ELD (ISO/IEC 14496-3, audio object type 39, ER AAC
// ELD), the sound that comes with a mirrored screen, so that a sender can be
// built and a receiver tested without a phone. It is plain Go: no encoder for
// this codec is found among free libraries.
//
// The encoder is the simplest that sounds clean: the low delay filterbank, a
// masking threshold per scalefactor band, mid/side stereo where it is
// cheaper, and a bit budget with a small reservoir. It leaves out what the
// syntax allows beyond that: temporal noise shaping, noise substitution,
// intensity stereo, spectral band replication and error resilience tools.
// Packets, redundancy and time stamps are the business of a sender; decoding
// is that of package codec.
//
// Proof: filterbank_test.go inverts the fast analysis by the formulas of the
// standard; ffmpeg_test.go has libavcodec decode tones, chirps, music-like
// noise and silence, measures the signal-to-noise ratio after the stated
// delay, and reads the bit rates; eld_test.go holds the access units to the
// syntax with a reader of its own and checks that a frame allocates nothing.
package eld

import "fmt"

// Config says what to encode.
type Config struct {
	SampleRate  int // 44100 or 48000 Hz
	Channels    int // 1 or 2
	FrameLength int // 480 (as AirPlay sends it) or 512 samples per channel
	BitRate     int // bit/s on average, less in silence; 0 means 80000 per channel
}

// Encoder turns frames of PCM into access units. It is not safe for
// concurrent use.
type Encoder struct {
	config    Config
	bands     []int // offsets of the scalefactor bands, and the end of the last
	budget    int   // average bits of a frame
	reservoir int   // bits saved by earlier frames
	coarser   int   // scalefactor steps by which the last frame was coarser than its thresholds
	channels  []*channel
	midSide   [maxBands]bool
	out       bitWriter
}

// NewEncoder returns an encoder whose history is silence.
func NewEncoder(c Config) (*Encoder, error) {
	if c.SampleRate != 44100 && c.SampleRate != 48000 {
		return nil, fmt.Errorf("eld: sample rate %d: only 44100 and 48000 are supported", c.SampleRate)
	}
	if c.Channels != 1 && c.Channels != 2 {
		return nil, fmt.Errorf("eld: %d channels: only 1 and 2 are supported", c.Channels)
	}
	bands, ok := bandOffsets[c.FrameLength]
	if !ok {
		return nil, fmt.Errorf("eld: frame length %d: only 480 and 512 exist", c.FrameLength)
	}
	if c.BitRate == 0 {
		c.BitRate = 80000 * c.Channels
	}
	if lowest, highest := 24000*c.Channels, 256000*c.Channels; c.BitRate < lowest || c.BitRate > highest {
		return nil, fmt.Errorf("eld: bit rate %d: %d to %d are supported", c.BitRate, lowest, highest)
	}
	e := &Encoder{config: c, bands: bands, budget: c.BitRate * c.FrameLength / c.SampleRate}
	for range c.Channels {
		e.channels = append(e.channels, newChannel(c.FrameLength))
	}
	return e, nil
}

// AudioSpecificConfig returns the decoder's configuration: f8e85000 for
// 44.1 kHz stereo with 480 samples a frame.
func (e *Encoder) AudioSpecificConfig() []byte {
	rateIndex, short := uint32(4), uint32(0)
	if e.config.SampleRate == 48000 {
		rateIndex = 3
	}
	if e.config.FrameLength == 480 {
		short = 1
	}
	var w bitWriter
	w.put(5, 31) // escape: audioObjectType = 32 + the next 6 bits
	w.put(6, 39-32)
	w.put(4, rateIndex)
	w.put(4, uint32(e.config.Channels))
	w.put(1, short) // frameLengthFlag
	w.put(3, 0)     // no resilience tools
	w.put(1, 0)     // ldSbrPresentFlag
	w.put(4, 0)     // ELDEXT_TERM
	w.put(2, 0)     // epConfig
	return w.appendTo(nil)
}

// Delay returns by how many samples the output of a decoder lags behind the
// input: sample i of decoded frame k is sample i-Delay() of frame k as it was
// given to AppendFrame. It is half a frame, the delay of the filterbank, for
// decoders that skip the leading zeros of the window as the reference
// decoder and libavcodec do. What else passes until a sound is heard, first
// of all the frame that must be filled before it can be encoded, is no part
// of it.
func (e *Encoder) Delay() int { return e.config.FrameLength / 2 }

// AppendFrame encodes FrameLength samples per channel, interleaved, full
// scale at -1 and 1, and appends the access unit to dst. It panics if the
// number of samples is wrong. Values beyond full scale are clipped, NaN is
// silence.
func (e *Encoder) AppendFrame(dst []byte, pcm []float32) []byte {
	channels := len(e.channels)
	if len(pcm) != e.config.FrameLength*channels {
		panic(fmt.Sprintf("eld: frame of %d values, want %d", len(pcm), e.config.FrameLength*channels))
	}
	for c, ch := range e.channels {
		in := ch.bank.push()
		for i := range in {
			in[i] = fullScale * clip(pcm[i*channels+c])
		}
		ch.bank.analyse(ch.lines)
		ch.weigh(e.bands)
	}
	if channels == 2 {
		e.chooseStereo()
	}
	used := e.fitBudget()
	e.reservoir = min(e.reservoir+e.budget-used, 2*e.budget)
	e.out.reset()
	e.writeAccessUnit()
	return e.out.appendTo(dst)
}

// fullScale is the sample value that the standard's decoder maps to full
// scale: it reckons in 16 bits.
const fullScale = 32768

func clip(v float32) float64 {
	switch {
	case v >= 1:
		return 1
	case v <= -1:
		return -1
	case v == v:
		return float64(v)
	}
	return 0
}
