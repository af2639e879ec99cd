// Package enrolment decides which devices become members of the fleet: those
// that know a one-time code which the owner had issued, and those whose code on
// the screen the owner types in. It remembers who has which certificate, so that
// it can be taken back.
//
// The proofs of both sides are those of package enrol, certificates those of
// package authority. What is kept is kept in a file: codes, and members with the
// serial numbers of their certificates; requests that wait for the owner are in
// memory, for the device asks again.
//
// Proof: enrolment_test.go (the device's side of package enrol against this one
// over TLS: both kinds of codes, lost answers, wrong and used codes, floods,
// revocation, renewal, restarts) and FuzzEnrol.
package enrolment

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/receiver/fleet/enrol"
)

// Options make an Enrolment.
type Options struct {
	Authority *authority.Authority
	File      string
	Pool      string
	Broker    string // that devices are told, mqtts://HOST:PORT
	Log       *slog.Logger
	Now       func() time.Time
	// Revoked is called for a device whose certificates were taken back.
	Revoked func(device string)
}

// Enrolment is safe for concurrent use.
type Enrolment struct {
	o     Options
	db    *bbolt.DB
	rate  rate
	proof chan struct{} // a turn to compute a proof, which is expensive on purpose

	mu      sync.Mutex
	pending map[[32]byte]*pending // by the hash of the request's key
	replies map[[32]byte]reply    // by the hash of the whole request
}

// pending is a request that waits for the owner.
type pending struct {
	enrol.Request
	key   [32]byte
	seen  time.Time
	tries int
}

type reply struct {
	enrol.Reply
	at time.Time
}

// Limits.
const (
	maxPending    = 256
	maxNamesakes  = 4 // requests under one name, of which one may be real
	maxTries      = 5 // codes that the owner may try on one request
	maxGuesses    = 10
	maxCodes      = 1000
	pendingLife   = 2 * time.Minute // since the device asked last
	replyLife     = 10 * time.Minute
	maxReplies    = 256
	codeLife      = 30 * 24 * time.Hour
	maxMemberKeys = 8
)

var (
	codesBucket   = []byte("codes")
	membersBucket = []byte("members")
)

// Answers that are no success.
var (
	ErrWait    = errors.New("enrolment: waits for the owner")
	ErrRefused = errors.New("enrolment: refused")
	ErrBusy    = errors.New("enrolment: too many requests")
)

// Open reads what is kept.
func Open(o Options) (*Enrolment, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	db, err := bbolt.Open(o.File, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, fmt.Errorf("enrolment: open %s: %w", o.File, err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{codesBucket, membersBucket} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("enrolment: open %s: %w", o.File, errors.Join(err, db.Close()))
	}
	return &Enrolment{o: o, db: db, proof: make(chan struct{}, 2), pending: map[[32]byte]*pending{}, replies: map[[32]byte]reply{}}, nil
}

// Close closes the file.
func (e *Enrolment) Close() error { return e.db.Close() }

// Code is one that was issued and not used.
type Code struct {
	Code    string    `json:"code"`
	Note    string    `json:"note,omitempty"` // for the owner
	Expires time.Time `json:"expires"`
	Guesses int       `json:"guesses,omitempty"` // wrong proofs
}

// Issue makes a code for a settings file.
func (e *Enrolment) Issue(note string) (Code, error) {
	if len(note) > 200 {
		return Code{}, fmt.Errorf("%w: a note of %d bytes", enrol.ErrMalformed, len(note))
	}
	var out Code
	err := e.db.Update(func(tx *bbolt.Tx) error {
		codes := tx.Bucket(codesBucket)
		if err := e.sweep(codes); err != nil {
			return err
		}
		if codes.Stats().KeyN >= maxCodes {
			return fmt.Errorf("%w: %d codes wait to be used", ErrBusy, maxCodes)
		}
		for {
			code, err := enrol.Issue(rand.Reader)
			if err != nil {
				return err
			}
			if codes.Get([]byte(code.Name)) != nil {
				continue // the name is taken
			}
			out = Code{Code: code.String(), Note: note, Expires: e.o.Now().Add(codeLife)}
			return put(codes, code.Name, out)
		}
	})
	if err != nil {
		return Code{}, fmt.Errorf("enrolment: issue a code: %w", err)
	}
	return out, nil
}

// sweep removes codes whose time is over.
func (e *Enrolment) sweep(codes *bbolt.Bucket) error {
	var over [][]byte
	err := codes.ForEach(func(k, v []byte) error {
		var c Code
		if json.Unmarshal(v, &c) != nil || e.o.Now().After(c.Expires) {
			over = append(over, append([]byte{}, k...))
		}
		return nil
	})
	for _, k := range over {
		err = errors.Join(err, codes.Delete(k))
	}
	return err
}

// Codes lists the codes that can be used.
func (e *Enrolment) Codes() (all []Code, err error) {
	err = e.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(codesBucket).ForEach(func(_, v []byte) error {
			var c Code
			if json.Unmarshal(v, &c) == nil && e.o.Now().Before(c.Expires) {
				all = append(all, c)
			}
			return nil
		})
	})
	return all, err
}

func put(b *bbolt.Bucket, key string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return b.Put([]byte(key), text)
}

// Enrol takes a request. Errors wrap enrol.ErrMalformed, ErrWait, ErrRefused or
// ErrBusy.
func (e *Enrolment) Enrol(body []byte) (enrol.Reply, error) {
	r, _, err := enrol.ParseRequest(body)
	if err != nil {
		return enrol.Reply{}, err
	}
	whole := sha256.Sum256(body)
	e.mu.Lock()
	done, again := e.replies[whole]
	e.mu.Unlock()
	if again {
		return done.Reply, nil // the answer was lost
	}
	if r.Pool != e.o.Pool {
		return enrol.Reply{}, fmt.Errorf("%w: this is not the pool %q", ErrRefused, r.Pool)
	}
	if m, ok := e.member(r.Device); ok && m.valid(e.o.Now()) {
		e.o.Log.Warn("enrolment: refused: a device of this name is a member; revoke it first if it was replaced", "device", r.Device)
		return enrol.Reply{}, fmt.Errorf("%w: a device of this name is a member already; its owner has to revoke it first", ErrRefused)
	}
	if r.Code == "" {
		return e.wait(r, whole)
	}
	return e.issued(r, whole)
}

// issued checks a request with an issued code.
func (e *Enrolment) issued(r enrol.Request, whole [32]byte) (enrol.Reply, error) {
	no := func(why string) (enrol.Reply, error) {
		e.o.Log.Warn("enrolment: refused: "+why, "device", r.Device, "code", r.Code)
		return enrol.Reply{}, fmt.Errorf("%w: the code is unknown, used, or wrong", ErrRefused)
	}
	var kept Code
	err := e.db.View(func(tx *bbolt.Tx) error {
		text := tx.Bucket(codesBucket).Get([]byte(r.Code))
		if text == nil {
			return ErrRefused
		}
		return json.Unmarshal(text, &kept)
	})
	if err != nil || e.o.Now().After(kept.Expires) {
		return no("no such code")
	}
	code, err := enrol.ParseCode(kept.Code)
	if err != nil {
		return no("a code that was kept makes no sense")
	}
	seal, err := e.seal(code, r)
	if err != nil {
		return enrol.Reply{}, err
	}
	if seal.CheckRequest(r) != nil {
		// Whoever guesses must not have the time to succeed.
		err := e.db.Update(func(tx *bbolt.Tx) error {
			codes := tx.Bucket(codesBucket)
			kept.Guesses++
			if kept.Guesses >= maxGuesses {
				return codes.Delete([]byte(code.Name))
			}
			return put(codes, code.Name, kept)
		})
		if err != nil {
			return enrol.Reply{}, fmt.Errorf("enrolment: %w", err)
		}
		return no("a wrong proof of a code")
	}
	return e.admit(r, seal, whole, code.Name)
}

// seal computes the keys of a code, two at a time in the whole service.
func (e *Enrolment) seal(c enrol.Code, r enrol.Request) (enrol.Seal, error) {
	select {
	case e.proof <- struct{}{}:
		defer func() { <-e.proof }()
	case <-time.After(5 * time.Second):
		return enrol.Seal{}, ErrBusy
	}
	seal, err := c.Seal(r, e.o.Authority.Certificate().Raw)
	if err != nil {
		return seal, fmt.Errorf("enrolment: %w", err)
	}
	return seal, nil
}

// admit signs, and remembers the member before anybody is told.
func (e *Enrolment) admit(r enrol.Request, seal enrol.Seal, whole [32]byte, code string) (enrol.Reply, error) {
	cert, err := e.o.Authority.SignDevice(r.Device, r.CSR)
	if err != nil {
		return enrol.Reply{}, err
	}
	err = e.db.Update(func(tx *bbolt.Tx) error {
		if code != "" {
			codes := tx.Bucket(codesBucket)
			if codes.Get([]byte(code)) == nil {
				return fmt.Errorf("%w: the code was used meanwhile", ErrRefused)
			}
			if err := codes.Delete([]byte(code)); err != nil {
				return err
			}
		}
		return e.remember(tx, r.Device, r.Name, cert)
	})
	if err != nil {
		return enrol.Reply{}, fmt.Errorf("enrolment: %w", err)
	}
	out := enrol.Reply{Certificate: cert.Raw, CA: e.o.Authority.Certificate().Raw, Broker: e.o.Broker}
	out.Proof = seal.Reply(out)
	e.mu.Lock()
	defer e.mu.Unlock()
	for k, old := range e.replies {
		if e.o.Now().Sub(old.at) > replyLife || len(e.replies) >= maxReplies {
			delete(e.replies, k)
		}
	}
	e.replies[whole] = reply{out, e.o.Now()}
	e.o.Log.Info("enrolment: a device is a member now", "device", r.Device, "name", r.Name, "until", cert.NotAfter.Format(time.DateOnly))
	return out, nil
}

// Renew signs another key for a member, whose present certificate the caller
// has checked.
func (e *Enrolment) Renew(device string, body []byte) (enrol.Reply, error) {
	var r enrol.Renewal
	if len(body) > enrol.MaxBody || json.Unmarshal(body, &r) != nil {
		return enrol.Reply{}, fmt.Errorf("%w: a renewal", enrol.ErrMalformed)
	}
	if _, err := enrol.ParseCSR(r.CSR, device); err != nil {
		return enrol.Reply{}, err
	}
	if _, ok := e.member(device); !ok {
		return enrol.Reply{}, fmt.Errorf("%w: %s is no member", ErrRefused, device)
	}
	cert, err := e.o.Authority.SignDevice(device, r.CSR)
	if err != nil {
		return enrol.Reply{}, err
	}
	err = e.db.Update(func(tx *bbolt.Tx) error { return e.remember(tx, device, "", cert) })
	if err != nil {
		return enrol.Reply{}, fmt.Errorf("enrolment: %w", err)
	}
	e.o.Log.Info("enrolment: renewed", "device", device, "until", cert.NotAfter.Format(time.DateOnly))
	return enrol.Reply{Certificate: cert.Raw, CA: e.o.Authority.Certificate().Raw, Broker: e.o.Broker}, nil
}

func keyOf(csr *x509.CertificateRequest) [32]byte { return sha256.Sum256(csr.RawSubjectPublicKeyInfo) }
