package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/mirror"
	"aerie/receiver/playout"
	"aerie/receiver/remote"
	"aerie/receiver/session"
)

// media makes a Receiver a session.Media.
type media Receiver

func (m *media) Volume() float64      { return (*Receiver)(m).Volume() }
func (m *media) SetVolume(db float64) { (*Receiver)(m).SetVolume(db) }

// Open opens a session: its clock at once, its streams as the sender asks.
func (m *media) Open(o session.Opening) (session.Streams, error) {
	r := (*Receiver)(m)
	s := &streams{r: r, opening: o, began: r.now()}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	limit := time.Duration(r.cfg.Video.MaxDelay) * time.Millisecond
	s.pictureDelay.Max, s.soundDelay.Max = limit, limit
	if err := s.openClock(); err != nil {
		s.cancel()
		return nil, err
	}
	r.page.begin()
	sound, err := r.audio.open(s)
	if err != nil {
		// A mute picture is better than none.
		r.log.Warn("no sound", "error", err)
		r.warnings.add(fmt.Sprintf("no sound: %v", err))
	}
	s.sound = sound
	s.openRemote()
	s.active.Store(int64(r.now()))
	r.current.Store(s)
	return s, nil
}

// streams is the open session of one sender.
type streams struct {
	r       *Receiver
	opening session.Opening
	began   clock.Time
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	clock        clock.Sender
	ntp          *clock.Client // nil if the sender answers none
	timing       *net.UDPConn
	pictureDelay playout.Delay
	soundDelay   playout.Delay
	mixer        mixer
	sound        soundSession // nil without sound
	time         containerTime
	remote       *remote.Sender
	active       atomic.Int64           // clock.Time of the last media
	path         atomic.Pointer[string] // which way decoded pictures take to the display
	decoder      atomic.Pointer[string] // what decodes them

	mu      sync.Mutex
	picture *pictureStream
	audio   *soundStream
	music   *musicStream
	// leaveGroup ends the listening to the clocks of a group; nil outside one.
	leaveGroup func()
	clockCheck sync.Once
	foreign    atomic.Bool // pictures are not stamped by the group's clock
	// recording is the file of the session, where the output is one.
	recording *tape
}

// delay is how long after the sender's stamp pictures are shown and sound is
// heard.
func (s *streams) delay() time.Duration { return max(s.pictureDelay.Value(), s.soundDelay.Value()) }

// openClock opens the timing port and, if the sender has one, asks it.
func (s *streams) openClock() (err error) {
	s.timing, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(s.opening.Local, s.port(0))))
	if err != nil {
		return fmt.Errorf("timing port: %w", err)
	}
	if s.opening.TimingPort == 0 {
		return nil
	}
	s.ntp = &clock.Client{Conn: s.timing, Peer: s.peer(s.opening.TimingPort), Clock: &s.clock, Now: s.r.now}
	s.wg.Go(func() { s.ntp.Run(s.ctx) })
	return nil
}

// port returns a port of media, counted from the first, or 0 for any.
func (s *streams) port(n int) uint16 {
	if base := s.r.cfg.Network.MediaPorts; base != 0 {
		return uint16(base + n)
	}
	return 0
}

// peer is a port of the sender.
func (s *streams) peer(port int) netip.AddrPort {
	return netip.AddrPortFrom(s.opening.Sender.Addr.Addr(), uint16(port))
}

// TimingPort is our port for NTP.
func (s *streams) TimingPort() int { return s.timing.LocalAddr().(*net.UDPAddr).Port }

// Latency is what the sender is told: what its sound will be late at least.
// Some senders take it for the whole of their own delay, so it is low, except
// for classic ones, which count on what the AirPort Express told.
func (s *streams) Latency() time.Duration {
	if s.opening.Classic {
		return audio.ClassicLatency
	}
	return soundLatency
}

const soundLatency = 100 * time.Millisecond

// Active returns when media last came.
func (s *streams) Active() clock.Time { return clock.Time(s.active.Load()) }

// pictureStream is the stream of the picture.
type pictureStream struct {
	cancel context.CancelFunc
	done   chan struct{}
	stats  mirror.Stats
	sink   *pictureSink
}

// Mirror opens the stream of the picture.
func (s *streams) Mirror(q session.MirrorRequest) (int, error) {
	cipher := s.pictureCipher(q.ConnectionID)
	if cipher == nil {
		return 0, errors.New("a picture without a key")
	}
	s.CloseStream(message.StreamMirror)
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.opening.Local, s.port(0))))
	if err != nil {
		return 0, fmt.Errorf("picture port: %w", err)
	}
	p := &pictureStream{done: make(chan struct{})}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(s.ctx)
	if p.sink, err = newPictureSink(ctx, s); err != nil {
		p.cancel()
		ln.Close()
		return 0, err
	}
	server := &mirror.Server{
		Peer: s.opening.Sender.Addr.Addr(), Sink: p.sink, Stats: &p.stats, Now: s.r.now, Log: s.r.log,
		Cipher: cipher,
		Allow:  p.sink.allow,
		Ended:  s.pictureEnded,
	}
	go func() {
		defer close(p.done)
		// The listener ends with the context; there is nobody to tell.
		_ = server.Run(ctx, ln)
		p.sink.close()
	}()
	s.mu.Lock()
	s.picture = p
	s.mu.Unlock()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// pictureCipher returns what makes the cipher of each connection of the
// picture, nil if there is no key.
func (s *streams) pictureCipher(id uint64) func() mirror.Cipher {
	switch {
	case s.opening.Secret != nil:
		return func() mirror.Cipher { return mirror.NewAEAD(s.opening.Secret.Stream(id)) }
	case s.opening.Encrypted:
		return func() mirror.Cipher { return mirror.NewCTR(s.opening.Key, id) }
	}
	return nil
}

// pictureEnded is told of the end of each connection of the picture. What the
// sender did wrong it would do again; a connection that broke it may open
// again.
func (s *streams) pictureEnded(err error) {
	var wrong *mirror.StreamError
	switch {
	case err == nil:
		s.r.log.Debug("picture: the sender closed the connection")
	case errors.As(err, &wrong):
		s.r.log.Error("picture: given up", "error", err)
		s.r.meters.lastError(err)
		s.opening.Ended(err.Error())
	default:
		s.r.log.Warn("picture: the connection broke", "error", err)
	}
}

// soundStream is the stream of the sound.
type soundStream struct {
	cancel  context.CancelFunc
	done    chan struct{}
	stream  *audio.Stream
	track   *audio.Track
	decoder soundDecoder
	sound   *playout.Sound
}

// Audio opens the stream of the sound.
func (s *streams) Audio(q session.AudioRequest) (data, control int, err error) {
	f, err := audio.ParseFormat(q.CompressionType, q.AudioFormat, q.SamplesPerFrame, q.SampleRate)
	if err != nil {
		return 0, 0, err
	}
	if f.Channels != soundChannels {
		return 0, 0, fmt.Errorf("sound of %d channels", f.Channels)
	}
	s.CloseStream(message.StreamAudio)
	cipher, err := s.soundCipher(q)
	if err != nil {
		return 0, 0, err
	}
	a := &soundStream{done: make(chan struct{})}
	if a.decoder, err = newSoundDecoder(f); err != nil {
		return 0, 0, err
	}
	a.stream = audio.NewStream(f, cipher)
	a.stream.Redundant, a.stream.Classic = q.RedundantAudio > 0, s.opening.Classic
	listen := s.listenSound
	if q.TCP {
		listen = s.listenPipe
	}
	run, data, control, err := listen(a.stream, q)
	if err != nil {
		a.decoder.Close()
		return 0, 0, err
	}
	a.track = audio.NewTrack(a.stream, f, a.decoder)
	if s.sound != nil {
		a.sound = playout.NewSound(a.track, f.Rate, s.sound.rate(), soundChannels)
		s.mixer.play(a.sound)
	}
	var ctx context.Context
	ctx, a.cancel = context.WithCancel(s.ctx)
	go func() {
		defer close(a.done)
		run(ctx)
	}()
	s.mu.Lock()
	s.audio = a
	s.mu.Unlock()
	s.r.log.Info("sound", "format", f, "encrypted", cipher != nil, "TCP", q.TCP)
	return data, control, nil
}

// listenSound opens the ports of a stream of datagrams; run reads them.
func (s *streams) listenSound(stream *audio.Stream, q session.AudioRequest) (run func(context.Context), data, control int, err error) {
	dataConn, controlConn, err := audio.ListenPair(s.opening.Local, int(s.port(1)))
	if err != nil {
		return nil, 0, 0, err
	}
	times := &s.clock
	if s.onGroupClock() {
		// Instants are local: a clock of which nothing is known is ours.
		stream.SetTimeline(s.r.ptp.Follower)
		times = &clock.Sender{}
	}
	p := &audio.Ports{Stream: stream, Data: dataConn, Control: controlConn, Peer: s.peer(q.ControlPort), Clock: times, Now: s.r.now,
		Delay: firstSoundDelay(stream.Format), Arrived: s.soundArrived}
	return p.Run, dataConn.LocalAddr().(*net.UDPAddr).Port, controlConn.LocalAddr().(*net.UDPAddr).Port, nil
}

// listenPipe opens the port of a stream over TCP likewise.
func (s *streams) listenPipe(stream *audio.Stream, _ session.AudioRequest) (run func(context.Context), data, control int, err error) {
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.opening.Local, s.port(1))))
	if err != nil {
		return nil, 0, 0, fmt.Errorf("sound port: %w", err)
	}
	p := &audio.Pipe{Stream: stream, Listener: ln, Peer: s.opening.Sender.Addr.Addr(), Clock: &s.clock, Now: s.r.now,
		Delay: firstSoundDelay(stream.Format), Arrived: s.soundArrived}
	run = func(ctx context.Context) {
		if err := p.Run(ctx); err != nil {
			s.r.log.Warn("sound: the connection broke", "error", err)
		}
	}
	return run, ln.Addr().(*net.TCPAddr).Port, 0, nil
}

// soundCipher returns the cipher of realtime sound, nil for sound in the clear.
// A stream of AirPlay 2 has a key of its own, or one made of the secret of
// pairing like that of the picture (reference section 9.4).
func (s *streams) soundCipher(q session.AudioRequest) (*audio.Cipher, error) {
	switch {
	case q.SharedKey != nil:
		return audio.NewSealed(q.SharedKey)
	case s.opening.Secret != nil:
		key := s.opening.Secret.Stream(q.ConnectionID)
		return audio.NewSealed(key[:])
	case s.opening.Encrypted:
		return audio.NewCipher(s.opening.Key, s.opening.IV), nil
	}
	return nil, nil
}

// firstSoundDelay stands for the first sync packet (reference section 11).
func firstSoundDelay(f audio.Format) time.Duration {
	if f.Codec == audio.AACELD || f.Codec == audio.AACLC {
		return 200 * time.Millisecond
	}
	return 1750 * time.Millisecond
}

// soundArrived learns from each packet how late sound comes.
func (s *streams) soundArrived(heard clock.Remote, at clock.Time) {
	s.active.Store(int64(at))
	est := s.soundClock()
	if est.Source != clock.None {
		s.soundDelay.Ready(est.ToLocal(heard), at.Add(s.lead()))
	}
}

// lead is how long before it is heard the output asks for sound.
func (s *streams) lead() time.Duration {
	if s.sound == nil {
		return 0
	}
	return s.sound.lead()
}

// resample makes the sound fit an output whose rate has changed.
func (s *streams) resample(rate int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.audio; a != nil {
		a.sound = playout.NewSound(a.track, a.stream.Format.Rate, rate, soundChannels)
		s.mixer.play(a.sound)
	}
	if m := s.music; m != nil {
		m.sound = playout.NewSound(m.track, m.format.Rate, rate, soundChannels)
		s.mixer.play(m.sound)
	}
}

// CloseStream closes a stream and returns when it is closed.
func (s *streams) CloseStream(streamType int) {
	s.mu.Lock()
	var p *pictureStream
	var a *soundStream
	var m *musicStream
	switch streamType {
	case message.StreamMirror:
		p, s.picture = s.picture, nil
	case message.StreamAudio:
		a, s.audio = s.audio, nil
	case message.StreamBufferedAudio:
		m, s.music = s.music, nil
	}
	s.mu.Unlock()
	if p != nil {
		p.cancel()
		<-p.done
	}
	if a != nil {
		s.mixer.play(nil)
		a.cancel()
		<-a.done
		a.decoder.Close()
		a.summarise(s.r.log)
	}
	if m != nil {
		s.mixer.play(nil)
		m.close(s.r.log)
	}
}

// summarise says at the end what became of the sound.
func (a *soundStream) summarise(log *slog.Logger) {
	c, rate := &a.stream.Counts, time.Duration(a.stream.Format.Rate)
	args := []any{"packets", c.Received.Value() - c.Copies.Value(), "lost", c.Lost.Value(), "recovered", c.Recovered.Value(), "late", c.Late.Value(),
		"concealed", time.Duration(a.track.Concealed.Value()) * time.Second / rate}
	if a.sound != nil {
		args = append(args, "resampled", time.Duration(a.sound.Corrections.Value())*time.Second/rate, "leaps", a.sound.Leaps.Value(), "off by at most", a.sound.Errors.Quantile(0.99), "usually", a.sound.Errors.Quantile(0.5))
	}
	log.Info("sound ended", args...)
}

// Flush drops sound that waits.
func (s *streams) Flush(seq uint16, rtp uint32, given bool) {
	s.mu.Lock()
	a := s.audio
	s.mu.Unlock()
	if a != nil {
		a.stream.Flush(seq, rtp, given)
	}
}

// Close ends everything and gives it back.
func (s *streams) Close() {
	s.r.current.CompareAndSwap(s, nil)
	s.CloseStream(message.StreamMirror)
	s.CloseStream(message.StreamAudio)
	s.CloseStream(message.StreamBufferedAudio)
	if s.leaveGroup != nil {
		s.leaveGroup()
	}
	if s.sound != nil {
		s.sound.close()
	}
	s.cancel()
	s.timing.Close()
	s.wg.Wait()
	s.r.page.end()
	s.r.playing.clear()
}
