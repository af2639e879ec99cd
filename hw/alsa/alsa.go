// Package alsa plays sound through the kernel's ALSA interface: it finds the
// device that is wanted, sets it up, keeps its ring full and says when each
// frame will be heard.
//
// An Output is the whole of it in one value: it opens a device by name or by
// policy ("auto": the HDMI output of the connected television, else the
// headphone jack, else what is there), asks its caller for a period of samples
// at a time together with the instant at which the first of them will be heard,
// and lives through underruns, suspend, unplugging and changes of the video
// mode. PCM is the layer below, one open playback device. Devices and Find
// tell what a machine has, ParseELD what a television can play.
//
// vc4 HDMI takes nothing but IEC 958 subframes; they are packed here, so that
// callers always deal in float32. Volume is the caller's business too: HDMI
// has none, and an analog device is at most set to 0 dB (Config.LineLevel).
// Resampling, drift and lip sync belong to the caller, who gets the play time
// of every period. Which video mode is set is unknown here: the caller closes
// a gate (Output.Hold) while it sets one, because HDMI sound is clocked by it.
//
// The package stands directly on the kernel's uAPI because
// github.com/gen2brain/alsa gives no delay with its time stamp in one snapshot
// and packs no IEC 958.
//
// Proof: golden_test.go compares every struct and ioctl number with the
// kernel's headers on amd64, arm64 and arm. format_test.go and iec958_test.go
// check the sample formats exhaustively and the subframes bit by bit against
// a slow model, timeline_test.go the prediction of play times and its bound on
// simulated hardware; find_test.go, eld_test.go and level_test.go what is read
// from machines and televisions, with fuzzing. output_test.go, recover_test.go
// and plug_test.go run an Output on a simulated machine (machine_test.go), and
// fault_test.go lets every call in turn fail with every error there.
// lab_test.go and lab_hdmi_test.go do the same on a real kernel: a loopback
// card captures what was played, bit by bit, a dummy card is on time, cards
// vanish and televisions come and go.
package alsa

import (
	"errors"
	"fmt"
	"syscall"
)

// Errors a caller may want to tell apart.
var (
	// ErrBusy: another program holds the device, on a desktop its sound
	// server.
	ErrBusy = errors.New("device is in use")
	// ErrNoDevice: no playback device matches.
	ErrNoDevice = errors.New("no such playback device")
	// ErrRate: none of the rates wanted is offered; from Output.Run, the
	// device now to be used has another rate than the one before.
	ErrRate = errors.New("sample rate")
)

// Error is a call that the kernel refused.
type Error struct {
	Device string // card and device, such as "vc4hdmi0,0"
	Call   string // "open", "HW_PARAMS", ...
	Err    error  // a syscall.Errno as a rule
}

func (e *Error) Error() string {
	return fmt.Sprintf("alsa: %s: %s: %v%s", e.Device, e.Call, e.Err, hint(e.Err))
}

func (e *Error) Unwrap() error { return e.Err }

// enotsupp is the kernel's internal ENOTSUPP, which vc4 lets through.
const enotsupp = syscall.Errno(524)

// hint says in plain words what an error number means on a sound device.
func hint(err error) string {
	switch err {
	case enotsupp:
		return " (no sound sink: the television is off or has none, or no video mode is set)"
	case syscall.EPIPE:
		return " (underrun)"
	case syscall.ESTRPIPE:
		return " (suspended)"
	case syscall.EACCES:
		return " (is the user in group audio?)"
	}
	return ""
}
