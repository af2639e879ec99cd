package receiver

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/message"
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

// Close ends everything and gives it back.
func (s *streams) Close() {
	s.r.current.CompareAndSwap(s, nil)
	s.r.tv.end(s)
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
