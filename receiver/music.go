package receiver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/clock/ptp"
	"aerie/receiver/message"
	"aerie/receiver/playout"
	"aerie/receiver/session"
	"aerie/receiver/status"
)

// openPTP opens the ports of the group's clock, where the identity has a use
// for it. Without them senders are told to use NTP.
func (r *Receiver) openPTP() {
	port := r.cfg.Network.PTPPort
	if message.Identity(r.cfg.Identity) == message.Mirror || port == 0 {
		return
	}
	ports, err := ptp.Listen(ptp.NewFollower(clockIdentity(r.identity.deviceID)), port, r.now)
	if err != nil {
		r.log.Warn("no AirPlay 2 groups, and no buffered sound: the ports of their clock cannot be opened (CAP_NET_BIND_SERVICE?)", "error", err)
		r.warnings.add(fmt.Sprintf("no AirPlay 2 groups and no buffered sound: %v", err))
		return
	}
	r.ptp = ports
	r.defer_(ports.Close)
}

// clockIdentity makes an EUI-64 out of a device id, as IEEE 1588 does.
func clockIdentity(deviceID string) uint64 {
	mac, err := strconv.ParseUint(strings.ReplaceAll(deviceID, ":", ""), 16, 48)
	if err != nil {
		return 1 // device ids are ours, and hexadecimal
	}
	return mac>>24<<40 | 0xfffe<<24 | mac&0xffffff
}

// onGroupClock tells whether the sound of the session is placed by PTP.
func (s *streams) onGroupClock() bool { return s.opening.PTP && s.r.ptp != nil }

// soundClock is what maps the instants of sound. On a group's clock they are
// local when they get here.
func (s *streams) soundClock() clock.Estimate {
	if s.onGroupClock() {
		now := s.r.now()
		return clock.Estimate{Source: clock.PTP, Local: now, Remote: clock.Remote(now)}
	}
	return s.clock.Estimate()
}

// heardLater is how long after its time sound is heard: with a picture as much
// as that. A group plays on time: its sender has thought of the network.
func (s *streams) heardLater() time.Duration {
	if s.onGroupClock() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.picture == nil {
			return 0
		}
	}
	return s.delay()
}

// soundInstant turns an instant of the sender's clock into one of the sound.
func (s *streams) soundInstant(est *clock.Estimate, at clock.Remote) clock.Remote {
	if s.onGroupClock() {
		return clock.Remote(est.ToLocal(at))
	}
	return at
}

// followGroup makes the clock of the group that of the sender, unless its
// pictures have shown that they keep another.
func (s *streams) followGroup() {
	if !s.onGroupClock() || s.foreign.Load() {
		return
	}
	if e, _ := s.r.ptp.Follower.Estimate(); e.Source != clock.None {
		s.clock.Set(e)
	}
}

// stampArrived learns about the sender's clock from a picture. One that is
// stamped by the group's clock is near its instant on that.
func (s *streams) stampArrived(stamp clock.Remote, at clock.Time) {
	const near = 10 * time.Second
	if s.onGroupClock() && !s.foreign.Load() {
		local, known := s.r.ptp.Follower.Local(0, stamp)
		if known && local.Sub(at).Abs() < near {
			s.followGroup()
			return
		}
		s.foreign.Store(known)
	}
	s.clock.Arrived(stamp, at)
}

// TimingPeer is how senders find our clock.
func (s *streams) TimingPeer() *message.TimingPeer {
	if !s.onGroupClock() {
		return nil
	}
	return &message.TimingPeer{ID: s.r.identity.deviceID, Addresses: []netip.Addr{s.opening.Local}, ClockID: s.r.ptp.Follower.Identity()}
}

// Peers sets the addresses whose clocks are listened to.
func (s *streams) Peers(addrs []netip.Addr) {
	if !s.onGroupClock() {
		return
	}
	remove := s.r.ptp.Follower.Peers(addrs)
	s.mu.Lock()
	before := s.leaveGroup
	s.leaveGroup = remove
	s.mu.Unlock()
	if before != nil {
		before()
	}
}

// musicStream is the stream of buffered sound.
type musicStream struct {
	s       *streams
	cancel  context.CancelFunc
	done    chan struct{}
	stream  *audio.Buffered
	format  audio.Format
	track   *audio.Track
	decoder soundDecoder
	sound   *playout.Sound // nil where nobody listens
}

// Buffered opens the stream of buffered sound.
func (s *streams) Buffered(q session.AudioRequest) (port, size int, err error) {
	f, err := audio.ParseFormat(q.CompressionType, q.AudioFormat, q.SamplesPerFrame, q.SampleRate)
	if err != nil {
		return 0, 0, err
	}
	if f.Channels != soundChannels || f.Codec == audio.PCM || f.Codec == audio.AACELD {
		return 0, 0, fmt.Errorf("buffered sound as %v", f)
	}
	if q.SharedKey == nil {
		return 0, 0, errors.New("buffered sound without a key")
	}
	cipher, err := audio.NewSealed(q.SharedKey)
	if err != nil {
		return 0, 0, err
	}
	s.CloseStream(message.StreamBufferedAudio)
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(s.opening.Local, s.port(1))))
	if err != nil {
		return 0, 0, fmt.Errorf("sound port: %w", err)
	}
	var timeline audio.Timeline
	if s.onGroupClock() {
		timeline = s.r.ptp.Follower
	}
	m := &musicStream{s: s, done: make(chan struct{}), stream: audio.NewBuffered(f, cipher, timeline)}
	if err := m.begin(f); err != nil {
		ln.Close()
		return 0, 0, err
	}
	p := &audio.BufferedPort{Stream: m.stream, Peer: s.opening.Sender.Addr.Addr(), Now: s.r.now,
		Arrived: func(at clock.Time) { s.active.Store(int64(at)) }, Ended: m.ended}
	var ctx context.Context
	ctx, m.cancel = context.WithCancel(s.ctx)
	go func() {
		defer close(m.done)
		p.Run(ctx, ln)
	}()
	s.mu.Lock()
	s.music = m
	s.mu.Unlock()
	s.r.tv.beginSound(s)
	s.r.log.Info("buffered sound", "format", f, "clock", s.soundClock().Source)
	return ln.Addr().(*net.TCPAddr).Port, audio.BufferSize, nil
}

func (m *musicStream) ended(err error) {
	if err != nil {
		m.s.r.log.Warn("buffered sound: the connection broke", "error", err)
		m.s.r.meters.lastError(err)
	}
}

// begin plays the stream, in a format, from the next packet on. The decoder of
// what was played before is not in use afterwards.
func (m *musicStream) begin(f audio.Format) error {
	d, err := newSoundDecoder(f)
	if err != nil {
		return err
	}
	track := audio.NewTrack(m.stream, f, d)
	track.Changed = m.changed
	before := m.decoder
	m.format, m.track, m.decoder = f, track, d
	if out := m.s.sound; out != nil {
		m.sound = playout.NewSound(track, f.Rate, out.rate(), soundChannels)
		m.s.mixer.play(m.sound)
	}
	if before != nil {
		before.Close()
	}
	return nil
}

// changed is asked by the track, while it is read, for a decoder of another
// format. Where the rate is another too, the sound begins anew; that waits
// until the track is no longer read.
func (m *musicStream) changed(f audio.Format) audio.Decoder {
	if f.Rate != m.track.Format().Rate {
		go m.rebegin()
		return nil
	}
	d, err := newSoundDecoder(f)
	if err != nil {
		m.s.r.log.Warn("buffered sound in a format that cannot be played", "format", f, "error", err)
		return nil
	}
	m.decoder.Close()
	m.decoder = d
	return d
}

// rebegin goes on in the format of the next packet.
func (m *musicStream) rebegin() {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.s.music != m {
		return // it has ended meanwhile
	}
	m.stream.Accept()
	f := m.stream.Upcoming()
	m.s.r.log.Info("buffered sound", "format", f)
	if err := m.begin(f); err != nil {
		m.s.r.log.Warn("buffered sound in a format that cannot be played", "format", f, "error", err)
	}
}

// close ends the stream. Nothing reads the track any more.
func (m *musicStream) close(log *slog.Logger) {
	m.cancel()
	<-m.done
	m.decoder.Close()
	c := &m.stream.Counts
	log.Info("buffered sound ended", "packets", c.Received.Value(), "refused", c.Refused.Value(), "decoded", m.track.Decoded.Value())
}

// describe shows the stream on the status page.
func (m *musicStream) describe() *status.Sound {
	f, c := m.format, &m.stream.Counts
	_, waiting := m.stream.Held()
	out := &status.Sound{Codec: f.Codec.String(), SampleRate: f.Rate, Channels: f.Channels, Received: c.Received.Value(), Lost: c.Refused.Value(),
		Concealed: m.track.Concealed.Value() / uint64(f.Frames), Waiting: uint64(waiting)}
	describePlace(out, m.sound)
	return out
}

// currentMusic returns the open stream of buffered sound.
func (s *streams) currentMusic() *musicStream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.music
}

// Anchor lets buffered sound play, or pauses it.
func (s *streams) Anchor(a message.RateAnchor) {
	m := s.currentMusic()
	if m == nil {
		return
	}
	m.stream.SetAnchor(a.Playing, a.Anchored, a.RTP, a.At, a.Timeline)
	if a.Playing && a.Anchored && s.onGroupClock() {
		s.clockCheck.Do(func() { s.wg.Go(func() { s.checkClock(a.Timeline) }) })
	}
}

// clockPatience is how long a clock may take until people are told that it is
// missing: without it nothing is heard, and firewalls are the usual reason.
const clockPatience = 5 * time.Second

// checkClock warns of a clock that is not heard.
func (s *streams) checkClock(timeline uint64) {
	select {
	case <-s.ctx.Done():
		return
	case <-time.After(clockPatience):
	}
	if _, ok := s.r.ptp.Follower.Local(timeline, 0); !ok {
		f := s.r.ptp.Follower
		s.r.log.Warn("the clock of the group is not heard: are UDP ports 319 and 320 open?", "clock", fmt.Sprintf("%016x", timeline),
			"messages", f.Messages.Value(), "from others", f.Strangers.Value())
		s.r.warnings.add("the clock of an AirPlay 2 group is not heard: UDP ports 319 and 320 must be open")
	}
}

// FlushBuffered drops buffered sound.
func (s *streams) FlushBuffered(f message.FlushBuffered) {
	if m := s.currentMusic(); m != nil {
		m.stream.Flush(f.Deferred, f.FromSeq, f.UntilSeq)
	}
}

// Playing tells what sound is open.
func (s *streams) Playing() (streamType, rate int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.music != nil:
		return message.StreamBufferedAudio, s.music.format.Rate
	case s.audio != nil:
		return message.StreamAudio, s.audio.stream.Format.Rate
	}
	return 0, 0
}
