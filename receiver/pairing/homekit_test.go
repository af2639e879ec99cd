package pairing

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"
	"time"

	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/tlv8"
)

const accessory = "3bda894e-d092-4304-a961-0c55cdef4be5"

// newHomekitBench is a bench whose receiver has a name.
func newHomekitBench(policy PINPolicy, access Access, password string) *bench {
	b := newBench(policy, access)
	b.config.Identifier = accessory
	if password != "" {
		b.config.Password = NewPassword(password, b.config.Now)
	}
	return b
}

// homekitSetup takes both halves through pair-setup.
func homekitPair(i *HomeKitInitiator, c *Conversation, transient bool, pin func() string) error {
	reply, err := c.HomeKitSetup(i.Setup(transient))
	if reply == nil {
		return err
	}
	proof, err := i.SetupProof(reply, pin())
	if err != nil {
		return err
	}
	if reply, err = c.HomeKitSetup(proof); reply == nil {
		return err
	}
	keys, err := i.SetupKeys(reply)
	if err != nil || keys == nil {
		return err
	}
	if reply, err = c.HomeKitSetup(keys); reply == nil {
		return err
	}
	return i.SetupDone(reply)
}

// homekitCheck takes both halves through pair-verify.
func homekitCheck(i *HomeKitInitiator, c *Conversation) error {
	first, err := i.Verify()
	if err != nil {
		return err
	}
	reply, err := c.HomeKitVerify(first)
	if reply == nil {
		return err
	}
	second, err := i.VerifyProof(reply)
	if err != nil {
		return err
	}
	if reply, err = c.HomeKitVerify(second); reply == nil {
		return err
	}
	return i.VerifyDone(reply)
}

func text(s string) func() string { return func() string { return s } }

// TestRecordedChannelKeys compares the keys of channels with the recorded ones, of
// the session key that package srp is tried with (reference section 18.6).
func TestRecordedChannelKeys(t *testing.T) {
	k := Secret(unhex(t, "1d24c1984a5e3a87f802a0f34ea0f9d94790196ea4946c6eaab2944856b182b824c143d546e9736e425e68b848a5c5b1d19deeb61a9ff072ccfc525a7765336b"))
	control, events := k.Control(), k.Events()
	for name, c := range map[string]struct {
		got  [32]byte
		want string
	}{
		"Control-Write": {control.Sender, "d9fc62b5f6911a46ea169dca46859fddbb72f4a488174cd6835967674ba37c76"},
		"Control-Read":  {control.Receiver, "7fc053709727b934870eaa4677123f2a57a0d301813cae903362d739cfe14e6e"},
		"Events-Write":  {events.Receiver, "665d0c8882dfe15ddbd095ed0399eb0318798c083d702c4e608bd82445f38801"},
		"Events-Read":   {events.Sender, "171a96340d86a549c5331d869fc9f8406da9141e264cbf248124c1e069e28f2f"},
		"Pair-Setup":    {k.derive("Pair-Setup-Encrypt-Salt", "Pair-Setup-Encrypt-Info"), "ff9c96f4dab6e3c8a49cc5879cd399d8ba73b1c0d450ee684728f5897668e676"},
		"picture":       {k.Stream(14539175628808929506), "dd39937ed591514c2e0547eac36b26cd84c4ff38ac4012fecf6694c5efd0edda"},
	} {
		if got := hex.EncodeToString(c.got[:]); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestTransient: without a PIN everybody comes in, for one connection.
func TestTransient(t *testing.T) {
	b := newHomekitBench(PINOff, Access{}, "")
	i, c := NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet)
	if c.Channel() != nil {
		t.Error("a channel before pairing")
	}
	if err := homekitPair(i, c, true, text("")); err != nil {
		t.Fatal(err)
	}
	if len(i.Secret()) != 64 || !bytes.Equal(i.Secret(), c.Channel()) {
		t.Errorf("secrets %x and %x", i.Secret(), c.Channel())
	}
	if err := c.Admit("A", "name"); err != nil || c.Shared() != nil {
		t.Errorf("%v, shared %x", err, c.Shared())
	}
	if len(b.store.Senders())+len(b.guests) > 0 {
		t.Error("somebody is remembered")
	}
	// What was agreed on is not agreed on again.
	_, err := c.HomeKitSetup(i.Setup(true))
	wantError(t, "second pairing", err, ErrMalformed)
	_, err = c.HomeKitVerify([]byte{6, 1, 1})
	wantError(t, "pair-verify after it", err, ErrMalformed)
}

// TestGuests: without a PIN a sender that pairs for good is known until the
// receiver restarts; nothing is written, and it manages nobody.
func TestGuests(t *testing.T) {
	b := newHomekitBench(PINOff, Access{}, "")
	i, c := NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet)
	if err := homekitPair(i, c, false, text("")); err != nil {
		t.Fatal(err)
	}
	if err := homekitCheck(i, c); err != nil || !c.Verified() || !bytes.Equal(i.Secret(), c.Channel()) || len(i.Secret()) != 32 {
		t.Fatalf("%v, verified %v", err, c.Verified())
	}
	if key, known := i.Receiver(); !known || !bytes.Equal(key[:], b.PublicKey()) || i.receiverID != accessory {
		t.Errorf("the sender learned %x, %q", key, i.receiverID)
	}
	if c = b.Converse(quiet); homekitCheck(i, c) != nil {
		t.Error("not known on another connection")
	}
	if len(b.store.Senders()) > 0 {
		t.Error("a guest is written to the disk")
	}
	_, err := c.HomeKitAdmin(ListRequest())
	wantError(t, "a guest's list", err, ErrUnauthorized)
	for n := range maxGuests + 5 {
		b.pass(time.Second)
		g := NewHomeKitInitiator(seed("g"), string(rune('a'+n%26))+string(rune('a'+n/26)))
		if err := b.enrol(publicKey(g.identity), g.id); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.guests) != maxGuests {
		t.Errorf("%d guests", len(b.guests))
	}
	wantError(t, "the oldest guest", homekitCheck(i, b.Converse(quiet)), HomeKitAuthentication)
}

// TestHomeKitPIN: the first request shows a PIN; whoever enters it is
// remembered.
func TestHomeKitPIN(t *testing.T) {
	for _, policy := range []PINPolicy{PINOnce, PINAlways} {
		b := newHomekitBench(policy, Access{}, "")
		i, c := NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet)
		wantError(t, "3939", homekitPair(i, c, true, text("")), HomeKitAuthentication)
		wantError(t, "session", c.Admit("A", ""), ErrUnauthorized)
		if err := homekitPair(i, c, false, func() string { return b.pin }); err != nil {
			t.Fatal(err)
		}
		if b.pin != "" {
			t.Error("the PIN is still shown")
		}
		if err := errors.Join(homekitCheck(i, c), c.Admit("A", "Ann's iPhone")); err != nil {
			t.Fatal(err)
		}
		err := homekitCheck(i, b.Converse(quiet))
		if (err == nil) != (policy == PINOnce) {
			t.Errorf("%v: again without a PIN: %v", policy, err)
		}
		s, ok := b.store.Find("A")
		if !ok || !s.Admin || s.Name != "Ann's iPhone" {
			t.Errorf("remembered %+v", s)
		}
		// For one connection only.
		c = b.Converse(quiet)
		if err := homekitPair(NewHomeKitInitiator(seed("b"), "B"), c, true, func() string { return b.pin }); err != nil || c.Admit("B", "") != nil {
			t.Errorf("transient with the PIN: %v", err)
		}
	}
}

// TestHomeKitGuesses: wrong PINs count on the account of all others, and are
// answered in the terms of HomeKit.
func TestHomeKitGuesses(t *testing.T) {
	b := newHomekitBench(PINOnce, Access{}, "")
	answer := func() error {
		return homekitPair(NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet), false, text("none"))
	}
	for range freePINs * pinGuesses {
		wantError(t, "guess", answer(), HomeKitAuthentication)
	}
	wantError(t, "too many", answer(), HomeKitBackoff)
	reply, err := b.Converse(quiet).HomeKitSetup(NewHomeKitInitiator(seed("a"), "A").Setup(false))
	m, _ := tlv8.Parse(reply)
	if wait, _ := m.Uint(tlv8.RetryDelay); wait != uint32(firstWait/time.Second) || !errors.Is(err, ErrForbidden) {
		t.Errorf("wait %d s, %v", wait, err)
	}
	for b.PINState().Guesses < guessLimit {
		b.pass(longestWait + pinLife)
		wantError(t, "guess", answer(), HomeKitAuthentication)
	}
	wantError(t, "locked", answer(), HomeKitMaxTries)
}

func TestHomeKitPassword(t *testing.T) {
	b := newHomekitBench(PINOff, Access{}, "open sesame")
	for range freePasswords {
		wantError(t, "3939", homekitPair(NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet), true, text("")), HomeKitAuthentication)
	}
	i, c := NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet)
	wantError(t, "too many", homekitPair(i, c, true, text("open sesame")), HomeKitBackoff)
	b.pass(maxPasswordWait)
	if c.Proved() {
		t.Error("proved before")
	}
	if err := homekitPair(i, c, true, text("open sesame")); err != nil || !c.Proved() {
		t.Errorf("%v, proved %v", err, c.Proved())
	}
	c = b.Converse(quiet)
	if err := errors.Join(homekitPair(i, c, false, text("open sesame")), homekitCheck(i, c)); err != nil || !c.Proved() {
		t.Errorf("for good: %v, proved %v", err, c.Proved())
	}
}

// TestPairings: those with the right to add, list and remove, and nobody else.
func TestPairings(t *testing.T) {
	b := newHomekitBench(PINOnce, Access{}, "")
	admin, c := NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet)
	_, err := c.HomeKitAdmin(ListRequest())
	wantError(t, "before pairing", err, ErrUnauthorized)
	if err := errors.Join(homekitPair(admin, c, false, func() string { return b.pin }), homekitCheck(admin, c)); err != nil {
		t.Fatal(err)
	}
	ask := func(c *Conversation, body []byte) ([]Pairing, error) {
		reply, err := c.HomeKitAdmin(body)
		if reply == nil {
			return nil, err
		}
		return ParsePairings(reply)
	}
	user := Pairing{ID: "U", Key: publicKey(seed("u"))}
	if _, err := ask(c, AddRequest(user)); err != nil {
		t.Fatal(err)
	}
	list, err := ask(c, ListRequest())
	if err != nil || len(list) != 2 || list[0] != user || list[1].ID != "A" || !list[1].Admin {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = ask(c, AddRequest(Pairing{ID: "U", Key: publicKey(seed("other"))}))
	wantError(t, "another key", err, HomeKitUnknown)

	// The user gets in, and manages nobody until it has the right to.
	u, uc := NewHomeKitInitiator(seed("u"), "U"), b.Converse(quiet)
	u.Trust(publicKey(b.store.Identity()))
	if err := homekitCheck(u, uc); err != nil {
		t.Fatal(err)
	}
	_, err = ask(uc, RemoveRequest("A"))
	wantError(t, "user", err, HomeKitAuthentication)
	user.Admin = true
	if _, err := ask(c, AddRequest(user)); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(uc, RemoveRequest("A")); err != nil {
		t.Error(err)
	}
	_, err = ask(c, ListRequest())
	wantError(t, "one that was removed", err, HomeKitAuthentication)
	wantError(t, "one that was removed", homekitCheck(admin, b.Converse(quiet)), HomeKitAuthentication)

	// With the last that may, all go.
	if err := b.store.Remember(publicKey(seed("x")), "X", "", b.config.Wall()); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(uc, RemoveRequest("U")); err != nil || len(b.store.Senders()) != 0 {
		t.Errorf("%v, %d left", err, len(b.store.Senders()))
	}
}

func TestPairingsAreBounded(t *testing.T) {
	b := newHomekitBench(PINOnce, Access{}, "")
	i, c := NewHomeKitInitiator(seed("a"), "A"), b.Converse(quiet)
	if err := errors.Join(homekitPair(i, c, false, func() string { return b.pin }), homekitCheck(i, c)); err != nil {
		t.Fatal(err)
	}
	for n := range keystore.MaxSenders {
		key := publicKey(seed(string(rune(n + 256))))
		reply, _ := c.HomeKitAdmin(AddRequest(Pairing{ID: string(rune(n + 256)), Key: key}))
		if _, err := ParsePairings(reply); (err == nil) != (n < keystore.MaxSenders-1) {
			t.Fatalf("%d: %v", n, err)
		}
	}
}

// TestHomeKitRefused goes through requests that are out of turn, of the wrong
// size or wrongly signed.
func TestHomeKitRefused(t *testing.T) {
	b := newHomekitBench(PINOff, Access{Block: []string{"AA"}}, "")
	hello := NewHomeKitInitiator(seed("a"), "A").Setup(false)
	item := func(items ...tlv8.Item) []byte { return tlv8.Message(items).Append(nil) }
	proof := func(public []byte) []byte {
		return item(tlv8.Byte(tlv8.State, 3), tlv8.Item{Type: tlv8.PublicKey, Value: public}, tlv8.Item{Type: tlv8.Proof, Value: make([]byte, 64)})
	}
	for name, c := range map[string]struct {
		bodies [][]byte
		code   HomeKitError // 0: no answer but a status
	}{
		"no TLV":             {[][]byte{{6}}, 0},
		"no state":           {[][]byte{{}}, 0},
		"state 2":            {[][]byte{item(tlv8.Byte(tlv8.State, 2))}, 0},
		"another method":     {[][]byte{item(tlv8.Byte(tlv8.State, 1), tlv8.Byte(tlv8.Method, 1))}, 0},
		"proof at first":     {[][]byte{proof([]byte{2})}, 0},
		"keys at first":      {[][]byte{item(tlv8.Byte(tlv8.State, 5))}, 0},
		"keys without proof": {[][]byte{hello, item(tlv8.Byte(tlv8.State, 5))}, 0},
		"proof too short":    {[][]byte{hello, item(tlv8.Byte(tlv8.State, 3), tlv8.Item{Type: tlv8.PublicKey, Value: []byte{2}})}, 0},
		"A = 0":              {[][]byte{hello, proof(make([]byte, 384))}, HomeKitAuthentication},
		"A = N":              {[][]byte{hello, proof(modulus(t))}, HomeKitAuthentication},
		"a wrong proof":      {[][]byte{hello, proof([]byte{2})}, HomeKitAuthentication},
		"a second proof":     {[][]byte{hello, proof([]byte{2}), proof([]byte{2})}, 0},
	} {
		conversation := b.Converse(quiet)
		var reply []byte
		var err error
		for _, body := range c.bodies {
			reply, err = conversation.HomeKitSetup(body)
		}
		if err == nil || (reply != nil) != (c.code != 0) {
			t.Errorf("%s: %x, %v", name, reply, err)
		} else if reply != nil {
			_, err := parseReply(reply, 0)
			wantError(t, name, err, c.code)
		}
	}
	wantError(t, "a blocked sender", homekitPair(NewHomeKitInitiator(seed("a"), "A-A"), b.Converse(quiet), false, text("")), HomeKitAuthentication)
	c := b.Converse(quiet)
	for range maxSetups {
		if _, err := c.HomeKitSetup(hello); err != nil {
			t.Fatal(err)
		}
	}
	reply, _ := c.HomeKitSetup(hello)
	_, err := parseReply(reply, 0)
	wantError(t, "too many on one connection", err, HomeKitMaxTries)
	if !c.Failed() {
		t.Error("the connection goes on")
	}
}

// modulus is the prime of the group: a public value that is zero modulo it.
func modulus(t testing.TB) []byte {
	return unhex(t, "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7db3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff")
}

// TestHomeKitThief: a key of another is of no use, neither in pair-verify nor
// in the place of one that is known.
func TestHomeKitThief(t *testing.T) {
	b := newHomekitBench(PINOff, Access{}, "")
	if err := b.store.Add(keystore.Sender{Key: publicKey(seed("a")), ID: "A", Admin: true}); err != nil {
		t.Fatal(err)
	}
	thief, c := NewHomeKitInitiator(seed("thief"), "A"), b.Converse(quiet)
	thief.Trust(publicKey(b.store.Identity()))
	wantError(t, "the thief", homekitCheck(thief, c), HomeKitAuthentication)
	if !c.Failed() || c.Verified() || c.Channel() != nil {
		t.Error("the conversation goes on")
	}
	wantError(t, "in its place", homekitPair(thief, b.Converse(quiet), false, text("")), HomeKitAuthentication)

	// A receiver that is another than the one that was paired with.
	other, i := newHomekitBench(PINOff, Access{}, ""), NewHomeKitInitiator(seed("a"), "A")
	other.store = keystore.Volatile(seed("impostor"))
	other.config.Store = other.store
	i.Trust(publicKey(b.store.Identity()))
	wantError(t, "the impostor", homekitCheck(i, other.Converse(quiet)), ErrUnauthorized)
	wantError(t, "the impostor's key", homekitPair(i, other.Converse(quiet), false, text("")), ErrUnauthorized)
}

func FuzzHomeKit(f *testing.F) {
	i := NewHomeKitInitiator(seed("a"), "A")
	f.Add(i.Setup(true), i.Setup(false), AddRequest(Pairing{ID: "A"}))
	f.Add(i.Setup(false), []byte{6, 1, 3, 3, 1, 2}, ListRequest())
	f.Add([]byte{6, 1, 1, 3, 1, 9}, []byte{6, 1, 3, 5, 1, 2}, []byte{6, 1, 5})
	b := newHomekitBench(PINOff, Access{}, "")
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		for _, answer := range []func(*Conversation, []byte) ([]byte, error){(*Conversation).HomeKitSetup, (*Conversation).HomeKitVerify, (*Conversation).HomeKitAdmin} {
			c := b.Converse(quiet)
			for _, body := range [][]byte{one, two, three} {
				if reply, err := answer(c, body); reply == nil && err == nil {
					t.Error("neither reply nor error")
				}
			}
			if c.Channel() != nil || c.Verified() {
				t.Error("noise has paired")
			}
			c.Close()
		}
	})
}

func FuzzHomeKitInitiator(f *testing.F) {
	f.Add([]byte{6, 1, 2, 3, 1, 5, 2, 1, 1}, []byte{6, 1, 4, 7, 1, 2}, []byte{6, 1, 6})
	f.Fuzz(func(t *testing.T, one, two, three []byte) {
		i := NewHomeKitInitiator(seed("a"), "A")
		i.Setup(len(one)%2 == 0)
		_, _ = i.SetupProof(one, "")
		_, _ = i.SetupKeys(two)
		if i.SetupDone(three) == nil || i.Secret() != nil {
			t.Error("noise is a receiver")
		}
		i.Trust(keystore.Key{})
		if _, err := i.Verify(); err != nil {
			t.Fatal(err)
		}
		_, _ = i.VerifyProof(one)
		if i.VerifyDone(two) == nil {
			t.Error("noise is verified")
		}
		_, _ = ParsePairings(three)
	})
}
