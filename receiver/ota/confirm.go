package ota

import (
	"errors"
	"fmt"
)

// Confirm notes that the release in a slot, which is running and has been
// healthy for long enough, works: it has proved itself, and nothing older is
// installed any more. For the factory binary there is nothing to note.
func (s *Store) Confirm(running Slot) error {
	if !running.inStore() {
		return nil
	}
	r, err := s.describe(running)
	if err != nil {
		return fmt.Errorf("ota: confirm slot %s: %w", running, err)
	}
	return s.change(func(st *state) {
		if st.bad(r.SHA256) != "" {
			return // the owner has given it up meanwhile
		}
		if st.Proven != r.SHA256 {
			from := st.Last.From
			if st.Last.Kind != Installed || st.Last.To != r.Version {
				from = ""
			}
			st.Last = Event{Kind: Confirmed, From: from, To: r.Version}
		}
		st.Proven, st.Floor = r.SHA256, max(st.Floor, r.Counter)
		st.setStarts(starts{SHA256: r.SHA256})
	})
}

// Proven tells whether the release in a slot has proved itself. The factory
// binary needs not.
func (s *Store) Proven(slot Slot) bool {
	st, _ := s.load()
	return s.proven(st, slot)
}

func (s *Store) proven(st state, slot Slot) bool {
	if !slot.inStore() {
		return true
	}
	r, err := s.describe(slot)
	return err == nil && st.Proven == r.SHA256
}

// Forgive takes back the start that was counted last: the release in the slot
// was told to end while it was healthy, which says nothing against it.
func (s *Store) Forgive(running Slot) error {
	if !running.inStore() {
		return nil
	}
	r, err := s.describe(running)
	if err != nil {
		return err
	}
	return s.change(func(st *state) {
		x := st.starts(r.SHA256)
		x.Count--
		st.setStarts(x)
	})
}

// Trouble notes what is wrong with the release in a slot, which is running: it
// is the reason if that is given up. A release that has been healthy has none.
func (s *Store) Trouble(running Slot, why string) error {
	if !running.inStore() {
		return nil
	}
	r, err := s.describe(running)
	if err != nil {
		return err
	}
	return s.change(func(st *state) { st.trouble(r.SHA256, why) })
}

// SendBack gives up the release that the link names, for the owner, and
// returns what the next start takes instead: the other slot if it is fit, else
// the factory binary. The release is not installed again by itself.
func (s *Store) SendBack() (Event, error) {
	unlock, err := s.disk.Lock(installLock, 0)
	if err != nil {
		return Event{}, fmt.Errorf("ota: %w", err)
	}
	defer unlock()
	current := s.Current()
	if current == Factory {
		return Event{}, fmt.Errorf("ota: %w: the factory version is the one that is started", ErrNoOlder)
	}
	var e Event
	err = s.locked(func(st *state) error {
		from, err := s.describe(current)
		if err == nil {
			st.setBad(from, "was sent back by the owner", false)
		}
		l := launch{store: s, unfit: map[Slot]string{current: "sent back"}}
		c := l.choose(st, current)
		if l.doubtful {
			return errors.New("ota: the disk cannot be read: " + c.Why)
		}
		e = Event{Kind: SentBack, From: from.Version, To: c.Release.Version}
		st.Last = e
		if err := s.save(*st); err != nil {
			return err
		}
		return s.point(c.Slot)
	})
	return e, err
}
