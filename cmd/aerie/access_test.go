package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"crypto/ed25519"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/config"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/transcript"
)

var shownPIN = regexp.MustCompile(`asks for the PIN: (\d{4})`)

// pinFromLog reads the PIN as a person does who sits in front of the receiver.
func (g *rig) pinFromLog() (string, error) {
	for range 500 {
		if all := shownPIN.FindAllStringSubmatch(g.log.String(), -1); len(all) > 0 {
			return all[len(all)-1][1], nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return "", errors.New("no PIN was shown")
}

// With --pin once a sender enters the PIN the first time and never again, not
// even after a restart; a stranger with a wrong PIN is kept out.
func TestPINOnce(t *testing.T) {
	state := t.TempDir()
	with := func(c *config.Config) { c.Access.PIN, c.State = "once", state }
	g := newRig(t, with)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	me := func() phone.Options {
		return phone.Options{Picture: testPattern(t, 160, 120, 30, 10), Identity: key, Device: "02:00:00:00:00:07",
			PIN: func() (string, error) { asked++; return g.pinFromLog() }}
	}
	g.mirror(me())
	if asked != 1 {
		t.Errorf("asked %d times at first", asked)
	}
	g.mirror(me())
	g.stop()
	g = newRig(t, with)
	g.mirror(me())
	if asked != 1 {
		t.Errorf("asked again: %d", asked)
	}
	wrong := phone.Options{Picture: testPattern(t, 160, 120, 30, 10), Device: "02:00:00:00:00:08", PIN: func() (string, error) {
		pin, err := g.pinFromLog()
		return strings.Map(func(r rune) rune { return '0' + (r-'0'+1)%10 }, pin), err
	}}
	if _, err := g.try(wrong); err == nil {
		t.Error("a wrong PIN opens the session")
	}
	// Without an idea of pairing nobody gets in either.
	g.mirror(me())
}

func TestPassword(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Access.Password = "open sesame" })
	for password, want := range map[string]bool{"open sesame": true, "open barley": false, "": false} {
		_, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 5), Password: password})
		if (err == nil) != want {
			t.Errorf("password %q: %v", password, err)
		}
	}
}

func TestAccessLists(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Access.Block = []string{"02:00:00:00:00:66"} })
	if _, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 5), Device: "02:00:00:00:00:66"}); err == nil {
		t.Error("a blocked sender gets in")
	}
	g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 30, 5), Device: "02:00:00:00:00:67"})
}

// The second sender is refused and the first plays on, or takes over and the
// first is disconnected.
func TestTwoSenders(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		g := newRig(t, func(c *config.Config) { c.Access.Takeover = takeover })
		first := make(chan error, 1)
		go func() {
			_, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 60), Sound: tone(t, audio.PCM), Device: "02:00:00:00:00:01"})
			first <- err
		}()
		for !strings.Contains(g.log.String(), "picture codec=") {
			time.Sleep(5 * time.Millisecond)
		}
		_, second := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 10), Device: "02:00:00:00:00:02"})
		if err := <-first; (err == nil) == takeover || (second == nil) != takeover {
			t.Errorf("take-over %v: the first ended with %v, the second with %v", takeover, err, second)
		}
		g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 30, 5)})
		g.stop()
	}
}

// A conversation that one user recorded plays back at another receiver, with
// the same answers, and without anything personal in it.
func TestRecordAndReplay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "conversation.jsonl")
	g := newRig(t, func(c *config.Config) { c.Log.Record = file })
	g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 30, 10), Sound: tone(t, audio.AACELD), Name: "Annabel's iPhone", Device: "02:AB:CD:EF:01:23"})
	g.stop()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"Annabel", "02:AB:CD", "127.0.0.1"} {
		if strings.Contains(string(text), private) {
			t.Errorf("the recording tells %q", private)
		}
	}
	entries, err := transcript.Read(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	g = newRig(t, nil)
	p := &transcript.Player{Dial: func() (net.Conn, error) { return net.Dial("tcp", g.addr) },
		Identity: ed25519.NewKeyFromSeed(make([]byte, 32)), Receiver: keystore.Key{}}
	if err := p.Play(entries); err != nil {
		t.Fatal(err)
	}
	if p.Requests < 10 || len(p.Differences) > 0 {
		t.Errorf("%d requests; %q", p.Requests, p.Differences)
	}
	// The program says the same, also of a receiver that answers otherwise.
	if r := call(t, "aerie-sender", "--replay", file, g.addr); r.code != 0 || !strings.Contains(r.out, "requests, 0 answers other than recorded") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	g.stop()
	g = newRig(t, func(c *config.Config) { c.Access.Password = "open sesame" })
	if r := call(t, "aerie-sender", "--replay", file, g.addr); !strings.Contains(r.out, "status 401, recorded 200") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}
