// Package clock tells what time it is at the sender.
//
// A sender stamps pictures and sound with its own clock. This package asks
// that clock over UDP (the NTP dialect of reference section 10), filters the
// answers by round-trip delay, follows the drift between the two crystals,
// and publishes an Estimate that maps a Remote instant to a local Time with
// an error bound. A sender that never answers gets an Estimate made from the
// arrival of its media packets.
//
// It knows neither RTSP nor media: the session tells it where to ask, and the
// playout asks it when a frame is due.
//
// Proof: filter_test.go runs the filter on a simulated clock with jitter,
// asymmetric delay, drift, steps and silence, and checks the error bound
// against the truth; ntp_test.go speaks to a responder over loopback with the
// captured packets.
package clock
