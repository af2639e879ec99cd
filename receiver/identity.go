package receiver

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"aerie/hw/board"
	"aerie/receiver/config"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/pairing/keystore"
)

// identity is who the receiver is: what must stay the same for senders to
// recognise it.
type identity struct {
	store    *keystore.Store
	deviceID string // "02:..."; made from the key pair
	name     *atomic.Value
	log      *slog.Logger
}

// openIdentity opens the key store. Without one that keeps things the receiver
// works all the same, as a new one after every start.
func openIdentity(cfg *config.Config, log *slog.Logger) (identity, error) {
	id := identity{name: &atomic.Value{}, log: log}
	dir, err := StateDir(cfg)
	if err == nil {
		id.store, err = keystore.Open(dir, log)
	}
	if err != nil {
		log.Error("keys cannot be kept: senders will not recognise the receiver after a restart", "error", err)
		id.store = keystore.Volatile(nil)
	}
	id.deviceID = deviceID(id.store)
	name := cfg.Name
	if name == "" {
		if name, err = os.Hostname(); err != nil || name == "" {
			name = "Aerie"
		}
	}
	id.name.Store(name)
	return id, nil
}

// StateDir is where keys are kept (systemd.exec(5), XDG base directories).
func StateDir(cfg *config.Config) (string, error) {
	if cfg.State != "" {
		return cfg.State, nil
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "aerie"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".local", "state", "aerie"), nil
}

// deviceID makes an address out of the long-term key: a hardware address may
// change with the network that is used, and two receivers may run on one
// machine. The bit of locally administered addresses is set.
func deviceID(store *keystore.Store) string {
	h := sha256.Sum256([]byte(store.PairingID()))
	mac := net.HardwareAddr(h[:6])
	mac[0] = mac[0]&^1 | 2
	return fmt.Sprintf("%02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])
}

func (id *identity) flush() {
	if err := id.store.Flush(time.Now()); err != nil {
		id.log.Warn("remembered senders could not be saved", "error", err)
	}
}

// capabilities describes the receiver, without what changes with a session.
// Limits are what the machine is good for; groups tells whether the clock of
// AirPlay 2 groups can be followed.
func (id *identity) capabilities(cfg *config.Config, l board.Limits, groups bool) *message.Capabilities {
	kind := message.Identity(cfg.Identity)
	c := &message.Capabilities{
		Identity: kind, DeviceID: id.deviceID, Name: id.name.Load().(string), Model: kind.Model(), Version: kind.Version(),
		PairingID: message.PairingIdentity(id.deviceID),
		Status:    message.StatusAudioCable,
		Display: message.Display{Width: l.Width, Height: l.Height, MaxFPS: l.FPS,
			UUID: message.DisplayIdentity(id.deviceID), Overscanned: cfg.Video.Overscan},
	}
	copy(c.PublicKey[:], id.store.Identity().Public().(ed25519.PublicKey))
	secured := false
	if cfg.Access.PIN != "off" {
		c.Status |= message.StatusPINRequired | message.StatusPasswordRequired
		secured = true
	}
	if cfg.Access.Password != "" {
		c.Status |= message.StatusPasswordRequired
		secured = true
	}
	c.Password = secured
	c.Features = kind.Features(message.Abilities{Secured: secured, HEVC: cfg.Video.HEVC, Buffered: groups, PTP: groups})
	return c
}

// openAuthority makes what decides who may mirror.
func (r *Receiver) openAuthority() error {
	var policy pairing.PINPolicy
	if err := policy.UnmarshalText([]byte(r.cfg.Access.PIN)); err != nil {
		return err
	}
	r.pin.log = r.log
	if pw := r.cfg.Access.Password; pw != "" {
		r.password = pairing.NewPassword(pw, r.now)
	}
	r.authority = pairing.New(pairing.Config{
		Store: r.identity.store, Identifier: message.PairingIdentity(r.identity.deviceID), Password: r.password,
		PIN: policy, Access: pairing.Access{Allow: r.cfg.Access.Allow, Block: r.cfg.Access.Block},
		Display: &r.pin, Now: r.now, Wall: time.Now, Log: r.log,
	})
	return nil
}

// pinBoard is where a PIN is put for people to see: the log, the page and the
// screen look at it.
type pinBoard struct {
	log *slog.Logger
	mu  sync.Mutex
	pin string
	// changed is called with every change; it must not block.
	changed func()
}

// ShowPIN shows a PIN.
func (b *pinBoard) ShowPIN(pin string) {
	b.log.Info("a sender asks for the PIN: " + pin)
	b.set(pin)
}

// HidePIN takes it away.
func (b *pinBoard) HidePIN() { b.set("") }

func (b *pinBoard) set(pin string) {
	b.mu.Lock()
	b.pin = pin
	changed := b.changed
	b.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// shown returns the PIN that is shown, "" for none.
func (b *pinBoard) shown() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pin
}
