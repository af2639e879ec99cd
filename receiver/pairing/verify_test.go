package pairing

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha256"
	"testing"
)

// The exchange of reference section 18.4.
const (
	recordedClientEd = "3661239d9c739ad2eb59211a46e897180a4a7644c84d082c5e6a8450f3e21b4a"
	recordedServerEd = "ac1bac8b8ed3383dd1d70fd02d3eab26ce9fa061d4100c9123d965448b574631"
	recordedClientX  = "9b6ab0c826af72b0991f7a8a7e269a3806cf72a1743fbde5c900c66caf129d09"
	recordedServerX  = "b32e7e5b8230e83747ef204453cf3c4344b49e5bfcdeda766ceb1e84c7810d09"
	recordedShared   = "d276ec51d8655fe4b605db04e334e49723852fdb00837bb3741806c3400bd07f"
	recordedReply    = recordedServerX +
		"f4f280b5636648f54c12178be14c1775b29f5555da5f0ebd06c47e23bccdd7a8" +
		"230c27e3791461259b6a7a4ccafa6a3bdb0dec252884ac828bb8acf4d3570209"
	recordedSecond = "00000000" +
		"3ba3c193246f458be51d543bc344a1dd3c9a3fe0963903499b50fa23163736a0" +
		"306ac2718758ce69cdedab70733f2bbb2c34fe6ebcabe55a33ead13207a62b6f"
)

// recordedX25519 returns a source of the private key that is the SHA-256 of a
// text.
func recordedX25519(text string) func() (*ecdh.PrivateKey, error) {
	sum := sha256.Sum256([]byte(text))
	return func() (*ecdh.PrivateKey, error) { return ecdh.X25519().NewPrivateKey(sum[:]) }
}

// TestRecordedVerify replays the recorded exchange from both sides.
func TestRecordedVerify(t *testing.T) {
	b := newBench(PINOff, Access{})
	b.newX25519 = recordedX25519("server x")
	c := b.Converse(quiet)
	i := NewInitiator(seed("client ed"), "id")
	i.newX25519 = recordedX25519("client x")

	equal := func(what string, got []byte, want string) {
		t.Helper()
		if !bytes.Equal(got, unhex(t, want)) {
			t.Errorf("%s is %x, want %s", what, got, want)
		}
	}
	equal("pair-setup", i.Setup(), recordedClientEd)
	reply, err := c.Setup(i.Setup())
	if err != nil {
		t.Fatal(err)
	}
	equal("pair-setup reply", reply, recordedServerEd)
	if err := i.SetupReply(reply); err != nil {
		t.Fatal(err)
	}
	first, err := i.Verify()
	if err != nil {
		t.Fatal(err)
	}
	equal("first pair-verify", first, "01000000"+recordedClientX+recordedClientEd)
	if reply, err = c.Verify(first); err != nil {
		t.Fatal(err)
	}
	equal("its reply", reply, recordedReply)
	if c.Verified() || c.Shared() != nil {
		t.Error("verified half way")
	}
	second, err := i.VerifyReply(reply)
	if err != nil {
		t.Fatal(err)
	}
	equal("second pair-verify", second, recordedSecond)
	if reply, err = c.Verify(second); err != nil || len(reply) > 0 {
		t.Fatalf("its reply is %x, error %v", reply, err)
	}
	equal("the receiver's secret", c.Shared(), recordedShared)
	equal("the sender's secret", i.Shared(), recordedShared)
	if key, ok := c.Sender(); !ok || !bytes.Equal(key[:], unhex(t, recordedClientEd)) || !c.Verified() {
		t.Errorf("verified %v, key %x", ok, key)
	}
}

// lowOrderPoints are the X25519 public keys for which every secret is zero:
// the points of order 1, 2, 4 and 8 of the curve and of its twist, in all
// encodings that are read as them.
var lowOrderPoints = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// TestLowOrderPoints shows that neither side agrees on a secret of zero.
func TestLowOrderPoints(t *testing.T) {
	for _, text := range lowOrderPoints {
		for _, top := range []byte{0, 0x80} { // the top bit is ignored
			point := unhex(t, text)
			point[31] |= top
			c := newBench(PINOff, Access{}).Converse(quiet)
			body := append([]byte{1, 0, 0, 0}, point...)
			reply, err := c.Verify(append(body, unhex(t, recordedClientEd)...))
			wantError(t, "receiver, "+text, err, ErrMalformed)
			if reply != nil || c.Verified() {
				t.Errorf("point %x answered with %x", point, reply)
			}
			_, err = c.Verify(unhex(t, recordedSecond))
			wantError(t, "second message after "+text, err, ErrMalformed)

			i := NewInitiator(seed("client ed"), "id")
			if err := i.SetupReply(unhex(t, recordedServerEd)); err != nil {
				t.Fatal(err)
			}
			if _, err := i.Verify(); err != nil {
				t.Fatal(err)
			}
			_, err = i.VerifyReply(append(point, make([]byte, 64)...))
			wantError(t, "sender, "+text, err, ErrMalformed)
		}
	}
}

// TestVerifyRefuses goes through malformed messages and wrong orders.
func TestVerifyRefuses(t *testing.T) {
	first := unhex(t, "01000000"+recordedClientX+recordedClientEd)
	second := unhex(t, recordedSecond)
	for _, c := range []struct {
		name   string
		bodies [][]byte
		kind   error // of the last
	}{
		{"empty", [][]byte{nil}, ErrMalformed},
		{"one byte", [][]byte{{1}}, ErrMalformed},
		{"short", [][]byte{first[:67]}, ErrMalformed},
		{"long", [][]byte{append(first[:68:68], 0)}, ErrMalformed},
		{"unknown message", [][]byte{append([]byte{2}, first[1:]...)}, ErrMalformed},
		{"second without a first", [][]byte{second}, ErrMalformed},
		{"second short", [][]byte{first, second[:67]}, ErrMalformed},
		{"in order", [][]byte{first, second}, nil},
		{"second twice", [][]byte{first, second, second}, ErrMalformed},
		{"begun again", [][]byte{first, first, second}, nil},
		{"once more", [][]byte{first, second, first, second}, nil},
		{"signature of zeros", [][]byte{first, make([]byte, 68)}, ErrUnauthorized},
		{"first as second", [][]byte{first, append([]byte{0}, first[1:]...)}, ErrUnauthorized},
	} {
		b := newBench(PINOff, Access{})
		b.newX25519 = recordedX25519("server x")
		conversation := b.Converse(quiet)
		var err error
		for _, body := range c.bodies {
			_, err = conversation.Verify(body)
		}
		wantError(t, c.name, err, c.kind)
		// A malformed repetition does not undo what was verified before it.
		if verified := conversation.Verified(); verified != (c.kind == nil || c.name == "second twice") {
			t.Errorf("%s: verified %v", c.name, verified)
		}
	}
}

// TestBeginningAgainEndsTheOld shows that a first message takes back what was
// verified before.
func TestBeginningAgainEndsTheOld(t *testing.T) {
	b := newBench(PINOff, Access{})
	c, i := b.Converse(quiet), NewInitiator(seed("client ed"), "id")
	i.Trust(publicKey(b.store.Identity()))
	if err := verify(i, c); err != nil {
		t.Fatal(err)
	}
	first, err := i.Verify()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Verify(first); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Sender(); ok || c.Verified() || c.Shared() != nil {
		t.Error("still verified")
	}
}

// TestBadSignatureEndsIt changes every byte of the signature, and the key it
// is checked with: nothing is believed on that connection any more.
func TestBadSignatureEndsIt(t *testing.T) {
	for at := range 64 + 32 {
		b := newBench(PINOff, Access{})
		b.newX25519 = recordedX25519("server x")
		c := b.Converse(quiet)
		first := unhex(t, "01000000"+recordedClientX+recordedClientEd)
		second := unhex(t, recordedSecond)
		if at < 64 {
			second[4+at] ^= 1
		} else {
			first[36+at-64] ^= 1
		}
		if _, err := c.Verify(first); err != nil {
			t.Fatal(err)
		}
		_, err := c.Verify(second)
		wantError(t, "bad signature", err, ErrUnauthorized)
		if !c.Failed() || c.Verified() || c.Shared() != nil {
			t.Errorf("byte %d: failed %v, verified %v", at, c.Failed(), c.Verified())
		}
		_, err = c.Verify(unhex(t, "01000000"+recordedClientX+recordedClientEd))
		wantError(t, "Verify after it", err, ErrForbidden)
		_, err = c.Setup(make([]byte, 32))
		wantError(t, "Setup after it", err, ErrForbidden)
		_, err = c.SetupPIN(PINRequest{Method: "pin", User: "x"})
		wantError(t, "SetupPIN after it", err, ErrForbidden)
		wantError(t, "StartPIN after it", c.StartPIN(), ErrForbidden)
		wantError(t, "Admit after it", c.Admit("x", "x"), ErrForbidden)
	}
}

// TestImpostor shows that a sender does not take another receiver for the one
// it knows.
func TestImpostor(t *testing.T) {
	b := newBench(PINOff, Access{})
	i := NewInitiator(seed("client ed"), "id")
	if _, known := i.Receiver(); known {
		t.Error("a receiver is known from the start")
	}
	if _, err := i.Verify(); err == nil {
		t.Error("pair-verify with an unknown receiver")
	}
	if _, err := i.VerifyReply(make([]byte, 96)); err == nil {
		t.Error("a reply to nothing is accepted")
	}
	i.Trust(publicKey(seed("another")))
	wantError(t, "pair-verify", verify(i, b.Converse(quiet)), ErrUnauthorized)
	if i.Shared() != nil {
		t.Error("a secret with an impostor")
	}
	wantError(t, "pair-setup", i.SetupReply(unhex(t, recordedServerEd)), ErrUnauthorized)
	wantError(t, "short pair-setup reply", i.SetupReply(make([]byte, 31)), ErrMalformed)
	if _, err := i.Verify(); err != nil {
		t.Fatal(err)
	}
	_, err := i.VerifyReply(make([]byte, 95))
	wantError(t, "short pair-verify reply", err, ErrMalformed)
}

func TestSetupRefuses(t *testing.T) {
	for _, n := range []int{0, 1, 31, 33, 384} {
		_, err := newBench(PINOff, Access{}).Converse(quiet).Setup(make([]byte, n))
		wantError(t, "pair-setup", err, ErrMalformed)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(unhex(f, "01000000"+recordedClientX+recordedClientEd), unhex(f, recordedSecond))
	f.Add(make([]byte, 68), []byte{})
	b := newBench(PINOff, Access{})
	b.newX25519 = recordedX25519("server x")
	f.Fuzz(func(t *testing.T, first, second []byte) {
		c := b.Converse(quiet)
		reply, err := c.Verify(first)
		if err == nil && len(reply) != 96 || err != nil && reply != nil {
			t.Errorf("%x answered with %x, %v", first, reply, err)
		}
		_, err = c.Verify(second)
		if c.Verified() != (err == nil && len(second) > 0 && second[0] == 0) || c.Verified() != (c.Shared() != nil) {
			t.Errorf("verified %v, secret %x, error %v", c.Verified(), c.Shared(), err)
		}
		if err != nil && Status(err) == 500 {
			t.Errorf("error of no kind: %v", err)
		}
	})
}
