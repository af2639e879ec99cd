package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
	"aerie/receiver/config"
)

// Senders that vanish in every way there is: the receiver serves the next one
// at once, and holds nothing back.
func TestNothingIsLeaked(t *testing.T) {
	g := newRig(t, func(c *config.Config) { c.Video.Output, c.Audio.Output = "raw:"+os.DevNull, "none" })
	g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 60, 5), Sound: tone(t, audio.AACELD)})
	before := count(t)
	for i := range 20 {
		o := phone.Options{Picture: &vanishing{Pattern: testPattern(t, 160, 120, 60, 30), at: i}, Sound: tone(t, audio.AACELD)}
		if _, err := g.try(o); err == nil {
			t.Fatal("a sender that vanishes ends in order")
		}
	}
	g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 60, 5), Sound: tone(t, audio.AACELD)})
	before.settle(t)
}

// vanishing fails in mid-stream.
type vanishing struct {
	*phone.Pattern
	n, at int
}

func (v *vanishing) Next(dst []byte, at clock.Remote, key bool) ([]byte, bool, error) {
	if v.n++; v.n > v.at {
		return nil, false, fmt.Errorf("the phone fell into the water")
	}
	return v.Pattern.Next(dst, at, key)
}

// broken sends pictures that are none.
type broken struct {
	*phone.Pattern
	spoil func(au []byte) []byte
	n     int
}

func (b *broken) Next(dst []byte, at clock.Remote, key bool) ([]byte, bool, error) {
	head := len(dst)
	au, isKey, err := b.Pattern.Next(dst, at, key)
	if b.n++; err == nil && b.n > 2 {
		au = append(au[:head], b.spoil(append([]byte(nil), au[head:]...))...)
	}
	return au, isKey, err
}

// payload sends another codec packet than the pattern's.
type payload struct {
	*phone.Pattern
	codec []byte
}

func (p *payload) Describe() ([]byte, int, int, bool) { return p.codec, 64, 64, false }

// Hostile pictures: that session may end, the process may not, and the next
// sender is served as if nothing had been.
func TestHostilePictures(t *testing.T) {
	noise := make([]byte, 5000)
	if _, err := rand.Read(noise); err != nil {
		t.Fatal(err)
	}
	sps, pps := testPattern(t, 160, 120, 30, 1).Parameters()
	record := func(change func(b []byte) []byte) []byte {
		conf, err := h264.NewConfig([][]byte{sps}, [][]byte{pps})
		if err != nil {
			t.Fatal(err)
		}
		return change(conf.Append(nil))
	}
	cases := map[string]phone.Picture{
		"noise":                 &broken{Pattern: testPattern(t, 160, 120, 60, 20), spoil: func([]byte) []byte { return noise }},
		"length beyond the end": &broken{Pattern: testPattern(t, 160, 120, 60, 20), spoil: func(b []byte) []byte { binary.BigEndian.PutUint32(b, 1<<31); return b }},
		"length of zero":        &broken{Pattern: testPattern(t, 160, 120, 60, 20), spoil: func(b []byte) []byte { binary.BigEndian.PutUint32(b, 0); return b }},
		"cut short":             &broken{Pattern: testPattern(t, 160, 120, 60, 20), spoil: func(b []byte) []byte { return b[:len(b)/2] }},
		"slices of noise": &broken{Pattern: testPattern(t, 160, 120, 60, 20), spoil: func(b []byte) []byte {
			copy(b[6:], noise)
			return b
		}},
		"one byte":              &broken{Pattern: testPattern(t, 160, 120, 60, 20), spoil: func([]byte) []byte { return []byte{0} }},
		"codec of noise":        &payload{testPattern(t, 160, 120, 60, 5), noise[:100]},
		"codec of nothing":      &payload{testPattern(t, 160, 120, 60, 5), nil},
		"SPS beyond the packet": &payload{testPattern(t, 160, 120, 60, 5), record(func(b []byte) []byte { b[6] = 0xff; return b })},
		"SPS of 16384x16384":    &payload{testPattern(t, 160, 120, 60, 5), hugeSPS(t, pps)},
		"hvc1, not offered":     &payload{testPattern(t, 160, 120, 60, 5), append([]byte("\x00\x00\x00\x56hvc1"), make([]byte, 200)...)},
	}
	for _, output := range []string{"none", "measured"} {
		g := newRig(t, nil)
		if output == "measured" {
			g = newMeasuredRig(t)
		}
		g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 60, 5)})
		before := count(t)
		for name, src := range cases {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = g.try(phone.Options{Picture: rewind(src), Device: "02:00:00:00:00:66"})
			}()
			select {
			case <-done:
			case <-time.After(60 * time.Second):
				t.Fatalf("%s into %s: the session hangs", name, output)
			}
			began := time.Now()
			g.mirror(phone.Options{Picture: testPattern(t, 160, 120, 60, 5), Device: "02:00:00:00:00:01"})
			if d := time.Since(began); d > 3*time.Second {
				t.Errorf("%s into %s: the next sender took %v", name, output, d)
			}
		}
		before.settle(t)
		g.stop()
	}
}

// rewind makes a source usable again.
func rewind(p phone.Picture) phone.Picture {
	switch p := p.(type) {
	case *broken:
		p.Pattern.Rewind()
		p.n = 0
	case *payload:
		p.Pattern.Rewind()
	}
	return p
}

// hugeSPS is a codec packet of a picture that no decoder should make room for.
func hugeSPS(t *testing.T, pps []byte) []byte {
	var w h264.BitWriter
	w.U(8, 100)
	w.U(8, 0)
	w.U(8, 62)
	for _, v := range []uint32{0, 1, 0, 0} {
		w.UE(v)
	}
	w.Flag(false)
	w.Flag(false)
	for _, v := range []uint32{0, 2, 1} {
		w.UE(v)
	}
	w.Flag(false)
	w.UE(1023)
	w.UE(1023)
	w.Flag(true)
	w.Flag(true)
	w.Flag(false)
	w.Flag(false)
	w.TrailingBits()
	sps := h264.AppendNAL(nil, 0x67, w.RBSP())
	conf, err := h264.NewConfig([][]byte{sps}, [][]byte{pps})
	if err != nil {
		t.Fatal(err)
	}
	return conf.Append(nil)
}

// Noise to the ports of a running session disturbs nobody.
func TestNoiseOnMediaPorts(t *testing.T) {
	g := newRig(t, nil)
	done := make(chan error, 1)
	go func() {
		_, err := g.try(phone.Options{Picture: testPattern(t, 160, 120, 30, 60), Sound: tone(t, audio.AACELD)})
		done <- err
	}()
	for !strings.Contains(g.log.String(), "type=96") {
		time.Sleep(5 * time.Millisecond)
	}
	for _, field := range strings.Fields(g.log.String()) {
		_, port, ok := strings.Cut(field, "=")
		if !ok || !strings.HasPrefix(field, "data=") && !strings.HasPrefix(field, "control=") || port == "0" {
			continue
		}
		addr := net.JoinHostPort("127.0.0.1", port)
		if c, err := net.Dial("udp", addr); err == nil {
			for n := range 200 {
				b := bytes.Repeat([]byte{0x80, 0xe0, byte(n)}, n)
				_, _ = c.Write(b)
			}
			c.Close()
		}
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			_, _ = c.Write(make([]byte, 1000))
			c.Close()
		}
	}
	if err := <-done; err != nil {
		t.Errorf("the session was disturbed: %v", err)
	}
}
