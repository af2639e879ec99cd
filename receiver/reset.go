package receiver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"aerie/receiver/light"
)

// What the owner of the receiver may do, who stands before it or knows the PIN
// on its screen: by its button, on its page.

// Light is what the light on the case says. Who knows of a state sets it there.
func (r *Receiver) Light() *light.Light { return &r.panel.light }

// NextPIN puts another PIN in the place of the one on the screen, if there is
// one, and lets senders try again that had too many wrong guesses. A fleet that
// refused the receiver is asked again, likewise with a new code.
func (r *Receiver) NextPIN() {
	r.authority.NextPIN()
	r.enrolAgain()
}

// ForgetSenders ends the session and has every sender prove itself anew. An
// error means that those that were remembered will be back after a restart.
func (r *Receiver) ForgetSenders() error {
	r.server.Disconnect("its owner forgets all senders")
	return r.authority.ForgetSenders()
}

// dismiss ends the session, if there is one, and forgets its sender.
func (r *Receiver) dismiss() bool {
	s := r.current.Load()
	if s == nil {
		return false
	}
	r.server.Disconnect("its owner sends the sender away")
	store := r.identity.store
	id := s.opening.Sender.DeviceID
	if _, known := store.Find(id); !known {
		// Under HomeKit pairing senders go by another name. Who was here is who
		// was seen last; should that be wrong, somebody types a PIN once more.
		seen := store.Senders()
		if len(seen) == 0 {
			return true
		}
		id = seen[0].ID
	}
	if _, err := store.Forget(id); err != nil {
		r.log.Warn("a sender is forgotten until the next restart only", "error", err)
	}
	return true
}

// forgotten are what a factory reset removes from the state folder. Versions of
// the program stay, for they are no settings; and so does what others keep there.
var forgotten = []string{"identity*", "senders*", "settings", "fleet"}

// OnFactoryReset has a part forget what it keeps elsewhere.
func (r *Receiver) OnFactoryReset(forget func() error) {
	r.resetMu.Lock()
	defer r.resetMu.Unlock()
	r.resets = append(r.resets, forget)
}

// FactoryReset forgets everything that the receiver was told or has learnt, but
// for the settings file that its owner wrote, and restarts as a new one. What
// cannot be removed is told, after all else was.
func (r *Receiver) FactoryReset() error {
	r.log.Warn("everything is forgotten, as the owner wants")
	errs := []error{r.ForgetSenders()}
	if dir, err := StateDir(r.cfg); err == nil {
		errs = append(errs, forget(dir))
	}
	r.resetMu.Lock()
	resets := r.resets
	r.resetMu.Unlock()
	for _, f := range resets {
		errs = append(errs, f())
	}
	r.Restart("it has forgotten everything")
	return errors.Join(errs...)
}

// forget removes what a factory reset does from a state folder.
func forget(dir string) (err error) {
	for _, pattern := range forgotten {
		names, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are well formed
		for _, name := range names {
			if e := os.RemoveAll(name); e != nil {
				err = errors.Join(err, fmt.Errorf("forget: %w", e))
			}
		}
	}
	return err
}

// Restart has Run return, so that whoever started the program starts it anew.
func (r *Receiver) Restart(reason string) {
	r.log.Info("restarting", "because", reason)
	r.leave()
}
