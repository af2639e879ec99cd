package tv

import (
	"math/rand/v2"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/remote"
)

// judge watches what a TV does, and knows what must never happen whatever comes
// first. What it knows it has from the messages alone.
type judge struct {
	t   testing.TB
	now clock.Time

	bus     Bus
	playing bool
	began   clock.Time
	slept   bool // during a session, the television said that it slept
	chosen  bool // the last that was said of the screen was that we are on it
	asked   bool // and it was asked since the session
	dark    bool
	sends   []clock.Time
	orders  []clock.Time
}

func (j *judge) Send(to int, data ...byte) {
	j.sends = recent(append(j.sends, j.now), j.now)
	if len(j.sends) > 40 {
		j.t.Errorf("%d messages within a second", len(j.sends))
	}
	if len(data) == 0 || len(data) > 15 || to < 0 || to > 15 {
		j.t.Fatalf("no message: %d % x", to, data)
	}
	switch data[0] {
	case activeSource:
		if !j.playing || !j.bus.Ready {
			j.t.Error("the screen is taken without a session")
		}
		if to != everybody || len(data) != 3 || uint16(data[1])<<8|uint16(data[2]) != j.bus.Physical {
			j.t.Errorf("the screen is taken for %d % x", to, data)
		}
		j.chosen = true
	case imageViewOn:
		if !j.playing || j.now.Sub(j.began) > wakeTime {
			j.t.Error("the television is woken without a session that begins")
		}
	case requestActiveSource:
		j.asked = true
	case standby:
		switch {
		case to != television:
			j.t.Error("others are put to sleep")
		case j.playing:
			j.t.Error("the television is put to sleep while somebody watches")
		case !j.slept:
			j.t.Error("a television that was awake is put to sleep")
		case !j.chosen:
			j.t.Error("a television that shows something else is put to sleep")
		case !j.asked:
			j.t.Error("the television is put to sleep without a question")
		}
		j.slept = false
	}
}

func (j *judge) Command(remote.Command) {
	j.orders = recent(append(j.orders, j.now), j.now)
	if !j.playing || len(j.orders) > 20 {
		j.t.Errorf("%d commands within a second, session: %v", len(j.orders), j.playing)
	}
}

func (j *judge) Show(on bool) {
	if j.dark == !on {
		j.t.Error("the picture is switched to what it is")
	}
	j.dark = !on
}

// recent drops what is older than a second.
func recent(list []clock.Time, now clock.Time) []clock.Time {
	for len(list) > 0 && now.Sub(list[0]) > time.Second {
		list = list[1:]
	}
	return list
}

// heard takes note of a message that comes.
func (j *judge) heard(from, to int, data []byte) {
	if len(data) == 0 {
		return
	}
	ours := func(i int) bool { return j.bus.Ready && uint16(data[i])<<8|uint16(data[i+1]) == j.bus.Physical }
	switch {
	case data[0] == reportPower && from == television && len(data) > 1 && (data[1] == 1 || data[1] == 3) && j.playing:
		j.slept = true
	case data[0] == standby:
		j.slept, j.chosen = false, false
	case to != everybody:
	case data[0] == activeSource && len(data) > 2 && !ours(1):
		j.chosen = false
	case (data[0] == setStreamPath || data[0] == routingInformation) && len(data) > 2:
		j.chosen = ours(1)
	case data[0] == routingChange && len(data) > 4:
		j.chosen = ours(3)
	}
}

// TestNever goes through random dialogues: sessions that come and go, cables,
// televisions that answer and such that do not, and noise.
func TestNever(t *testing.T) {
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	standbys, wakes := uint64(0), uint64(0)
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		j := &judge{t: t, now: 1}
		tv := New(j, time.Duration(r.IntN(3))*10*time.Second)
		for range 300 {
			step(r, j, tv)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		standbys += tv.Counts.Standbys.Value()
		wakes += tv.Counts.Wakes.Value()
	}
	if wakes < uint64(rounds) || standbys < uint64(rounds)/20 {
		t.Errorf("%d times woken, %d put to sleep: the dialogues are not what they should be", wakes, standbys)
	}
}

var paths = []uint16{0x1000, 0x1100, 0x2000, 0x0000}

// step does one thing, and lets some time pass.
func step(r *rand.Rand, j *judge, tv *TV) {
	hear := func(from, to int, data ...byte) {
		j.heard(from, to, data)
		tv.Receive(j.now, from, to, data)
	}
	path := func() (byte, byte) { p := paths[r.IntN(len(paths))]; return byte(p >> 8), byte(p) }
	switch r.IntN(16) {
	case 0:
		j.bus = Bus{paths[r.IntN(2)], r.IntN(4) > 0}
		tv.Plugged(j.now, j.bus)
	case 1, 2:
		j.playing, j.began, j.asked = true, j.now, false
		if tv.Begin(j.now); j.dark {
			j.t.Error("the picture is off at the beginning of a session")
		}
	case 3, 4:
		if j.playing {
			j.playing, j.asked = false, false
			tv.End(j.now)
		}
	case 5, 6, 7:
		hear(television, 4, reportPower, byte(r.IntN(5)))
	case 8:
		a, b := path()
		hear(r.IntN(16), everybody, []byte{activeSource, setStreamPath, routingInformation}[r.IntN(3)], a, b)
	case 9:
		a, b := path()
		hear(television, everybody, routingChange, 0, 0, a, b)
	case 10:
		if r.IntN(4) == 0 {
			hear(television, 4+11*r.IntN(2), standby)
		}
	case 11:
		hear(television, 4, keyPressed, byte(r.IntN(128)))
	case 12:
		data := make([]byte, r.IntN(16))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		if len(data) > 0 && r.IntN(2) == 0 {
			data[0] = []byte{keyPressed, givePower, requestActiveSource, reportAudioStatus, menuRequest}[r.IntN(5)]
		}
		hear(r.IntN(16), r.IntN(16), data...)
	}
	until := j.now.Add([]time.Duration{0, 50 * time.Millisecond, time.Second, 15 * time.Second}[r.IntN(4)])
	for n := 0; ; n++ {
		at, ok := tv.Due()
		if !ok || at > until {
			break
		}
		if n > 100 {
			j.t.Fatal("always something to do")
		}
		j.now = max(j.now, at)
		tv.Tick(j.now)
	}
	j.now = until
}

// FuzzReceive feeds hostile messages, cut out of what is given: each begins with
// its addresses and its length.
func FuzzReceive(f *testing.F) {
	f.Add([]byte{0x04, 2, 0x44, 0x41, 0x0f, 3, 0x86, 0x10, 0x00, 0x0f, 1, 0x36})
	f.Add([]byte{0x0f, 5, 0x80, 0x10, 0x00, 0x20, 0x00, 0x04, 2, 0x90, 0x01, 0x54, 2, 0x7a, 0x99})
	f.Fuzz(func(t *testing.T, b []byte) {
		j := &judge{t: t, now: 1, bus: Bus{0x1000, true}, playing: true, began: 1}
		tv := New(j, time.Second)
		tv.Plugged(1, j.bus)
		tv.Begin(1)
		for len(b) >= 2 {
			from, to, n := int(b[0]>>4), int(b[0]&15), min(int(b[1]&15), len(b)-2)
			j.heard(from, to, b[2:2+n])
			tv.Receive(j.now, from, to, b[2:2+n])
			b = b[2+n:]
			j.now = j.now.Add(50 * time.Millisecond)
			tv.Tick(j.now)
		}
	})
}
