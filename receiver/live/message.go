package live

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"aerie/receiver/clock"
)

// The kinds and flags of messages, and the size of their header.
const (
	KindState    = 'S'
	KindInit     = 'I'
	KindFragment = 'M'
	KindTick     = 'T'

	FlagKey     = 1
	FlagHistory = 2

	HeaderSize = 32
)

// State is what a stream tells about itself.
type State struct {
	// State is one of
	//
	//	"idle"      nobody mirrors, or without this track
	//	"waiting"   a session is there, its first picture or sound is not
	//	"too-late"  the key picture is gone: wait for the next
	//	"playing"   an initialisation segment follows
	State string `json:"state"`

	// With "playing":

	Type string `json:"type,omitempty"` // for MediaSource.addSourceBuffer
	// Fresh says that the stream's time begins anew, in a MediaSource of its
	// own; else the segment goes into the present SourceBuffer.
	Fresh bool `json:"fresh,omitempty"`
	// History is how many pictures have to be decoded first.
	History int `json:"history,omitempty"`
}

// The states.
const (
	StateIdle    = "idle"
	StateWaiting = "waiting"
	StateTooLate = "too-late"
	StatePlaying = "playing"
)

// A message is the header of one, without the length.
type message struct {
	kind, flags byte
	pts         time.Duration
	stream      time.Duration
	at          clock.Time
}

// beginMessage appends a header whose length endMessage fills in.
func beginMessage(b []byte, m message) []byte {
	be := binary.BigEndian
	b = append(b, 0, 0, 0, 0, m.kind, m.flags, 0, 0)
	b = be.AppendUint64(b, uint64(m.pts/time.Microsecond))
	b = be.AppendUint64(b, uint64(m.stream/time.Microsecond))
	return be.AppendUint64(b, uint64(m.at/1000))
}

// endMessage fills in the length of the message that begins at an index.
func endMessage(b []byte, at int) {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-HeaderSize))
}

func appendState(b []byte, s State, now clock.Time) []byte {
	at := len(b)
	b = beginMessage(b, message{kind: KindState, at: now})
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a struct of strings, a bool and a number
	}
	b = append(b, text...)
	endMessage(b, at)
	return b
}
