package receiver

import (
	"context"
	"errors"
	"time"

	"aerie/receiver/discovery"
	"aerie/receiver/remote"
)

// Do makes a Receiver a remote.Control: of whoever has the stage.
func (r *Receiver) Do(ctx context.Context, c remote.Command) error {
	s := r.current.Load()
	if s == nil {
		return remote.ErrUnavailable
	}
	err := s.remote.Do(ctx, c)
	r.log.Debug("remote control", "command", c, "error", err)
	return err
}

var _ remote.Control = (*Receiver)(nil)

// remoteSearch is how long a sender is looked for that names itself: many that
// do never announce that they listen.
const remoteSearch = 30 * time.Second

// openRemote looks for where the sender takes commands.
func (s *streams) openRemote() {
	from := s.opening.Sender
	s.remote = &remote.Sender{Addr: from.Addr.Addr(), ID: from.DACPID, Active: from.ActiveRemote, Find: s.r.findRemote, Changed: s.r.somethingChanged}
	s.wg.Go(func() { s.remote.Run(s.ctx) })
}

var errNotAnnounced = errors.New("no sender of this name is announced")

// findRemote looks for the service of a sender.
func (r *Receiver) findRemote(ctx context.Context, id string) (uint16, error) {
	if !r.cfg.Network.Discovery {
		return 0, errNotAnnounced
	}
	ctx, cancel := context.WithTimeout(ctx, remoteSearch)
	defer cancel()
	found, err := discovery.Browse(ctx, discovery.TypeDACP, r.cfg.Network.Interface)
	if err != nil {
		return 0, err
	}
	for e := range found {
		if remote.Named(e.Instance, id) {
			return e.Port, nil
		}
	}
	return 0, errNotAnnounced
}
