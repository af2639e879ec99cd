// Package remote tells a sender what its listener wants: to pause, to go on,
// the next piece, louder. It is the Digital Audio Control Protocol (DACP,
// reference section 13): one HTTP request to the sender for each command.
//
// A sender that can be controlled names itself in its requests to the receiver
// (DACP-ID, Active-Remote) and announces on the network where it listens. How
// that is looked up is the business of the caller, and so is who may command:
// this package never talks to another address than the sender's.
//
// Proof: remote_test.go (a sender over loopback that listens, is deaf, refuses,
// moves to another port, answers nonsense or for ever).
package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"aerie/receiver/rtsp"
)

// Command is what a sender is told to do.
type Command string

// Commands; the values are those of DACP.
const (
	Play       Command = "play"
	Pause      Command = "pause"
	PlayPause  Command = "playpause" // whichever of the two it is not
	Stop       Command = "stop"
	Next       Command = "nextitem"
	Previous   Command = "previtem"
	VolumeUp   Command = "volumeup"
	VolumeDown Command = "volumedown"
	Mute       Command = "mutetoggle"
)

// Valid tells whether the command is one of those above.
func (c Command) Valid() bool {
	switch c {
	case Play, Pause, PlayPause, Stop, Next, Previous, VolumeUp, VolumeDown, Mute:
		return true
	}
	return false
}

// Control is what can be told commands: a page, the remote of a TV, a program
// use it alike. It returns when the sender has answered, or cannot be reached.
type Control interface {
	Do(ctx context.Context, c Command) error
}

// Errors of Do.
var (
	ErrCommand     = errors.New("remote: no such command")
	ErrUnavailable = errors.New("remote: nobody here can be controlled")
)

// Sender is the Control of one sender.
type Sender struct {
	Addr   netip.Addr // of the sender
	ID     string     // its DACP-ID
	Active string     // its Active-Remote, a number
	// Find looks for the port at which the sender of an ID listens, until it
	// finds it or the context ends.
	Find func(ctx context.Context, id string) (port uint16, err error)
	// Changed is called when the port is known; nil for nobody.
	Changed func()

	port atomic.Uint32 // 0 while it is not known
	mu   sync.Mutex    // one command at a time
}

// Limits of a conversation with a sender.
const (
	timeout  = 3 * time.Second
	maxReply = 16 << 10
)

// Run looks the sender up.
func (s *Sender) Run(ctx context.Context) {
	if s.ID == "" || !isNumber(s.Active) {
		return // it does not want to be controlled
	}
	port, err := s.Find(ctx, s.ID)
	if err != nil || port == 0 {
		return
	}
	s.port.Store(uint32(port))
	if s.Changed != nil {
		s.Changed()
	}
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

// Ready tells whether commands can be sent.
func (s *Sender) Ready() bool { return s.port.Load() != 0 }

// Do sends a command.
func (s *Sender) Do(ctx context.Context, c Command) error {
	if !c.Valid() {
		return fmt.Errorf("%w: %.40q", ErrCommand, string(c))
	}
	if !s.Ready() {
		return ErrUnavailable
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	status, err := s.get(ctx, "/ctrl-int/1/"+string(c))
	if err != nil {
		return fmt.Errorf("remote: %s: %w", c, err)
	}
	if status != 200 && status != 204 {
		return fmt.Errorf("remote: %s: the sender answers %d %s", c, status, rtsp.StatusText(status))
	}
	return nil
}

// get sends one request on a connection of its own.
func (s *Sender) get(ctx context.Context, target string) (status int, err error) {
	addr := netip.AddrPortFrom(s.Addr, uint16(s.port.Load()))
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return 0, err
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	limits := rtsp.DefaultLimits
	limits.Body = maxReply
	c := rtsp.NewConn(nc, limits, rtsp.Timeouts{Idle: timeout, Message: timeout, Write: timeout})
	q := rtsp.Request{Method: "GET", Target: target, Proto: rtsp.HTTP}
	// A zone is of no use to the sender.
	q.Header.Add("Host", netip.AddrPortFrom(s.Addr.WithZone(""), addr.Port()).String())
	q.Header.Add("Active-Remote", s.Active)
	q.Header.Add("Connection", "close")
	if err := c.WriteRequest(&q); err != nil {
		return 0, err
	}
	var p rtsp.Response
	if err := c.ReadResponse(&p); err != nil {
		return 0, err
	}
	return p.Status, nil
}

// instancePrefix begins the name under which a sender is announced.
const instancePrefix = "iTunes_Ctrl_"

// Named tells whether the instance of a service announced as _dacp._tcp is the
// sender of an ID. Some leave out the leading zeros of the ID.
func Named(instance, id string) bool {
	rest, ok := strings.CutPrefix(instance, instancePrefix)
	plain := func(s string) string { return strings.TrimLeft(s, "0") }
	return ok && rest != "" && strings.EqualFold(plain(rest), plain(id))
}
