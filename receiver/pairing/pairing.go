// Package pairing decides who may use the receiver: legacy pair-setup and
// pair-verify, the PIN on the screen, the password, HomeKit pairing, and lists
// of device IDs (reference sections 5.1 to 5.5).
//
// An Authority holds what all connections share: the receiver's identity, the
// senders it remembers, the PIN that is on the screen, the limits on guesses.
// Each control connection has a Conversation with it, and where a password is
// set a Digest. An Initiator, a HomeKitInitiator and Credentials are the sender's
// halves of the same exchanges.
//
// Messages come and go as bytes or as plain structs: requests, replies and
// property lists are the business of others, and so is what is done with the
// secret that pairing leaves, from which a Secret makes the keys. Long-term keys
// and remembered senders are kept by package keystore, the arithmetic of the
// PIN is that of package srp, the encoding of HomeKit that of package tlv8.
//
// Proof: verify_test.go and pinexchange_test.go compare messages with recorded
// ones and go through what must be refused; policy_test.go pairs both halves
// under every policy; pin_test.go counts guesses on a simulated clock;
// digest_test.go covers the password; homekit_test.go has HomeKit's recorded
// exchange, both halves under every policy, and what must be refused.
// FuzzVerify, FuzzSetupPIN, FuzzCheck, FuzzAuthorization, FuzzInitiator,
// FuzzHomeKit and FuzzHomeKitInitiator feed hostile bytes.
package pairing

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/pairing/keystore"
)

// What an error of this package means for the request that caused it.
var (
	// ErrMalformed: the request makes no sense.
	ErrMalformed = errors.New("malformed request")
	// ErrUnauthorized: a wrong PIN, or a sender that must enter one first.
	ErrUnauthorized = errors.New("not authorized")
	// ErrForbidden: refused whatever the sender proves.
	ErrForbidden = errors.New("forbidden")
	// ErrPassword: the password is missing or wrong; the reply carries the
	// challenge of the connection's Digest.
	ErrPassword = errors.New("password required")
)

// Status returns the RTSP status that tells a sender of an error of this
// package (reference section 3), 500 for any other.
func Status(err error) int {
	switch {
	case errors.Is(err, ErrMalformed):
		return 400
	case errors.Is(err, ErrPassword):
		return 401
	case errors.Is(err, ErrForbidden):
		return 403
	case errors.Is(err, ErrUnauthorized):
		return 470
	}
	return 500
}

// ticketLife is how long a good PIN serves under PINAlways for a sender that
// goes on to pair-verify on another connection.
const ticketLife = time.Minute

// Config is what an Authority needs. Without PIN nobody is asked for one,
// without Access nobody is kept out; everything else must be set.
type Config struct {
	Store *keystore.Store
	// Identifier names the receiver in HomeKit pairing: "pi" of the TXT
	// records.
	Identifier string
	Password   *Password // that HomeKit pairing asks for where no PIN is; nil for none
	PIN        PINPolicy
	Access     Access
	Display    PINDisplay        // may be nil with PINOff
	Now        func() clock.Time // for lives and waits
	Wall       func() time.Time  // for the times at which senders were seen
	Log        *slog.Logger
}

// Authority is what all connections of a receiver share. Its methods may be
// called at any time from any goroutine.
type Authority struct {
	config Config
	pins   pins

	mu      sync.Mutex
	tickets map[keystore.Key]clock.Time // when they end; PINAlways only
	guests  map[string]guest            // by identifier

	// arithmetic is held for that of SRP with its long numbers: strangers keep
	// one core busy and not all.
	arithmetic sync.Mutex

	newX25519 func() (*ecdh.PrivateKey, error) // replaced by tests that replay recorded exchanges
}

// New returns an Authority with no PIN on the screen.
func New(c Config) *Authority {
	return &Authority{
		config:    c,
		pins:      pins{display: c.Display, now: c.Now, log: c.Log},
		tickets:   map[keystore.Key]clock.Time{},
		guests:    map[string]guest{},
		newX25519: drawX25519,
	}
}

func drawX25519() (*ecdh.PrivateKey, error) { return ecdh.X25519().GenerateKey(rand.Reader) }

// Converse begins the conversation of a new control connection. What happens
// in it goes to log.
func (a *Authority) Converse(log *slog.Logger) *Conversation {
	return &Conversation{authority: a, log: log}
}

// Tick takes an expired PIN off the screen and lets the store write what it
// noted. It is to be called about once a second. A PIN is not accepted longer
// for being shown longer.
func (a *Authority) Tick() {
	a.pins.expire()
	if err := a.config.Store.Flush(a.config.Wall()); err != nil {
		a.config.Log.Warn("pairing: visits are not kept", "error", err)
	}
}

// PINState tells what the next sender that asks for a PIN will meet.
func (a *Authority) PINState() PINState { return a.pins.state() }

// UnlockPIN forgets all wrong guesses, on behalf of the receiver's owner.
func (a *Authority) UnlockPIN() { a.pins.unlock() }

// NextPIN puts another PIN in the place of the one on the screen, if there is
// one, and forgets all wrong guesses, on behalf of the receiver's owner.
func (a *Authority) NextPIN() { a.pins.renew() }

// ForgetSenders has every sender prove itself anew. An error means that those
// that were remembered will be back after a restart.
func (a *Authority) ForgetSenders() error {
	a.mu.Lock()
	clear(a.tickets)
	clear(a.guests)
	a.mu.Unlock()
	return a.config.Store.ForgetAll()
}

// PublicKey returns the public half of the receiver's identity.
func (a *Authority) PublicKey() ed25519.PublicKey {
	return a.config.Store.Identity().Public().(ed25519.PublicKey)
}

// admits tells whether a sender with that key may go on to pair-verify
// without entering a PIN now.
func (a *Authority) admits(key keystore.Key) bool {
	switch a.config.PIN {
	case PINOff:
		return true
	case PINOnce:
		_, known := a.config.Store.Lookup(key)
		return known
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	end, ok := a.tickets[key]
	return ok && a.config.Now() < end
}

// paired notes that a sender entered the right PIN.
func (a *Authority) paired(key keystore.Key, user string) {
	if a.config.PIN == PINOnce {
		if err := a.config.Store.Remember(key, user, "", a.config.Wall()); err != nil {
			a.config.Log.Error("pairing: a sender will have to enter a PIN again after a restart", "sender", user, "error", err)
		}
		return
	}
	a.issue(key)
}

// issue gives a sender a ticket for one pair-verify.
func (a *Authority) issue(key keystore.Key) {
	now := a.config.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for k, end := range a.tickets {
		if now >= end {
			delete(a.tickets, k)
		}
	}
	a.tickets[key] = now.Add(ticketLife)
}

// verified notes that a sender completed pair-verify: its ticket is used up.
func (a *Authority) verified(key keystore.Key) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.tickets, key)
}
