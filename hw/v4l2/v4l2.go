// Package v4l2 decodes video with a stateful memory-to-memory decoder of the
// kernel: coded data is read straight into the decoder's memory, and pictures
// come out as dma-bufs that a display can scan out. No pixel passes the CPU.
//
// Devices and Find tell what a machine has, by what the nodes can do and never
// by their number. A Decoder is one stream: the caller leases memory for each
// access unit (Lease, Input.Submit), is told of the pictures' memory when that
// is made (Config.Setup) and of each picture (Config.Picture), and gives a
// picture back when the display has released it (Decoder.Release). All calls
// to the device are made on one goroutine, which waits in poll(2), so that a
// driver that never answers blocks nobody else; a watchdog notices when no
// pictures come. What a driver does differently stands in quirks.go, with its
// source.
//
// Parsing and rewriting parameter sets, what to do when the decoder fails, and
// showing pictures is left to the caller. Stateless decoders are another
// package's business; the kernel's structures are in package uapi.
//
// Proof: decoder_test.go, change_test.go and watchdog_test.go run a Decoder on
// a model of the kernel's queues (model_test.go) that behaves like the
// Raspberry Pi's driver or like V4L2's document, single- and multi-planar;
// fault_test.go lets every call fail once with every error, or never answer,
// and counts what is held afterwards; find_test.go and format_test.go cover
// what is read from machines; alloc_test.go shows that an access unit and a
// picture cost no allocation. lab_test.go decodes pictures of the kernel's
// virtual codec, compares them bit by bit, and scans them out on its virtual
// display.
package v4l2

import (
	"errors"
	"time"

	"aerie/hw/v4l2/uapi"
)

// Errors a caller may want to tell apart.
var (
	// ErrNoDecoder: no device decodes this.
	ErrNoDecoder = errors.New("no hardware decoder")
	// ErrStalled: the device took access units and gave no picture, or a call
	// did not return.
	ErrStalled = errors.New("the decoder does not answer")
	// ErrClosed: the decoder has been closed.
	ErrClosed = errors.New("decoder closed")
	// ErrUnsuitable: the device cannot decode pictures of this size, or give
	// them in a format that is wanted.
	ErrUnsuitable = errors.New("not what the decoder can do")
)

// Config is what a Decoder is to decode, and who is told. The functions run on
// the decoder's goroutine, must not block and may call Release.
type Config struct {
	Device Device
	Codec  uapi.FourCC // uapi.H264
	// Width and Height are the coded size, from the parameter set; Visible is
	// what is to be seen of it, in case the driver does not tell.
	Width, Height int
	Visible       Rect
	// References is how many pictures the stream refers back to.
	References int
	// Held is how many pictures the caller keeps at a time, at most.
	Held int
	// Formats are the layouts that the caller can use, the best first.
	Formats []uapi.FourCC
	// Stall is how long the device may take without giving a picture; 0 is
	// 600 ms.
	Stall time.Duration

	// Setup is told of memory for pictures before the first of them. Its
	// error ends the decoder.
	Setup func(*Layout) error
	// Retire is told that this memory goes: no picture in it may be shown any
	// more, and what holds it is to let go. It stays readable for a display
	// that still shows it.
	Retire func(*Layout)
	// Picture is given a picture. It stays with the caller until Release.
	Picture func(Picture)
	// Failed is told, once, why no more pictures will come.
	Failed func(error)

	system uapi.System // of tests
}

// Picture is a decoded picture in one of a Layout's buffers.
type Picture struct {
	Generation uint32 // of the Layout
	Index      int    // of the buffer
	Token      uint64 // as given to Submit
	Corrupt    bool   // the decoder found errors
}

// Rect is a part of a picture, in pixels.
type Rect struct{ X, Y, W, H int }

const (
	defaultStall = 600 * time.Millisecond
	// inputs is how many access units can be with the device at a time
	// (hardware reference section 1.4 says 4 to 6).
	inputs = 5
	// InputSize is the memory for one access unit: larger than an IDR picture
	// of a busy screen (hardware reference section 1.2).
	InputSize = 2 << 20
	// spare are pictures that a driver keeps beside the references.
	spare = 5
	// patience is how long opening and closing may take. STREAMOFF alone was
	// seen to take 2 s (hardware reference section 1.6).
	patience = 5 * time.Second
)
