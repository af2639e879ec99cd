package playout

import (
	"math"
	"testing"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
)

// still is a decoder of packets that make one sound.
type still struct{}

func (still) Decode(_ []byte, pcm []float32) (int, error) {
	for i := range 2 * 352 {
		pcm[i] = 0.5
	}
	return 2 * 352, nil
}
func (still) Reset() {}

// TestAbsurdAnchors: instants and frames at the ends of what a sender can say
// break nothing and take no time, and sound is back with a sensible anchor.
func TestAbsurdAnchors(t *testing.T) {
	f := audio.Format{Codec: audio.ALAC, Rate: 44100, Channels: 2, Bits: 16, Frames: 352}
	sender, err := audio.NewSealed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	receiver, err := audio.NewSealed(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	b := audio.NewBuffered(f, receiver, nil)
	for i := range uint32(200) {
		if err := b.Put(sender.AppendBuffered(nil, i, 1000+i*352, 0, []byte{1})[2:]); err != nil {
			t.Fatal(err)
		}
	}
	s := NewSound(audio.NewTrack(b, f, still{}), f.Rate, f.Rate, 2)
	pcm := make([]float32, 2*441)
	loud := func() (n int) {
		for _, v := range pcm {
			if v != 0 {
				n++
			}
		}
		return n
	}
	now := clock.Remote(1000 * time.Second)
	const farthest = clock.Remote(1<<32) * clock.Remote(time.Second)
	for _, at := range []clock.Remote{0, farthest, now.Add(time.Hour), now.Add(-time.Hour)} {
		for _, rtp := range []uint32{0, 1000, 1 << 31, math.MaxUint32} {
			b.SetAnchor(true, true, rtp, at, 7)
			for range 3 {
				s.Fill(pcm, now)
				now = now.Add(10 * time.Millisecond)
			}
		}
	}
	b.Flush(false, 0, 500)
	for i := range uint32(50) {
		if err := b.Put(sender.AppendBuffered(nil, 500+i, i*352, 0, []byte{1})[2:]); err != nil {
			t.Fatal(err)
		}
	}
	b.SetAnchor(true, true, 0, now, 7)
	for range 10 {
		s.Fill(pcm, now)
		now = now.Add(10 * time.Millisecond)
	}
	if n := loud(); n != len(pcm) {
		t.Errorf("%d samples of sound with a sensible anchor", n)
	}
	b.SetAnchor(false, false, 0, 0, 0)
	if s.Fill(pcm, now) || loud() != 0 {
		t.Error("sound in a pause")
	}
}
