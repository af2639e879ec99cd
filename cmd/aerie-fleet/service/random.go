package service

import "math/rand/v2"

// randomBytes reads from a random source: names of calls have to differ, not to
// be secret.
type randomBytes struct{ r *rand.Rand }

func (r randomBytes) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r.r.Uint32())
	}
	return len(b), nil
}
