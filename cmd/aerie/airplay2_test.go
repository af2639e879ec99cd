package main

import (
	"bytes"
	"crypto/ed25519"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/config"
	"aerie/receiver/message"
	"aerie/receiver/pattern/sound"
	"aerie/receiver/transcript"
)

// With HomeKit pairing the picture is what the sender encoded, byte for byte,
// requests are encrypted, and the sender is told when the session begins.
func TestHomeKitMirroring(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.h264")
	g := newRig(t, func(c *config.Config) { c.Identity, c.Video.Output = "both", "raw:"+file })
	src := &noted{Pattern: testPattern(t, 320, 240, 30, 45)}
	updated := make(chan message.Info, 8)
	report := g.mirror(phone.Options{Picture: src, Updated: func(in message.Info) { updated <- in }})
	g.stop()
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, src.want.Bytes()) {
		t.Errorf("%d bytes, want %d", len(got), src.want.Len())
	}
	if !report.Encrypted || report.Updates.Value() == 0 {
		t.Errorf("encrypted %v, %d updates", report.Encrypted, report.Updates.Value())
	}
	if in := <-updated; in.Status&message.StatusSessionActive == 0 || in.Name != "Test" || in.Features != report.Receiver.Features {
		t.Errorf("told %+v", in)
	}
	if strings.Contains(g.log.String(), "pairing refused") {
		t.Error("something was refused")
	}
}

// Sound of AirPlay 2 in realtime, over the sender's NTP clock, is what was
// sent: bit for bit, with and without a picture, and with a fifth of it lost.
func TestAirPlay2Realtime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identity string
		codec    audio.Codec
		o        phone.Options
	}{
		"loudspeaker":    {"airplay2", audio.ALAC, phone.Options{Duration: 7 * time.Second}},
		"lossy":          {"airplay2", audio.ALAC, phone.Options{Duration: 7 * time.Second, Loss: 0.2, Reorder: 0.1}},
		"with a picture": {"both", audio.PCM, phone.Options{Picture: testPattern(t, 160, 120, 10, 70)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.wav")
			g := newRig(t, func(conf *config.Config) { conf.Identity, conf.Audio.Output = c.identity, "file:"+file })
			c.o.Sound = tone(t, c.codec)
			report := g.mirror(c.o)
			g.stop()
			if !report.Encrypted {
				t.Error("not encrypted")
			}
			pcm := readWAV(t, file)
			beeps := sound.Find(pcm, 2, 44100)
			if len(beeps) < 2 {
				t.Fatalf("%d beeps in %.2f s", len(beeps), float64(len(pcm))/2/44100)
			}
			sameSamples(t, pcm, beeps)
		})
	}
}

// A loudspeaker shows no picture and says so.
func TestLoudspeakerHasNoPicture(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Identity = "airplay2" })
	report, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 5)})
	if err == nil || report.Receiver.Width != 0 || report.Receiver.Features&message.FeatureScreenMirroring != 0 {
		t.Errorf("%v, %d pixels wide", err, report.Receiver.Width)
	}
	g.mirror(phone.Options{Sound: tone(t, audio.ALAC), Duration: time.Second})
}

// Who pairs for good with the PIN is known afterwards, even after a restart.
func TestHomeKitPINOnce(t *testing.T) {
	state := t.TempDir()
	with := func(c *config.Config) { c.Identity, c.Access.PIN, c.State = "both", "once", state }
	g := newRig(t, with)
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	me := func(known ed25519.PublicKey) phone.Options {
		return phone.Options{Picture: testPattern(t, 160, 120, 30, 10), Identity: key, PairForGood: true, Known: known,
			PIN: func() (string, error) { asked++; return g.pinFromLog() }}
	}
	if _, err := g.try(me(make([]byte, 32))); err == nil {
		t.Error("a stranger gets in")
	}
	report := g.mirror(me(nil))
	g.mirror(me(report.Receiver.PublicKey))
	g.stop()
	g = newRig(t, with)
	g.mirror(me(report.Receiver.PublicKey))
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	if _, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 10), PIN: func() (string, error) { return "none", nil }}); err == nil {
		t.Error("a wrong PIN opens the session")
	}
}

func TestHomeKitPassword(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Identity, c.Access.Password = "both", "open sesame" })
	for password, want := range map[string]bool{"open sesame": true, "open barley": false, "": false} {
		_, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 5), Password: password})
		if (err == nil) != want {
			t.Errorf("password %q: %v", password, err)
		}
	}
}

// Nothing that pairing agreed on stands in a recorded conversation, and the
// session leaves nothing behind.
func TestHomeKitRecordAndLeaks(t *testing.T) {
	before := count(t)
	file := filepath.Join(t.TempDir(), "conversation.jsonl")
	g := newRig(t, func(c *config.Config) { c.Identity, c.Log.Record = "both", file })
	report := g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 30, 10), Sound: tone(t, audio.AACELD), Name: "Annabel's iPhone"})
	if !report.Encrypted {
		t.Error("not encrypted")
	}
	// One that is cut off in the middle.
	c, err := net.Dial("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write([]byte("POST /pair-setup RTSP/1.0\r\nContent-Length: 9\r\n\r\n\x06\x01\x01\x00\x01\x00\x13\x01\x10")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
	c.Close()
	g.stop()
	before.settle(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "Annabel") {
		t.Error("the recording tells the name")
	}
	entries, err := transcript.Read(bytes.NewReader(text))
	if err != nil || len(entries) < 20 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
}
