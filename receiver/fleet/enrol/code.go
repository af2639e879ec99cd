package enrol

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Lengths of codes in characters, of five bits each. A code on a screen is
// valid for minutes, and every guess at it costs PBKDF2; an issued one may lie
// about for weeks.
const (
	shownLength  = 8
	nameLength   = 4
	secretLength = 16
)

// ShownLife is how long a device shows a code before it shows another.
const ShownLife = 10 * time.Minute

// rounds of PBKDF2: some 50 ms on a PC, several times that on a small board.
const rounds = 100_000

const proofLength = sha256.Size

// alphabet is Crockford's Base32, which leaves out I, L, O and U.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// ErrProof says that the other side does not know the code, or that somebody
// is in between.
var ErrProof = errors.New("enrol: the code is wrong, or somebody is in between")

// Code is a one-time code.
type Code struct {
	// Name is the first part of an issued code, by which its service finds
	// it; "" for a code on a screen.
	Name   string
	secret string
}

// Issue draws a code for a settings file.
func Issue(random io.Reader) (Code, error) {
	s, err := draw(random, nameLength+secretLength)
	if err != nil {
		return Code{}, err
	}
	return Code{s[:nameLength], s[nameLength:]}, nil
}

// Show draws a code for a screen.
func Show(random io.Reader) (Code, error) {
	s, err := draw(random, shownLength)
	return Code{secret: s}, err
}

func draw(random io.Reader, n int) (string, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", err
	}
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b), nil
}

// String returns the code in groups of four, for people.
func (c Code) String() string {
	s := c.Name + c.secret
	var groups []string
	for ; len(s) > 4; s = s[4:] {
		groups = append(groups, s[:4])
	}
	return strings.Join(append(groups, s), "-")
}

// ParseCode reads a code of either kind as people write it: in lower case, with
// or without dashes, with letters that look like digits.
func ParseCode(s string) (Code, error) {
	clean := strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(s))
	if len(s) > 64 || strings.Trim(clean, alphabet) != "" {
		return Code{}, fmt.Errorf("%w: a code has letters and digits only", ErrMalformed)
	}
	switch len(clean) {
	case shownLength:
		return Code{secret: clean}, nil
	case nameLength + secretLength:
		return Code{clean[:nameLength], clean[nameLength:]}, nil
	}
	return Code{}, fmt.Errorf("%w: a code has %d characters on a screen and %d in a settings file, this one %d", ErrMalformed, shownLength, nameLength+secretLength, len(clean))
}

// Seal is a Code bound to one request and one authority: the work of PBKDF2 is
// done.
type Seal struct {
	key        []byte
	transcript []byte
}

// Seal binds the code to a request, its proof aside, and to the authority that
// signs for the other side of the connection (DER).
func (c Code) Seal(r Request, ca []byte) (Seal, error) {
	csr, authority := sha256.Sum256(r.CSR), sha256.Sum256(ca)
	key, err := pbkdf2.Key(sha256.New, c.Name+c.secret, append([]byte("aerie enrol 1 "), csr[:]...), rounds, sha256.Size)
	return Seal{key, digest(nil, "request", r.Device, r.Name, r.Pool, string(csr[:]), string(authority[:]))}, err
}

// Request is the proof that goes with a request.
func (s Seal) Request() []byte { return digest(s.key, "device", string(s.transcript)) }

// Reply is the proof that goes with a reply.
func (s Seal) Reply(r Reply) []byte {
	return digest(s.key, "service", string(s.transcript), string(r.Certificate), string(r.CA), r.Broker)
}

// CheckRequest is for the service: it fails with ErrProof.
func (s Seal) CheckRequest(r Request) error { return check(r.Proof, s.Request()) }

// CheckReply is for the device: it fails with ErrProof.
func (s Seal) CheckReply(r Reply) error { return check(r.Proof, s.Reply(r)) }

func check(got, want []byte) error {
	if !hmac.Equal(got, want) {
		return ErrProof
	}
	return nil
}

// digest is an HMAC with SHA-256 over texts, each behind its length in 4 bytes.
func digest(key []byte, texts ...string) []byte {
	mac := hmac.New(sha256.New, key)
	for _, t := range texts {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(t))))
		mac.Write([]byte(t))
	}
	return mac.Sum(nil)
}
