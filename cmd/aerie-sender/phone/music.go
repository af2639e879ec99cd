package phone

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"aerie/receiver/audio"
	"aerie/receiver/clock"
	"aerie/receiver/clock/ptp"
	"aerie/receiver/message"
	"aerie/receiver/rtsp"
)

// clockID is what the phone's clock calls itself.
const clockID = 0xae21e0fffe000001

// startClock lets the receiver follow the phone's clock by PTP.
func (p *Phone) startClock(ctx context.Context) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: p.local})
	if err != nil {
		return err
	}
	remote, ok := netip.AddrFromSlice(p.remote)
	if !ok {
		conn.Close()
		return fmt.Errorf("PTP: no address in %v", p.remote)
	}
	m := &ptp.Master{Conn: conn, Identity: clockID, Event: netip.AddrPortFrom(remote.Unmap(), uint16(p.o.PTPPort)), Now: p.now,
		Quality: ptp.Quality{Priority1: 248, Class: 248, Accuracy: 254, Variance: 17258, Priority2: 248}}
	go m.Run(ctx)
	return nil
}

// timingPeer is how the receiver finds the phone's clock.
func (p *Phone) timingPeer() *message.TimingPeer {
	local, _ := netip.AddrFromSlice(p.local)
	return &message.TimingPeer{ID: p.o.Device, Addresses: []netip.Addr{local.Unmap()}, ClockID: clockID}
}

const (
	// musicAhead is how far ahead of its time buffered sound is sent, and
	// musicBegins how long after the stream was opened it is heard.
	musicAhead  = 20 * time.Second
	musicBegins = time.Second
)

// musicStream sends buffered sound.
type musicStream struct {
	p      *Phone
	src    Sound
	f      audio.Format
	cipher *audio.Cipher
	conn   net.Conn
	base   uint32 // RTP time stamp of the first frame
	begin  clock.Time

	sequel  []Sound       // still to come
	sequels int           // that have come
	after   time.Duration // from begin to the present sound
	before  int64         // frames of those before it
	frames  int64         // of it, in packets that were made
}

// openMusic sets up the stream, connects to it, and says when it begins.
func (p *Phone) openMusic(ctx context.Context) (*musicStream, error) {
	if p.secret == nil {
		return nil, errors.New("the receiver speaks no AirPlay 2")
	}
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	m := &musicStream{p: p, src: p.o.Sound, f: p.o.Sound.Format(), base: 0xffff0000, sequel: p.o.Sequel} // so that it wraps
	m.frames = -int64(m.src.Delay())
	var err error
	if m.cipher, err = audio.NewSealed(key); err != nil {
		return nil, err
	}
	r, err := p.openStream(message.StreamSetup{Type: message.StreamBufferedAudio, SharedKey: key, CompressionType: int(m.f.Codec),
		AudioFormat: m.f.AudioFormat(), SamplesPerFrame: m.f.Frames, AudioMode: "default", IsMedia: true})
	if err != nil {
		return nil, err
	}
	host, _, _ := net.SplitHostPort(p.control.conn.RemoteAddr().String())
	d := net.Dialer{Timeout: 5 * time.Second}
	if m.conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(r.DataPort))); err != nil {
		return nil, err
	}
	if err := m.join(ctx); err != nil {
		m.conn.Close()
		return nil, err
	}
	return m, nil
}

// join tells the receiver whose clocks there are, and when the music begins.
func (m *musicStream) join(ctx context.Context) error {
	local, _ := netip.AddrFromSlice(m.p.local)
	remote, _ := netip.AddrFromSlice(m.p.remote)
	peers, begin, err := m.p.group.join(ctx, local.Unmap(), remote.Unmap())
	if err != nil {
		return err
	}
	m.begin = begin
	if _, err := m.p.control.ask("SETPEERS", "", "/peer-list-changed", message.EncodePeers(peers)); err != nil {
		return err
	}
	return m.anchor(true, m.base, m.begin)
}

// anchor says which frame is heard at a local instant, or pauses.
func (m *musicStream) anchor(playing bool, rtp uint32, at clock.Time) error {
	a := message.RateAnchor{Playing: playing, Anchored: playing, RTP: rtp, At: m.p.at(at), Timeline: clockID}
	_, err := m.p.control.ask("SETRATEANCHORTIME", "", rtsp.TypeBinaryPlist, a.Encode())
	return err
}

// run sends packets as fast as the receiver takes them, until they are far
// ahead of their time.
func (m *musicStream) run(ctx context.Context) error {
	defer m.conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = m.conn.SetWriteDeadline(time.Now()) })
	defer stop()
	var packet, payload []byte
	paused := false
	for i := uint32(0); ; i++ {
		due := m.due()
		if len(m.sequel) > 0 && due.Sub(m.begin) >= m.p.o.SequelEvery*time.Duration(1+m.sequels) {
			m.follow(due)
		}
		if !wait(ctx, due.Add(-musicAhead)) {
			return nil
		}
		payload = m.src.Next(payload[:0])
		packet = m.cipher.AppendBuffered(packet[:0], i, m.base+uint32(m.before+m.frames), audio.SourceOf(m.f), payload)
		m.frames += int64(m.f.Frames)
		if _, err := m.conn.Write(packet); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("the connection of buffered sound: %w", err)
		}
		m.p.report.SoundPackets++
		if at := m.p.o.PauseEvery; at > 0 && !paused && due.Sub(m.begin) >= at+musicAhead/2 {
			paused = true
			if err := m.pause(ctx, at); err != nil {
				return err
			}
		}
	}
}

// due returns when the next packet is to be heard.
func (m *musicStream) due() clock.Time {
	return m.begin.Add(m.after + time.Duration(m.frames)*time.Second/time.Duration(m.f.Rate))
}

// follow goes on with the next sound, in its format: time stamps go on where
// they are, at the new rate.
func (m *musicStream) follow(due clock.Time) {
	m.after, m.before, m.frames = due.Sub(m.begin), m.before+m.frames, 0
	m.src, m.sequel = m.sequel[0], m.sequel[1:]
	m.f = m.src.Format()
	m.sequels++
}

// pause pauses at an instant of the music for a second, and goes on from there.
func (m *musicStream) pause(ctx context.Context, at time.Duration) error {
	if !wait(ctx, m.begin.Add(at)) {
		return nil
	}
	if err := m.anchor(false, 0, 0); err != nil || !wait(ctx, m.begin.Add(at+time.Second)) {
		return err
	}
	m.begin = m.begin.Add(time.Second + musicBegins/2)
	return m.anchor(true, m.base+uint32(int64(at)*int64(m.f.Rate)/int64(time.Second)), m.begin.Add(at))
}
