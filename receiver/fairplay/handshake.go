// Package fairplay is the receiver's half of FairPlay setup, by which a
// sender hands over the key of a mirroring session.
//
// A sender posts two messages to /fp-setup (m1 and m3) and gets two replies
// (m2 and m4). The SETUP request that follows on the same connection carries
// a 72-byte ekey, which the receiver turns into the 16-byte session key. From
// m3 and a constant of the receiver (the two SAPs) come two secrets: one
// decrypts the ekey, the other checks it.
//
// The package leaves transport, property lists and everything that is done
// with the session key to others. It does not concern protected media, which
// uses another protocol of the same name.
//
// Proof: session_test.go derives the keys of 35 exchanges, 23 of them
// captured from senders, one with another receiver's SAP, and decrypts a
// captured picture; mash_test.go, secrets_test.go and sap_test.go compare
// every intermediate value; handshake_test.go goes through all that must be
// rejected; FuzzReply and FuzzSessionKey feed hostile bytes.
package fairplay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
)

const (
	magic   = "FPLY"
	version = 3

	headerSize = 12
	m1Size     = 16
	m2Size     = 142
	m3Size     = 164
	m4Size     = 32

	confirmationSize = 20 // last bytes of m3, which m4 returns
)

// maxNotes bounds the lines that one connection can write to the log about
// oddities, and again those about keys that fail their check.
const maxNotes = 8

// Handshake is the FairPlay state of one control connection. It is used by
// one goroutine at a time.
type Handshake struct {
	log             *slog.Logger
	notes, warnings int // lines written so far

	sentM2 bool
	mode   byte // of the m2 sent last
	gotM3  bool // since the last m1
	m3     [m3Size]byte
}

// New returns the state of a connection on which nothing was said yet. What
// is odd in the sender's messages and yet accepted goes to log.
func New(log *slog.Logger) *Handshake { return &Handshake{log: log} }

// Reply answers the body of a POST /fp-setup: m1 (16 bytes) with m2 (142
// bytes), m3 (164 bytes) with m4 (32 bytes). An error means a body that must
// be refused with a status in the 400 range; it leaves the state as it was
// (FairPlay reference sections 1, 2 and 9).
func (h *Handshake) Reply(body []byte) ([]byte, error) {
	switch len(body) {
	case m1Size:
		if err := checkHeader(body, 1); err != nil {
			return nil, err
		}
		return h.replyM1(body)
	case m3Size:
		if err := checkHeader(body, 3); err != nil {
			return nil, err
		}
		return h.replyM3(body)
	}
	return nil, fmt.Errorf("fairplay: setup message of %d bytes, want %d or %d", len(body), m1Size, m3Size)
}

// checkHeader checks the twelve bytes that every message begins with.
func checkHeader(body []byte, message byte) error {
	if string(body[:4]) != magic {
		return fmt.Errorf("fairplay: message %d begins with %x, not %q", message, body[:4], magic)
	}
	if body[4] != version {
		return fmt.Errorf("fairplay: message %d is of version %d, only %d is known", message, body[4], version)
	}
	if body[5] != 1 || body[6] != message || body[7] != 0 {
		return fmt.Errorf("fairplay: message of %d bytes has type %x, want 01%02x00", len(body), body[5:8], message)
	}
	if n := binary.BigEndian.Uint32(body[8:12]); int64(n) != int64(len(body)-headerSize) {
		return fmt.Errorf("fairplay: message %d announces %d bytes, has %d", message, n, len(body)-headerSize)
	}
	return nil
}

func (h *Handshake) replyM1(m1 []byte) ([]byte, error) {
	mode := m1[14]
	if mode >= modeCount {
		return nil, fmt.Errorf("fairplay: message 1 asks for mode %d of %d", mode, modeCount)
	}
	if m1[12] != 2 || m1[13] != 0 || m1[15] != 0xbb {
		h.note("fairplay: message 1 ends unusually", "bytes", fmt.Sprintf("%x", m1[12:]))
	}
	h.gotM3, h.sentM2, h.mode = false, true, mode

	m2 := make([]byte, 0, m2Size)
	m2 = appendHeader(m2, 2, m2Size)
	m2 = append(m2, 2, mode)
	return append(m2, fixed().encryptedSAP[mode][:]...), nil
}

func (h *Handshake) replyM3(m3 []byte) ([]byte, error) {
	mode := m3[12]
	if mode >= modeCount {
		return nil, fmt.Errorf("fairplay: message 3 is of mode %d of %d", mode, modeCount)
	}
	switch {
	case !h.sentM2:
		h.note("fairplay: message 3 without a message 1", "mode", mode)
	case mode != h.mode:
		h.note("fairplay: message 3 is of another mode than message 1", "mode", mode, "asked", h.mode)
	}
	if m3[13] != 0x8f || m3[14] != 0x1a || m3[15] != 0x9c {
		h.note("fairplay: message 3 begins unusually", "bytes", fmt.Sprintf("%x", m3[13:16]))
	}
	h.gotM3 = true
	copy(h.m3[:], m3)

	m4 := make([]byte, 0, m4Size)
	m4 = appendHeader(m4, 4, m4Size)
	return append(m4, m3[m3Size-confirmationSize:]...), nil
}

// appendHeader appends the header of a message that is size bytes long in all.
func appendHeader(b []byte, message byte, size uint32) []byte {
	b = append(b, magic...)
	b = append(b, version, 1, message, 0)
	return binary.BigEndian.AppendUint32(b, size-headerSize)
}

var errNoM3 = errors.New("fairplay: session key before the handshake")

// SessionKey returns the key that the 72-byte ekey of a SETUP request carries
// under the handshake of this connection. The key is that of the session
// before anything is mixed in (reference section 9.1).
//
// verified tells whether the check value in ekey agrees. Where it does not,
// the key is almost certainly wrong; that is logged and left to the caller,
// because a software sender that replays a recorded exchange may know the key
// all the same. An error means that there was no handshake or that ekey is
// malformed: the SETUP is to be refused with a status in the 400 range.
func (h *Handshake) SessionKey(ekey []byte) (key [16]byte, verified bool, err error) {
	e, err := parseEKey(ekey)
	if err != nil {
		return key, false, err
	}
	if !h.gotM3 {
		return key, false, errNoM3
	}
	if e.kind != usualEKeyKind {
		h.note("fairplay: ekey of an unusual kind", "bytes", fmt.Sprintf("%x", e.kind))
	}
	sender := senderSAP(&h.m3)
	if sender[0] != 0 || sender[1] != 1 {
		h.note("fairplay: the sender's SAP begins unusually", "bytes", fmt.Sprintf("%x", sender[:2]))
	}
	key, verified = e.open(&sender, &fixed().receiverSAP)
	if !verified && h.warnings < maxNotes {
		h.warnings++
		h.log.Warn("fairplay: the session key fails its check: the picture will almost certainly be noise")
	}
	return key, verified, nil
}

// note logs something odd that is accepted, as long as the connection has not
// used up its share of the log.
func (h *Handshake) note(msg string, args ...any) {
	if h.notes < maxNotes {
		h.notes++
		h.log.Info(msg, args...)
	}
}
