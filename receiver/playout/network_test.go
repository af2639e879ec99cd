package playout

import (
	"container/heap"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
)

// network is a sender, a bad network and a receiver with a clock of its own, in
// simulated time: everything between the sender's samples and the output but
// the sockets.
type network struct {
	drift   float64       // of the sender's clock against ours
	jitter  time.Duration // of the travel time of every datagram, evenly spread
	loss    float64       // part of the datagrams that never arrive
	answers bool          // the sender sends lost packets again
	silent  time.Duration // the output begins to play then
	wave    func(frame int64) (left, right float32)

	rng    *rand.Rand
	now    clock.Time
	events events
	clock  clock.Sender
	stream *audio.Stream
	track  *audio.Track
	sound  *Sound
	sent   [][]byte
}

const (
	netRate   = 44100
	netFrames = 352
	netLead   = 77175
	netAhead  = clock.Remote(17 * time.Minute) // of the sender's clock
)

// event is something that happens at an instant.
type event struct {
	at clock.Time
	do func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() (x any) {
	x = (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return x
}

func (n *network) after(d time.Duration, do func()) { heap.Push(&n.events, event{n.now.Add(d), do}) }

// travel delivers a datagram, or not.
func (n *network) travel(do func()) {
	if n.rng.Float64() >= n.loss {
		n.after(n.delay(), do)
	}
}

func (n *network) delay() time.Duration {
	return time.Millisecond + time.Duration(n.rng.Float64()*float64(n.jitter))
}

// remote is the sender's clock.
func (n *network) remote(t clock.Time) clock.Remote {
	return netAhead.Add(time.Duration(t) + time.Duration(float64(t)*n.drift))
}

// every does something again and again, by the sender's clock.
func (n *network) every(period time.Duration, do func()) {
	var again func()
	begin, i := n.now, 0
	again = func() {
		do()
		i++
		at := begin.Add(time.Duration(float64(i) * float64(period) / (1 + n.drift)))
		n.after(at.Sub(n.now), again)
	}
	again()
}

// Decode and Reset make the network a decoder: a packet holds the number of
// its first frame.
func (n *network) Decode(packet []byte, pcm []float32) (int, error) {
	first := int64(binary.BigEndian.Uint32(packet))
	for i := range netFrames {
		pcm[2*i], pcm[2*i+1] = n.wave(first + int64(i))
	}
	return 2 * netFrames, nil
}

func (n *network) Reset() {}

// packet sends the next packet.
func (n *network) packet() {
	i := len(n.sent)
	d := audio.Data{Seq: uint16(i), RTP: uint32(i * netFrames), Payload: binary.BigEndian.AppendUint32(nil, uint32(i*netFrames))}
	b := d.AppendTo(nil)
	n.sent = append(n.sent, b)
	n.travel(func() { n.arrive(b) })
}

func (n *network) arrive(b []byte) {
	d, _ := audio.ParseData(slices.Clone(b))
	est := n.clock.Estimate()
	n.stream.Put(d, est.ToRemote(n.now), time.Second)
}

// syncs tells which frame is heard now.
func (n *network) syncs() {
	newest := int64(n.remote(n.now).Sub(netAhead).Seconds() * netRate)
	at := netAhead.Add(time.Duration(newest) * time.Second / netRate)
	s := audio.Sync{RTP: uint32(newest - netLead), At: at, Newest: uint32(newest)}
	n.travel(func() {
		n.clock.Arrived(s.At, n.now)
		n.stream.Sync(s)
	})
}

// exchange asks the sender for the time.
func (n *network) exchange() {
	t0 := n.now
	n.travel(func() {
		t1 := n.remote(n.now)
		n.travel(func() { n.clock.Exchange(t0, t1, t1, n.now) })
	})
}

// ask asks for what was lost.
func (n *network) ask() {
	n.stream.Requests(n.now, func(r audio.Resend) {
		n.travel(func() {
			for k := range int(r.Many) {
				// Sequence numbers of a test of some minutes wrap at most once.
				if i := int(r.First) + k; n.answers && i < len(n.sent) {
					n.travel(func() { n.arrive(n.sent[i]) })
				}
			}
		})
	})
}

// run plays for some time; heard is called with each block of the output and
// the instant at which its first frame is heard.
func (n *network) run(length time.Duration, heard func(pcm []float32, at clock.Time)) {
	n.rng = rand.New(rand.NewPCG(21, 22))
	n.stream = audio.NewStream(audio.Format{Codec: audio.PCM, Rate: netRate, Channels: 2, Bits: 16, Frames: netFrames}, nil)
	n.track = audio.NewTrack(n.stream, n.stream.Format, n)
	n.sound = NewSound(n.track, netRate, netRate, 2)
	for i := range 3 {
		n.after(time.Duration(i)*300*time.Millisecond, n.exchange)
	}
	n.every(1500*time.Millisecond, n.exchange)
	n.every(time.Second*netFrames/netRate, n.packet)
	n.after(3*time.Second, func() { n.every(time.Second, n.syncs) })
	var out, poll func()
	pcm, blocks := make([]float32, 2*441), 0
	const outAhead = 30 * time.Millisecond
	out = func() {
		blocks++
		at := n.now.Add(outAhead)
		est := n.clock.Estimate()
		if n.sound.Fill(pcm, est.ToRemote(at)) {
			heard(pcm, at)
		}
		n.after(10*time.Millisecond, out)
	}
	poll = func() { n.ask(); n.after(20*time.Millisecond, poll) }
	n.after(n.silent, out)
	n.after(0, poll)
	for n.now < clock.Time(length) {
		e := heap.Pop(&n.events).(event)
		n.now = e.at
		e.do()
	}
}

// circle is sound from which the number of a frame can be read, between frames
// too, up to whole turns.
const turn = 4410

func circle(frame int64) (left, right float32) {
	x := 2 * math.Pi * float64(frame%turn) / turn
	return float32(0.5 * math.Sin(x)), float32(0.5 * math.Cos(x))
}

// Sound is where it should be though the clocks drift apart and every datagram
// takes another time: within a millisecond, 99 times of 100.
func TestSyncOverABadNetwork(t *testing.T) {
	for name, drift := range map[string]float64{"100 ppm fast": 100e-6, "100 ppm slow": -100e-6} {
		t.Run(name, func(t *testing.T) {
			const settled = 5 * time.Minute
			n := &network{drift: drift, jitter: 20 * time.Millisecond, wave: circle, silent: settled - 10*time.Second}
			var errors []float64
			var leaps uint64 // before it had settled
			n.run(settled+3*time.Minute, func(pcm []float32, at clock.Time) {
				if at < clock.Time(settled) {
					leaps = n.sound.Leaps.Value()
					return
				}
				// The sender hears frame f when netLead frames more were sent.
				truth := float64(at)*(1+drift)/1e9*netRate - netLead
				phase := math.Atan2(float64(pcm[0]), float64(pcm[1])) / (2 * math.Pi) * turn
				off := math.Remainder(phase-truth, turn)
				errors = append(errors, math.Abs(off)/netRate*1000)
			})
			slices.Sort(errors)
			p99, worst := errors[len(errors)*99/100], errors[len(errors)-1]
			t.Logf("error %.3f ms in the middle, %.3f ms at 99 %%, %.3f ms at most", errors[len(errors)/2], p99, worst)
			if p99 > 1 {
				t.Errorf("off by %.2f ms at 99 %%", p99)
			}
			if n := n.sound.Leaps.Value() - leaps; n > 0 {
				t.Errorf("%d leaps", n)
			}
		})
	}
}

// Where the sender answers, nothing of 20 % loss is heard: what comes out is
// what went in, sample by sample.
func TestLossWithAnswers(t *testing.T) {
	noise := func(frame int64) (left, right float32) {
		rng := rand.New(rand.NewPCG(uint64(frame), 5))
		return rng.Float32()*2 - 1, rng.Float32()*2 - 1
	}
	n := &network{jitter: 2 * time.Millisecond, loss: 0.2, answers: true, wave: noise}
	next, blocks := int64(-1), 0
	n.run(time.Minute, func(pcm []float32, at clock.Time) {
		if at < clock.Time(6*time.Second) {
			return
		}
		if next < 0 {
			next = n.sound.pos.frame - 441
		}
		for i := range 441 {
			left, right := noise(next + int64(i))
			if pcm[2*i] != left || pcm[2*i+1] != right {
				t.Fatalf("%v: frame %d is not what was sent", time.Duration(at), next+int64(i))
			}
		}
		next += 441
		blocks++
	})
	c := &n.stream.Counts
	t.Logf("%d packets, %d asked for, %d recovered, %d lost", c.Received.Value(), c.Requested.Value(), c.Recovered.Value(), c.Lost.Value())
	if c.Recovered.Value() < 1000 || c.Lost.Value() != 0 || blocks < 5000 {
		t.Errorf("%d recovered, %d lost, %d blocks", c.Recovered.Value(), c.Lost.Value(), blocks)
	}
}

// Where it does not, 5 % loss is concealed: no click above -40 dBFS.
func TestLossWithoutAnswers(t *testing.T) {
	chord := func(frame int64) (left, right float32) {
		x := float64(frame) / netRate * 2 * math.Pi
		return float32(0.2*math.Sin(220*x) + 0.1*math.Sin(440*x) + 0.05*math.Sin(661*x)), float32(0.3 * math.Sin(330*x))
	}
	steepest := func(loss float64) (most float32, lost uint64) {
		n := &network{jitter: 2 * time.Millisecond, loss: loss, wave: chord}
		var tail []float32 // of the block before
		n.run(time.Minute, func(pcm []float32, at clock.Time) {
			if at < clock.Time(6*time.Second) {
				return
			}
			all := append(tail, pcm...)
			for i := 4; i < len(all); i++ {
				d := all[i] - 2*all[i-2] + all[i-4]
				most = max(most, d, -d)
			}
			tail = slices.Clone(pcm[len(pcm)-4:])
		})
		return most, n.stream.Counts.Lost.Value()
	}
	whole, _ := steepest(0)
	holed, lost := steepest(0.05)
	t.Logf("steepest bend %.5f without loss, %.5f with %d packets lost", whole, holed, lost)
	if lost < 200 {
		t.Errorf("only %d packets were lost", lost)
	}
	if click := float64(holed - whole); click > 0.01 {
		t.Errorf("a click of %.1f dBFS", 20*math.Log10(click))
	}
}
