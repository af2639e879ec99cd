// Package lab tries the whole receiver on the kernel's own drivers, in the
// virtual machine of aerie/hw/lab: a sender mirrors to it over loopback, vkms
// is the display, a loopback card the sound of a television. It holds tests
// only.
//
// Proof: plug_test.go unplugs the display fifty times in mid-stream and counts
// what is held, and starts without a display; path_test.go compares the screen's
// checksum on each way from the decoder and counts the pixels copied;
// tv_test.go has a
// television woken, obeyed and put to sleep over the driver vivid's HDMI-CEC;
// panel_test.go reads the light back from gpio-sim, and presses the
// button there until everything is forgotten; alloc_test.go counts allocations; sync_test.go measures picture and sound
// against each other, both on the kernel's clock.
// Hardware decoders have the package decoder below this one, since they want
// the bench's own display and these tests take it away.
package lab
