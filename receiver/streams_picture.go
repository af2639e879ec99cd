package receiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"aerie/receiver/message"
	"aerie/receiver/mirror"
	"aerie/receiver/session"
)

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
	s.r.tv.begin(s)
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
