package pairing

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/pairing/keystore"
)

var quiet = slog.New(slog.DiscardHandler)

// bench is an Authority on a simulated clock, with a screen that remembers
// what it shows.
type bench struct {
	*Authority
	store *keystore.Store
	time  clock.Time
	pin   string // on the screen, "" for none
	shown int    // PINs so far
}

func (b *bench) ShowPIN(pin string) {
	if b.pin != "" {
		panic("two PINs at once")
	}
	b.pin = pin
	b.shown++
}

func (b *bench) HidePIN() { b.pin = "" }

func (b *bench) pass(d time.Duration) { b.time = b.time.Add(d) }

func newBench(policy PINPolicy, access Access) *bench {
	b := &bench{store: keystore.Volatile(seed("server ed")), time: clock.Time(time.Hour)}
	b.Authority = New(Config{
		Store: b.store, PIN: policy, Access: access, Display: b, Log: quiet,
		Now:  func() clock.Time { return b.time },
		Wall: func() time.Time { return time.Unix(0, int64(b.time)) },
	})
	return b
}

// seed returns the key pair whose seed is the SHA-256 of a text, as the
// recorded exchanges have it (reference section 18.4).
func seed(text string) ed25519.PrivateKey {
	sum := sha256.Sum256([]byte(text))
	return ed25519.NewKeyFromSeed(sum[:])
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantError fails the test unless err is of that kind; nil is the kind of
// success.
func wantError(t testing.TB, what string, err, kind error) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: error %v, want %v", what, err, kind)
	}
}

// verify takes both halves through pair-verify.
func verify(i *Initiator, c *Conversation) error {
	first, err := i.Verify()
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	reply, err := c.Verify(first)
	if err != nil {
		return err
	}
	second, err := i.VerifyReply(reply)
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	_, err = c.Verify(second)
	return err
}

// enterPIN takes both halves through the PIN exchange.
func enterPIN(i *Initiator, c *Conversation, pin string) error {
	reply, err := c.SetupPIN(i.PIN())
	if err != nil {
		return err
	}
	request, err := i.PINProof(reply, pin)
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if reply, err = c.SetupPIN(request); err != nil {
		return err
	}
	if request, err = i.PINKeys(reply); err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if reply, err = c.SetupPIN(request); err != nil {
		return err
	}
	return i.PINDone(reply)
}

func TestStatus(t *testing.T) {
	for err, want := range map[error]int{
		ErrMalformed: 400, ErrPassword: 401, ErrForbidden: 403, ErrUnauthorized: 470, errors.New("disk full"): 500,
	} {
		if got := Status(fmt.Errorf("pairing: %w: detail", err)); got != want {
			t.Errorf("status of %v is %d, want %d", err, got, want)
		}
	}
}
