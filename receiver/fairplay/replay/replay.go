// Package replay holds FairPlay exchanges that were recorded between senders
// and receivers, for software senders: nobody but Apple can make a new
// message 3, but a receiver that uses the usual SAP cannot tell a recorded
// one from a fresh one, and the key it leads to is known.
//
// A sender posts M1, then M3 to /fp-setup, puts EKey into its first SETUP and
// encrypts with Key (mixed with the secret of pair-verify, where there was
// one: reference section 9.1). The package does not send anything itself.
//
// Proof: replay_test.go plays every exchange against the receiver's half,
// package fairplay.
package replay

import (
	"bytes"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

// Exchange is one recorded exchange.
type Exchange struct {
	Name   string // unique among the exchanges
	Source string // who recorded it
	Mode   byte   // how both SAPs are encrypted, 0 to 3

	M1   [16]byte  // body of the first POST /fp-setup
	M3   [164]byte // body of the second
	EKey [72]byte  // item "ekey" of the session SETUP
	Key  [16]byte  // session key that a receiver derives from M3 and EKey
}

// CheckM4 tells whether a receiver answered M3 as it should: with a header
// and the last 20 bytes of M3.
func (e *Exchange) CheckM4(reply []byte) error {
	want := append([]byte("FPLY\x03\x01\x04\x00\x00\x00\x00\x14"), e.M3[len(e.M3)-20:]...)
	if !bytes.Equal(reply, want) {
		return fmt.Errorf("replay: exchange %s: reply to m3 is %x, want %x", e.Name, clip(reply), want)
	}
	return nil
}

// CheckM2 tells whether a receiver answered M1 in the right form and mode. It
// does not look at the receiver's SAP: one other than the usual leads to
// another key, which shows only in the picture.
func (e *Exchange) CheckM2(reply []byte) error {
	want := append([]byte("FPLY\x03\x01\x02\x00\x00\x00\x00\x82\x02"), e.Mode)
	if len(reply) != 142 || !bytes.HasPrefix(reply, want) {
		return fmt.Errorf("replay: exchange %s: reply to m1 is %d bytes, %x, want 142, %x", e.Name, len(reply), clip(reply), want)
	}
	return nil
}

// clip shortens a reply for an error message.
func clip(b []byte) []byte { return b[:min(len(b), 32)] }

// All returns all exchanges; every mode occurs at least once.
func All() []Exchange { return slices.Clone(exchanges()) }

// ByName returns the exchange of that name.
func ByName(name string) (Exchange, error) {
	var names []string
	for _, e := range exchanges() {
		if e.Name == name {
			return e, nil
		}
		names = append(names, e.Name)
	}
	return Exchange{}, fmt.Errorf("replay: no exchange %q, only %q", name, names)
}

//go:embed exchanges.json
var exchangesJSON []byte

// exchanges parses the recorded exchanges at first use.
var exchanges = sync.OnceValue(func() []Exchange {
	var recorded []struct {
		Name, Source      string
		Mode              byte
		M1, M3, EKey, Key string
	}
	if err := json.Unmarshal(exchangesJSON, &recorded); err != nil {
		panic("replay: " + err.Error()) // the file is part of this package
	}
	all := make([]Exchange, len(recorded))
	for i, r := range recorded {
		e := &all[i]
		e.Name, e.Source, e.Mode = r.Name, r.Source, r.Mode
		mustDecode(e.M1[:], r.M1)
		mustDecode(e.M3[:], r.M3)
		mustDecode(e.EKey[:], r.EKey)
		mustDecode(e.Key[:], r.Key)
	}
	return all
})

func mustDecode(dst []byte, text string) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(dst) {
		panic("replay: malformed bytes " + text)
	}
	copy(dst, b)
}
