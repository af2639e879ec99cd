// Package playout decides when a picture is shown and when a sample is heard.
//
// Pictures and sound carry instants of the sender's clock; package clock maps
// them to the local one. To that a Delay is added, the same for both, just
// long enough that most pictures are ready when they are due: what decides
// lip-sync is that the delay is the same, what decides latency that it is
// short. Pictures that come too late for it are shown at once, or not at all
// when a newer one is there. Sound follows by resampling: a Sound measures how
// far the output is from where it should be, and plays a little faster or
// slower, never more than can be heard.
//
// It opens no device and starts no goroutine: outputs ask it, with the
// instant for which they ask.
//
// Proof: delay_test.go, pictures_test.go and sound_test.go run on simulated
// clocks with jitter, drift and steps; resampler_test.go measures distortion
// and checks that nothing changes when nothing has to; network_test.go plays
// over a simulated network with jitter, drift and loss, from the sender's
// samples to the output; zero allocations.
package playout
