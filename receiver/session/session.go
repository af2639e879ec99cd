// Package session holds the conversation with one sender at a time: from the
// first GET /info over pairing, fp-setup and SETUP to TEARDOWN, as a state
// machine that answers requests and owns the life of the streams (reference
// sections 3, 7 and 12).
//
// Any number of senders may ask and pair; one of them holds the stage, from
// its session SETUP until it tears down, falls silent, is gone, or is taken
// over from. What a stream is made of, sockets, decoders and clocks, is the
// business of whoever implements Media.
//
// Proof: dialogue_test.go (the captured dialogues, request by request),
// classic_test.go (those of PipeWire and PulseAudio, each kind of key),
// lifecycle_test.go (second senders, take-over, silence and reconnection on a
// simulated clock), hostile_test.go (a table of malformed requests, after each
// of which another sender is served), homekit_test.go (pairing, encrypted
// requests and events), airplay2_test.go (music for a group), features_test.go
// (that nothing is advertised without a handler, and nothing else is opened),
// and a fuzz target for whole conversations.
package session

import (
	"net/netip"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
)

// Sender is who speaks, as far as it told.
type Sender struct {
	Addr         netip.AddrPort // of its control connection
	DeviceID     string
	Name         string // "Ann's iPhone"
	Model        string // "iPhone14,5"
	OS           string // "iPhone OS 16.2 (20C65)"
	UserAgent    string // "AirPlay/670.6.2"
	DACPID       string // for remote control back to it, with
	ActiveRemote string // this
}

// Opening is a session that begins.
type Opening struct {
	Sender Sender
	Local  netip.Addr // our address on its connection
	// Key encrypts the streams, IV the sound; Encrypted is false for a sender
	// that gave none.
	Key, IV   [16]byte
	Encrypted bool
	// Classic is set for a sender that plays sound alone, the old way
	// (reference section 14).
	Classic bool
	// Secret, of HomeKit pairing, encrypts the streams instead; nil without.
	Secret pairing.Secret
	Group  message.Group // that the sender puts the receiver into
	// PTP tells that instants of the sound are on the clock of the group.
	PTP bool
	// TimingPort is the sender's UDP port for NTP, 0 if it answers none.
	TimingPort int
	// Ended ends the session from below, with the reason for the log: a
	// stream broke for good.
	Ended func(reason string)
}

// MirrorRequest asks for the picture.
type MirrorRequest struct {
	ConnectionID uint64
	Latency      time.Duration // that the sender states, 0 if it does not
}

// AudioRequest asks for realtime sound.
type AudioRequest struct {
	message.StreamSetup
	// TCP asks for a connection instead of datagrams: the data port is one of
	// TCP, and there is no control port.
	TCP bool
}

// Media opens sessions; package receiver implements it over sockets, decoders
// and outputs.
type Media interface {
	// Open opens a session. It is called only after the one before was
	// closed.
	Open(Opening) (Streams, error)
	// Volume is the receiver's volume in dB, -30 to 0, or -144.
	Volume() float64
	SetVolume(db float64)
}

// Streams is an open session. Close is called once, and nothing after it.
type Streams interface {
	Music
	// TimingPort is our UDP port for NTP, for the reply to SETUP.
	TimingPort() int
	// Mirror opens the stream of the picture, instead of one that is open, and
	// returns its TCP port.
	Mirror(MirrorRequest) (port int, err error)
	// Audio opens the stream of the sound likewise: its ports.
	Audio(AudioRequest) (data, control int, err error)
	// CloseStream closes a stream of a type of package message.
	CloseStream(streamType int)
	// Latency is what RECORD tells the sender: how long after its time sound
	// is heard at least.
	Latency() time.Duration
	// Flush drops the sound before a packet, or all of it.
	Flush(seq uint16, rtp uint32, given bool)
	// NowPlaying, Artwork and Progress tell what is playing. Artwork is nil
	// for none.
	NowPlaying(message.NowPlaying)
	Artwork(mediaType string, image []byte)
	Progress(message.Progress)
	// Active returns when media last came in.
	Active() clock.Time
	// Close ends all streams and gives everything back.
	Close()
}
