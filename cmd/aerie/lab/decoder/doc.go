// Package decoder tries the whole receiver with hardware decoders, in the
// virtual machine of aerie/hw/lab: a sender mirrors to it over loopback, what
// is decoded is shown on vkms and read back from there; so is what the screen
// shows while music plays. It holds tests only.
//
// Proof: hardware_test.go has the kernel's virtual codec decode what is
// mirrored and compares the display with what was decoded; double_test.go stops
// a decoder in mid-stream, early and late, turns the phone, and counts
// allocations; hevc_test.go does the like with a stateless decoder;
// music_test.go finds the cover and the progress on the screen; bench_test.go
// measures from a decoded picture to its commit.
package decoder
