package codec

//#cgo noescape aerie_audio_decode
//#cgo nocallback aerie_slot_reserve
//#cgo noescape aerie_slot_reserve
//#include "shim.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// AudioCodec is a sound coding.
type AudioCodec uint8

// The audio codecs.
const (
	AAC   AudioCodec = iota + 1 // raw access units of AAC-LC or AAC-ELD (ISO/IEC 14496-3)
	ALAC                        // Apple Lossless frames
	PCM16                       // 16-bit signed, network byte order
	PCM24                       // 24-bit signed, network byte order, packed
)

var audioNames = [...]string{AAC: "AAC", ALAC: "ALAC", PCM16: "PCM 16", PCM24: "PCM 24"}

func (c AudioCodec) String() string {
	if c >= AAC && int(c) < len(audioNames) {
		return audioNames[c]
	}
	return fmt.Sprintf("AudioCodec(%d)", uint8(c))
}

// AudioParameters describe a compressed audio stream.
type AudioParameters struct {
	Codec       AudioCodec
	Rate        int // samples a second, 8000 to 192000
	Channels    int // 1 to 8
	FrameLength int // samples per channel in a packet, 1 to 8192
	// Config is the AudioSpecificConfig of AAC or the 36-byte magic cookie of
	// ALAC. PCM has none.
	Config []byte
}

// Limits of what a sender may ask for. The largest packet is that of
// uncompressed sound: 8 channels of 8192 samples of 32 bits do not arrive in
// one UDP datagram, and need not.
const (
	maxFrameLength = 8192
	maxChannels    = 8
	maxAudioPacket = 1 << 18
	maxConfig      = 64
)

func (p AudioParameters) check() error {
	switch {
	case p.Rate < 8000 || p.Rate > 192000,
		p.Channels < 1 || p.Channels > maxChannels,
		p.FrameLength < 1 || p.FrameLength > maxFrameLength,
		len(p.Config) > maxConfig:
		return fmt.Errorf("codec: %v with %d Hz, %d channels, %d samples a frame and %d bytes of configuration: %w",
			p.Codec, p.Rate, p.Channels, p.FrameLength, len(p.Config), ErrTooLarge)
	}
	switch p.Codec {
	case AAC:
		return p.checkConfig()
	case ALAC:
		return p.checkCookie()
	}
	return nil
}

// aacRates is the table of sampling frequency indices (ISO/IEC 14496-3 table
// 1.18); index 15 is followed by the rate itself.
var aacRates = [...]uint32{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// checkConfig holds the beginning of the AudioSpecificConfig against the
// parameters: object type, rate, channel configuration.
func (p AudioParameters) checkConfig() error {
	var head [8]byte
	if copy(head[:], p.Config) < 2 {
		return fmt.Errorf("codec: AudioSpecificConfig % x: %w", p.Config, ErrInvalid)
	}
	bits := binary.BigEndian.Uint64(head[:])
	next := func(n int) uint32 {
		v := uint32(bits >> (64 - n))
		bits <<= n
		return v
	}
	if next(5) == 31 {
		next(6)
	}
	var rate uint32
	if i := next(4); i == 15 {
		rate = next(24)
	} else if int(i) < len(aacRates) {
		rate = aacRates[i]
	}
	channels := next(4)
	if channels == 7 {
		channels = 8
	}
	// Channel configuration 0 leaves the channels to the stream.
	if rate != uint32(p.Rate) || channels != 0 && channels != uint32(p.Channels) {
		return fmt.Errorf("codec: AudioSpecificConfig % x for %d Hz, %d channels does not match the stream's %d Hz, %d channels: %w",
			p.Config, rate, channels, p.Rate, p.Channels, ErrInvalid)
	}
	return nil
}

// checkCookie holds the magic cookie against the parameters, because the
// decoder takes the size of its buffers from it. The cookie is an atom of 36
// bytes: size, "alac", version, then ALACSpecificConfig.
func (p AudioParameters) checkCookie() error {
	k := p.Config
	if len(k) != 36 || binary.BigEndian.Uint32(k) != 36 || string(k[4:8]) != "alac" {
		return fmt.Errorf("codec: magic cookie % x: %w", k, ErrInvalid)
	}
	length, channels, rate := binary.BigEndian.Uint32(k[12:]), k[21], binary.BigEndian.Uint32(k[32:])
	if length != uint32(p.FrameLength) || int(channels) != p.Channels || rate != uint32(p.Rate) {
		return fmt.Errorf("codec: magic cookie for %d Hz, %d channels, %d samples does not match the stream's %d Hz, %d channels, %d samples: %w",
			rate, channels, length, p.Rate, p.Channels, p.FrameLength, ErrInvalid)
	}
	return nil
}

// AudioDecoder turns packets into interleaved float32 samples in [-1, 1).
// Integer codings of 16 and 24 bits keep every bit: multiplying by 2^15 or
// 2^23 gives the integers back. An AudioDecoder belongs to one goroutine at a
// time.
type AudioDecoder struct {
	p      AudioParameters
	av     *astiav.CodecContext // nil for PCM
	packet *C.AVPacket
	frame  *astiav.Frame
	slot   C.aerie_slot
}

// NewAudioDecoder opens a decoder.
func NewAudioDecoder(p AudioParameters) (*AudioDecoder, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	d := &AudioDecoder{p: p}
	var id astiav.CodecID
	switch p.Codec {
	case PCM16, PCM24:
		return d, nil
	case AAC:
		id = astiav.CodecIDAac
	case ALAC:
		id = astiav.CodecIDAlac
	default:
		return nil, fmt.Errorf("codec: no decoder for %v", p.Codec)
	}
	found := astiav.FindDecoder(id)
	if found == nil {
		return nil, fmt.Errorf("codec: no decoder for %v", p.Codec)
	}
	d.av, d.packet, d.frame = astiav.AllocCodecContext(found), C.av_packet_alloc(), astiav.AllocFrame()
	if d.av == nil || d.packet == nil || d.frame == nil {
		d.Close()
		return nil, failure("open decoder", C.AERIE_ERROR_NOMEM)
	}
	if err := d.open(found); err != nil {
		d.Close()
		return nil, fmt.Errorf("codec: open %v decoder: %w", p.Codec, err)
	}
	return d, nil
}

func (d *AudioDecoder) open(found *astiav.Codec) error {
	c := d.c()
	c.max_samples = maxFrameLength * maxChannels
	d.av.SetThreadCount(1)
	d.av.SetSampleRate(d.p.Rate)
	C.av_channel_layout_default(&c.ch_layout, C.int(d.p.Channels))
	if err := d.av.SetExtraData(d.p.Config); err != nil {
		return err
	}
	return d.av.Open(found, nil)
}

// Parameters returns what the decoder was opened with.
func (d *AudioDecoder) Parameters() AudioParameters { return d.p }

// Decode decodes one packet and returns the number of samples written to dst,
// counted over all channels: dst[:n] is the sound. Nothing is written beyond
// dst, and ErrRoom is returned when it is too small; FrameLength*Channels is
// enough for a packet of the stream that was announced. An error leaves the
// decoder ready for the next packet.
func (d *AudioDecoder) Decode(packet []byte, dst []float32) (n int, err error) {
	switch d.p.Codec {
	case PCM16:
		return decodePCM16(packet, dst, d.p.Channels)
	case PCM24:
		return decodePCM24(packet, dst, d.p.Channels)
	}
	if len(packet) == 0 {
		return 0, errEmpty
	}
	if len(packet) > maxAudioPacket {
		return 0, fmt.Errorf("codec: %v packet of %d bytes: %w", d.p.Codec, len(packet), ErrTooLarge)
	}
	if ret := C.aerie_slot_reserve(&d.slot, C.size_t(len(packet)), maxAudioPacket); ret < 0 {
		return 0, failure("decode "+d.p.Codec.String(), ret)
	}
	ret := C.aerie_audio_decode(d.c(), d.packet, (*C.AVFrame)(d.frame.UnsafePointer()), &d.slot,
		(*C.uint8_t)(unsafe.SliceData(packet)), C.size_t(len(packet)),
		C.int(d.p.Rate), C.int(d.p.Channels), (*C.float)(unsafe.SliceData(dst)), C.size_t(len(dst)))
	if ret < 0 {
		return 0, failure("decode "+d.p.Codec.String(), ret)
	}
	return int(ret) * d.p.Channels, nil
}

// Reset forgets the sound before: call it after a flush or a loss, so that the
// next packet does not overlap with one that it does not follow.
func (d *AudioDecoder) Reset() {
	if d.av != nil {
		C.avcodec_flush_buffers(d.c())
	}
}

// Close frees the decoder.
func (d *AudioDecoder) Close() {
	if d.av != nil {
		d.av.Free()
		d.av = nil
	}
	if d.frame != nil {
		d.frame.Free()
		d.frame = nil
	}
	C.av_packet_free(&d.packet)
	C.av_buffer_unref(&d.slot.buf)
}

func (d *AudioDecoder) c() *C.AVCodecContext { return (*C.AVCodecContext)(d.av.UnsafePointer()) }
