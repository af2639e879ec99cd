package pairing

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"aerie/receiver/clock"
)

// Limits on guessing passwords, over all connections together: a few mistakes
// are free, then each further one makes everybody wait.
const (
	nonceLife = 5 * time.Minute

	freePasswords     = 5           // wrong ones in a row before a wait
	firstPasswordWait = time.Second // each further one doubles it
	maxPasswordWait   = 30 * time.Second
)

// Password is the password that a receiver asks for, and the account of wrong
// guesses. Its methods may be called at any time from any goroutine.
type Password struct {
	password string
	now      func() clock.Time

	mu        sync.Mutex
	wrong     int // in a row
	notBefore clock.Time
}

// NewPassword returns a password, which should not be empty.
func NewPassword(password string, now func() clock.Time) *Password {
	return &Password{password: password, now: now}
}

// Digest returns the authentication of a new connection.
func (p *Password) Digest() *Digest { return &Digest{password: p} }

// Digest is the digest authentication of one connection (reference section
// 5.3). It is used by one goroutine at a time.
type Digest struct {
	password *Password
	nonce    string
	made     clock.Time // when the nonce was
	stale    bool       // the last credentials were right but for their age
	passed   bool
}

// Passed tells whether the sender proved on this connection that it knows the
// password.
func (d *Digest) Passed() bool { return d.passed }

// Challenge returns the value of the WWW-Authenticate header field for a
// reply with status 401. The nonce serves this connection only, for five
// minutes.
func (d *Digest) Challenge() string {
	if now := d.password.now(); d.nonce == "" || now >= d.made.Add(nonceLife) {
		nonce := make([]byte, 16)
		rand.Read(nonce) // never fails (crypto/rand)
		d.nonce, d.made = hex.EncodeToString(nonce), now
	}
	challenge := fmt.Sprintf("%s realm=%q, nonce=%q", digestScheme, digestRealm, d.nonce)
	if d.stale {
		challenge += ", stale=true"
	}
	return challenge
}

// Check checks the Authorization header field of a request with the given
// method, "" for a request without one. It fails with ErrPassword when the
// reply must be a challenge, with ErrMalformed, and with ErrForbidden while
// too many wrong passwords make everybody wait.
//
// Any user name will do: Apple's senders say "AirPlay" or "iTunes", and the
// name is no secret. The URI is taken as the sender states it, since senders
// write it differently in the request line; the nonce, which only this
// connection has, keeps credentials from being used elsewhere.
func (d *Digest) Check(method, authorization string) error {
	d.stale = false
	if _, ok := cutScheme(authorization); !ok {
		return fmt.Errorf("pairing: %w: no digest credentials", ErrPassword)
	}
	p, err := parseDigest(authorization)
	if err == nil {
		err = p.supported()
	}
	if err != nil {
		return err
	}
	got, err := hex.DecodeString(p["response"])
	if err != nil || len(got) != 16 {
		return fmt.Errorf("pairing: %w: digest response %.40q", ErrMalformed, p["response"])
	}
	if d.nonce == "" || subtle.ConstantTimeCompare([]byte(p["nonce"]), []byte(d.nonce)) != 1 {
		return fmt.Errorf("pairing: %w: not the nonce of this connection", ErrPassword)
	}
	want := p.response(p["username"], digestRealm, d.password.password, method)
	return d.judge(subtle.ConstantTimeCompare([]byte(hex.EncodeToString(got)), []byte(strings.ToLower(want))) == 1)
}

// judge accounts for credentials whose response is right or wrong.
func (d *Digest) judge(right bool) error {
	p := d.password
	now := p.now()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case now < p.notBefore:
		return fmt.Errorf("pairing: %w: no password is checked for another %v", ErrForbidden, p.notBefore.Sub(now))
	case !right:
		p.mistake(now)
		return fmt.Errorf("pairing: %w: wrong password", ErrPassword)
	case now >= d.made.Add(nonceLife):
		d.stale = true
		return fmt.Errorf("pairing: %w: the challenge is too old", ErrPassword)
	}
	p.wrong = 0
	d.passed = true
	return nil
}

// mistake counts a wrong guess.
func (p *Password) mistake(now clock.Time) {
	p.wrong++
	if n := p.wrong - freePasswords; n >= 0 {
		wait := maxPasswordWait
		if n < 8 { // beyond that the shift leaves the range
			wait = min(firstPasswordWait<<n, maxPasswordWait)
		}
		p.notBefore = now.Add(wait)
	}
}

// guess lets a sender of HomeKit pairing prove that it knows the password, on
// the same account as digests.
func (p *Password) guess(proves func() bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if now < p.notBefore {
		return fmt.Errorf("pairing: %w: %w: no password is checked for another %v", ErrForbidden, HomeKitBackoff, p.notBefore.Sub(now))
	}
	if !proves() {
		p.mistake(now)
		return fmt.Errorf("pairing: %w: %w: wrong password", ErrUnauthorized, HomeKitAuthentication)
	}
	p.wrong = 0
	return nil
}
