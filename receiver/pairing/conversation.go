package pairing

import (
	"crypto/ed25519"
	"fmt"
	"log/slog"

	"aerie/receiver/pairing/keystore"
)

// Conversation is what one sender says about itself on one control
// connection. It is used by one goroutine at a time.
//
// Its errors are of the kinds that Status tells apart.
type Conversation struct {
	authority *Authority
	log       *slog.Logger

	failed bool // a signature did not verify: nothing more is believed

	pinNumber uint64        // of the PIN that was asked for here, 0 for none
	exchange  *pinExchange  // under way
	paired    *keystore.Key // of the sender that entered the right PIN here

	verification *verification // under way
	verified     bool
	key          keystore.Key // of the verified sender
	shared       []byte       // its X25519 secret

	homekitSetup  *homekitSetup  // under way
	homekitVerify *homekitVerify // under way
	setups        int            // begun here
	entered       bool           // a transient pair-setup was completed
	identifier    string         // of the verified sender
	channel       Secret         // of the encrypted connection
}

// Setup answers the body of a legacy POST /pair-setup, the sender's Ed25519
// public key (32 bytes), with the receiver's (reference section 5.1). The
// sender's key is not believed: it proves it in Verify.
func (c *Conversation) Setup(body []byte) ([]byte, error) {
	if err := c.alive(); err != nil {
		return nil, err
	}
	if len(body) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("pairing: %w: pair-setup of %d bytes, want %d", ErrMalformed, len(body), ed25519.PublicKeySize)
	}
	key := publicKey(c.authority.config.Store.Identity())
	return key[:], nil
}

// Admit decides whether the sender may open a session, by the device ID and
// the name that its SETUP gives. It fails with ErrUnauthorized when it has
// not proved itself as the PIN policy asks, with ErrForbidden when the access
// lists exclude it. The name of a remembered sender is noted.
func (c *Conversation) Admit(deviceID, name string) error {
	if err := c.alive(); err != nil {
		return err
	}
	a := c.authority
	if a.config.PIN != PINOff && !c.verified && !c.entered {
		return fmt.Errorf("pairing: %w: sender %q has not been verified", ErrUnauthorized, deviceID)
	}
	if err := a.config.Access.check(deviceID); err != nil {
		return err
	}
	if c.verified {
		a.config.Store.Seen(c.key, name, a.config.Wall())
	}
	return nil
}

// Verified tells whether pair-verify, of either kind, was completed on this
// connection.
func (c *Conversation) Verified() bool { return c.verified }

// Shared returns the X25519 secret (32 bytes) that pair-verify left, which is
// mixed into the keys of a FairPlay session (reference section 9.1); nil without
// it, and after pairing by HomeKit.
func (c *Conversation) Shared() []byte { return c.shared }

// Sender returns the key of the verified sender.
func (c *Conversation) Sender() (keystore.Key, bool) { return c.key, c.verified }

// Failed tells that a signature did not verify: the connection is to be
// closed. Everything else that is said on it is refused with ErrForbidden.
func (c *Conversation) Failed() bool { return c.failed }

// Close ends the conversation when its connection is gone. A PIN that nobody
// else asked for leaves the screen soon after.
func (c *Conversation) Close() {
	c.authority.pins.leave(c.pinNumber)
	c.pinNumber = 0
}

func (c *Conversation) alive() error {
	if c.failed {
		return fmt.Errorf("pairing: %w: the conversation failed before", ErrForbidden)
	}
	return nil
}
