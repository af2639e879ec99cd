package receiver

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/codec"
	"aerie/receiver/codec/alac"
	"aerie/receiver/playout"
)

// soundChannels is how many channels the sound has on its whole way.
const soundChannels = 2

// audioOutput is where the sound of all sessions goes.
type audioOutput interface {
	// open begins the sound of a session; nil without an error means that
	// nobody listens.
	open(s *streams) (soundSession, error)
	// describe says where the sound goes, and why.
	describe() (where, why string)
	close()
}

// soundSession is the sound of one session on its output.
type soundSession interface {
	rate() int           // frames a second that are asked of the mixer
	lead() time.Duration // how long before it is heard sound is asked for
	close()
}

// mixer is what a session's output pulls its sound from. It is safe for
// concurrent use.
type mixer struct {
	mu    sync.Mutex
	sound *playout.Sound // nil for silence
}

// play makes the mixer play a sound, or nothing.
func (m *mixer) play(s *playout.Sound) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sound = s
}

// fill fills pcm with what the sender wants to be heard at the instant at of
// its clock. It returns false for silence.
func (m *mixer) fill(pcm []float32, at clock.Remote) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sound == nil {
		clear(pcm)
		return false
	}
	return m.sound.Fill(pcm, at)
}

// fillHeard fills pcm with what is to be heard at a local instant, at the
// sender's volume.
func (s *streams) fillHeard(pcm []float32, at clock.Time) bool {
	est := s.soundClock()
	if est.Source == clock.None {
		clear(pcm)
		return false
	}
	offset := time.Duration(s.r.cfg.Audio.Offset) * time.Millisecond
	ok := s.mixer.fill(pcm, est.ToRemote(at.Add(-s.heardLater()-offset)))
	s.r.volume.Apply(pcm, soundChannels)
	return ok
}

// soundDecoder is an audio.Decoder that is closed after use.
type soundDecoder interface {
	audio.Decoder
	Close()
}

// aacEnhancedLowDelay is the AudioSpecificConfig of AAC-ELD by sampling rate
// for stereo and 480 frames; the one of 44.1 kHz is what senders use
// (reference section 8.1).
var aacEnhancedLowDelay = map[int][]byte{44100: {0xf8, 0xe8, 0x50, 0x00}, 48000: {0xf8, 0xe6, 0x50, 0x00}}

// aacLowComplexity likewise (reference section 8.2).
var aacLowComplexity = map[int][]byte{44100: {0x12, 0x10}, 48000: {0x11, 0x90}}

func newSoundDecoder(f audio.Format) (soundDecoder, error) {
	p := codec.AudioParameters{Rate: f.Rate, Channels: f.Channels, FrameLength: f.Frames}
	switch f.Codec {
	case audio.AACELD:
		if f.Frames != 480 {
			return nil, fmt.Errorf("AAC-ELD of %d frames a packet", f.Frames)
		}
		p.Codec, p.Config = codec.AAC, aacEnhancedLowDelay[f.Rate]
	case audio.AACLC:
		p.Codec, p.Config = codec.AAC, aacLowComplexity[f.Rate]
	case audio.ALAC:
		config := alac.Config{SampleRate: f.Rate, BitDepth: f.Bits, Channels: f.Channels, FrameLength: f.Frames}
		p.Codec, p.Config = codec.ALAC, config.MagicCookie()
		d, err := codec.NewAudioDecoder(p)
		return &losslessDecoder{d, config}, err
	case audio.PCM:
		p.Codec = codec.PCM16
		if f.Bits == 24 {
			p.Codec = codec.PCM24
		}
	default:
		return nil, errors.New("no decoder")
	}
	return codec.NewAudioDecoder(p)
}

// silent is the output for people who want none.
type noSound struct{ why string }

func (noSound) open(*streams) (soundSession, error) { return nil, nil }
func (n noSound) describe() (string, string)        { return "nowhere", n.why }
func (noSound) close()                              {}
