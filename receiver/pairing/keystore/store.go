// Package keystore keeps what pairing must not forget: the receiver's
// long-term Ed25519 key pair and the senders that have proved themselves.
//
// A Store is one directory of small files. Each is replaced as a whole in a
// way that survives a loss of power at any moment: afterwards it holds either
// the old or the new content. A file that is damaged all the same is set
// aside and does not keep the receiver from starting. The identity is kept
// twice, because senders that know it would not recognise the receiver
// without it.
//
// Who may be remembered, and what that is good for, is decided in package
// pairing.
//
// Proof: crash_test.go cuts the power after every operation on the file
// system, in every state that the disk may then be in, and fails every
// operation once; damage_test.go damages files; store_test.go covers the rest
// on a real directory; FuzzDecode and FuzzSenders read hostile files.
package keystore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

// Names of the files in the directory. Beside them stand temporary files
// (".new") and those that were set aside (".damaged").
const (
	identityName     = "identity"
	identityCopyName = "identity.copy"
	sendersName      = "senders"
)

// Store is an open key store. Its methods may be called at any time from any
// goroutine.
type Store struct {
	disk     FS // nil: nothing is kept
	log      *slog.Logger
	identity ed25519.PrivateKey

	mu      sync.Mutex
	senders []Sender // least recently seen first
	visits  bool     // noted since the last Flush that wrote
	renamed bool
	flushed time.Time // when that was

	saving sync.Mutex // held while the senders are written
}

// Open opens the store in a directory, which it creates where needed.
//
// It fails only when there is no identity that would survive a restart: when
// none could be read although the files are there, or when a new one could
// not be saved. Volatile is the way out then.
func Open(directory string, log *slog.Logger) (*Store, error) {
	disk, err := openDirectory(directory)
	if err != nil {
		return nil, fmt.Errorf("keystore: open %s: %w", directory, err)
	}
	return OpenFS(disk, log)
}

// OpenFS is Open on a directory that is given by its operations.
func OpenFS(disk FS, log *slog.Logger) (*Store, error) {
	s := &Store{disk: disk, log: log}
	var err error
	if s.identity, err = s.openIdentity(); err != nil {
		return nil, fmt.Errorf("keystore: %w", err)
	}
	s.senders = s.openSenders()
	return s, nil
}

// Volatile returns a store that keeps nothing beyond the life of the process,
// with the given identity or, where that is nil, a new one.
func Volatile(identity ed25519.PrivateKey) *Store {
	if identity == nil {
		identity = newIdentity()
	}
	return &Store{identity: identity}
}

// Identity returns the receiver's long-term key pair.
func (s *Store) Identity() ed25519.PrivateKey { return s.identity }

// PairingID returns a UUID that stands for the identity without telling the
// key. It is derived from the public key, and so lives exactly as long.
func (s *Store) PairingID() string {
	sum := sha256.Sum256(append([]byte("Aerie pairing identity"), s.identity.Public().(ed25519.PublicKey)...))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80 // RFC 9562 section 5.8: a UUID made in a way of one's own
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func newIdentity() ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails (crypto/rand)
	return ed25519.NewKeyFromSeed(seed)
}

// identityBody is the content of an identity file.
type identityBody struct {
	Seed []byte `json:"ed25519_seed"`
}

// openIdentity reads the identity from its file or its copy, repairs the one
// that is missing or damaged, and makes a new identity where there was none.
func (s *Store) openIdentity() (ed25519.PrivateKey, error) {
	names := []string{identityName, identityCopyName}
	seeds, errs := make([][]byte, len(names)), make([]error, len(names))
	var seed []byte
	for i, name := range names {
		if seeds[i], errs[i] = s.readSeed(name); errs[i] == nil && seed == nil {
			seed = seeds[i]
		}
	}
	fresh := seed == nil
	if fresh {
		for i, err := range errs {
			if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDamaged) {
				return nil, fmt.Errorf("read %s: %w", names[i], err)
			}
		}
		seed = newIdentity().Seed()
	}
	saved, saveErr := 0, error(nil)
	for i, name := range names {
		if errs[i] == nil && bytes.Equal(seeds[i], seed) {
			saved++
		} else if err := s.repairIdentity(name, errs[i], seed); err != nil {
			saveErr = err
			s.log.Error("keystore: the receiver's identity is not kept twice", "file", name, "error", err)
		} else {
			saved++
		}
	}
	if saved == 0 {
		return nil, fmt.Errorf("save a new identity: %w", saveErr)
	}
	if fresh {
		s.log.Info("keystore: this receiver has a new identity")
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// repairIdentity writes an identity file that could not be used for reason;
// nil stands for one that holds another identity.
func (s *Store) repairIdentity(name string, reason error, seed []byte) error {
	if reason == nil {
		reason = errors.New("it holds another identity")
	}
	if !errors.Is(reason, fs.ErrNotExist) {
		s.setAside(name, reason)
	}
	body, err := json.Marshal(identityBody{Seed: seed})
	if err != nil {
		return err
	}
	return save(s.disk, name, encode(identityName, body))
}

func (s *Store) readSeed(name string) ([]byte, error) {
	data, err := s.disk.Read(name)
	if err != nil {
		return nil, err
	}
	body, err := decode(identityName, data)
	if err != nil {
		return nil, err
	}
	var content identityBody
	if err := json.Unmarshal(body, &content); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if len(content.Seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: a seed of %d bytes", errDamaged, len(content.Seed))
	}
	return content.Seed, nil
}

// setAside renames a file that cannot be used, so that its name is free and
// its content remains for whoever wants to look into it.
func (s *Store) setAside(name string, reason error) {
	aside := name + ".damaged"
	err := s.disk.Rename(name, aside)
	if err == nil {
		err = s.disk.Sync()
	}
	if err != nil {
		s.log.Error("keystore: a file cannot be used, nor set aside", "file", name, "reason", reason, "error", err)
		return
	}
	s.log.Error("keystore: a file cannot be used and was set aside", "file", name, "reason", reason, "now", aside)
}
