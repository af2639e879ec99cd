package message

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrAnnounce is the error of a session description that is malformed or asks
// for what is not there.
var ErrAnnounce = errors.New("message: bad session description")

// Announce is the session description (RFC 8866) with which a classic sender
// describes its sound (reference section 14).
type Announce struct {
	// Name is how the sender calls itself, "" if it does not.
	Name string
	// Stream is the sound, as a SETUP of a newer sender would describe it.
	Stream StreamSetup
	// The key of the sound, wrapped for the AirPort Express or by FairPlay,
	// and its initial vector; all nil for sound in the clear.
	RSAKey, FairPlayKey, IV []byte
}

// Limits of a session description. Those of senders have 13 lines.
const (
	maxAnnounce      = 16 << 10
	maxAnnounceLines = 64
	ivSize           = 16
)

// ParseAnnounce parses the body of ANNOUNCE.
func ParseAnnounce(body []byte) (*Announce, error) {
	if len(body) > maxAnnounce {
		return nil, fmt.Errorf("%w: %d bytes", ErrAnnounce, len(body))
	}
	var p announceParser
	lines := 0
	for line := range strings.Lines(string(body)) {
		if lines++; lines > maxAnnounceLines {
			return nil, fmt.Errorf("%w: more than %d lines", ErrAnnounce, maxAnnounceLines)
		}
		line = strings.TrimRight(line, "\r\n")
		if kind, value, ok := strings.Cut(line, "="); ok && len(kind) == 1 {
			if err := p.line(kind[0], value); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrAnnounce, err)
			}
		}
	}
	if err := p.finish(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnnounce, err)
	}
	return &p.Announce, nil
}

// announceParser is a description that is being read.
type announceParser struct {
	Announce
	session    string // s=, of less use than i=
	media      bool   // m=audio was seen
	coding     string // "AppleLossless", "L16/44100/2", from a=rtpmap
	parameters string // from a=fmtp
}

func (p *announceParser) line(kind byte, value string) (err error) {
	switch kind {
	case 's':
		p.session = value
	case 'i':
		p.Name = clean(value)
	case 'm':
		if p.media || !strings.HasPrefix(value, "audio ") {
			return fmt.Errorf("medium %.40q: sound alone is played", value)
		}
		p.media = true
	case 'a':
		name, value, _ := strings.Cut(value, ":")
		switch value = strings.TrimSpace(value); name {
		case "rtpmap":
			_, p.coding, _ = strings.Cut(value, " ")
		case "fmtp":
			_, p.parameters, _ = strings.Cut(value, " ")
		case "rsaaeskey":
			p.RSAKey, err = decodeBase64(name, value)
		case "fpaeskey":
			p.FairPlayKey, err = decodeBase64(name, value)
		case "aesiv":
			p.IV, err = decodeBase64(name, value)
		case "min-latency":
			p.Stream.LatencyMin, err = number(name, value, 1<<24)
		case "max-latency":
			p.Stream.LatencyMax, err = number(name, value, 1<<24)
		}
	}
	return err
}

// clean makes a text of a stranger fit for people to read.
func clean(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), 128)], "")
}

// decodeBase64 decodes with or without the padding that some senders leave
// out.
func decodeBase64(what, value string) ([]byte, error) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
	if err != nil || len(b) == 0 {
		return nil, fmt.Errorf("%s is not base64", what)
	}
	return b, nil
}

func number(what, value string, most int) (int, error) {
	n, err := strconv.ParseUint(value, 10, 32)
	if err != nil || n > uint64(most) {
		return 0, fmt.Errorf("%s %.40q", what, value)
	}
	return int(n), nil
}

// finish makes the whole out of the lines.
func (p *announceParser) finish() error {
	if !p.media {
		return errors.New("no sound is described")
	}
	if p.Name == "" {
		p.Name = clean(p.session)
	}
	switch keys := p.RSAKey != nil || p.FairPlayKey != nil; {
	case p.RSAKey != nil && p.FairPlayKey != nil:
		return errors.New("two keys")
	case keys && len(p.IV) != ivSize:
		return fmt.Errorf("a key with an initial vector of %d bytes", len(p.IV))
	case !keys && p.IV != nil:
		return errors.New("an initial vector without a key")
	}
	p.Stream.Type = StreamAudio
	name, rest, _ := strings.Cut(p.coding, "/")
	switch strings.ToLower(name) {
	case "applelossless":
		return p.lossless()
	case "mpeg4-generic":
		return p.aac(rest)
	case "l16", "l24":
		return p.pcm(rest, name == "l24" || name == "L24")
	}
	return fmt.Errorf("coding %.40q", p.coding)
}

// Values of "ct" in a SETUP.
const (
	codecPCM    = 1
	codecALAC   = 2
	codecAAC    = 4
	codecAACELD = 8
)

// sound fills in what all codings have. The bit of audioFormat is counted from
// the one for 44.1 kHz and 16 bits (reference section 8.4).
func (p *announceParser) sound(codec, rate, channels, frames, bit int) error {
	switch {
	case channels != 2:
		return fmt.Errorf("sound of %d channels", channels)
	case rate == 48000:
		bit += map[int]int{codecPCM: 4, codecALAC: 2, codecAAC: 1, codecAACELD: 1}[codec]
	case rate != 44100:
		return fmt.Errorf("%d frames a second", rate)
	}
	if frames < 1 || frames > 4096 {
		return fmt.Errorf("%d frames a packet", frames)
	}
	s := &p.Stream
	s.CompressionType, s.SampleRate, s.SamplesPerFrame, s.AudioFormat = codec, rate, frames, 1<<bit
	return nil
}

// lossless reads the twelve numbers of Apple Lossless: payload type (cut off
// before), frames a packet, version, bits, three parameters of the coding,
// channels, three limits, rate.
func (p *announceParser) lossless() error {
	fields := strings.Fields(p.parameters)
	if len(fields) != 11 {
		return fmt.Errorf("parameters of Apple Lossless %.80q", p.parameters)
	}
	var n [11]int
	for i, f := range fields {
		var err error
		if n[i], err = number("parameter", f, 1<<30); err != nil {
			return err
		}
	}
	// The decoder is set to the parameters that all senders use.
	if n[1] != 0 || n[3] != 40 || n[4] != 10 || n[5] != 14 {
		return fmt.Errorf("Apple Lossless of another tuning: %.80q", p.parameters)
	}
	bit := 18
	switch n[2] {
	case 16:
	case 24:
		bit = 19
	default:
		return fmt.Errorf("%d bits", n[2])
	}
	return p.sound(codecALAC, n[10], n[6], n[0], bit)
}

// clock reads "44100/2".
func (p *announceParser) clock(rest string) (rate, channels int, err error) {
	r, c, two := strings.Cut(rest, "/")
	if rate, err = number("rate", r, 1<<20); err == nil && two {
		channels, err = number("channels", c, 255)
	}
	return rate, max(channels, 1), err
}

// aac reads AAC: low delay by its mode, else low complexity.
func (p *announceParser) aac(rest string) error {
	rate, channels, err := p.clock(rest)
	if err != nil {
		return err
	}
	codec, frames, bit := codecAAC, 1024, 22
	for field := range strings.SplitSeq(p.parameters, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch strings.ToLower(name) {
		case "mode":
			if strings.EqualFold(value, "AAC-eld") {
				codec, bit = codecAACELD, 24
				frames = 480
			}
		case "constantduration":
			if frames, err = number(name, value, 4096); err != nil {
				return err
			}
		}
	}
	return p.sound(codec, rate, channels, frames, bit)
}

// pcm reads uncompressed sound; its packets have the length they have.
func (p *announceParser) pcm(rest string, wide bool) error {
	rate, channels, err := p.clock(rest)
	if err != nil {
		return err
	}
	bit := 11
	if wide {
		bit = 13
	}
	return p.sound(codecPCM, rate, channels, 352, bit)
}

// Encode returns the description in its form on the wire, for software
// senders: 44.1 kHz, 16 bits, stereo.
func (a *Announce) Encode() []byte {
	s := &a.Stream
	var b strings.Builder
	fmt.Fprintf(&b, "v=0\r\no=iTunes 1 0 IN IP4 127.0.0.1\r\ns=iTunes\r\ni=%s\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 0 RTP/AVP 96\r\n", a.Name)
	switch s.CompressionType {
	case codecALAC:
		fmt.Fprintf(&b, "a=rtpmap:96 AppleLossless\r\na=fmtp:96 %d 0 16 40 10 14 2 255 0 0 44100\r\n", s.SamplesPerFrame)
	case codecAAC:
		fmt.Fprintf(&b, "a=rtpmap:96 mpeg4-generic/44100/2\r\na=fmtp:96 constantDuration=%d\r\n", s.SamplesPerFrame)
	case codecAACELD:
		fmt.Fprintf(&b, "a=rtpmap:96 mpeg4-generic/44100/2\r\na=fmtp:96 mode=AAC-eld; constantDuration=%d\r\n", s.SamplesPerFrame)
	default:
		b.WriteString("a=rtpmap:96 L16/44100/2\r\n")
	}
	for name, value := range map[string][]byte{"rsaaeskey": a.RSAKey, "fpaeskey": a.FairPlayKey, "aesiv": a.IV} {
		if value != nil {
			fmt.Fprintf(&b, "a=%s:%s\r\n", name, base64.RawStdEncoding.EncodeToString(value))
		}
	}
	return []byte(b.String())
}
