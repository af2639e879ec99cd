package alsa

import (
	"context"
	"testing"
	"time"

	"aerie/hw/lab/bench"
)

// The bench has no HDMI sound, but the kernel lets a card have any name and
// any control element: loopback cards play the vc4 HDMI card and the headphone
// jack of a Pi, with a jack and an ELD that send real events.
func TestLabTelevision(t *testing.T) {
	bench.Need(t)
	bench.Load(t, "snd-aloop", "enable=1,1,1", "id=Loopback,vc4hdmi0,Headphones", "pcm_substreams=2,2,2")
	t.Cleanup(func() { bench.Load(t, "snd-aloop", "pcm_substreams=2") })
	t.Run("follow", followTelevision)
	t.Run("gate", labGate)
	t.Run("level", labLevel)
}

func followTelevision(t *testing.T) {
	ctl, jack := element(t, "vc4hdmi0", ifaceCard, "HDMI Jack", elemBoolean, 1, nil)
	eldCtl, eld := element(t, "vc4hdmi0", ifacePCM, "ELD", elemBytes, maxELD, nil)
	eldCtl.write(t, eld, television("LAB TV", 0x09, 0x07, 0x07))
	ctl.write(t, jack, boolean(true))
	d := mustFind(t, "auto")
	if d.String() != "vc4hdmi0,0" || d.Sink.Plug != Plugged || d.Sink.ELD == nil || d.Sink.ELD.Monitor != "LAB TV" {
		t.Fatalf("auto is %s", d.describe())
	}
	o, err := Open(Config{Want: quick})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx, func([]float32, int64) {}) }()
	for _, plugged := range []bool{false, true, false, true} {
		ctl.write(t, jack, boolean(plugged))
		want := map[bool]string{true: "vc4hdmi0", false: "Headphones"}[plugged]
		until(t, "sound on "+want, func() bool { s := o.Stats(); return s.Playing && s.Setup.Device.Card.ID == want })
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if st := o.Stats(); st.Opens != 5 || st.Failures+st.Losses != 0 {
		t.Errorf("%+v", st)
	}
}

// until waits for something to come true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

func labGate(t *testing.T) {
	o, err := Open(Config{Device: "vc4hdmi0", Want: quick})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx, func([]float32, int64) {}) }()
	for range 3 {
		until(t, "sound", func() bool { return o.Stats().Playing })
		o.Hold()
		// Nobody holds the device now.
		for range 2 {
			p, err := OpenPCM(mustFind(t, "vc4hdmi0"), quick)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			p.Close()
		}
		if o.Stats().Playing {
			t.Error("sound behind the gate")
		}
		o.Release()
	}
	until(t, "sound", func() bool { return o.Stats().Playing })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if st := o.Stats(); st.Opens != 4 || st.Failures != 0 {
		t.Errorf("%+v", st)
	}
}

func labLevel(t *testing.T) {
	ctl, id := element(t, "Headphones", ifaceMixer, "PCM Playback Volume", elemInteger, 2, []uint32{tlvScale, 8, neg(-10239), 1<<16 | 1})
	low := make([]byte, 16)
	setLong(low, 0, -4000)
	setLong(low, 1, -4000)
	ctl.write(t, id, low)
	o, err := Open(Config{Device: "headphones", Want: quick, LineLevel: true})
	if err != nil {
		t.Fatal(err)
	}
	o.Close()
	v, err := ctl.value(id)
	if err != nil || long(v.Value[:], 0) != 0 || long(v.Value[:], 1) != 0 {
		t.Errorf("volume %d, %d, %v", long(v.Value[:], 0), long(v.Value[:], 1), err)
	}
}
