package pairing

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"aerie/receiver/pairing/keystore"
)

// guessWrong lets a new connection prove a PIN that it does not know.
func guessWrong(t *testing.T, b *bench) {
	t.Helper()
	c := b.Converse(quiet)
	defer c.Close()
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.SetupPIN(PINRequest{Method: "pin", User: "guesser"}); err != nil {
		t.Fatal(err)
	}
	_, err := c.SetupPIN(PINRequest{PK: []byte{2}, Proof: make([]byte, 20)})
	wantError(t, "guess", err, ErrUnauthorized)
}

// TestDrawPIN shows that PINs have four digits, that each digit occurs in
// each place about as often as it should, and that PINs do not repeat.
func TestDrawPIN(t *testing.T) {
	const n = 20_000
	var digits [4][10]int
	distinct := map[string]bool{}
	for range n {
		pin := drawPIN()
		if len(pin) != 4 {
			t.Fatalf("PIN %q", pin)
		}
		for place := range 4 {
			if d := pin[place] - '0'; d < 10 {
				digits[place][d]++
				continue
			}
			t.Fatalf("PIN %q", pin)
		}
		distinct[pin] = true
	}
	// Each count is binomial, 2000 with a deviation of 42; each PIN is missed
	// with a probability of 0.135.
	for place, counts := range digits {
		for d, count := range counts {
			if count < 2000-8*42 || count > 2000+8*42 {
				t.Errorf("digit %d stands in place %d %d times of %d", d, place, count, n)
			}
		}
	}
	if got := len(distinct); got < 8400 || got > 8900 {
		t.Errorf("%d distinct PINs of %d", got, n)
	}
}

// TestPINLife follows PINs on and off the screen.
func TestPINLife(t *testing.T) {
	b := newBench(PINOnce, Access{})
	one, two := b.Converse(quiet), b.Converse(quiet)
	start := func(c *Conversation) {
		t.Helper()
		if err := c.StartPIN(); err != nil {
			t.Fatal(err)
		}
	}
	start(one)
	first := b.pin
	b.pass(time.Minute)
	start(two)
	start(one)
	if b.shown != 1 || b.pin != first {
		t.Fatalf("%d PINs for two senders at once", b.shown)
	}

	one.Close()
	b.pass(30 * time.Second)
	if b.Tick(); b.pin == "" {
		t.Error("the PIN is gone although a sender waits for it")
	}
	two.Close()
	two.Close() // once more does no harm
	b.pass(pinGrace - 1)
	if b.Tick(); b.pin == "" {
		t.Error("the PIN is gone before its grace has passed")
	}
	b.pass(1)
	if b.Tick(); b.pin != "" || b.PINState().Shown {
		t.Error("the PIN stays although nobody waits for it")
	}

	three := b.Converse(quiet)
	start(three)
	b.pass(pinLife - 1)
	if b.Tick(); b.pin == "" {
		t.Error("the PIN is gone before its time")
	}
	pin := b.pin
	b.pass(1)
	err := enterPIN(NewInitiator(seed("a"), "a"), three, pin)
	wantError(t, "expired PIN, never taken off the screen by Tick", err, ErrUnauthorized)
	if b.pin != "" {
		t.Error("the expired PIN is still on the screen")
	}
}

// TestGraceEndsWithANewSender shows that a sender that comes while an
// abandoned PIN is still shown gets its whole life.
func TestGraceEndsWithANewSender(t *testing.T) {
	b := newBench(PINOnce, Access{})
	one, two := b.Converse(quiet), b.Converse(quiet)
	if err := one.StartPIN(); err != nil {
		t.Fatal(err)
	}
	one.Close()
	b.pass(pinGrace / 2)
	if err := two.StartPIN(); err != nil {
		t.Fatal(err)
	}
	b.pass(pinLife - pinGrace)
	if err := enterPIN(NewInitiator(seed("a"), "a"), two, b.pin); err != nil || b.shown != 1 {
		t.Errorf("%d PINs shown, error %v", b.shown, err)
	}
}

// TestPINServesOnce shows that a PIN that was entered is gone, also for a
// sender that is in the middle of its exchange.
func TestPINServesOnce(t *testing.T) {
	b := newBench(PINOnce, Access{})
	one, two := b.Converse(quiet), b.Converse(quiet)
	for _, c := range []*Conversation{one, two} {
		if err := c.StartPIN(); err != nil {
			t.Fatal(err)
		}
	}
	late := NewInitiator(seed("late"), "late")
	hello, err := two.SetupPIN(late.PIN())
	if err != nil {
		t.Fatal(err)
	}
	pin := b.pin
	if err := enterPIN(NewInitiator(seed("first"), "first"), one, pin); err != nil {
		t.Fatal(err)
	}
	if b.pin != "" {
		t.Error("the PIN is still on the screen")
	}
	proof, err := late.PINProof(hello, pin)
	if err != nil {
		t.Fatal(err)
	}
	_, err = two.SetupPIN(proof)
	wantError(t, "PIN of another sender", err, ErrUnauthorized)
	if b.PINState().Guesses != 0 {
		t.Error("counted as a guess")
	}
	// The next PIN is not the one that this exchange began with.
	if err := two.StartPIN(); err != nil {
		t.Fatal(err)
	}
	_, err = two.SetupPIN(proof)
	wantError(t, "proof of the old PIN", err, ErrMalformed)
	if err := enterPIN(late, two, b.pin); err != nil {
		t.Error(err)
	}
}

// TestGuesses follows an intruder who guesses on a new connection each time:
// three guesses a PIN, three PINs at once, then waits of 30 seconds to an
// hour, and the end after a hundred.
func TestGuesses(t *testing.T) {
	b := newBench(PINOnce, Access{})
	began := b.time
	wait := firstWait
	for guess := range guessLimit {
		if pins := guess / pinGuesses; guess%pinGuesses == 0 && pins >= freePINs {
			wantError(t, "PIN too early", b.Converse(quiet).StartPIN(), ErrForbidden)
			if got := b.PINState().Wait; got != wait {
				t.Fatalf("after %d PINs a wait of %v, want %v", pins, got, wait)
			}
			b.pass(wait - 1)
			wantError(t, "PIN a moment too early", b.Converse(quiet).StartPIN(), ErrForbidden)
			b.pass(1)
			wait = min(2*wait, longestWait)
		}
		guessWrong(t, b)
		if want := guess/pinGuesses + 1; b.shown != want {
			t.Fatalf("%d PINs shown after %d guesses, want %d", b.shown, guess+1, want)
		}
	}
	t.Logf("%d guesses took %v", guessLimit, b.time.Sub(began))
	if state := b.PINState(); !state.Locked || state.Guesses != guessLimit || b.pin != "" {
		t.Errorf("state %+v after all guesses", state)
	}
	b.pass(1000 * time.Hour)
	wantError(t, "PIN after all guesses", b.Converse(quiet).StartPIN(), ErrForbidden)

	b.UnlockPIN()
	c := b.Converse(quiet)
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	if err := enterPIN(NewInitiator(seed("owner"), "owner"), c, b.pin); err != nil {
		t.Error(err)
	}
}

// TestIgnoredPINs shows that PINs that nobody enters make the next one wait
// as well: the screen is not a toy.
func TestIgnoredPINs(t *testing.T) {
	b := newBench(PINOnce, Access{})
	for range freePINs {
		c := b.Converse(quiet)
		if err := c.StartPIN(); err != nil {
			t.Fatal(err)
		}
		b.pass(pinLife)
		c.Close()
	}
	// The wait counts from the end of the last PIN, not from when it is noticed.
	b.pass(firstWait / 2)
	wantError(t, "fourth PIN", b.Converse(quiet).StartPIN(), ErrForbidden)
	if got := b.PINState(); got.Wait != firstWait/2 || got.Guesses != 0 {
		t.Errorf("state %+v", got)
	}
}

// TestRightPINClearsTheAccount shows that people who mistype do not suffer
// for it later.
func TestRightPINClearsTheAccount(t *testing.T) {
	b := newBench(PINOnce, Access{})
	for range 2 {
		for range freePINs*pinGuesses - 1 {
			guessWrong(t, b)
		}
		c := b.Converse(quiet)
		if err := c.StartPIN(); err != nil {
			t.Fatal(err)
		}
		if err := enterPIN(NewInitiator(seed("owner"), "owner"), c, b.pin); err != nil {
			t.Fatal(err)
		}
	}
	if state := b.PINState(); state != (PINState{}) {
		t.Errorf("state %+v", state)
	}
}

// TestGuessesAtOnce lets connections prove PINs at the same moment: no more
// guesses are looked at than a PIN allows.
func TestGuessesAtOnce(t *testing.T) {
	b := newBench(PINOnce, Access{})
	number, err := b.pins.ask(0)
	if err != nil {
		t.Fatal(err)
	}
	var looked atomic.Int32
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			b.pins.join(0)
			_ = b.pins.guess(number, func() bool { looked.Add(1); return false })
		})
	}
	all.Wait()
	if n := looked.Load(); n != pinGuesses || b.pin != "" {
		t.Errorf("%d guesses were looked at, want %d", n, pinGuesses)
	}
}

// TestNextPIN has the owner ask for another PIN: the old one is worth nothing,
// the new one has its full time, and where none is shown none appears.
func TestNextPIN(t *testing.T) {
	b := newBench(PINOnce, Access{})
	if b.NextPIN(); b.pin != "" || b.shown != 0 {
		t.Fatalf("nobody asked, and PIN %q is shown", b.pin)
	}
	c := b.Converse(quiet)
	defer c.Close()
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	old := b.pin
	b.pass(pinLife - time.Second)
	for range 3 {
		before := b.pin
		if b.NextPIN(); b.pin == before || len(b.pin) != 4 {
			t.Fatalf("after %q %q is shown", before, b.pin)
		}
	}
	b.pass(pinLife - time.Second)
	if b.Tick(); b.pin == "" || b.pin == old {
		t.Errorf("PIN %q, after %q", b.pin, old)
	}
	b.pass(time.Second)
	if b.Tick(); b.pin != "" {
		t.Error("the new PIN has no end")
	}
	for range 5 {
		guessWrong(t, b)
		b.NextPIN()
	}
	if st := b.PINState(); st.Guesses != 0 || st.Wait != 0 {
		t.Errorf("state %+v: wrong guesses are not forgiven", st)
	}
}

// TestForgetSenders forgets those that are remembered.
func TestForgetSenders(t *testing.T) {
	b := newBench(PINOnce, Access{})
	b.paired(keystore.Key{1}, "phone")
	b.issue(keystore.Key{2})
	if !b.admits(keystore.Key{1}) {
		t.Fatal("a sender that entered the PIN is not admitted")
	}
	if err := b.ForgetSenders(); err != nil {
		t.Fatal(err)
	}
	if b.admits(keystore.Key{1}) || len(b.tickets) != 0 || len(b.store.Senders()) != 0 {
		t.Error("a sender is remembered")
	}
}
