package codec

//#cgo noescape aerie_slot_send
//#include "shim.h"
import "C"

import (
	"fmt"
	"io"
	"runtime/cgo"
	"sync/atomic"

	"github.com/asticode/go-astiav"
)

// VideoCodec is a video coding standard.
type VideoCodec uint8

// The video codecs.
const (
	H264 VideoCodec = iota + 1 // ITU-T H.264
	HEVC                       // ITU-T H.265
)

func (c VideoCodec) String() string {
	switch c {
	case H264:
		return "H.264"
	case HEVC:
		return "HEVC"
	}
	return fmt.Sprintf("VideoCodec(%d)", uint8(c))
}

func (c VideoCodec) find() *astiav.Codec {
	switch c {
	case H264:
		return astiav.FindDecoder(astiav.CodecIDH264)
	case HEVC:
		return astiav.FindDecoder(astiav.CodecIDHevc)
	}
	return nil
}

// VideoOptions are the settings of a video decoder. The zero value is one
// thread and no lag.
type VideoOptions struct {
	// Threads is the number of decoding threads; 0 means 1, the most is 16.
	// Threads work on one frame each, so that Threads-1 more frames must be
	// sent before a frame comes out. One thread comes without lag.
	Threads int
	// SliceThreads makes the threads share the slices of one frame, without
	// lag. It gains nothing on the one-slice frames of phones.
	SliceThreads bool
	// DropCorrupt swallows pictures of which parts are lost. Otherwise they
	// are repaired from their neighbours and marked.
	DropCorrupt bool
	// MaxPixels limits the area of a coded picture; 0 means DefaultMaxPixels.
	MaxPixels int
	// MaxMemory limits the bytes of pictures in the decoder's own memory,
	// held or in use; 0 means DefaultMaxMemory.
	MaxMemory int64
	// Memory lends memory to decode into; nil decodes into the decoder's own.
	Memory PictureMemory
}

// Default limits: a coded picture of 4096x2304, and the 16 reference pictures
// of that size that a stream may ask for.
const (
	DefaultMaxPixels = 4096 * 2304
	DefaultMaxMemory = 256 << 20

	maxThreads = 16
)

// LoopFilter says for which pictures the deblocking filter is skipped: it is
// a third of the work, and what is shown without it is blocky until the next
// key frame.
type LoopFilter int32

// Levels of skipping, from none to all.
const (
	FilterAll      LoopFilter = iota // the picture that was meant
	FilterRefs                       // skip where no other picture depends on it
	FilterKeysOnly                   // skip on all but key frames
	FilterNone                       // skip always
)

var discards = [...]C.enum_AVDiscard{C.AVDISCARD_DEFAULT, C.AVDISCARD_NONREF, C.AVDISCARD_NONKEY, C.AVDISCARD_ALL}

// VideoDecoder turns access units into pictures. All methods but
// SkipLoopFilter belong to one goroutine at a time.
type VideoDecoder struct {
	codec    VideoCodec
	av       *astiav.CodecContext
	packet   *C.AVPacket
	pictures *C.aerie_pictures
	filter   atomic.Int32
	drop     bool
	dropped  uint64
	lag      int
}

// NewVideoDecoder opens a decoder. Parameter sets come in band: a stream
// begins with them and a key frame; what comes before yields no picture.
//
// Freedom from lag also takes a stream that says it does not reorder
// pictures (in H.264, max_num_reorder_frames 0 in the VUI). Where an H.264
// stream says nothing, libavcodec begins to hold a picture back when the
// picture order count jumps; package h264 can rewrite the parameter set.
func NewVideoDecoder(codec VideoCodec, o VideoOptions) (*VideoDecoder, error) {
	if o.Threads == 0 {
		o.Threads = 1
	}
	if o.MaxPixels == 0 {
		o.MaxPixels = DefaultMaxPixels
	}
	if o.MaxMemory == 0 {
		o.MaxMemory = DefaultMaxMemory
	}
	if o.Threads < 1 || o.Threads > maxThreads || o.MaxPixels < 0 || o.MaxMemory < 0 {
		return nil, fmt.Errorf("codec: open %v decoder: %d threads, %d pixels, %d bytes", codec, o.Threads, o.MaxPixels, o.MaxMemory)
	}
	found := codec.find()
	if found == nil {
		return nil, fmt.Errorf("codec: no decoder for %v", codec)
	}
	d := &VideoDecoder{
		codec:  codec,
		av:     astiav.AllocCodecContext(found),
		packet: C.av_packet_alloc(),
		drop:   o.DropCorrupt,
	}
	if d.av == nil || d.packet == nil {
		d.Close()
		return nil, failure("open decoder", C.AERIE_ERROR_NOMEM)
	}
	if err := d.open(found, o); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

func (d *VideoDecoder) open(found *astiav.Codec, o VideoOptions) error {
	c := d.c()
	c.max_pixels = C.int64_t(o.MaxPixels)
	// Cropping is left to the views: the planes keep the alignment and the
	// place that a display's memory has.
	c.apply_cropping = 0
	d.av.SetThreadCount(o.Threads)
	d.av.SetThreadType(astiav.ThreadTypeSlice)
	if o.Threads > 1 && !o.SliceThreads {
		// The flag for low delay would silently take frame threads away.
		d.av.SetThreadType(astiav.ThreadTypeFrame)
		d.lag = o.Threads - 1
	} else {
		d.av.SetFlags(astiav.NewCodecContextFlags(astiav.CodecContextFlagLowDelay))
	}
	var handle cgo.Handle
	if o.Memory != nil {
		handle = cgo.NewHandle(o.Memory)
	}
	if d.pictures = C.aerie_pictures_attach(c, C.int64_t(o.MaxMemory), C.uintptr_t(handle)); d.pictures == nil {
		if handle != 0 {
			handle.Delete()
		}
		return failure("open decoder", C.AERIE_ERROR_NOMEM)
	}
	if err := d.av.Open(found, nil); err != nil {
		return fmt.Errorf("codec: open %v decoder: %w", d.codec, err)
	}
	return nil
}

// Lag returns the number of further frames that must be sent before a frame
// comes out, for streams that are sent in display order.
func (d *VideoDecoder) Lag() int { return d.lag }

// Inputs returns how many buffers an InputPool needs so that one is always
// free when the pictures have been received: each frame thread keeps the
// buffer it worked on last, and one waits for a thread.
func (d *VideoDecoder) Inputs() int {
	if d.lag == 0 {
		return 2
	}
	return d.lag + 3
}

// Dropped returns the number of corrupt pictures swallowed so far.
func (d *VideoDecoder) Dropped() uint64 { return d.dropped }

// SkipLoopFilter changes how much of the deblocking filter is left out, from
// the next picture on. It may be called at any time from any goroutine.
func (d *VideoDecoder) SkipLoopFilter(level LoopFilter) {
	d.filter.Store(int32(max(FilterAll, min(level, FilterNone))))
}

// Send gives the decoder one access unit in Annex B form, and with one thread
// decodes it. The data is a part of in.Bytes(); the 64 bytes behind it are
// overwritten. The token comes back with the picture.
//
// Send takes in over, whatever it returns, except with ErrAgain: then pictures
// have to be received first. An error about the data does not end the stream:
// the next access unit may be sent.
func (d *VideoDecoder) Send(in *Input, data []byte, token int64) error {
	offset, err := in.offset(data)
	if d.av == nil {
		err = errClosed
	}
	if err != nil {
		in.Release()
		return err
	}
	c := d.c()
	c.skip_loop_filter = discards[d.filter.Load()]
	ret := C.aerie_slot_send(c, d.packet, &in.pool.slots[in.slot], C.size_t(offset), C.size_t(len(data)), C.int64_t(token))
	if ret == C.AERIE_ERROR_AGAIN {
		return ErrAgain
	}
	in.Release()
	if ret < 0 {
		return failure("decode "+d.codec.String(), ret)
	}
	return nil
}

// Receive puts the next picture into f, which is released first. It returns
// ErrAgain when more input is needed, and io.EOF when everything is out after
// Drain. Call it after each Send until it returns one of them.
func (d *VideoDecoder) Receive(f *Frame) error {
	if d.av == nil {
		return errClosed
	}
	for {
		f.forget()
		ret := C.aerie_video_receive(d.c(), f.c(), &f.info)
		switch {
		case ret == C.AERIE_ERROR_AGAIN:
			return ErrAgain
		case ret == C.AVERROR_EOF:
			return io.EOF
		case ret < 0:
			return failure("decode "+d.codec.String(), ret)
		}
		if d.drop && f.info.corrupt != 0 {
			d.dropped++
			continue
		}
		if err := f.describe(); err != nil {
			f.Release()
			return err
		}
		return nil
	}
}

// Drain ends the stream: Receive then returns what is still in the decoder,
// and io.EOF. Flush makes it ready for another stream.
func (d *VideoDecoder) Drain() error {
	if ret := C.avcodec_send_packet(d.c(), nil); ret < 0 && ret != C.AVERROR_EOF {
		return failure("drain "+d.codec.String()+" decoder", ret)
	}
	return nil
}

// Flush forgets the stream: pictures not yet received, references, parameter
// sets in use. The next access unit should be a key frame.
func (d *VideoDecoder) Flush() { C.avcodec_flush_buffers(d.c()) }

// Close frees the decoder. Frames received from it stay valid.
func (d *VideoDecoder) Close() {
	if d.av != nil {
		d.av.Free()
		d.av = nil
	}
	if d.pictures != nil {
		C.aerie_pictures_release(d.pictures)
		d.pictures = nil
	}
	C.av_packet_free(&d.packet)
}

func (d *VideoDecoder) c() *C.AVCodecContext { return (*C.AVCodecContext)(d.av.UnsafePointer()) }
