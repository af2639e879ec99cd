// Package stateless decodes HEVC with a stateless decoder of the kernel, such
// as that of the Raspberry Pi 4 and 5, through the request API: the program
// parses the stream and tells the device of every picture which slices it has
// and which pictures they refer to. Pictures come out as dma-bufs that a
// display can scan out. No pixel passes the CPU.
//
//	dev, err := stateless.Find()
//	d, err := stateless.Open(stateless.Config{Device: dev, SPS: sps, Formats: ...})
//	in, err := d.Lease(ctx, time)  // memory for an access unit with start codes
//	c := d.Controls()              // what the device must know of it
//	err = d.Decode(in, n, token)   // into a picture that nobody holds
//	p, err := d.Receive(timeout)   // in the order of Decode
//	d.Release(p.Index)             // once no later picture refers to it and no display shows it
//
// Whoever waits for memory is told when the decoder has failed. A picture
// refers to others by the time stamps under which they were decoded
// (Timestamp). The device overwrites a picture that nobody holds, and only
// such a one: every reference and every display takes a hold of its own
// (Retain). The number of access units and pictures is fixed when the decoder
// is opened, and nothing is allocated for a picture.
//
// Parsing the stream, knowing which pictures are referred to, and showing them
// are left to the caller, and so is what to do when the decoder fails: an
// error of Receive, or of Decode unless it is ErrRefused or ErrNoPicture, ends
// the decoder, which then has to be closed. Calls may block for as long as the
// driver does; whoever must not wait makes them on a goroutine of its own.
//
// Device and formats are described in hardware reference section 2.
//
// Proof: uapi_test.go compares structures, ioctl numbers, control ids and flags
// with what C compilers say of the kernel's headers. decoder_test.go runs a
// Decoder on a model of the kernel's requests (model_test.go), which minds their
// rules, and fault_test.go lets every call fail there in every way and counts
// what is held afterwards; alloc_test.go counts allocations; layout_test.go
// holds the memory layouts. lab_test.go decodes on the kernel's visl in the
// bench, reads back the controls that the driver received, and finds the
// references that it resolved.
package stateless

import (
	"errors"

	"aerie/hw/v4l2/uapi"
)

// Errors a caller may want to tell apart.
var (
	// ErrNoDecoder: no device decodes HEVC without state.
	ErrNoDecoder = errors.New("no stateless HEVC decoder")
	// ErrUnsuitable: the device cannot decode such a stream, or give pictures
	// in a format that is wanted.
	ErrUnsuitable = errors.New("not what the decoder can do")
	// ErrStalled: the device took a picture and did not finish it in time.
	ErrStalled = errors.New("the decoder does not answer")
	// ErrRefused: the kernel does not take these parameters. The picture is
	// lost, the decoder goes on.
	ErrRefused = errors.New("parameters refused")
	// ErrNoPicture: all pictures are held.
	ErrNoPicture = errors.New("no free picture")
	// ErrClosed: the decoder has been closed.
	ErrClosed = errors.New("decoder closed")
)

// Config is what a Decoder is to decode.
type Config struct {
	Device Device
	// SPS is the sequence parameter set of the stream. Another one with the
	// same size and depth may come later.
	SPS SPS
	// Formats are the layouts that the caller can use, the best first.
	Formats []uapi.FourCC
	// Pictures is how many pictures there are to be: those that the stream
	// refers to, those that wait or are shown, and one to decode into; 2 to 32.
	Pictures int
	// Inputs is how many access units there is memory for, 1 to 16; 0 is 4.
	Inputs int
	// InputSize is the memory for one of them in bytes; 0 is 2 MiB.
	InputSize int

	// System is the operating system; nil is the real one.
	System uapi.System
}

// Picture is a decoded picture.
type Picture struct {
	Index   int    // of the buffer in Layout
	Token   uint64 // as given to Decode
	Corrupt bool   // the device found errors
}

// Timestamp is the time stamp, in nanoseconds, by which parameters refer to
// the picture that was decoded under a token. Tokens are below 2^53 and never
// used twice: the kernel keeps microseconds.
func Timestamp(token uint64) uint64 { return token * 1000 }

// MaxSlices is how many slices a picture can have at all (ITU-T H.265 table
// A.8); a device may take fewer.
const MaxSlices = 600

const (
	defaultInputs    = 4
	maxInputs        = 16
	defaultInputSize = 2 << 20
	maxEntryPoints   = 1 << 14
)
