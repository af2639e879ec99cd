package srp

import (
	"crypto/subtle"
	"math/big"
)

// Server is the side that knows the password and is asked for entry. It
// serves one exchange.
type Server struct {
	suite    *Suite
	user     string
	salt     []byte
	verifier *big.Int // v = g^x
	private  *big.Int // b
	public   *big.Int // B = kv + g^b
}

// NewServer begins an exchange with the user who claims to know the password.
func (s *Suite) NewServer(user, password string) *Server {
	return s.newServer(user, password, randomBytes)
}

// newServer takes its salt and its private value from random. Both are drawn
// again until neither the salt nor the public value begins with a zero byte:
// implementations differ in whether they hash such a byte.
func (s *Suite) newServer(user, password string, random func(n int) []byte) *Server {
	salt := random(saltSize)
	for salt[0] == 0 {
		salt = random(saltSize)
	}
	v := new(big.Int).Exp(s.g, s.passwordExponent(salt, user, password), s.n)
	kv := new(big.Int).Mul(s.multiplier(), v)
	for {
		b := new(big.Int).SetBytes(random(privateSize))
		public := new(big.Int).Exp(s.g, b, s.n)
		public.Add(public, kv).Mod(public, s.n)
		if len(public.Bytes()) == s.size {
			return &Server{suite: s, user: user, salt: salt, verifier: v, private: b, public: public}
		}
	}
}

// Salt returns the 16 bytes that go to the client with Public.
func (s *Server) Salt() []byte { return s.salt }

// Public returns B, as long as the group is.
func (s *Server) Public() []byte { return s.public.Bytes() }

// Verify checks the client's public value A and its proof M1, and returns the
// server's own proof M2 and the session key. It fails with ErrPublic or, when
// the client used another password or user name, with ErrPassword.
func (s *Server) Verify(public, proof []byte) (m2, key []byte, err error) {
	a, err := s.suite.public(public)
	if err != nil {
		return nil, nil, err
	}
	// S = (A v^u)^b
	secret := new(big.Int).Exp(s.verifier, s.suite.scrambler(a, s.public), s.suite.n)
	secret.Mul(secret, a).Mod(secret, s.suite.n)
	secret.Exp(secret, s.private, s.suite.n)
	key = s.suite.sessionKey(secret.Bytes())
	m1, m2 := s.suite.proofs(s.user, s.salt, a, s.public, key)
	if subtle.ConstantTimeCompare(m1, proof) != 1 {
		return nil, nil, ErrPassword
	}
	return m2, key, nil
}
