// Package codec decodes video and audio in software, and encodes AAC-LC for
// the recording and the browser.
//
// It wraps libavcodec: go-astiav makes and opens the contexts, a small C shim
// in this folder does what happens once per frame, because that must neither
// copy nor allocate and must not trust the sender. It is the only cgo in the
// tree. The libraries it links are built by ffmpeg/build.sh.
//
// A bitstream is read from the network straight into a buffer of an InputPool
// and handed to a VideoDecoder, which keeps a reference instead of a copy. A
// decoded picture comes back as a Frame whose planes are views of the memory
// that libavcodec decoded into: its own, or a display's (PictureMemory). Where
// a display needs another pixel format, a Converter writes it.
//
// Parsing parameter sets, ordering packets, concealing lost sound and deciding
// when anything is shown or heard are left to others.
//
// Proof: decode_test.go compares every picture with the system's own ffmpeg
// and with golden checksums, and proves zero frames of lag; input_test.go looks
// at the padding and at the life of input buffers; memory_test.go decodes into
// foreign memory between guard pages; hostile_test.go and fuzz_test.go feed
// mutated streams; alloc_test.go counts allocations and resident memory;
// convert_test.go compares with exact colour arithmetic; audio_test.go,
// pcm_test.go and encoder_test.go compare samples with the original signals.
package codec

//#cgo CFLAGS: -std=c11 -D_GNU_SOURCE -O3 -Wall
//#cgo pkg-config: libavcodec libswscale libavutil
//#include "shim.h"
import "C"

import (
	"errors"
	"fmt"

	"github.com/asticode/go-astiav"
)

var (
	// ErrAgain says that no frame is ready: send more input.
	ErrAgain = errors.New("codec: no frame is ready")
	// ErrNoInput says that every buffer of an InputPool is in use: the decoder
	// is behind, the reader has to wait.
	ErrNoInput = errors.New("codec: every input buffer is in use")
	// ErrTooLarge says that a sender asks for more memory than it may have.
	// This error and the next two come wrapped.
	ErrTooLarge = errors.New("larger than the limit")
	// ErrRoom says that the caller's buffer cannot hold what was decoded or
	// encoded, which is lost.
	ErrRoom = errors.New("destination buffer is too small")
	// ErrInvalid says that the input is not a valid bitstream of its codec.
	ErrInvalid = errors.New("invalid bitstream")
)

// failure makes an error of what a shim function returned, ret < 0.
func failure(what string, ret C.int) error {
	switch ret {
	case C.AVERROR_INVALIDDATA:
		return fmt.Errorf("codec: %s: %w", what, ErrInvalid)
	case C.AVERROR_INPUT_CHANGED:
		return fmt.Errorf("codec: %s: rate or channels are not those announced: %w", what, ErrInvalid)
	case C.AERIE_ERROR_ROOM:
		return fmt.Errorf("codec: %s: %w", what, ErrRoom)
	}
	return fmt.Errorf("codec: %s: %w", what, astiav.Error(ret))
}
