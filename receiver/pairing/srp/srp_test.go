package srp

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"testing"
)

// recorded is an exchange in hex (reference sections 18.5 and 18.6).
type recorded struct{ A, B, K, M1, M2 string }

func loadVectors(t testing.TB) map[string]recorded {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	v := map[string]recorded{}
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// sequence is a source of randomness that returns the given values in turn.
func sequence(values ...[]byte) func(int) []byte {
	return func(int) []byte {
		v := values[0]
		values = values[1:]
		return v
	}
}

// countingSalt is 10 11 12 ... 1f.
var countingSalt = []byte{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f}

func sum256(text string) []byte { s := sha256.Sum256([]byte(text)); return s[:] }
func sum512(text string) []byte { s := sha512.Sum512([]byte(text)); return s[:] }

// TestRecordedExchanges replays both recorded exchanges from their private
// values.
func TestRecordedExchanges(t *testing.T) {
	vectors := loadVectors(t)
	for _, c := range []struct {
		name, user, password string
		suite                *Suite
		b                    []byte
	}{
		{"legacy", "366B4165DD64AD3A", "1234", Legacy(), sum256("server b")},
		{"homekit", "Pair-Setup", "3939", HomeKit(), sum512("server b")},
	} {
		want := vectors[c.name]
		server := c.suite.newServer(c.user, c.password, sequence(countingSalt, c.b))
		client := c.suite.newClient(c.user, sequence(sum256("client a")))
		m1, err := client.Respond(c.password, server.Salt(), server.Public())
		if err != nil {
			t.Fatal(err)
		}
		m2, key, err := server.Verify(client.Public(), m1)
		if err != nil {
			t.Fatal(err)
		}
		clientKey, err := client.Finish(m2)
		if err != nil {
			t.Fatal(err)
		}
		for what, pair := range map[string]struct {
			got  []byte
			want string
		}{
			"A": {client.Public(), want.A}, "B": {server.Public(), want.B}, "M1": {m1, want.M1}, "M2": {m2, want.M2},
			"server's K": {key, want.K}, "client's K": {clientKey, want.K},
		} {
			if got := hex.EncodeToString(pair.got); got != pair.want {
				t.Errorf("%s: %s = %s, want %s", c.name, what, got, pair.want)
			}
		}
		if len(m1) != c.suite.ProofSize() || len(server.Public()) != c.suite.Size() {
			t.Errorf("%s: proof of %d bytes, public value of %d", c.name, len(m1), len(server.Public()))
		}
	}
}

// TestGroups shows that the primes are safe primes of the stated size, so
// that a public value cannot hide in a small subgroup other than that of
// order two.
func TestGroups(t *testing.T) {
	for _, s := range []*Suite{Legacy(), HomeKit()} {
		half := new(big.Int).Rsh(s.n, 1)
		if s.n.BitLen() != 8*s.size || !s.n.ProbablyPrime(4) || !half.ProbablyPrime(4) {
			t.Errorf("the group of %d bytes is not that of a safe prime", s.size)
		}
	}
}

// TestAgreement lets both sides agree with fresh random values, and disagree
// about the password, the user and every bit of a proof.
func TestAgreement(t *testing.T) {
	s := Legacy()
	for _, c := range []struct {
		user, password       string
		otherUser, otherWord string
		agree                bool
	}{
		{"AA:BB", "0000", "AA:BB", "0000", true},
		{"AA:BB", "0000", "AA:BB", "0001", false},
		{"AA:BB", "0000", "AA:BC", "0000", false},
		{"AA:BB", "0000", "AA:BB", "", false},
		{"", "", "", "", true},
	} {
		server, client := s.NewServer(c.user, c.password), s.NewClient(c.otherUser)
		m1, err := client.Respond(c.otherWord, server.Salt(), server.Public())
		if err != nil {
			t.Fatal(err)
		}
		m2, key, err := server.Verify(client.Public(), m1)
		if !c.agree {
			if !errors.Is(err, ErrPassword) || m2 != nil || key != nil {
				t.Errorf("%v: error %v", c, err)
			}
			continue
		}
		clientKey, clientErr := client.Finish(m2)
		if err != nil || clientErr != nil || !bytes.Equal(key, clientKey) || len(key) != 40 {
			t.Errorf("%v: errors %v, %v", c, err, clientErr)
		}
		for _, proof := range [][]byte{nil, m1[:19], append(m1[:20:20], 0), flip(m1, 0), flip(m1, 19)} {
			if _, _, err := server.Verify(client.Public(), proof); !errors.Is(err, ErrPassword) {
				t.Errorf("proof %x instead of %x: %v", proof, m1, err)
			}
		}
		for _, proof := range [][]byte{nil, m2[:19], append(m2[:20:20], 0), flip(m2, 0), flip(m2, 19)} {
			if _, err := client.Finish(proof); !errors.Is(err, ErrPassword) {
				t.Errorf("proof %x instead of %x: %v", proof, m2, err)
			}
		}
	}
	if _, err := s.NewClient("x").Finish(nil); !errors.Is(err, ErrPassword) {
		t.Error("a client that never responded is finished")
	}
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// TestUnacceptablePublicValues shows that both sides refuse the values under
// which everybody knows the secret: multiples of N, however they are written.
func TestUnacceptablePublicValues(t *testing.T) {
	s := Legacy()
	n := s.n.Bytes()
	server := s.NewServer("x", "0000")
	client := s.NewClient("x")
	for _, public := range [][]byte{
		nil, {0}, make([]byte, 256), make([]byte, 257), n, append([]byte{0}, n...), new(big.Int).Lsh(s.n, 1).Bytes(),
		new(big.Int).Add(s.n, big.NewInt(1)).Bytes(), bytes.Repeat([]byte{0xff}, 256), bytes.Repeat([]byte{1}, 10000),
	} {
		if _, _, err := server.Verify(public, make([]byte, 20)); !errors.Is(err, ErrPublic) {
			t.Errorf("server, A = %.8x... of %d bytes: %v", public, len(public), err)
		}
		if _, err := client.Respond("0000", server.Salt(), public); !errors.Is(err, ErrPublic) {
			t.Errorf("client, B = %.8x... of %d bytes: %v", public, len(public), err)
		}
	}
}

// TestLeadingZeros shows that no salt and no public value is handed out that
// begins with a zero byte, and that a padded public value is accepted.
func TestLeadingZeros(t *testing.T) {
	s := Legacy()
	private := func(n uint32) []byte { return binary.BigEndian.AppendUint32(make([]byte, 28), n) }
	short, long := uint32(0), uint32(0) // private values with a short and a full public value
	for n := uint32(1000); short == 0 || long == 0; n++ {
		if c := new(big.Int).Exp(s.g, new(big.Int).SetBytes(private(n)), s.n); len(c.Bytes()) < s.size {
			short = n
		} else {
			long = n
		}
	}
	client := s.newClient("x", sequence(private(short), private(long)))
	if client.private.Cmp(big.NewInt(int64(long))) != 0 {
		t.Errorf("client uses %v with a public value of %d bytes", client.private, len(client.Public()))
	}

	salts := [][]byte{append([]byte{0}, countingSalt[1:]...), countingSalt}
	v := new(big.Int).Exp(s.g, s.passwordExponent(countingSalt, "x", "0000"), s.n)
	kv := v.Mul(v, s.multiplier())
	for n := uint32(1); ; n++ {
		b := new(big.Int).Exp(s.g, new(big.Int).SetBytes(private(n)), s.n)
		if b.Add(b, kv).Mod(b, s.n); len(b.Bytes()) < s.size {
			short = n
			break
		}
	}
	server := s.newServer("x", "0000", sequence(salts[0], salts[1], private(short), private(long)))
	if !bytes.Equal(server.Salt(), countingSalt) || server.private.Cmp(big.NewInt(int64(long))) != 0 {
		t.Errorf("server uses salt %x and %v", server.Salt(), server.private)
	}

	// A client that does not draw again may send a short value as it is or
	// with the zeros that fill it; both mean the same number.
	careless := &Client{suite: s, user: "x", private: big.NewInt(9), public: big.NewInt(512)}
	m1, err := careless.Respond("0000", server.Salt(), server.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, public := range [][]byte{careless.Public(), s.pad(careless.public)} {
		if _, _, err := server.Verify(public, m1); err != nil {
			t.Errorf("A of %d bytes: %v", len(public), err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := Legacy()
	server := s.newServer("x", "0000", sequence(countingSalt, sum256("server b")))
	client := s.newClient("x", sequence(sum256("client a")))
	m1, err := client.Respond("0001", server.Salt(), server.Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(client.Public(), m1)
	f.Add(s.n.Bytes(), make([]byte, 20))
	f.Fuzz(func(t *testing.T, public, proof []byte) {
		if _, _, err := server.Verify(public, proof); err == nil {
			t.Error("accepted without the password")
		}
	})
}

func FuzzRespond(f *testing.F) {
	s := Legacy()
	server := s.newServer("x", "0000", sequence(countingSalt, sum256("server b")))
	f.Add(server.Salt(), server.Public(), make([]byte, 20))
	f.Fuzz(func(t *testing.T, salt, public, m2 []byte) {
		client := s.newClient("x", sequence(sum256("client a")))
		m1, err := client.Respond("0000", salt, public)
		if err == nil && len(m1) != s.ProofSize() {
			t.Errorf("proof of %d bytes", len(m1))
		}
		if _, err := client.Finish(m2); err == nil {
			t.Error("a server that does not know the password is believed")
		}
	})
}

func BenchmarkServer(b *testing.B) {
	s := Legacy()
	client := s.NewClient("x")
	for b.Loop() {
		server := s.NewServer("x", "0000")
		if _, _, err := server.Verify(client.Public(), make([]byte, 20)); err == nil {
			b.Fatal("accepted")
		}
	}
}
