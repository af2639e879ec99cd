package audio

import (
	"encoding/binary"
	"errors"
	"math"
	"testing"
)

// counter is a codec whose packets hold the number of their first frame; the
// sound of frame f is a ramp that tells f.
type counter struct{ resets, frames int }

func ramp(f int64) float32 { return float32(f%1000)/1000 - 0.5 }

func (c *counter) Decode(packet []byte, pcm []float32) (int, error) {
	if len(packet) != 4 {
		return 0, errors.New("broken")
	}
	first := int64(binary.BigEndian.Uint32(packet))
	for i := range c.frames {
		pcm[2*i], pcm[2*i+1] = ramp(first+int64(i)), -ramp(first+int64(i))
	}
	return 2 * c.frames, nil
}

func (c *counter) Reset() { c.resets++ }

func rampPacket(n int) Data {
	return Data{Seq: uint16(n), RTP: uint32(n * 352), Payload: binary.BigEndian.AppendUint32(nil, uint32(n*352))}
}

func rampTrack() (*Track, *counter) {
	c := &counter{frames: 352}
	return NewTrack(NewStream(alac, nil), alac, c), c
}

func expectRamp(t *testing.T, pcm []float32, from int64) {
	t.Helper()
	for i := range len(pcm) / 2 {
		if want := ramp(from + int64(i)); pcm[2*i] != want || pcm[2*i+1] != -want {
			t.Fatalf("frame %d is %v %v, want %v", from+int64(i), pcm[2*i], pcm[2*i+1], want)
		}
	}
}

func TestTrackReadsByFrame(t *testing.T) {
	tr, _ := rampTrack()
	for n := 10; n < 60; n++ {
		tr.feed.(*Stream).Put(rampPacket(n), 0, 0)
	}
	pcm := make([]float32, 2*300)
	// Before the first packet there is silence.
	tr.Read(3520-100, pcm)
	for i := range 100 {
		if pcm[2*i] != 0 {
			t.Fatalf("frame %d sounds", 3420+i)
		}
	}
	expectRamp(t, pcm[200:], 3520)
	// A resampler reads overlapping pieces, back and forth a little.
	for _, from := range []int64{3520, 3700, 3680, 3990, 4300, 4280, 9000} {
		tr.Read(from, pcm)
		expectRamp(t, pcm, from)
	}
	if n := tr.Concealed.Value(); n != 0 {
		t.Errorf("%d frames made up", n)
	}
}

func TestTrackConcealsAndGoesOn(t *testing.T) {
	tr, _ := rampTrack()
	for n := range 20 {
		if n != 5 && n != 6 {
			tr.feed.(*Stream).Put(rampPacket(n), 0, 0)
		}
	}
	pcm := make([]float32, 2*352)
	tr.Read(4*352, pcm)
	expectRamp(t, pcm, 4*352)
	tr.Read(5*352, pcm)
	if tr.Concealed.Value() != 352 {
		t.Errorf("%d frames made up", tr.Concealed.Value())
	}
	// The second lost packet comes at the last moment.
	tr.feed.(*Stream).Put(rampPacket(6), 0, 0)
	tr.Read(7*352-10, pcm)
	expectRamp(t, pcm, 7*352-10)
	if tr.Concealed.Value() != 352 || tr.feed.(*Stream).Counts.Lost.Value() != 1 {
		t.Errorf("%d frames made up, %d packets lost", tr.Concealed.Value(), tr.feed.(*Stream).Counts.Lost.Value())
	}
}

// When the stream runs dry the track makes up as little as it can, and a
// packet that comes in the middle of its time is heard from there.
func TestTrackUnderrun(t *testing.T) {
	tr, _ := rampTrack()
	tr.feed.(*Stream).Put(rampPacket(0), 0, 0)
	pcm := make([]float32, 2*452)
	tr.Read(0, pcm)
	expectRamp(t, pcm[:704], 0)
	if tr.Concealed.Value() != 100 {
		t.Errorf("%d frames made up", tr.Concealed.Value())
	}
	tr.feed.(*Stream).Put(rampPacket(1), 0, 0)
	tr.Read(452+300, pcm[:100])
	// Blended with the concealment for 5 ms, pure behind that.
	tr.Read(452+230, pcm[:40])
	expectRamp(t, pcm[:40], 452+230)
}

func TestTrackFlushAndLeaps(t *testing.T) {
	tr, dec := rampTrack()
	for n := range 10 {
		tr.feed.(*Stream).Put(rampPacket(n), 0, 0)
	}
	pcm := make([]float32, 200)
	tr.Read(0, pcm)
	tr.feed.(*Stream).Flush(200, 200*352, true)
	for n := 200; n < 210; n++ {
		tr.feed.(*Stream).Put(rampPacket(n), 0, 0)
	}
	tr.Read(200*352, pcm)
	expectRamp(t, pcm, 200*352)
	if dec.resets != 1 {
		t.Errorf("%d resets of the decoder", dec.resets)
	}
	// The time stamps leap by an hour without a flush.
	d := rampPacket(3600 * 125)
	d.Seq = 210
	tr.feed.(*Stream).Put(d, 0, 0)
	tr.Read(3600*125*352, pcm)
	expectRamp(t, pcm, 3600*125*352)
	// The reader leaps back: what is gone is silence, and nothing hangs.
	tr.Read(0, pcm)
	for _, v := range pcm {
		if v != 0 {
			t.Fatal("the past sounds")
		}
	}
}

func TestTrackBrokenPackets(t *testing.T) {
	tr, _ := rampTrack()
	for n := range 6 {
		d := rampPacket(n)
		if n%2 == 1 {
			d.Payload = []byte("hostile!")
		}
		tr.feed.(*Stream).Put(d, 0, 0)
	}
	pcm := make([]float32, 2*6*352)
	tr.Read(0, pcm)
	if tr.Broken.Value() != 3 || tr.Decoded.Value() != 3 {
		t.Errorf("%d broken, %d decoded", tr.Broken.Value(), tr.Decoded.Value())
	}
	for i, v := range pcm {
		if math.IsNaN(float64(v)) || v > 1 || v < -1 {
			t.Fatalf("sample %d is %v", i, v)
		}
	}
}

func TestTrackDoesNotAllocate(t *testing.T) {
	tr, _ := rampTrack()
	pcm := make([]float32, 2*352)
	payload := make([]byte, 4)
	n := 0
	if allocs := testing.AllocsPerRun(500, func() {
		binary.BigEndian.PutUint32(payload, uint32(n*352))
		if n%20 != 7 {
			tr.feed.(*Stream).Put(Data{Seq: uint16(n), RTP: uint32(n * 352), Payload: payload}, 0, 0)
		}
		tr.Read(int64(n-2)*352, pcm)
		n++
	}); allocs != 0 {
		t.Errorf("%v allocations a packet", allocs)
	}
}
