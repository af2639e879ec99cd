package release

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"aead.dev/minisign"
)

const (
	maxKeys    = 8
	maxKeyFile = 4 << 10 // bytes
)

// Keys are the public keys whose signatures a device believes: the owner's,
// and while it is being changed the next one too. The zero value believes
// nobody.
type Keys []minisign.PublicKey

// ParseKeys reads public keys as minisign writes them, one or several after
// another. Lines that begin with # or "untrusted comment:" and empty ones are
// passed over.
func ParseKeys(text []byte) (Keys, error) {
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("release: %d bytes of public keys, allowed are %d", len(text), maxKeyFile)
	}
	var keys Keys
	for n, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || bytes.HasPrefix(line, []byte("untrusted comment:")) {
			continue
		}
		var k minisign.PublicKey
		if err := k.UnmarshalText(line); err != nil {
			return nil, fmt.Errorf("release: line %d is not a public key of minisign", n+1)
		}
		if keys.has(k) {
			continue
		}
		if len(keys) == maxKeys {
			return nil, fmt.Errorf("release: more than %d public keys", maxKeys)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("release: no public key")
	}
	return keys, nil
}

// LoadKeys reads the public keys of a file, such as KeyFile, with those that
// were compiled in. A file that is not there counts as empty; without any key
// the error wraps ErrKey.
func LoadKeys(path string) (Keys, error) {
	var text strings.Builder
	text.WriteString(publicKeys)
	f, err := os.Open(path)
	switch {
	case err == nil:
		defer f.Close()
		text.WriteByte('\n')
		if _, err := io.Copy(&text, io.LimitReader(f, maxKeyFile+1)); err != nil {
			return nil, fmt.Errorf("release: %w", err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("release: %w", err)
	case publicKeys == "":
		return nil, fmt.Errorf("release: %w: there is no key in %s and none was compiled in", ErrKey, path)
	}
	keys, err := ParseKeys([]byte(strings.ReplaceAll(text.String(), ",", "\n")))
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return keys, nil
}

func (k Keys) has(key minisign.PublicKey) bool {
	return slices.ContainsFunc(k, func(other minisign.PublicKey) bool { return other.Equal(key) })
}

// Release is a release whose comment was signed by a trusted key. Its program
// is known only after Verify.
type Release struct {
	Info
	// Signature is the text it was read from, to be kept beside the program.
	Signature []byte

	key minisign.PublicKey
}

// Open reads a signature file and checks that a trusted key signed its
// comment. Errors wrap ErrFormat, ErrKey or ErrSignature.
func (k Keys) Open(text []byte) (*Release, error) {
	if len(text) > MaxSignature {
		return nil, fmt.Errorf("release: %w: %d bytes, allowed are %d", ErrFormat, len(text), MaxSignature)
	}
	var s minisign.Signature
	if err := s.UnmarshalText(text); err != nil {
		return nil, fmt.Errorf("release: %w: %w", ErrFormat, err)
	}
	// minisign's old form, which signs a file as it is, could be asked to sign
	// a file that looks like a signature with its comment.
	if s.Algorithm != minisign.HashEdDSA {
		return nil, fmt.Errorf("release: %w: the file was not hashed before it was signed (minisign -H)", ErrFormat)
	}
	at := slices.IndexFunc(k, func(key minisign.PublicKey) bool { return key.ID() == s.KeyID })
	if at < 0 {
		return nil, fmt.Errorf("release: %w: %016X", ErrKey, s.KeyID)
	}
	if !ed25519.Verify(raw(k[at]), append(s.Signature[:], s.TrustedComment...), s.CommentSignature[:]) {
		return nil, fmt.Errorf("release: %w", ErrSignature)
	}
	info, err := parseComment(s.TrustedComment)
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	return &Release{info, bytes.Clone(text), k[at]}, nil
}

// raw is the key as crypto/ed25519 wants it. The library checks a comment only
// together with the file, so this package checks it alone.
func raw(k minisign.PublicKey) ed25519.PublicKey {
	b, err := base64.StdEncoding.DecodeString(k.String())
	if err != nil || len(b) < ed25519.PublicKeySize {
		return make(ed25519.PublicKey, ed25519.PublicKeySize) // verifies nothing
	}
	return b[len(b)-ed25519.PublicKeySize:]
}

// Verify reads the whole program and checks it against the signature: its
// size, its SHA-256 and what was signed. Errors wrap ErrContent, or are the
// reader's. It reads at most one byte more than the size.
func (r *Release) Verify(program io.Reader) error {
	sum := sha256.New()
	hashed := minisign.NewReader(io.TeeReader(io.LimitReader(program, r.Size+1), sum))
	n, err := io.CopyBuffer(io.Discard, onlyReader{hashed}, make([]byte, 128<<10))
	switch {
	case err != nil:
		return fmt.Errorf("release: read %s: %w", r.File, err)
	case n < r.Size:
		return fmt.Errorf("release: %w: it ends after %d of %d bytes", ErrContent, n, r.Size)
	case n > r.Size:
		return fmt.Errorf("release: %w: it has more than %d bytes", ErrContent, r.Size)
	case [32]byte(sum.Sum(nil)) != r.SHA256:
		return fmt.Errorf("release: %w: its SHA-256 is another", ErrContent)
	case !hashed.Verify(r.key, r.Signature):
		return fmt.Errorf("release: %w", ErrContent)
	}
	return nil
}

// onlyReader hides what else a reader can do, so that the buffer is used.
type onlyReader struct{ io.Reader }
