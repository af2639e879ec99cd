package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"aerie/receiver/codec/h264"
	"aerie/receiver/codec/hevc"
)

// Codec is the coding of a video track.
type Codec uint8

// The codings of video that a track can have.
const (
	H264 Codec = 1 + iota
	HEVC
)

func (c Codec) String() string {
	switch c {
	case H264:
		return "H.264"
	case HEVC:
		return "HEVC"
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

// Video describes a video track. A change of anything in it calls for a new
// initialisation segment or sample description.
type Video struct {
	Codec Codec

	// Config is the decoder configuration record: an
	// AVCDecoderConfigurationRecord for H264 (h264.Config.Append), an
	// HEVCDecoderConfigurationRecord for HEVC (hevc.Config.Append). Size,
	// shape and colour of the picture come from the sequence parameter set
	// in it.
	Config []byte

	// AnnexB says that the NAL units of samples are separated by start codes,
	// as decoders want them; else each has a 4-byte length in front, as files
	// do. Start codes are turned into lengths while a sample is copied.
	AnnexB bool
}

// Audio describes an audio track.
type Audio struct {
	// Config is the AudioSpecificConfig (ISO/IEC 14496-3 section 1.6.2.1) of
	// AAC-LC or AAC-ELD, whose frames, without ADTS headers, are the samples.
	Config []byte
}

// videoTrack is what the boxes need to know of a Video.
type videoTrack struct {
	codec         Codec
	annexB        bool
	config        []byte // a copy
	sets          []byte // the parameter sets with 4-byte lengths
	width, height int
	colour        h264.Colour
	sarW, sarH    uint16
	mime          string
}

// maxConfig bounds a decoder configuration: real ones have 40 to 200 bytes,
// and a file keeps each in a place of limited size.
const maxConfig = 2048

func newVideoTrack(v Video) (t *videoTrack, err error) {
	if len(v.Config) > maxConfig {
		return nil, fmt.Errorf("mp4: %v configuration of %d bytes, at most %d are possible", v.Codec, len(v.Config), maxConfig)
	}
	t = &videoTrack{codec: v.Codec, annexB: v.AnnexB, config: append([]byte(nil), v.Config...)}
	switch v.Codec {
	case H264:
		err = t.fromAVC()
	case HEVC:
		err = t.fromHEVC()
	default:
		err = errors.New("no such codec")
	}
	if err != nil {
		return nil, fmt.Errorf("mp4: video track of %v: %w", v.Codec, err)
	}
	return t, nil
}

func (t *videoTrack) fromAVC() error {
	c, err := h264.ParseConfig(t.config)
	if err != nil {
		return err
	}
	s, err := h264.ParseSPS(c.SPS[0])
	if err != nil {
		return err
	}
	t.width, t.height = s.Size()
	t.colour, t.sarW, t.sarH = s.VUI.Colour, s.VUI.SARWidth, s.VUI.SARHeight
	t.mime = fmt.Sprintf("avc1.%02x%02x%02x", c.Profile, c.Compatibility, c.Level)
	t.addSets(c.SPS, c.PPS)
	return nil
}

func (t *videoTrack) fromHEVC() error {
	c, err := hevc.ParseConfig(t.config)
	if err != nil {
		return err
	}
	s, err := hevc.ParseSPS(c.SPS[0])
	if err != nil {
		return err
	}
	t.width, t.height = s.Size()
	t.colour, t.sarW, t.sarH = s.VUI.Colour, s.VUI.SARWidth, s.VUI.SARHeight
	t.mime = hevcMIME(c.General)
	t.addSets(c.VPS, c.SPS, c.PPS)
	return nil
}

func (t *videoTrack) addSets(lists ...[][]byte) {
	for _, list := range lists {
		for _, nal := range list {
			t.sets = h264.AppendLengthPrefixed(t.sets, nal)
		}
	}
}

// hevcMIME forms the codecs parameter of ISO/IEC 14496-15 annex E.3: profile,
// compatibility flags in reverse order, tier and level, and the constraint
// bytes up to the last that is not zero.
func hevcMIME(p hevc.ProfileTierLevel) string {
	space := ""
	if p.Space > 0 {
		space = string(rune('A' + p.Space - 1))
	}
	tier := "L"
	if p.HighTier {
		tier = "H"
	}
	s := fmt.Sprintf("hvc1.%s%d.%X.%s%d", space, p.Profile, bits.Reverse32(p.Compatibility), tier, p.Level)
	for c := p.Constraints << 16; c != 0; c <<= 8 {
		s += fmt.Sprintf(".%X", c>>56)
	}
	return s
}

// appendSample appends one access unit with 4-byte lengths.
func (t *videoTrack) appendSample(dst, sample []byte) []byte {
	at := len(dst)
	dst = append(dst, sample...)
	if !t.annexB || h264.ToLengths(dst[at:]) == nil {
		return dst
	}
	dst = dst[:at]
	for nal := range h264.AnnexB(sample) {
		dst = h264.AppendLengthPrefixed(dst, nal)
	}
	return dst
}

// opening says whether a sample begins with an access unit delimiter, or with
// parameter sets of its own.
func (t *videoTrack) opening(sample []byte) (delimiter, sets bool) {
	if len(sample) <= lengthSize {
		return false, false
	}
	first := sample[lengthSize:]
	if t.codec == HEVC {
		return hevc.TypeOf(first) == hevc.TypeAUD, hevc.TypeOf(first).IsParameterSet()
	}
	return h264.TypeOf(first) == h264.TypeAUD, h264.TypeOf(first).IsParameterSet()
}

const lengthSize = 4 // of a NAL unit's length, or of its start code

// recoverySEI is an SEI message, with its length, that calls the picture
// behind it a recovery point with recovery_frame_cnt 0 (ITU-T H.264 sections
// D.1.8 and D.2.8).
var recoverySEI = []byte{0, 0, 0, 5, 6, 6, 1, 0xc4, 0x80}

// insert appends NAL units that belong in front of an access unit, but behind
// the delimiter that may begin it, and returns what of the sample is left to
// append.
func (t *videoTrack) insert(dst, sample, nals []byte) (_, rest []byte) {
	size := lengthSize + 2 // of a delimiter
	if t.codec == HEVC {
		size++
	}
	if delimiter, _ := t.opening(sample); delimiter && len(sample) > size {
		dst = t.appendSample(dst, sample[:size])
		sample = sample[size:]
	}
	return append(dst, nals...), sample
}

// audioTrack is what the boxes need to know of an Audio.
type audioTrack struct {
	config      []byte // a copy
	objectType  int    // 2 AAC-LC, 39 AAC-ELD
	rate        int    // samples per second
	channels    int
	frameLength int // samples in a frame
}

const maxAudioConfig = 64 // real ones have 2 to 5 bytes

// sampleRates is samplingFrequencyIndex (ISO/IEC 14496-3 table 1.18).
var sampleRates = [...]int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

func newAudioTrack(a Audio) (*audioTrack, error) {
	t := &audioTrack{config: append([]byte(nil), a.Config...)}
	if err := t.parse(); err != nil {
		return nil, fmt.Errorf("mp4: audio track with configuration % x: %w", a.Config[:min(len(a.Config), 16)], err)
	}
	return t, nil
}

// parse reads the AudioSpecificConfig up to the frame length flag.
func (t *audioTrack) parse() error {
	if len(t.config) < 2 || len(t.config) > maxAudioConfig {
		return fmt.Errorf("%d bytes, 2 to %d are possible", len(t.config), maxAudioConfig)
	}
	var first [8]byte
	copy(first[:], t.config)
	acc := binary.BigEndian.Uint64(first[:])
	take := func(n int) int {
		v := acc >> (64 - n)
		acc <<= n
		return int(v)
	}
	if t.objectType = take(5); t.objectType == 31 {
		t.objectType = 32 + take(6)
	}
	if i := take(4); i < len(sampleRates) {
		t.rate = sampleRates[i]
	} else if i == 15 {
		t.rate = take(24)
	}
	t.channels = take(4)
	short := take(1) == 1
	switch {
	case t.objectType == 2 && short:
		t.frameLength = 960
	case t.objectType == 2:
		t.frameLength = 1024
	case t.objectType == 39 && short:
		t.frameLength = 480
	case t.objectType == 39:
		t.frameLength = 512
	default:
		return fmt.Errorf("audio object type %d is neither AAC-LC nor AAC-ELD", t.objectType)
	}
	if t.rate < 7350 || t.rate > 96000 {
		return fmt.Errorf("%d samples per second", t.rate)
	}
	if t.channels == 7 {
		t.channels = 8 // configuration 7 is 7.1
	}
	if t.channels < 1 || t.channels > 8 {
		return fmt.Errorf("channel configuration %d", t.channels)
	}
	return nil
}

func (t *audioTrack) mime() string { return fmt.Sprintf("mp4a.40.%d", t.objectType) }
