package release

import (
	"crypto/sha256"
	"fmt"
	"io"

	"aead.dev/minisign"
)

// Sign signs a program. Of info all is taken as it is but Size and SHA256,
// which are the program's. The answer is the text of the signature file.
func Sign(key minisign.PrivateKey, program io.Reader, info Info) ([]byte, error) {
	sum := sha256.New()
	hashed := minisign.NewReader(io.TeeReader(io.LimitReader(program, MaxSize+1), sum))
	n, err := io.Copy(io.Discard, onlyReader{hashed})
	if err != nil {
		return nil, fmt.Errorf("release: read the program: %w", err)
	}
	info.Size, info.SHA256 = n, [32]byte(sum.Sum(nil))
	if err := info.valid(); err != nil {
		return nil, fmt.Errorf("release: sign: %w", err)
	}
	about := fmt.Sprintf("signature of %s %s for %s", info.Product, info.Version, info.Arch)
	return hashed.SignWithComments(key, info.comment(), about), nil
}
