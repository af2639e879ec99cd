package main

import (
	"context"
	"math"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/config"
	"aerie/receiver/message"
	"aerie/receiver/pattern/sound"
	"aerie/receiver/rtsp"
)

// play plays to the receiver as a classic sender.
func (g *rig) play(o phone.Options) *phone.Report {
	g.t.Helper()
	o.Address = g.addr
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	report, err := phone.Play(ctx, o)
	if err != nil {
		g.t.Fatalf("playing: %v", err)
	}
	return report
}

// classicSeconds is long enough for three beeps to be heard behind the
// latency of two seconds.
const classicSeconds = 6 * time.Second

// Sound of classic senders in each coding, over each transport, with each kind
// of key.
func TestClassicSound(t *testing.T) {
	for name, c := range map[string]struct {
		codec   audio.Codec
		classic phone.Classic
	}{
		"ALAC in the clear":      {audio.ALAC, phone.Classic{}},
		"ALAC with RSA":          {audio.ALAC, phone.Classic{Encryption: phone.RSA}},
		"PCM with FairPlay":      {audio.PCM, phone.Classic{Encryption: phone.FairPlay}},
		"AAC-ELD with RSA":       {audio.AACELD, phone.Classic{Encryption: phone.RSA}},
		"ALAC over TCP":          {audio.ALAC, phone.Classic{TCP: true}},
		"PCM with RSA, over TCP": {audio.PCM, phone.Classic{Encryption: phone.RSA, TCP: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.wav")
			g := newRig(t, func(conf *config.Config) { conf.Audio.Output = "file:" + file })
			g.play(phone.Options{Classic: &c.classic, Sound: tone(t, c.codec), Duration: classicSeconds})
			g.stop()
			pcm := readWAV(t, file)
			beeps := sound.Find(pcm, 2, 44100)
			if len(beeps) < 3 {
				t.Fatalf("%d beeps", len(beeps))
			}
			for i := 1; i < len(beeps); i++ {
				if d := beeps[i].Sample - beeps[i-1].Sample; math.Abs(d-44100) > 44 {
					t.Errorf("beeps %.1f samples apart", d)
				}
			}
			if c.codec != audio.AACELD {
				sameSamples(t, pcm, beeps)
			}
		})
	}
}

// A classic sender enters the password, and is refused without it.
func TestClassicPassword(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Access.Password = "secret" })
	o := phone.Options{Address: g.addr, Classic: &phone.Classic{}, Sound: tone(t, audio.PCM), Duration: time.Second}
	if _, err := phone.Play(t.Context(), o); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without a password: %v", err)
	}
	o.Password = "secret"
	g.play(o)
}

// A classic sender whose sound is lost on the way.
func TestClassicLoss(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.wav")
	g := newRig(t, func(conf *config.Config) { conf.Audio.Output = "file:" + file })
	report := g.play(phone.Options{Classic: &phone.Classic{Encryption: phone.RSA}, Sound: tone(t, audio.ALAC), Duration: classicSeconds, Loss: 0.2, Reorder: 0.1})
	g.stop()
	if report.SoundLost < 50 || report.ResendSent.Value() == 0 {
		t.Errorf("%d packets lost, %d sent again", report.SoundLost, report.ResendSent.Value())
	}
	pcm := readWAV(t, file)
	beeps := sound.Find(pcm, 2, 44100)
	if len(beeps) < 3 {
		t.Fatalf("%d beeps", len(beeps))
	}
	sameSamples(t, pcm, beeps)
}

// Classic senders that vanish in mid-stream, or never connect to the port they
// asked for: nothing is held back, and the next one is served.
func TestClassicLeaksNothing(t *testing.T) {
	g := newRig(t, nil)
	g.play(phone.Options{Classic: &phone.Classic{}, Sound: tone(t, audio.ALAC), Duration: 200 * time.Millisecond})
	before := count(t)
	sdp := (&message.Announce{Name: "x", Stream: message.StreamSetup{CompressionType: 2, SamplesPerFrame: 352}}).Encode()
	for i := range 20 {
		nc, err := net.Dial("tcp", g.addr)
		if err != nil {
			t.Fatal(err)
		}
		c := rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts)
		ask := func(method, field, value string, body []byte) int {
			t.Helper()
			q := rtsp.Request{Method: method, Target: "rtsp://127.0.0.1/1", Proto: rtsp.RTSP, Body: body, Header: rtsp.Header{{Name: "CSeq", Value: "1"}, {Name: field, Value: value}}}
			var p rtsp.Response
			if err := c.WriteRequest(&q); err != nil {
				t.Fatal(err)
			}
			if err := c.ReadResponse(&p); err != nil || p.Status != 200 && p.Status != 453 {
				t.Fatalf("%s: %d, %v", method, p.Status, err)
			}
			return p.Status
		}
		// The end of the sender before may not have been noticed yet.
		for tries := 0; ask("ANNOUNCE", "Content-Type", "application/sdp", sdp) == 453; tries++ {
			if tries == 500 {
				t.Fatal("the sender before is still there")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if status := ask("SETUP", "Transport", []string{"RTP/AVP/TCP;unicast", "RTP/AVP/UDP;control_port=9;timing_port=9"}[i%2], nil); status != 200 {
			t.Fatalf("SETUP: %d", status)
		}
		nc.Close()
	}
	g.play(phone.Options{Classic: &phone.Classic{TCP: true}, Sound: tone(t, audio.ALAC), Duration: 200 * time.Millisecond})
	before.settle(t)
}
