package receiver

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/playout"
	"aerie/receiver/session"
)

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
	s.r.tv.beginSound(s)
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
