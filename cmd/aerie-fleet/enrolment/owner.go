package enrolment

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/receiver/fleet/enrol"
)

// wait keeps a request whose code is on the device's screen.
func (e *Enrolment) wait(r enrol.Request, whole [32]byte) (enrol.Reply, error) {
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return enrol.Reply{}, fmt.Errorf("%w: %v", enrol.ErrMalformed, err)
	}
	key := keyOf(csr)
	e.mu.Lock()
	defer e.mu.Unlock()
	now, namesakes := e.o.Now(), 0
	for k, p := range e.pending {
		if now.Sub(p.seen) > pendingLife {
			delete(e.pending, k)
		} else if p.Device == r.Device && k != key {
			namesakes++
		}
	}
	p := e.pending[key]
	if p == nil {
		if len(e.pending) >= maxPending || namesakes >= maxNamesakes {
			return enrol.Reply{}, ErrBusy
		}
		p = &pending{key: key}
		e.pending[key] = p
		e.o.Log.Info("enrolment: a device waits for the code on its screen to be typed in", "device", r.Device, "name", r.Name)
	}
	if p.Device != r.Device || string(p.Proof) != string(r.Proof) {
		p.tries = 0 // it shows another code now
	}
	p.Request, p.seen = r, now
	return enrol.Reply{}, ErrWait
}

// Waiting is a device that waits for the owner.
type Waiting struct {
	Device string    `json:"device"`
	Name   string    `json:"name"`
	Seen   time.Time `json:"seen"`
}

// Waiting lists the devices that wait, each once.
func (e *Enrolment) Waiting() (all []Waiting) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.pending {
		if e.o.Now().Sub(p.seen) <= pendingLife {
			all = append(all, Waiting{p.Device, p.Name, p.seen})
		}
	}
	slices.SortFunc(all, func(a, b Waiting) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), b.Seen.Compare(a.Seen))
	})
	return slices.CompactFunc(all, func(a, b Waiting) bool { return a.Device == b.Device })
}

// ErrCode is returned for a code that does not belong to a device which waits.
var ErrCode = errors.New("enrolment: no device of this name that waits now shows this code")

// Admit takes the code that the owner has read from a device's screen. Of
// several requests under that name, the one that knows the code is the device's.
func (e *Enrolment) Admit(device, text string) error {
	code, err := enrol.ParseCode(text)
	if err != nil {
		return err
	}
	if code.Name != "" {
		return fmt.Errorf("%w: this is a code for a settings file", enrol.ErrMalformed)
	}
	var candidates []enrol.Request
	e.mu.Lock()
	for _, p := range e.pending {
		if p.Device == device && p.tries < maxTries {
			p.tries++
			candidates = append(candidates, p.Request)
		}
	}
	e.mu.Unlock()
	for _, r := range candidates {
		seal, err := e.seal(code, r)
		if err != nil {
			return err
		}
		if seal.CheckRequest(r) != nil {
			continue
		}
		body, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("enrolment: %w", err)
		}
		if _, err := e.admit(r, seal, sha256.Sum256(body), ""); err != nil {
			return err
		}
		e.mu.Lock()
		for k, p := range e.pending {
			if p.Device == device {
				delete(e.pending, k)
			}
		}
		e.mu.Unlock()
		return nil
	}
	return ErrCode
}

// Member is a device that has a certificate.
type Member struct {
	Device  string    `json:"device"`
	Name    string    `json:"name"` // at its enrolment
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until"`   // when its newest certificate ends
	Serials []string  `json:"serials"` // of certificates that may be in use
	Revoked bool      `json:"revoked,omitempty"`
}

func (m *Member) valid(now time.Time) bool { return !m.Revoked && now.Before(m.Until) }

func (e *Enrolment) member(device string) (m Member, ok bool) {
	err := e.db.View(func(tx *bbolt.Tx) error {
		text := tx.Bucket(membersBucket).Get([]byte(device))
		if text == nil {
			return ErrRefused
		}
		return json.Unmarshal(text, &m)
	})
	return m, err == nil
}

// remember notes a new certificate of a device.
func (e *Enrolment) remember(tx *bbolt.Tx, device, name string, c *x509.Certificate) error {
	members := tx.Bucket(membersBucket)
	var m Member
	if text := members.Get([]byte(device)); text != nil {
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
	}
	if name == "" {
		name = m.Name
	}
	if m.Device == "" || m.Revoked {
		m = Member{Device: device, Since: e.o.Now()}
	}
	m.Name, m.Until = name, c.NotAfter
	m.Serials = append(m.Serials, authority.Serial(c))
	if over := len(m.Serials) - maxMemberKeys; over > 0 {
		if err := e.o.Authority.Revoke(m.Serials[:over]...); err != nil {
			return err
		}
		m.Serials = m.Serials[over:]
	}
	return put(members, device, m)
}

// Members lists the devices that are members.
func (e *Enrolment) Members() (all []Member, err error) {
	err = e.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(membersBucket).ForEach(func(_, v []byte) error {
			var m Member
			if json.Unmarshal(v, &m) == nil {
				all = append(all, m)
			}
			return nil
		})
	})
	return all, err
}

// Revoke takes all certificates of a device back. The device can be enrolled
// again.
func (e *Enrolment) Revoke(device string) error {
	m, ok := e.member(device)
	if !ok {
		return fmt.Errorf("enrolment: %s is no member", device)
	}
	// First the certificates: a member that is not noted as revoked can be
	// revoked again, a certificate that was forgotten cannot.
	if err := e.o.Authority.Revoke(m.Serials...); err != nil {
		return err
	}
	m.Revoked = true
	err := e.db.Update(func(tx *bbolt.Tx) error { return put(tx.Bucket(membersBucket), device, m) })
	if err != nil {
		return fmt.Errorf("enrolment: %w", err)
	}
	e.o.Log.Info("enrolment: revoked", "device", device)
	if e.o.Revoked != nil {
		e.o.Revoked(device)
	}
	return nil
}
