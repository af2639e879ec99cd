package keystore

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxSenders bounds the senders that are remembered. One more makes the
	// store forget the one that was not seen for longest.
	MaxSenders = 256

	maxTextSize = 128 // bytes of an ID or a name

	flushInterval = time.Hour // between two writes of nothing but visits
)

// Key is an Ed25519 public key (RFC 8032).
type Key [ed25519.PublicKeySize]byte

// MarshalText returns the key in hex.
func (k Key) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(k) {
		return fmt.Errorf("a key of %d characters", len(text))
	}
	copy(k[:], b)
	return nil
}

// Sender is a sender that is remembered.
type Sender struct {
	Key  Key    `json:"key"`
	ID   string `json:"id"`   // the device ID it gave, as it wrote it
	Name string `json:"name"` // "" where it has not told

	// Wall clock times, for people to read: a machine without a battery-backed
	// clock may be wrong about them, so nothing is decided by them.
	FirstSeen time.Time `json:"first_seen"`
	LastSeen  time.Time `json:"last_seen"`

	// Admin tells that the sender may manage those that are remembered.
	Admin bool `json:"admin,omitempty"`
}

// Senders returns the remembered senders, the most recently seen first.
func (s *Store) Senders() []Sender {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := slices.Clone(s.senders)
	slices.Reverse(list)
	return list
}

// Lookup returns the sender with that key.
func (s *Store) Lookup(key Key) (Sender, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.index(key); i >= 0 {
		return s.senders[i], true
	}
	return Sender{}, false
}

// Find returns the sender with that ID.
func (s *Store) Find(id string) (Sender, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.senders {
		if x.ID == id && id != "" {
			return x, true
		}
	}
	return Sender{}, false
}

func (s *Store) index(key Key) int {
	return slices.IndexFunc(s.senders, func(x Sender) bool { return x.Key == key })
}

// Remember adds a sender that has proved itself at the given time. It
// replaces any other with the same key or ID: a device that was reset comes
// back under its old ID with a new key. An ID or name is shortened to 128
// bytes and freed of what cannot be printed.
//
// An error means that the sender is remembered only until the next restart.
func (s *Store) Remember(key Key, id, name string, at time.Time) error {
	before, _ := s.Lookup(key)
	return s.Add(Sender{Key: key, ID: id, Name: name, FirstSeen: at, LastSeen: at, Admin: before.Admin})
}

// Add is Remember with everything that there is to say about a sender, its
// rights among that.
func (s *Store) Add(added Sender) error {
	added.ID, added.Name = clean(added.ID), clean(added.Name)
	s.mu.Lock()
	s.senders = slices.DeleteFunc(s.senders, func(x Sender) bool {
		if x.Key == added.Key {
			added.FirstSeen = x.FirstSeen
			if added.Name == "" {
				added.Name = x.Name
			}
		}
		return x.Key == added.Key || x.ID == added.ID && x.ID != ""
	})
	s.senders = append(s.senders, added)
	if n := len(s.senders) - MaxSenders; n > 0 {
		s.senders = slices.Delete(s.senders, 0, n)
	}
	s.mu.Unlock()
	return s.saveSenders()
}

// Seen notes a visit of a remembered sender and, unless it is empty, the name
// it gave. A sender that is not remembered stays unknown. The disk learns of
// it from Flush: nobody has to wait.
func (s *Store) Seen(key Key, name string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.index(key)
	if i < 0 {
		return
	}
	seen := s.senders[i]
	seen.LastSeen, s.visits = at, true
	if name = clean(name); name != "" && name != seen.Name {
		seen.Name, s.renamed = name, true
	}
	s.senders = append(slices.Delete(s.senders, i, i+1), seen)
}

// Flush writes what Seen noted: a new name at once, visits once an hour, so
// that flash memory is not written for every connection. It is to be called
// from time to time, at least every few minutes. After an error it tries
// again an hour later.
func (s *Store) Flush(at time.Time) error {
	s.mu.Lock()
	since := at.Sub(s.flushed)
	due := s.renamed || s.visits && (since > flushInterval || since < 0)
	if due {
		s.flushed, s.renamed, s.visits = at, false, false
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	err := s.saveSenders()
	if err != nil {
		s.mu.Lock()
		s.visits = true
		s.mu.Unlock()
	}
	return err
}

// Forget removes the senders with that ID and tells whether there were any.
// An error means that they will be back after a restart.
func (s *Store) Forget(id string) (bool, error) {
	s.mu.Lock()
	before := len(s.senders)
	s.senders = slices.DeleteFunc(s.senders, func(x Sender) bool { return x.ID == id })
	found := len(s.senders) < before
	s.mu.Unlock()
	if !found {
		return false, nil
	}
	return true, s.saveSenders()
}

// ForgetAll removes all senders. An error means that they will be back after
// a restart.
func (s *Store) ForgetAll() error {
	s.mu.Lock()
	s.senders = nil
	s.mu.Unlock()
	return s.saveSenders()
}

// sendersBody is the content of the senders file.
type sendersBody struct {
	Senders []Sender `json:"senders"` // least recently seen first
}

// saveSenders writes the senders as they are now. Those who only look
// something up do not wait for the disk.
func (s *Store) saveSenders() error {
	if s.disk == nil {
		return nil
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	s.mu.Lock()
	body, err := json.MarshalIndent(sendersBody{s.senders}, "", "\t")
	s.mu.Unlock()
	if err == nil {
		err = save(s.disk, sendersName, encode(sendersName, body))
	}
	if err != nil {
		return fmt.Errorf("keystore: save the remembered senders: %w", err)
	}
	return nil
}

// openSenders reads the remembered senders. A file that cannot be used leaves
// none: the price is that people type a PIN once more.
func (s *Store) openSenders() []Sender {
	data, err := s.disk.Read(sendersName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var senders []Sender
	if err == nil {
		senders, err = parseSenders(data)
	}
	if err != nil {
		s.setAside(sendersName, err)
		return nil
	}
	return senders
}

func parseSenders(data []byte) ([]Sender, error) {
	body, err := decode(sendersName, data)
	if err != nil {
		return nil, err
	}
	var content sendersBody
	if err := json.Unmarshal(body, &content); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if n := len(content.Senders); n > MaxSenders {
		return nil, fmt.Errorf("%w: %d senders", errDamaged, n)
	}
	return content.Senders, nil
}

// clean makes text from the network fit for a file, a log and a screen.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError, !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	for len(text) > maxTextSize {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}
