package srp

import (
	"crypto/subtle"
	"math/big"
)

// Client is the side that asks for entry. It serves one exchange.
type Client struct {
	suite   *Suite
	user    string
	private *big.Int // a
	public  *big.Int // A = g^a
	key, m2 []byte   // known after Respond
}

// NewClient begins an exchange.
func (s *Suite) NewClient(user string) *Client { return s.newClient(user, randomBytes) }

// newClient draws its private value again as long as its public value begins
// with a zero byte, for the reason that newServer has.
func (s *Suite) newClient(user string, random func(n int) []byte) *Client {
	for {
		a := new(big.Int).SetBytes(random(privateSize))
		public := new(big.Int).Exp(s.g, a, s.n)
		if len(public.Bytes()) == s.size {
			return &Client{suite: s, user: user, private: a, public: public}
		}
	}
}

// Public returns A, as long as the group is.
func (c *Client) Public() []byte { return c.public.Bytes() }

// Respond answers the server's salt and public value B with the proof M1 that
// the client knows the password. It fails with ErrPublic.
func (c *Client) Respond(password string, salt, public []byte) (m1 []byte, err error) {
	b, err := c.suite.public(public)
	if err != nil {
		return nil, err
	}
	n := c.suite.n
	u := c.suite.scrambler(c.public, b)
	if u.Sign() == 0 {
		return nil, ErrPublic
	}
	// S = (B - k g^x) ^ (a + u x)
	x := c.suite.passwordExponent(salt, c.user, password)
	base := new(big.Int).Exp(c.suite.g, x, n)
	base.Mul(base, c.suite.multiplier()).Sub(b, base).Mod(base, n)
	exponent := new(big.Int).Mul(u, x)
	exponent.Add(exponent, c.private)
	secret := base.Exp(base, exponent, n)
	c.key = c.suite.sessionKey(secret.Bytes())
	m1, c.m2 = c.suite.proofs(c.user, salt, c.public, b, c.key)
	return m1, nil
}

// Finish checks the server's proof M2 and returns the session key. It fails
// with ErrPassword when the server does not know the password either.
func (c *Client) Finish(m2 []byte) (key []byte, err error) {
	if c.m2 == nil || subtle.ConstantTimeCompare(c.m2, m2) != 1 {
		return nil, ErrPassword
	}
	return c.key, nil
}
