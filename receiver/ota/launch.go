package ota

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// Choice is what the launcher starts.
type Choice struct {
	Slot    Slot
	Release Release // zero for the factory binary
	Why     string  // that it is not the slot of the link; "" if it is
}

// Launch chooses the program to start, counts the start, and calls start. If
// that fails, Launch chooses again; the factory binary comes last. The error
// is the one of that.
//
// Launch does not refuse: whatever is wrong with disk, slots and state, start
// is called in the end. A version that has not proved itself is only started
// where the start could be counted, for otherwise nothing would end a loop of
// crashes.
func (s *Store) Launch(start func(Choice) error) error {
	l := launch{store: s, unfit: map[Slot]string{}}
	for {
		c := l.next()
		if c.Why != "" {
			s.log.Warn("ota: not the version that was installed last", "slot", c.Slot, "version", c.Release.Version, "because", c.Why)
		}
		err := start(c)
		if err == nil || c.Slot == Factory {
			return err
		}
		l.unfit[c.Slot] = fmt.Sprintf("%s could not be started: %v", c.Release.Version, err)
	}
}

// launch is one start of the device's program.
type launch struct {
	store *Store
	unfit map[Slot]string // what was found so far
	// doubtful tells that the disk failed to answer: it may do better at the
	// next start, so the link stays.
	doubtful bool
}

// next chooses and counts. The lock is not worth more than a moment: what it
// protects is less than a picture on the screen.
func (l *launch) next() Choice {
	s := l.store
	if unlock, err := s.disk.Lock(stateLock, stateWait); err == nil {
		defer unlock()
	} else {
		s.log.Warn("ota: starting without a lock", "error", err)
	}
	st, err := s.load()
	if err != nil {
		s.log.Error("ota: starting without the record of updates", "error", err)
		l.doubtful = true
	}
	was, err := s.current()
	l.doubtful = l.doubtful || err != nil
	before := st
	s.readCrash(&st)
	seen := st
	for {
		c := l.choose(&st, was)
		if l.count(&st, before, c, was) {
			return c
		}
		st, l.doubtful = seen, true
		l.unfit[c.Slot] = fmt.Sprintf("%s has not proved itself, and its start cannot be counted", c.Release.Version)
	}
}

// readCrash notes with which words the program that was started last crashed.
func (s *Store) readCrash(st *state) {
	if s.volatile == nil || !st.Started.inStore() {
		return
	}
	data, err := readSmall(s.volatile, CrashName, maxCrash)
	if err != nil && len(data) == 0 {
		return
	}
	_ = s.volatile.Remove(CrashName) // else it is read again
	line, _, _ := strings.Cut(string(data), "\n")
	if r, err := s.describe(st.Started); err == nil && strings.TrimSpace(line) != "" {
		st.trouble(r.SHA256, line)
	}
}

// choose goes through the slots: the one of the link, the other, the factory's.
func (l *launch) choose(st *state, current Slot) Choice {
	order := []Slot{current, current.other()}
	if current == Factory {
		order = []Slot{A, B}
	}
	var why []string
	for _, slot := range order {
		r, reason := l.examine(st, slot, current == Factory)
		if reason == "" {
			return Choice{slot, r, strings.Join(why, "; ")}
		}
		if current != Factory && reason != empty {
			why = append(why, reason)
		}
	}
	return Choice{Slot: Factory, Why: strings.Join(why, "; ")}
}

// empty is the reason of a slot in which nothing was ever installed.
const empty = "nothing is installed"

// examine tells why a slot is not to be started, "" if it is. Without a link,
// only the release that proved itself last is: the link may have been lost.
func (l *launch) examine(st *state, slot Slot, provenOnly bool) (Release, string) {
	s := l.store
	r, err := s.describe(slot)
	switch why := l.unfit[slot]; {
	case why != "":
		return r, why
	case missing(err):
		return r, empty
	case err != nil:
		l.doubt(err)
		return r, short(fmt.Sprintf("slot %s: %v", slot, err))
	case provenOnly && r.SHA256 != st.Proven:
		return r, empty
	case r.Counter < s.factory.Counter:
		return r, fmt.Sprintf("%s is older than the factory version", r.Version)
	}
	if why := st.bad(r.SHA256); why != "" {
		return r, short(fmt.Sprintf("%s %s", r.Version, why))
	}
	if x := st.starts(r.SHA256); x.Count >= st.tries(r) {
		why := fmt.Sprintf("did not stay up in %d starts", x.Count)
		if x.Why != "" {
			why += ": " + x.Why
		}
		st.setBad(r, why, r.SHA256 == st.Proven)
		return r, short(fmt.Sprintf("%s %s", r.Version, st.bad(r.SHA256)))
	}
	if _, err := s.verify(slot); err != nil {
		l.doubt(err)
		l.unfit[slot] = short(fmt.Sprintf("%s cannot be used: %v", r.Version, err))
		return r, l.unfit[slot]
	}
	return r, ""
}

// doubt notes an error that says nothing about what is on the disk.
func (l *launch) doubt(err error) { l.doubtful = l.doubtful || !answered(err) }

// tries is how often a release is started without being healthy.
func (st *state) tries(r Release) int {
	if r.SHA256 == st.Proven {
		return ProvenTries
	}
	return Tries
}

// count notes a choice before it is started. It tells whether it may be.
func (l *launch) count(st *state, before state, c Choice, current Slot) bool {
	s := l.store
	st.Started = c.Slot
	if c.Slot != Factory {
		x := st.starts(c.Release.SHA256)
		x.Count++
		st.setStarts(x)
	}
	if c.Slot != current && current != Factory {
		from := Release{Version: "slot " + string(current)}
		if r, err := s.describe(current); err == nil {
			from = r
		}
		// What the launcher cannot write it finds again at every start.
		if e := (Event{WentBack, from.Version, c.Release.Version, short(c.Why)}); st.Last.Kind != WentBack || st.Last.From != e.From || st.Last.To != e.To {
			st.Last = e
		}
	}
	err := l.write(*st, before)
	if err != nil {
		s.log.Error("ota: this start is not counted", "error", err)
		if c.Slot != Factory && c.Release.SHA256 != st.Proven {
			return false
		}
	}
	if c.Slot != current && err == nil && !l.doubtful {
		if err := s.point(c.Slot); err != nil {
			s.log.Error("ota: the link to the slot cannot be set", "error", err)
		}
	}
	return true
}

// write keeps a state. One that could not be read is not replaced on the disk.
func (l *launch) write(st, before state) error {
	old, err := before.encode()
	if err != nil {
		return err
	}
	content, err := st.encode()
	switch {
	case err != nil || bytes.Equal(content, old) && !st.inMemory:
		return err
	case !before.unread:
		return l.store.keep(st)
	case l.store.volatile != nil:
		return writeFile(l.store.volatile, stateName, content)
	}
	return errors.New("the state cannot be read")
}
