package pairing

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"aerie/receiver/pairing/keystore"
)

// try takes a new connection of a sender through pair-verify and Admit.
func try(b *bench, sender string) error {
	i := NewInitiator(seed(sender), sender)
	i.Trust(publicKey(b.store.Identity()))
	c := b.Converse(quiet)
	defer c.Close()
	if err := verify(i, c); err != nil {
		return err
	}
	return c.Admit(sender, "name of "+sender)
}

// pair takes a new connection of a sender through the PIN exchange and,
// where verifyHere is set, on to Admit.
func pair(t *testing.T, b *bench, sender string, verifyHere bool) {
	t.Helper()
	i, c := NewInitiator(seed(sender), sender), b.Converse(quiet)
	defer c.Close()
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "before the PIN", c.Admit(sender, ""), ErrUnauthorized)
	if err := enterPIN(i, c, b.pin); err != nil {
		t.Fatal(err)
	}
	if key, known := i.Receiver(); !known || !bytes.Equal(key[:], b.PublicKey()) {
		t.Errorf("the sender learned key %x, %v", key, known)
	}
	wantError(t, "after the PIN, before pair-verify", c.Admit(sender, ""), ErrUnauthorized)
	if !verifyHere {
		return
	}
	if err := verify(i, c); err != nil {
		t.Fatal(err)
	}
	if err := c.Admit(sender, "name of "+sender); err != nil {
		t.Error(err)
	}
}

func TestPINOff(t *testing.T) {
	b := newBench(PINOff, Access{})
	if err := b.Converse(quiet).Admit("id", "name"); err != nil {
		t.Errorf("without any pairing: %v", err)
	}
	if err := try(b, "a"); err != nil {
		t.Errorf("with pair-verify: %v", err)
	}
	wantError(t, "StartPIN", b.Converse(quiet).StartPIN(), ErrForbidden)
	if len(b.store.Senders()) > 0 || b.shown > 0 {
		t.Error("somebody is remembered")
	}
}

func TestPINOnce(t *testing.T) {
	b := newBench(PINOnce, Access{})
	wantError(t, "stranger", try(b, "a"), ErrUnauthorized)
	pair(t, b, "a", true)
	pair(t, b, "b", false)
	b.pass(time.Minute)
	for _, sender := range []string{"a", "b", "a"} {
		if err := try(b, sender); err != nil {
			t.Errorf("remembered sender: %v", err)
		}
	}
	wantError(t, "stranger", try(b, "c"), ErrUnauthorized)
	if b.shown != 2 {
		t.Errorf("%d PINs for two senders", b.shown)
	}
	s := b.store.Senders()
	if len(s) != 2 || s[0].ID != "a" || s[0].Name != "name of a" || s[1].Name != "name of b" || s[0].LastSeen.Sub(s[0].FirstSeen) != time.Minute {
		t.Errorf("remembered %v", s)
	}
	if _, err := b.store.Forget("a"); err != nil {
		t.Fatal(err)
	}
	wantError(t, "forgotten sender", try(b, "a"), ErrUnauthorized)
}

func TestPINAlways(t *testing.T) {
	b := newBench(PINAlways, Access{})
	wantError(t, "stranger", try(b, "a"), ErrUnauthorized)
	pair(t, b, "a", true)
	wantError(t, "the same sender again", try(b, "a"), ErrUnauthorized)
	pair(t, b, "a", false)
	if err := try(b, "a"); err != nil {
		t.Errorf("on another connection: %v", err)
	}
	wantError(t, "on a third", try(b, "a"), ErrUnauthorized)
	pair(t, b, "a", false)
	b.pass(ticketLife)
	wantError(t, "too late", try(b, "a"), ErrUnauthorized)
	pair(t, b, "b", false)
	if len(b.tickets) != 1 || len(b.store.Senders()) > 0 {
		t.Errorf("%d tickets, %d senders", len(b.tickets), len(b.store.Senders()))
	}
}

// TestKeyOfAnother shows that the key of a remembered sender is of no use
// without its private half.
func TestKeyOfAnother(t *testing.T) {
	b := newBench(PINOnce, Access{})
	pair(t, b, "a", true)
	thief := NewInitiator(seed("thief"), "a")
	thief.Trust(publicKey(b.store.Identity()))
	c := b.Converse(quiet)
	first, err := thief.Verify()
	if err != nil {
		t.Fatal(err)
	}
	key := publicKey(seed("a"))
	copy(first[36:], key[:])
	reply, err := c.Verify(first)
	if err != nil {
		t.Fatal(err)
	}
	second, err := thief.VerifyReply(reply)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(second)
	wantError(t, "the thief's signature", err, ErrUnauthorized)
	wantError(t, "the thief", c.Admit("a", ""), ErrForbidden)
}

func TestAccess(t *testing.T) {
	for _, c := range []struct {
		access Access
		id     string
		kind   error
	}{
		{Access{}, "B4:19:74:50:E1:8A", nil},
		{Access{}, "", nil},
		{Access{Block: []string{"b4:19:74:50:e1:8a"}}, "B4:19:74:50:E1:8A", ErrForbidden},
		{Access{Block: []string{"B4-19-74-50-E1-8A"}}, "b4197450e18a", ErrForbidden},
		{Access{Block: []string{"B4:19:74:50:E1:8A"}}, "B4:19:74:50:E1:8B", nil},
		{Access{Block: []string{""}}, "B4:19:74:50:E1:8B", nil},
		{Access{Block: []string{""}}, "", nil},
		{Access{Allow: []string{"b4197450e18a"}}, "B4:19:74:50:E1:8A", nil},
		{Access{Allow: []string{"b4197450e18a"}}, "B4:19:74:50:E1:8B", ErrForbidden},
		{Access{Allow: []string{"b4197450e18a"}}, "", ErrForbidden},
		{Access{Allow: []string{""}}, "", ErrForbidden},
		{Access{Allow: []string{"a", "b"}, Block: []string{"b"}}, "b", ErrForbidden},
	} {
		b := newBench(PINOff, c.access)
		wantError(t, c.id, b.Converse(quiet).Admit(c.id, ""), c.kind)
	}
}

// TestBlockedSendersSeeNoPIN shows that the block list holds for the PIN
// exchange too.
func TestBlockedSendersSeeNoPIN(t *testing.T) {
	b := newBench(PINOnce, Access{Block: []string{"a"}})
	c := b.Converse(quiet)
	if err := c.StartPIN(); err != nil {
		t.Fatal(err)
	}
	wantError(t, "blocked sender", enterPIN(NewInitiator(seed("a"), "A"), c, b.pin), ErrForbidden)
}

func TestPolicyText(t *testing.T) {
	for _, p := range []PINPolicy{PINOff, PINOnce, PINAlways} {
		text, err := p.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back PINPolicy = -1
		if err := back.UnmarshalText(text); err != nil || back != p {
			t.Errorf("%v becomes %q, then %v, %v", p, text, back, err)
		}
	}
	var p PINPolicy
	for _, text := range []string{"", "Once", "on", "always "} {
		if p.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	if got := PINPolicy(7).String(); got != "PINPolicy(7)" {
		t.Errorf("%q", got)
	}
}

// fullDisk is a file system on which nothing can be written once it is full.
type fullDisk struct{ full bool }

var errFull = errors.New("no space left on device")

func (d *fullDisk) Read(string) ([]byte, error)          { return nil, fs.ErrNotExist }
func (d *fullDisk) Rename(string, string) error          { return d.Sync() }
func (d *fullDisk) Close() error                         { return nil }
func (d *fullDisk) Write(b []byte) (int, error)          { return len(b), d.Sync() }
func (d *fullDisk) Create(string) (keystore.File, error) { return d, d.Sync() }
func (d *fullDisk) Sync() error {
	if d.full {
		return errFull
	}
	return nil
}

// TestFullDisk shows that a PIN that cannot be kept is good until the next
// start, and that the log says so.
func TestFullDisk(t *testing.T) {
	disk := new(fullDisk)
	store, err := keystore.OpenFS(disk, quiet)
	if err != nil {
		t.Fatal(err)
	}
	disk.full = true
	var log strings.Builder
	b := newBench(PINOnce, Access{})
	b.store, b.config.Store = store, store
	b.config.Log = slog.New(slog.NewTextHandler(&log, nil))
	pair(t, b, "a", true)
	if !strings.Contains(log.String(), "after a restart") || !strings.Contains(log.String(), errFull.Error()) {
		t.Errorf("log %q", &log)
	}
	if err := try(b, "a"); err != nil {
		t.Error(err)
	}
	log.Reset()
	b.Tick()
	b.Tick()
	if n := strings.Count(log.String(), "visits are not kept"); n != 1 {
		t.Errorf("%d lines in the log: %q", n, &log)
	}
}
