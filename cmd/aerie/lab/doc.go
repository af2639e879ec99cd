// Package lab tries the whole receiver on the kernel's own drivers, in the
// virtual machine of aerie/hw/lab: a sender mirrors to it over loopback, vkms
// is the display, a loopback card the sound of a television. It holds tests
// only.
//
// Proof: plug_test.go unplugs the display fifty times in mid-stream and counts
// what is held, and starts without a display; path_test.go compares the screen's
// checksum on each way from the decoder and counts the pixels copied;
// alloc_test.go counts allocations; sync_test.go measures picture and sound
// against each other, both on the kernel's clock. hardware_test.go has the
// kernel's virtual codec decode what is mirrored and reads the display back;
// double_test.go stops a hardware decoder in mid-stream, early and late, turns
// the phone, and counts allocations on that way. music_test.go plays music with a
// cover and finds it on the screen.
package lab
