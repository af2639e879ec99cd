package phone

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/codec/alac"
	"aerie/receiver/codec/eld"
	"aerie/receiver/message"
	"aerie/receiver/pattern/sound"
)

// Sound is a source of packets of sound, used by one session.
type Sound interface {
	Format() audio.Format
	// Delay is by how many frames what is decoded from a packet lags behind
	// its number.
	Delay() int
	// Next appends the payload of the next packet.
	Next(dst []byte) []byte
}

// Tone is the sound of the test pattern, in one of the codecs that phones use.
type Tone struct {
	format   audio.Format
	source   *sound.Source
	position int64
	pcm      []float32
	wide     []int32
	eld      *eld.Encoder
	alac     alac.Config
}

// NewTone makes the sound of the pattern: AAC-ELD, ALAC or PCM.
func NewTone(codec audio.Codec) (*Tone, error) {
	f, err := audio.ParseFormat(int(codec), 0, 0, 0)
	if err != nil {
		return nil, err
	}
	return NewToneIn(f)
}

// NewToneIn makes the sound of the pattern in a format of one of these codecs.
func NewToneIn(f audio.Format) (*Tone, error) {
	var err error
	t := &Tone{format: f, pcm: make([]float32, f.Frames*f.Channels), wide: make([]int32, f.Frames*f.Channels)}
	if t.source, err = sound.New(f.Rate); err != nil {
		return nil, err
	}
	switch f.Codec {
	case audio.AACELD:
		t.eld, err = eld.NewEncoder(eld.Config{SampleRate: f.Rate, Channels: f.Channels, FrameLength: f.Frames})
	case audio.ALAC:
		t.alac = alac.Config{SampleRate: f.Rate, BitDepth: f.Bits, Channels: f.Channels, FrameLength: f.Frames}
	case audio.PCM:
	default:
		err = fmt.Errorf("the tone cannot be sent as %v", f.Codec)
	}
	return t, err
}

// Format describes the packets.
func (t *Tone) Format() audio.Format { return t.format }

// Delay is that of the codec.
func (t *Tone) Delay() int {
	if t.eld != nil {
		return t.eld.Delay()
	}
	return 0
}

// Next makes a packet.
func (t *Tone) Next(dst []byte) []byte {
	t.source.Fill(t.pcm, t.position)
	t.position += int64(t.format.Frames)
	if t.eld != nil {
		return t.eld.AppendFrame(dst, t.pcm)
	}
	for i, v := range t.pcm {
		t.wide[i] = int32(math.RoundToEven(float64(v) * float64(int32(1)<<(t.format.Bits-1)-1)))
	}
	if t.format.Codec == audio.ALAC {
		return t.alac.AppendFrame(dst, t.wide)
	}
	for _, v := range t.wide {
		dst = append(dst, byte(v>>8), byte(v))
	}
	return dst
}

const (
	// soundLead is how far ahead of its time sound is sent, as phones do with
	// that of a mirrored screen.
	soundLead = 7497
	// keptPackets are kept to be sent again.
	keptPackets = 512
)

// soundStream sends sound.
type soundStream struct {
	p       *Phone
	src     Sound
	f       audio.Format
	data    net.Conn
	control *net.UDPConn
	to      *net.UDPAddr // the receiver's control port
	begin   clock.Time
	cipher  *audio.Cipher
	rng     *rand.Rand
	base    uint32 // RTP time stamp of pattern time zero
	first   uint16 // sequence number of the first packet
	copies  int
	lead    int // frames that sound is sent ahead of its time
	// Classic senders leave part of the latency to the receiver, and may send
	// over TCP.
	relaxed, interleaved bool

	mu   sync.Mutex
	kept [keptPackets][]byte
	held []byte // a packet that changes places with the next
	n    int    // packets made
}

// openSound sets up the stream.
func (p *Phone) openSound(begin clock.Time) (*soundStream, error) {
	a := p.newSound(begin)
	a.cipher = audio.NewCipher(p.key, p.iv)
	key, err := a.seal()
	if err != nil {
		return nil, err
	}
	if a.control, err = net.ListenUDP("udp", &net.UDPAddr{IP: p.local}); err != nil {
		return nil, err
	}
	s := message.StreamSetup{Type: message.StreamAudio, CompressionType: int(a.f.Codec), SamplesPerFrame: a.f.Frames, SampleRate: a.f.Rate,
		AudioMode: "default", ControlPort: a.control.LocalAddr().(*net.UDPAddr).Port, LatencyMin: 11025, LatencyMax: 88200, IsMedia: true, UsingScreen: true,
		SharedKey: key, AudioFormat: a.f.AudioFormat()}
	a.copies = 1
	if a.f.Codec == audio.AACELD {
		s.RedundantAudio, a.copies = 2, 3
	}
	r, err := p.openStream(s)
	if err != nil {
		a.control.Close()
		return nil, err
	}
	if err := a.connect(r.DataPort, r.ControlPort); err != nil {
		a.control.Close()
		return nil, err
	}
	return a, nil
}

// newSound makes a stream that is not connected yet.
func (p *Phone) newSound(begin clock.Time) *soundStream {
	a := &soundStream{p: p, src: p.o.Sound, f: p.o.Sound.Format(), begin: begin, lead: soundLead}
	a.rng = rand.New(rand.NewPCG(p.o.Seed, 1))
	a.base, a.first = a.rng.Uint32(), uint16(a.rng.Uint32())
	return a
}

// connect connects to the ports of the receiver.
func (a *soundStream) connect(data, control int) error {
	host, _, _ := net.SplitHostPort(a.p.control.conn.RemoteAddr().String())
	remote, err := net.ResolveUDPAddr("udp", net.JoinHostPort(host, strconv.Itoa(data)))
	if err != nil {
		return err
	}
	if a.to, err = net.ResolveUDPAddr("udp", net.JoinHostPort(host, strconv.Itoa(control))); err != nil {
		return err
	}
	a.data, err = net.DialUDP("udp", &net.UDPAddr{IP: a.p.local}, remote)
	return err
}

// leadTime is by how much sound is sent ahead of its time.
func (a *soundStream) leadTime() time.Duration {
	return time.Duration(a.lead) * time.Second / time.Duration(a.f.Rate)
}

// seal draws the key of a stream of AirPlay 2; the others have that of the
// session.
func (a *soundStream) seal() (key []byte, err error) {
	if a.p.secret == nil {
		return nil, nil
	}
	key = make([]byte, 32)
	if _, err := crand.Read(key); err != nil {
		return nil, err
	}
	a.cipher, err = audio.NewSealed(key)
	return key, err
}

func (a *soundStream) run(ctx context.Context) error {
	defer a.data.Close()
	defer a.control.Close()
	go a.answer()
	synced := clock.Time(0)
	period := time.Duration(a.f.Frames) * time.Second / time.Duration(a.f.Rate)
	for i := 0; ; i++ {
		// Packet i holds pattern time from i*frames on, and leaves so far
		// before that is heard.
		at := a.begin.Add(time.Duration(i)*period - a.leadTime())
		if !wait(ctx, at) {
			return nil
		}
		if now := clock.Now(); !a.interleaved && (synced == 0 || now.Sub(synced) >= time.Second) {
			if err := a.sync(now, synced == 0); err != nil {
				return err
			}
			synced = now
		}
		a.make(i)
		if err := a.send(i); err != nil {
			return err
		}
	}
}

// rtp returns the time stamp of a frame of pattern time.
func (a *soundStream) rtp(frame int64) uint32 { return a.base + uint32(frame) }

// sync says which frame is heard now.
func (a *soundStream) sync(now clock.Time, first bool) error {
	frame := int64(now.Sub(a.begin)) * int64(a.f.Rate) / int64(time.Second)
	// The instant of exactly that frame.
	at := a.begin.Add(time.Duration(frame) * time.Second / time.Duration(a.f.Rate))
	s := audio.Sync{First: first, Relaxed: a.relaxed, RTP: a.rtp(frame), At: a.p.at(at), Newest: a.rtp(frame + int64(a.lead)), PTP: a.p.ptp(), Clock: clockID}
	_, err := a.control.WriteToUDP(s.AppendTo(nil), a.to)
	return err
}

// make makes packet i.
func (a *soundStream) make(i int) {
	began := clock.Now()
	d := audio.Data{Seq: a.first + uint16(i), RTP: a.rtp(int64(i)*int64(a.f.Frames) - int64(a.src.Delay())), Marker: i == 0, Payload: a.src.Next(nil)}
	packet := a.cipher.AppendPacket(nil, &d)
	a.p.report.Encode.Observe(clock.Now().Sub(began))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept[i%keptPackets] = packet
	a.n = i + 1
}

// send sends packet i, with copies of those before it where sound is
// redundant: 0, 0 1, 0 1 2, 1 2 3 and so on.
func (a *soundStream) send(i int) error {
	for j := max(i-a.copies+1, 0); j <= i; j++ {
		if a.rng.Float64() < a.p.o.Loss {
			a.p.report.SoundLost++
			continue
		}
		a.mu.Lock()
		b := a.kept[j%keptPackets]
		a.mu.Unlock()
		if a.held == nil && a.rng.Float64() < a.p.o.Reorder {
			a.held = b
			continue
		}
		if err := a.write(b); err != nil {
			return err
		}
		if a.held != nil {
			b, a.held = a.held, nil
			if err := a.write(b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *soundStream) write(b []byte) error {
	a.p.report.SoundPackets++
	if a.interleaved {
		b = append([]byte{'$', 0, byte(len(b) >> 8), byte(len(b))}, b...)
	}
	_, err := a.data.Write(b)
	return err
}

// answer sends packets again that the receiver asks for.
func (a *soundStream) answer() {
	buf := make([]byte, 64)
	for {
		n, from, err := a.control.ReadFromUDP(buf)
		if err != nil {
			return
		}
		r, ok := audio.ParseResend(buf[:n])
		if !ok {
			continue
		}
		a.p.report.ResendAsked.Add(uint64(r.Many))
		for k := range min(int(r.Many), keptPackets) {
			b := a.packet(r.First + uint16(k))
			if b == nil || a.p.o.Deaf {
				continue
			}
			a.p.report.ResendSent.Inc()
			_, _ = a.control.WriteToUDP(audio.AppendResendReply(nil, b), from)
		}
	}
}

// packet returns a packet that was kept, by its sequence number.
func (a *soundStream) packet(seq uint16) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	behind := int(int16(a.first + uint16(a.n) - seq))
	if behind < 1 || behind > keptPackets || behind > a.n {
		return nil
	}
	return a.kept[(a.n-behind)%keptPackets]
}
