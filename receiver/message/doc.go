// Package message turns AirPlay's binary property lists into Go values and
// back: /info, SETUP, TEARDOWN, pair-setup-pin and their like, and the TXT
// records that must agree with /info (reference sections 1, 2, 4, 7); and the
// session descriptions of classic senders (section 14).
//
// What comes from a sender is untrusted. A list is checked for size, depth
// and expansion before the plist library sees it, and every key is optional:
// a missing one takes its default, one of the wrong type is an error. Keys
// that nobody here knows are reported, for senders learn new ones every year.
//
// Capabilities is the one description of what this receiver can do; the TXT
// records, both forms of /info and the event that tells of a change are made
// from it, so they cannot disagree.
//
// Proof: plist_test.go (reference bombs, deep and cyclic lists, fuzzing
// against the library), setup_test.go (captured requests byte by byte),
// announce_test.go (descriptions of each coding, hostile ones, fuzzing),
// playback_test.go (anchors, flushes and peers of AirPlay 2), info_test.go
// (golden lists and TXT records for each identity).
package message
