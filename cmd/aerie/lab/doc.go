// Package lab tries the whole receiver on the kernel's own drivers, in the
// virtual machine of aerie/hw/lab: a sender mirrors to it over loopback, vkms
// is the display, a loopback card the sound of a television. It holds tests
// only.
//
// Proof: plug_test.go unplugs the display fifty times in mid-stream and counts
// what is held; path_test.go compares what is on the screen with what was sent,
// and counts the pixels copied on each way, and the allocations; sync_test.go
// measures picture and sound against each other, both on the kernel's clock.
// hardware_test.go has the kernel's virtual codec decode what is mirrored and
// reads the display back; double_test.go stops a decoder in mid-stream, early
// and late, turns the phone, and counts allocations.
package lab
