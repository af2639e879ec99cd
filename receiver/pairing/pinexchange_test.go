package pairing

import (
	"bytes"
	"crypto/aes"
	"strings"
	"testing"

	"aerie/receiver/pairing/keystore"
	"aerie/receiver/pairing/srp"
)

// TestRecordedKeys compares the encryption of both long-term keys with the
// recorded exchange (reference section 18.5).
func TestRecordedKeys(t *testing.T) {
	session := unhex(t, "6dcdbc5b47768dbe65f27935c46b5636367f96597ae2e79153245ca263ca853d492da905311a818d")
	block, iv := deriveAES("Pair-Setup", session)
	if want := unhex(t, "5dd404c5d8f696902b61f42fd3810f0e"); !bytes.Equal(iv, want) {
		t.Errorf("initial vector %x, want %x", iv, want)
	}
	recorded, err := aes.NewCipher(unhex(t, "c71066741e4cc69233308b23cb75d632"))
	if err != nil {
		t.Fatal(err)
	}
	var got, want [16]byte
	block.Encrypt(got[:], iv)
	if recorded.Encrypt(want[:], iv); got != want {
		t.Error("the AES key is not the recorded one")
	}
	for _, c := range []struct {
		message       byte
		key, epk, tag string
	}{
		{1, recordedClientEd, "b508912740612638d95823f2583b890e2da24084ce759d2a74a44e9840581a82", "3aa11390e9a7e02c2f0eb643c66c4b9f"},
		{2, recordedServerEd, "d495430e13c15339ce9c351ed3b0c8b7a64b98e5f7baaea39495f7d29871e7f6", "337761dc66799cb0393685b7ff3ce8a7"},
	} {
		key := keystore.Key(unhex(t, c.key))
		epk, tag := sealKey(session, c.message, key)
		if !bytes.Equal(epk, unhex(t, c.epk)) || !bytes.Equal(tag, unhex(t, c.tag)) {
			t.Errorf("message %d: %x, %x, want %s, %s", c.message, epk, tag, c.epk, c.tag)
		}
		opened, err := openKey(session, c.message, epk, tag)
		if err != nil || opened != key {
			t.Errorf("message %d: opened %x, %v", c.message, opened, err)
		}
		if _, err := openKey(session, c.message+1, epk, tag); err == nil {
			t.Errorf("message %d is taken for another", c.message)
		}
	}
}

// pinStage is a bench whose conversation has come to the given request of the
// PIN exchange, 1 to 3, with that request as an honest sender makes it.
func pinStage(t testing.TB, stage int) (*bench, *Conversation, PINRequest) {
	t.Helper()
	b := newBench(PINOnce, Access{})
	c, i := b.Converse(quiet), NewInitiator(seed("client ed"), "366B4165DD64AD3A")
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	request := i.PIN()
	for n := 1; n < stage; n++ {
		reply, err := c.SetupPIN(request)
		if err == nil && n == 1 {
			request, err = i.PINProof(reply, b.pin)
		} else if err == nil {
			request, err = i.PINKeys(reply)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return b, c, request
}

// TestSetupPINRefuses goes through malformed requests of all three kinds, and
// requests out of turn. After each the exchange has to begin again, and can.
func TestSetupPINRefuses(t *testing.T) {
	bytesOf := func(n int) []byte { return bytes.Repeat([]byte{1}, n) }
	for _, c := range []struct {
		name   string
		stage  int
		change func(*PINRequest)
		kind   error
	}{
		{"empty", 1, func(r *PINRequest) { *r = PINRequest{} }, ErrMalformed},
		{"no method", 1, func(r *PINRequest) { r.Method = "" }, ErrMalformed},
		{"other method", 1, func(r *PINRequest) { r.Method = strings.Repeat("pin", 9999) }, ErrMalformed},
		{"no user", 1, func(r *PINRequest) { r.User = "" }, ErrMalformed},
		{"long user", 1, func(r *PINRequest) { r.User = strings.Repeat("A", 129) }, ErrMalformed},
		{"user with a line feed", 1, func(r *PINRequest) { r.User = "a\nb" }, ErrMalformed},
		{"user that is no UTF-8", 1, func(r *PINRequest) { r.User = "a\xff" }, ErrMalformed},
		{"hello with a proof", 1, func(r *PINRequest) { r.Proof = bytesOf(20) }, ErrMalformed},
		{"hello with keys", 1, func(r *PINRequest) { r.EPK = bytesOf(32) }, ErrMalformed},
		{"proof first", 1, func(r *PINRequest) { *r = PINRequest{PK: bytesOf(256), Proof: bytesOf(20)} }, ErrMalformed},
		{"keys first", 1, func(r *PINRequest) { *r = PINRequest{EPK: bytesOf(32), AuthTag: bytesOf(16)} }, ErrMalformed},

		{"no public value", 2, func(r *PINRequest) { r.PK = nil }, ErrMalformed},
		{"empty public value", 2, func(r *PINRequest) { r.PK = []byte{} }, ErrMalformed},
		{"long public value", 2, func(r *PINRequest) { r.PK = bytesOf(257) }, ErrMalformed},
		{"public value of zero", 2, func(r *PINRequest) { r.PK = make([]byte, 256) }, ErrMalformed},
		{"no proof", 2, func(r *PINRequest) { r.Proof = nil }, ErrMalformed},
		{"short proof", 2, func(r *PINRequest) { r.Proof = r.Proof[:19] }, ErrMalformed},
		{"long proof", 2, func(r *PINRequest) { r.Proof = append(r.Proof, 0) }, ErrMalformed},
		{"proof of 65 bytes", 2, func(r *PINRequest) { r.Proof = bytesOf(65) }, ErrMalformed},
		{"proof of a megabyte", 2, func(r *PINRequest) { r.Proof = bytesOf(1 << 20) }, ErrMalformed},
		{"proof with keys", 2, func(r *PINRequest) { r.AuthTag = bytesOf(16) }, ErrMalformed},
		{"wrong proof", 2, func(r *PINRequest) { r.Proof[0] ^= 1 }, ErrUnauthorized},
		{"keys instead of a proof", 2, func(r *PINRequest) { *r = PINRequest{EPK: bytesOf(32), AuthTag: bytesOf(16)} }, ErrMalformed},

		{"no key", 3, func(r *PINRequest) { r.EPK = nil }, ErrMalformed},
		{"short key", 3, func(r *PINRequest) { r.EPK = r.EPK[:31] }, ErrMalformed},
		{"long key", 3, func(r *PINRequest) { r.EPK = append(r.EPK, 0) }, ErrMalformed},
		{"no tag", 3, func(r *PINRequest) { r.AuthTag = nil }, ErrMalformed},
		{"short tag", 3, func(r *PINRequest) { r.AuthTag = r.AuthTag[:12] }, ErrMalformed},
		{"long tag", 3, func(r *PINRequest) { r.AuthTag = append(r.AuthTag, 0) }, ErrMalformed},
		{"wrong tag", 3, func(r *PINRequest) { r.AuthTag[15] ^= 1 }, ErrUnauthorized},
		{"wrong key", 3, func(r *PINRequest) { r.EPK[0] ^= 1 }, ErrUnauthorized},
		{"a second proof", 3, func(r *PINRequest) { *r = PINRequest{PK: bytesOf(256), Proof: bytesOf(20)} }, ErrMalformed},
	} {
		b, conversation, request := pinStage(t, c.stage)
		good := request
		good.Proof, good.EPK, good.AuthTag = bytes.Clone(request.Proof), bytes.Clone(request.EPK), bytes.Clone(request.AuthTag)
		c.change(&request)
		reply, err := conversation.SetupPIN(request)
		wantError(t, c.name, err, c.kind)
		if reply.PK != nil || reply.Proof != nil || reply.EPK != nil || len(b.store.Senders()) > 0 {
			t.Errorf("%s: reply %v, %d senders", c.name, reply, len(b.store.Senders()))
		}
		if _, err := conversation.SetupPIN(good); c.stage > 1 {
			wantError(t, c.name+", then put right", err, ErrMalformed)
		}
		if err := conversation.StartPIN(); err != nil {
			t.Fatal(err)
		}
		if err := enterPIN(NewInitiator(seed("client ed"), "x"), conversation, b.pin); err != nil {
			t.Errorf("%s: the next exchange fails: %v", c.name, err)
		}
	}
}

// TestSizes compares the replies with those of the reference.
func TestSizes(t *testing.T) {
	for stage, want := range []PINReply{
		1: {PK: make([]byte, 256), Salt: make([]byte, 16)},
		2: {Proof: make([]byte, 20)},
		3: {EPK: make([]byte, 32), AuthTag: make([]byte, 16)},
	} {
		if stage == 0 {
			continue
		}
		_, c, request := pinStage(t, stage)
		got, err := c.SetupPIN(request)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.PK) != len(want.PK) || len(got.Salt) != len(want.Salt) || len(got.Proof) != len(want.Proof) ||
			len(got.EPK) != len(want.EPK) || len(got.AuthTag) != len(want.AuthTag) {
			t.Errorf("reply to request %d: %x", stage, got)
		}
	}
}

// TestWrongPIN mistypes the PIN, then types it right on the same connection.
func TestWrongPIN(t *testing.T) {
	b := newBench(PINOnce, Access{})
	c, i := b.Converse(quiet), NewInitiator(seed("client ed"), "id")
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"", "12345", b.pin[1:] + b.pin[:1] + "0"} {
		b.UnlockPIN()
		if err := c.StartPIN(); err != nil {
			t.Fatal(err)
		}
		wantError(t, wrong, enterPIN(i, c, wrong), ErrUnauthorized)
		if len(b.store.Senders()) > 0 {
			t.Errorf("%q lets a sender in", wrong)
		}
	}
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	if err := enterPIN(i, c, b.pin); err != nil || b.shown != 2 {
		t.Errorf("%d PINs shown, error %v", b.shown, err)
	}
}

// TestHelloWithoutPIN shows that a sender that asks for no PIN gets none, but
// may use one that is on the screen for whichever connection.
func TestHelloWithoutPIN(t *testing.T) {
	b := newBench(PINOnce, Access{})
	c, i := b.Converse(quiet), NewInitiator(seed("client ed"), "id")
	_, err := c.SetupPIN(i.PIN())
	wantError(t, "hello without a PIN", err, ErrUnauthorized)
	if b.shown != 0 {
		t.Error("a PIN is shown")
	}
	if err := b.Converse(quiet).StartPIN(); err != nil {
		t.Fatal(err)
	}
	if err := enterPIN(i, c, b.pin); err != nil {
		t.Error(err)
	}
}

// TestReceiverWithoutPIN shows that a sender notices a receiver that does not
// know the PIN, and one that changes its mind about its key.
func TestReceiverWithoutPIN(t *testing.T) {
	i := NewInitiator(seed("client ed"), "id")
	_, err := i.PINProof(PINReply{}, "0000")
	if err == nil {
		t.Error("a reply to nothing is accepted")
	}
	i.PIN()
	impostor := srp.Legacy().NewServer("id", "0000")
	request, err := i.PINProof(PINReply{PK: impostor.Public(), Salt: impostor.Salt()}, "1234")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := impostor.Verify(request.PK, request.Proof); err == nil {
		t.Fatal("the impostor knows the PIN")
	}
	_, err = i.PINKeys(PINReply{Proof: make([]byte, 20)})
	wantError(t, "the impostor's proof", err, ErrUnauthorized)
	if err := i.PINDone(PINReply{EPK: make([]byte, 32), AuthTag: make([]byte, 16)}); err == nil {
		t.Error("the impostor's key is accepted")
	}

	b := newBench(PINOnce, Access{})
	c := b.Converse(quiet)
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	i.Trust(publicKey(seed("another")))
	wantError(t, "another key", enterPIN(i, c, b.pin), ErrUnauthorized)
}

func FuzzSetupPIN(f *testing.F) {
	for stage := 1; stage <= 3; stage++ {
		_, _, r := pinStage(f, stage)
		f.Add(byte(stage), r.Method, r.User, r.PK, r.Proof, r.EPK, r.AuthTag)
	}
	f.Fuzz(func(t *testing.T, stage byte, method, user string, pk, proof, epk, tag []byte) {
		for _, b := range []*[]byte{&pk, &proof, &epk, &tag} {
			if len(*b) == 0 {
				*b = nil
			}
		}
		b, c, _ := pinStage(t, int(stage)%3+1)
		reply, err := c.SetupPIN(PINRequest{method, user, pk, proof, epk, tag})
		if err != nil && Status(err) == 500 {
			t.Errorf("error of no kind: %v", err)
		}
		if reply.Proof != nil || reply.EPK != nil || len(b.store.Senders()) > 0 {
			t.Errorf("a stranger is let in: %v", reply)
		}
	})
}

// FuzzInitiator feeds the sender hostile replies.
func FuzzInitiator(f *testing.F) {
	server := srp.Legacy().NewServer("id", "0000")
	f.Add(make([]byte, 32), make([]byte, 96), server.Public(), server.Salt(), make([]byte, 20), make([]byte, 32), make([]byte, 16))
	f.Fuzz(func(t *testing.T, setup, verify, pk, salt, proof, epk, tag []byte) {
		i := NewInitiator(seed("client ed"), "id")
		if i.SetupReply(setup) == nil {
			if _, err := i.Verify(); err != nil {
				t.Error(err)
			}
			if _, err := i.VerifyReply(verify); (err == nil) != (i.Shared() != nil) {
				t.Errorf("secret %x, error %v", i.Shared(), err)
			}
		}
		i.PIN()
		if request, err := i.PINProof(PINReply{PK: pk, Salt: salt}, "0000"); err == nil && len(request.Proof) != 20 {
			t.Errorf("request %v", request)
		}
		if _, err := i.PINKeys(PINReply{Proof: proof}); err == nil {
			t.Error("the receiver proves what it does not know")
		}
		if i.PINDone(PINReply{EPK: epk, AuthTag: tag}) == nil {
			t.Error("the keys of a stranger are accepted")
		}
	})
}
