package codec

//#cgo noescape aerie_audio_encode
//#include "shim.h"
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"github.com/asticode/go-astiav"
)

// An AudioEncoder takes frames of EncoderFrame samples per channel and makes
// access units of at most MaxAccessUnit bytes (ISO/IEC 14496-3: 6144 bits a
// channel).
const (
	EncoderFrame    = 1024
	EncoderChannels = 2
	MaxAccessUnit   = EncoderChannels * 6144 / 8
)

// AudioEncoder makes AAC-LC of interleaved stereo float32 samples. It belongs
// to one goroutine at a time.
type AudioEncoder struct {
	av     *astiav.CodecContext
	packet *C.AVPacket
	frame  *astiav.Frame
	config []byte
}

// NewAudioEncoder opens an encoder for stereo at 44100 or 48000 samples a
// second and a bit rate of 32000 to 512000 bits a second.
func NewAudioEncoder(rate, bitRate int) (*AudioEncoder, error) {
	if rate != 44100 && rate != 48000 || bitRate < 32000 || bitRate > 512000 {
		return nil, fmt.Errorf("codec: no AAC encoder for %d Hz at %d bit/s", rate, bitRate)
	}
	found := astiav.FindEncoder(astiav.CodecIDAac)
	if found == nil {
		return nil, errors.New("codec: no AAC encoder")
	}
	e := &AudioEncoder{av: astiav.AllocCodecContext(found), packet: C.av_packet_alloc(), frame: astiav.AllocFrame()}
	if e.av == nil || e.packet == nil || e.frame == nil {
		e.Close()
		return nil, failure("open encoder", C.AERIE_ERROR_NOMEM)
	}
	if err := e.open(found, rate, bitRate); err != nil {
		e.Close()
		return nil, fmt.Errorf("codec: open AAC encoder: %w", err)
	}
	return e, nil
}

func (e *AudioEncoder) open(found *astiav.Codec, rate, bitRate int) error {
	e.av.SetSampleRate(rate)
	e.av.SetBitRate(int64(bitRate))
	e.av.SetSampleFormat(astiav.SampleFormatFltp)
	e.av.SetChannelLayout(astiav.ChannelLayoutStereo)
	// The configuration goes beside the stream, and no encoder's name into it.
	e.av.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagGlobalHeader, astiav.CodecContextFlagBitexact))
	if err := e.av.Open(found, nil); err != nil {
		return err
	}
	if n := e.av.FrameSize(); n != EncoderFrame {
		return fmt.Errorf("frames of %d samples, not %d", n, EncoderFrame)
	}
	e.config = bytes.Clone(e.av.ExtraData())

	e.frame.SetNbSamples(EncoderFrame)
	e.frame.SetSampleRate(rate)
	e.frame.SetSampleFormat(astiav.SampleFormatFltp)
	e.frame.SetChannelLayout(astiav.ChannelLayoutStereo)
	e.frame.SetPts(-EncoderFrame)
	return e.frame.AllocBuffer(0)
}

// Config returns the AudioSpecificConfig of the stream.
func (e *AudioEncoder) Config() []byte { return e.config }

// Delay returns how many samples per channel of the decoded stream come before
// the first sample encoded.
func (e *AudioEncoder) Delay() int { return int(e.c().initial_padding) }

// Encode encodes one frame, EncoderFrame*EncoderChannels samples, and writes
// an access unit to dst, which should hold MaxAccessUnit bytes. It returns the
// unit's size, which is 0 for the first frame: each unit comes one frame
// late. A nil pcm ends the stream and returns one unit after the other, then
// 0; no frame can follow.
func (e *AudioEncoder) Encode(pcm []float32, dst []byte) (n int, err error) {
	samples := EncoderFrame
	if pcm == nil {
		samples = 0
	}
	if len(pcm) != samples*EncoderChannels {
		return 0, fmt.Errorf("codec: encode AAC frame of %d samples, not %d", len(pcm), EncoderFrame*EncoderChannels)
	}
	ret := C.aerie_audio_encode(e.c(), e.packet, (*C.AVFrame)(e.frame.UnsafePointer()),
		(*C.float)(unsafe.SliceData(pcm)), C.int(samples), (*C.uint8_t)(unsafe.SliceData(dst)), C.size_t(len(dst)))
	if ret == C.AVERROR_EOF && pcm == nil {
		return 0, nil
	}
	if ret < 0 {
		return 0, failure("encode AAC", ret)
	}
	return int(ret), nil
}

// Close frees the encoder.
func (e *AudioEncoder) Close() {
	if e.av != nil {
		e.av.Free()
		e.av = nil
	}
	if e.frame != nil {
		e.frame.Free()
		e.frame = nil
	}
	C.av_packet_free(&e.packet)
}

func (e *AudioEncoder) c() *C.AVCodecContext { return (*C.AVCodecContext)(e.av.UnsafePointer()) }
