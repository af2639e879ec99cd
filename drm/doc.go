// Package drm puts pictures on a display through the kernel's mode-setting
// interface (KMS), as an appliance needs it: one program, one screen, moving
// pictures whose memory belongs to a decoder. It speaks to the kernel's uAPI
// directly.
//
//	d, err := drm.Open(drm.Options{Driver: "vc4", Flipped: onFlip, Released: onRelease})
//	fb, err := d.Import(drm.DMABuf{...}) // once for each buffer of the decoder
//	err = d.Show(drm.Picture{ID: 1, FB: fb, Color: drm.Color{Encoding: drm.BT709}})
//
// Open picks the card by what it can do, sets the best mode for video (see
// ChooseMode) and follows the display from then on: a set that is switched off
// and on, another one, the other port, or none at first. Show hands over the
// newest picture and returns at once. One atomic commit is in flight at a time,
// since the kernel answers a second with EBUSY; the pictures that come
// meanwhile replace one another in a mailbox of one, so that latency cannot
// grow. When a picture has appeared, Flipped tells the kernel's time stamp of
// it, and Released gives back the picture it took the place of: only then may
// its memory be written. Nothing is allocated for a picture whose shape has been
// shown before.
//
// A shape that is new is first tried with TEST_ONLY commits, from the best way
// to show it to the worst: scaled on the primary plane, scaled on an overlay,
// in the middle of the screen without scaling. If the hardware takes none, Show
// says ErrUnsupported, and the caller converts the picture to XRGB8888 in the
// size of the screen. An overlay that the memory bandwidth does not allow is
// refused, or given up when it comes to stand in the way of the base picture.
//
// Where a commit is refused all the same, the display is switched off and on
// once; if that does not help either, the picture is given up, and Changed says
// so. A commit that never completes is treated likewise. When the hardware or
// the control over it is gone, the Display is lost: it says so, takes no more
// pictures, and has to be closed.
//
// # Goroutines and locks
//
// A Display has one goroutine, which waits in poll for page flips, uevents and
// the next deadline. A mode setting blocks in the kernel for as long as the
// display takes, and so does that goroutine; Show does not. Display.modeset is
// taken before Display.buffers before Display.mu; the functions in Options are
// called with none of them held.
//
// # The console
//
// The kernel's own text console shares the card. While a program is DRM master
// the console does not draw, and keystrokes do not change that, so the virtual
// terminal is left in text mode: switching it to KD_GRAPHICS would add nothing
// to that, needs a terminal to be open and the privilege for it, and stays
// behind when a process is killed, which leaves the machine with a dead
// console. Close puts back what was on the screen at Open, as far as its frame
// buffers still exist. After a crash the kernel does that part: with the last
// descriptor of the card it removes the process's frame buffers, ends its
// mastery and restores the console. An image that wants no text to be seen then
// keeps the console off the display with the kernel's command line.
//
// Mastery is given up by name before the descriptor is closed: a dumb buffer
// that is still mapped keeps the open file, and with it mastery, alive. The
// memory of Plane is unmapped by Close for the same reason.
//
// # What it leaves to others
//
// Decoding, drawing, and which picture belongs to which vertical blanking: it
// predicts those (NextVBlank) and says when a picture came late. It knows only
// displays; sound on HDMI is the sound package's, which has to open its device
// again after a Connected.
//
// Numbers and rules for the Raspberry Pi are from hardware reference section 3.
//
// Proof: uapi_test.go compares structures, ioctl numbers and constants with
// what C compilers say for amd64, arm64 and 32-bit ARM. mode_test.go,
// geometry_test.go, timing_test.go, edid_test.go and parse_test.go hold the
// logic without a device, and fuzz the parsers. display_test.go runs the whole
// Display on a model of a controller (model_test.go): mailbox, fallbacks,
// ENOSPC, two ports, stalls, restoring the console; fault_test.go makes every
// call fail there in every way, and on vkms the first and last of each kind;
// alloc_test.go counts allocations. The lab_*_test.go files run on the kernel's
// vkms in the bench: 300 flips, overload, pixels read back through writeback,
// 50 unpluggings, a removed card, another master, a killed process.
package drm
