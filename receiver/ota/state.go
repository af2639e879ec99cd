package ota

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Limits of the state.
const (
	maxState  = 64 << 10
	maxReason = 300 // bytes
	maxCrash  = 4 << 10
	maxBad    = 16 // releases that are remembered as bad; the oldest goes
	maxCount  = 1000
	maxStarts = 8 // releases whose starts are counted, likewise
)

// stateFormat is that of the state file. The factory binary, the oldest
// program on a device, reads and writes it at every start for as long as the
// device lives. So it may only grow, by fields that may get lost.
const stateFormat = 1

// state is what the next start must know.
type state struct {
	// Floor is the largest counter that proved itself here: what is below is
	// not installed any more.
	Floor uint64 `json:"floor"`
	// Proven is the release that proved itself last.
	Proven Digest `json:"proven"`
	// Started is what the launcher started last.
	Started Slot `json:"started,omitempty"`
	// Starts counts the starts of releases since they were healthy.
	Starts []starts `json:"starts,omitempty"`
	// Bad lists releases that were given up.
	Bad []badRelease `json:"bad,omitempty"`
	// Last is what happened last.
	Last Event `json:"last"`

	inMemory bool // the disk does not know it yet
	unread   bool // the disk may know another one
}

type starts struct {
	SHA256 Digest `json:"sha256"`
	Count  int    `json:"count"`
	Why    string `json:"why,omitempty"` // what it said was wrong, the last time
}

// Kind is a kind of event.
type Kind string

// The kinds of events.
const (
	Installed Kind = "installed"  // a version waits for its start, or has to prove itself
	Confirmed Kind = "confirmed"  // it proved itself
	WentBack  Kind = "went back"  // it was given up, by the launcher
	SentBack  Kind = "sent back"  // it was given up, by the owner
	StateLost Kind = "state lost" // the state was damaged, and made anew
)

// Event is something that happened to the program of the device.
type Event struct {
	Kind Kind   `json:"kind,omitempty"` // "" for nothing yet
	From string `json:"from,omitempty"` // version; "" for the factory's
	To   string `json:"to,omitempty"`
	Why  string `json:"why,omitempty"`
}

// versionName is a version as people read it.
func versionName(version string) string {
	if version == "" {
		return "the factory version"
	}
	return version
}

// String says it in a sentence without the full stop.
func (e Event) String() string {
	var text string
	switch e.Kind {
	case Installed:
		text = fmt.Sprintf("%s is installed over %s", versionName(e.To), versionName(e.From))
	case Confirmed:
		text = fmt.Sprintf("%s works", versionName(e.To))
	case WentBack:
		text = fmt.Sprintf("went back from %s to %s", versionName(e.From), versionName(e.To))
	case SentBack:
		text = fmt.Sprintf("was sent back from %s to %s", versionName(e.From), versionName(e.To))
	case StateLost:
		text = "the record of updates was lost and made anew"
	default:
		return ""
	}
	if e.Why != "" {
		text += ": " + e.Why
	}
	return text
}

// starts returns how often a release was started since it was healthy, and
// what was wrong.
func (st *state) starts(d Digest) starts {
	for _, x := range st.Starts {
		if x.SHA256 == d {
			return x
		}
	}
	return starts{SHA256: d}
}

// setStarts keeps a count; one of 0 needs not be kept.
func (st *state) setStarts(x starts) {
	st.Starts = slices.DeleteFunc(slices.Clone(st.Starts), func(y starts) bool { return x.SHA256 == y.SHA256 })
	if x.Count > 0 {
		st.Starts = append(st.Starts, x)
	}
	st.Starts = st.Starts[max(0, len(st.Starts)-maxStarts):]
}

// trouble notes what is wrong with a release that was started.
func (st *state) trouble(d Digest, why string) {
	x := st.starts(d)
	x.Why = short(why)
	st.setStarts(x)
}

// short makes a reason fit for a line: without what would break it, and
// without end.
func short(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || unicode.IsSpace(r) {
			return r
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxReason {
		text = strings.ToValidUTF8(text[:maxReason], "") + "..."
	}
	return text
}

// envelope is the file: a state, its digest and its format.
type envelope struct {
	Format int             `json:"format"`
	SHA256 Digest          `json:"sha256"` // of the state without white space
	State  json.RawMessage `json:"state"`
}

func (st state) encode() ([]byte, error) {
	body, err := json.Marshal(st)
	if err != nil {
		return nil, err
	}
	return encodeJSON(envelope{stateFormat, sha256.Sum256(body), body})
}

// decodeState is the inverse of encode. It fails with ErrDamaged.
func decodeState(data []byte) (st state, err error) {
	fail := func(format string, args ...any) (state, error) {
		return state{}, fmt.Errorf("%w: state: %s", ErrDamaged, fmt.Sprintf(format, args...))
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return fail("%v", err)
	}
	if e.Format != stateFormat {
		return fail("format %d", e.Format)
	}
	var body bytes.Buffer
	if err := json.Compact(&body, e.State); err != nil || sha256.Sum256(body.Bytes()) != e.SHA256 {
		return fail("digest and content do not agree")
	}
	if err := json.Unmarshal(body.Bytes(), &st); err != nil {
		return fail("%v", err)
	}
	switch {
	case len(st.Starts) > maxStarts:
		return fail("starts of %d releases", len(st.Starts))
	case slices.ContainsFunc(st.Starts, func(x starts) bool { return x.Count <= 0 || x.Count > maxCount || len(x.Why) > maxReason+3 }):
		return fail("starts %.200v", st.Starts)
	case len(st.Bad) > maxBad:
		return fail("%d bad releases", len(st.Bad))
	case max(len(st.Last.From), len(st.Last.To)) > maxVersion || len(st.Last.Why) > maxReason+3 ||
		slices.ContainsFunc(st.Bad, func(b badRelease) bool { return len(b.Version) > maxVersion || len(b.Why) > maxReason+3 }):
		return fail("texts without end")
	case st.Started != "" && st.Started != Factory && !st.Started.inStore():
		return fail("slot %.20q", st.Started)
	}
	return st, nil
}

// load reads the state, from memory if the disk did not take the last one. It
// always returns one to go on with. An error tells that the disk could not be
// read, so that what is there should not be replaced in haste.
func (s *Store) load() (state, error) {
	if s.volatile != nil {
		if data, err := readSmall(s.volatile, stateName, maxState); err == nil {
			if st, err := decodeState(data); err == nil {
				st.inMemory = true
				return st, nil
			}
		}
	}
	data, err := readSmall(s.disk, stateName, maxState)
	var st state
	if err == nil {
		st, err = decodeState(data)
	}
	switch {
	case err == nil:
		return st, nil
	case missing(err):
		return s.rebuild(), nil
	case answered(err):
		s.log.Error("the record of updates cannot be used and is made anew", "error", err)
		st = s.rebuild()
		st.Last = Event{Kind: StateLost, Why: short(err.Error())}
		return st, nil
	}
	st = s.rebuild()
	st.unread = true
	return st, fmt.Errorf("ota: read the state: %w", err)
}

// rebuild makes a state out of what the slots say. The release that is
// started has to prove itself again; nothing older than what is there is
// installed.
func (s *Store) rebuild() (st state) {
	st.Floor = s.factory.Counter
	for _, slot := range []Slot{A, B} {
		if r, err := s.describe(slot); err == nil {
			st.Floor = max(st.Floor, r.Counter)
		}
	}
	return st
}

// save replaces the state on the disk in one step.
func (s *Store) save(st state) error {
	content, err := st.encode()
	if err != nil {
		return err
	}
	next := stateName + newSuffix
	if err = writeFile(s.disk, next, content); err == nil {
		err = s.disk.Rename(next, stateName)
	}
	if err == nil {
		err = s.disk.SyncDir(".")
	}
	if err != nil {
		return fmt.Errorf("ota: write the state: %w", err)
	}
	if s.volatile != nil {
		return s.volatile.Remove(stateName)
	}
	return nil
}

// keep is save with memory in place of a disk that does not take the state: it
// is lost at the next boot, which is better than at the next start.
func (s *Store) keep(st state) error {
	err := s.save(st)
	if err == nil || s.volatile == nil {
		return err
	}
	content, encodeErr := st.encode()
	if encodeErr != nil {
		return encodeErr
	}
	// What is in memory needs no second name: it does not outlive a crash.
	if volatileErr := writeFile(s.volatile, stateName, content); volatileErr != nil {
		return err
	}
	s.log.Warn("the disk does not take the record of updates; it is kept in memory", "error", err)
	return nil
}

// locked gives the state to a function, with nobody else changing it.
func (s *Store) locked(use func(*state) error) error {
	unlock, err := s.disk.Lock(stateLock, stateWait)
	if err != nil {
		return fmt.Errorf("ota: lock the state: %w", err)
	}
	defer unlock()
	st, err := s.load()
	if err != nil {
		return err
	}
	return use(&st)
}

// change changes the state. Nothing is written where nothing changes that the
// disk knows.
func (s *Store) change(edit func(*state)) error {
	return s.locked(func(st *state) error {
		before, err := st.encode()
		if err != nil {
			return err
		}
		edit(st)
		if after, err := st.encode(); err != nil || bytes.Equal(before, after) && !st.inMemory {
			return err
		}
		return s.keep(*st)
	})
}
