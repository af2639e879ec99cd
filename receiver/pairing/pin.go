package pairing

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"aerie/receiver/clock"
)

// Limits on guessing. A PIN is one of 10,000, so that a hundred wrong guesses
// in a row give an intruder a chance of one in a hundred, once. Up to that
// point waits keep the screen quiet, and a person who mistypes hardly notices
// them. All limits hold over all connections together.
const (
	pinLife    = 2 * time.Minute  // how long a PIN is accepted
	pinGrace   = 10 * time.Second // how long after the last sender that asked for it is gone
	pinGuesses = 3                // wrong proofs that end a PIN

	freePINs    = 3                // PINs in a row that may end without a success before a wait
	firstWait   = 30 * time.Second // before the next PIN; each further one doubles it
	longestWait = time.Hour

	guessLimit = 100 // wrong proofs in a row after which only UnlockPIN or a restart helps
)

// PINDisplay shows a PIN of four digits to the people in front of the
// receiver, and takes it away. One PIN is shown at a time. The methods must
// return soon and must not call the Authority.
type PINDisplay interface {
	ShowPIN(pin string)
	HidePIN()
}

// PINState tells what a sender that asks for a PIN will meet.
type PINState struct {
	Shown   bool          // a PIN is on the screen
	Wait    time.Duration // until a new PIN may be shown
	Locked  bool          // no PIN is shown until UnlockPIN
	Guesses int           // wrong guesses since the last right one
}

// pins holds the PIN on the screen and the account of guesses.
type pins struct {
	display PINDisplay
	now     func() clock.Time
	log     *slog.Logger

	mu      sync.Mutex
	pin     string     // "": none is shown
	number  uint64     // of the PIN shown last, from 1
	shown   clock.Time // when that was
	holders int        // connections that asked for it
	left    clock.Time // when the last of them went, where holders is 0
	wrong   int        // wrong proofs for it

	fruitless int        // PINs in a row that ended without a success
	notBefore clock.Time // for the next PIN
	guesses   int        // wrong proofs in a row, over all PINs
}

// drawPIN returns four random digits, each PIN as likely as any other.
func drawPIN() string {
	n, err := rand.Int(rand.Reader, big.NewInt(10_000))
	if err != nil {
		panic(err) // never (crypto/rand)
	}
	return fmt.Sprintf("%04d", n)
}

// ask shows a PIN, or joins those who asked for the one that is shown, and
// returns its number. held is the number that the caller got before, 0 for
// none.
func (p *pins) ask(held uint64) (uint64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.expireAt(now)
	switch {
	case p.pin != "":
		return p.hold(held), nil
	case p.guesses >= guessLimit:
		return 0, fmt.Errorf("pairing: %w: %d wrong PINs in a row", ErrForbidden, p.guesses)
	case now < p.notBefore:
		return 0, fmt.Errorf("pairing: %w: no PIN for another %v", ErrForbidden, p.notBefore.Sub(now).Round(time.Second))
	}
	p.pin, p.shown, p.holders, p.wrong = drawPIN(), now, 1, 0
	p.number++
	p.display.ShowPIN(p.pin)
	return p.number, nil
}

// join returns the PIN that is shown and its number; ok tells whether there
// is one. Whoever sees it may use it, on whichever connection it was asked
// for.
func (p *pins) join(held uint64) (pin string, number uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.expireAt(p.now()); p.pin == "" {
		return "", held, false
	}
	return p.pin, p.hold(held), true
}

// hold counts a connection among those that want the PIN that is shown,
// unless it is one of them.
func (p *pins) hold(held uint64) uint64 {
	if held != p.number {
		p.holders++
	}
	return p.number
}

// leave notes that a connection that asked for a PIN is gone.
func (p *pins) leave(held uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pin == "" || held != p.number {
		return
	}
	if p.holders--; p.holders == 0 {
		p.left = p.now()
	}
}

// guess lets a sender prove that it knows the PIN of that number, and ends
// the PIN when it does. The account is closed while the proof is checked, so
// that guesses on many connections at once count one by one.
func (p *pins) guess(held uint64, proves func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.expireAt(now)
	if p.pin == "" || held != p.number {
		return fmt.Errorf("pairing: %w: the PIN is no longer shown", ErrUnauthorized)
	}
	if proves() {
		p.fruitless, p.guesses = 0, 0
		p.take()
		return nil
	}
	p.wrong++
	p.guesses++
	if p.wrong >= pinGuesses || p.guesses >= guessLimit {
		p.fail(now)
	}
	if p.guesses == guessLimit {
		p.log.Error("pairing: no more PINs until the receiver's owner allows them again", "wrong guesses", p.guesses)
	}
	return fmt.Errorf("pairing: %w: wrong PIN", ErrUnauthorized)
}

// expire takes the PIN off the screen when its time has come.
func (p *pins) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expireAt(p.now())
}

func (p *pins) expireAt(now clock.Time) {
	end := p.shown.Add(pinLife)
	if p.holders == 0 {
		end = min(end, p.left.Add(pinGrace))
	}
	if p.pin != "" && now >= end {
		p.fail(end)
	}
}

// fail ends a PIN without a success, and puts off the next one.
func (p *pins) fail(at clock.Time) {
	p.take()
	p.fruitless++
	if n := p.fruitless - freePINs; n >= 0 {
		wait := longestWait
		if n < 16 { // beyond that the shift leaves the range
			wait = min(firstWait<<n, longestWait)
		}
		p.notBefore = at.Add(wait)
		p.log.Warn("pairing: the next PIN must wait", "wait", wait, "PINs without success", p.fruitless)
	}
}

// take takes the PIN off the screen.
func (p *pins) take() {
	p.pin = ""
	p.display.HidePIN()
}

func (p *pins) unlock() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fruitless, p.guesses, p.notBefore = 0, 0, 0
}

// renew forgives wrong guesses and puts another PIN in the place of the one that
// is shown, on behalf of the receiver's owner. Nobody is asked for one because of
// it. Who was counted as waiting for the old one waits for the new one; as it is
// not known how many there are, its time ends it.
func (p *pins) renew() {
	p.unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.expireAt(now); p.pin == "" {
		return
	}
	old := p.pin
	p.take()
	for p.pin = old; p.pin == old; {
		p.pin = drawPIN()
	}
	p.shown, p.holders, p.wrong = now, 1, 0
	p.number++
	p.display.ShowPIN(p.pin)
}

func (p *pins) state() PINState {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.expireAt(now)
	return PINState{
		Shown:   p.pin != "",
		Wait:    max(p.notBefore.Sub(now), 0),
		Locked:  p.guesses >= guessLimit,
		Guesses: p.guesses,
	}
}
