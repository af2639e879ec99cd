package pairing

import (
	"bytes"
	"crypto/cipher"
	"crypto/ed25519"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"aerie/receiver/clock"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/tlv8"
)

// HomeKitError is an error of HomeKit pairing as it stands on the wire
// (reference section 5.4).
type HomeKitError byte

// Errors of HomeKit pairing.
const (
	HomeKitUnknown        HomeKitError = 1
	HomeKitAuthentication HomeKitError = 2 // wrong PIN, bad signature, not permitted
	HomeKitBackoff        HomeKitError = 3 // too many guesses; try again later
	HomeKitMaxPeers       HomeKitError = 4
	HomeKitMaxTries       HomeKitError = 5 // too many guesses; only the owner can help
	HomeKitUnavailable    HomeKitError = 6
	HomeKitBusy           HomeKitError = 7
)

var homekitErrors = map[HomeKitError]string{
	HomeKitUnknown: "unknown", HomeKitAuthentication: "authentication failed", HomeKitBackoff: "too many guesses for now",
	HomeKitMaxPeers: "too many pairings", HomeKitMaxTries: "too many guesses", HomeKitUnavailable: "not available", HomeKitBusy: "busy",
}

func (e HomeKitError) Error() string {
	if text, ok := homekitErrors[e]; ok {
		return "HomeKit pairing: " + text
	}
	return fmt.Sprintf("HomeKit pairing: error %d", byte(e))
}

// What HomeKit pairing calls itself in SRP, and the PIN that everybody knows:
// it stands where no PIN is asked for.
const (
	homekitUser = "Pair-Setup"
	publicPIN   = "3939"
)

// Methods of requests.
const (
	methodSetup  = 0
	methodAdd    = 3
	methodRemove = 4
	methodList   = 5
)

const (
	flagTransient = 0x10 // pair-setup ends with the shared secret, nothing is remembered

	permissionAdmin = 1 // may add, remove and list pairings

	maxIdentifier = 64 // bytes; a UUID has 36

	maxSetups = 16 // of a connection, the wrong ones among them
	maxGuests = 64
)

// guest is a sender that paired where everybody may. Guests are not written
// to the disk: who may come in without a word must not wear it out.
type guest struct {
	key keystore.Key
	at  clock.Time
}

// controller is a sender that HomeKit pairing knows.
type controller struct {
	key   keystore.Key
	admin bool
}

// controller returns the sender with that identifier.
func (a *Authority) controller(id string) (controller, bool) {
	if s, ok := a.config.Store.Find(id); ok {
		return controller{s.Key, s.Admin}, true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	g, ok := a.guests[id]
	return controller{key: g.key}, ok
}

// open tells whether everybody may come in.
func (a *Authority) open() bool { return a.config.PIN == PINOff && a.config.Password == nil }

// enrol notes the long-term key of a sender after pair-setup. Whoever entered
// a PIN or password stands in front of the receiver and may manage its
// pairings; others are guests, and cannot take the place of those.
func (a *Authority) enrol(key keystore.Key, id string) error {
	if a.open() {
		if s, ok := a.config.Store.Find(id); ok && s.Key != key {
			return fmt.Errorf("pairing: %w: %w: sender %q is known with another key", ErrUnauthorized, HomeKitAuthentication, id)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if _, ok := a.guests[id]; !ok && len(a.guests) >= maxGuests {
			a.dropOldestGuest()
		}
		a.guests[id] = guest{key, a.config.Now()}
		return nil
	}
	now := a.config.Wall()
	if err := a.config.Store.Add(keystore.Sender{Key: key, ID: id, Admin: true, FirstSeen: now, LastSeen: now}); err != nil {
		a.config.Log.Error("pairing: a sender will have to pair again after a restart", "sender", id, "error", err)
	}
	if a.config.PIN == PINAlways {
		a.issue(key)
	}
	return nil
}

func (a *Authority) dropOldestGuest() {
	oldest, at := "", clock.Time(0)
	for id, g := range a.guests {
		if oldest == "" || g.at < at {
			oldest, at = id, g.at
		}
	}
	delete(a.guests, oldest)
}

// admitsController tells whether a known sender may come in with pair-verify
// alone.
func (a *Authority) admitsController(key keystore.Key) bool {
	return a.config.PIN != PINAlways || a.admits(key)
}

// sealed and opened are ChaCha20-Poly1305 with a message name for nonce. Each
// key encrypts one message of each name.
func sealed(key [32]byte, name string, plain []byte) []byte {
	aead, nonce := homekitCipher(key, name)
	return aead.Seal(nil, nonce, plain, nil)
}

func opened(key [32]byte, name string, sealed []byte) ([]byte, error) {
	aead, nonce := homekitCipher(key, name)
	return aead.Open(nil, nonce, sealed, nil)
}

// openedItems opens a message within a message.
func openedItems(key [32]byte, name string, m tlv8.Message) (tlv8.Message, error) {
	plain, err := opened(key, name, m.Bytes(tlv8.EncryptedData))
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: %w: %s does not decrypt", ErrUnauthorized, HomeKitAuthentication, name)
	}
	inner, err := tlv8.Parse(plain)
	if err != nil {
		return nil, fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
	}
	return inner, nil
}

// signed returns what a side signs: a secret or public value, its name, and
// another value.
func signed(first []byte, id string, second []byte) []byte {
	return bytes.Join([][]byte{first, []byte(id), second}, nil)
}

// identifier returns the name in a message, which must be fit for logs and
// files.
func identifier(m tlv8.Message) (string, error) {
	id := m.Bytes(tlv8.Identifier)
	if len(id) > maxIdentifier || !plausibleUser(string(id)) {
		return "", fmt.Errorf("pairing: %w: identifier %.20q of %d bytes", ErrMalformed, id, len(id))
	}
	return string(id), nil
}

// longTermKey returns the Ed25519 key in a message.
func longTermKey(m tlv8.Message) (key keystore.Key, err error) {
	b := m.Bytes(tlv8.PublicKey)
	if len(b) != ed25519.PublicKeySize {
		return key, fmt.Errorf("pairing: %w: long-term key of %d bytes", ErrMalformed, len(b))
	}
	return keystore.Key(b), nil
}

// parseState parses a message and the state it claims.
func parseState(body []byte) (tlv8.Message, uint32, error) {
	m, err := tlv8.Parse(body)
	if err != nil {
		return nil, 0, fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
	}
	state, err := m.Uint(tlv8.State)
	if err != nil {
		return nil, 0, fmt.Errorf("pairing: %w: %w", ErrMalformed, err)
	}
	return m, state, nil
}

// refuse answers a request of HomeKit pairing that failed. What makes no
// sense has no answer but a status.
func (c *Conversation) refuse(state byte, err error) []byte {
	reply := tlv8.Message{tlv8.Byte(tlv8.State, state)}
	var code HomeKitError
	switch pins := c.authority.PINState(); {
	case errors.As(err, &code):
		reply = append(reply, tlv8.Byte(tlv8.Error, byte(code)))
	case errors.Is(err, ErrForbidden) && pins.Locked:
		reply = append(reply, tlv8.Byte(tlv8.Error, byte(HomeKitMaxTries)))
	case errors.Is(err, ErrForbidden) && pins.Wait > 0:
		seconds := uint32((pins.Wait + time.Second - 1) / time.Second)
		reply = append(reply, tlv8.Byte(tlv8.Error, byte(HomeKitBackoff)),
			tlv8.Item{Type: tlv8.RetryDelay, Value: []byte{byte(seconds), byte(seconds >> 8)}})
	case errors.Is(err, ErrUnauthorized):
		reply = append(reply, tlv8.Byte(tlv8.Error, byte(HomeKitAuthentication)))
	case errors.Is(err, ErrForbidden):
		reply = append(reply, tlv8.Byte(tlv8.Error, byte(HomeKitUnavailable)))
	default:
		return nil
	}
	return reply.Append(nil)
}

func homekitCipher(key [32]byte, name string) (aead cipher.AEAD, nonce []byte) {
	aead, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic(err) // cannot happen: the key has the length of one
	}
	nonce = make([]byte, chacha20poly1305.NonceSize)
	copy(nonce[len(nonce)-len(name):], name)
	return aead, nonce
}
