package session

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"aerie/receiver/pairing"
	"aerie/receiver/rtsp"
)

// eventWait is how long the sender may take to connect to the event channel,
// and to answer an event.
const eventWait = 15 * time.Second

// events is the event channel of a control connection: the sender connects to
// a port of ours, and we ask it (reference section 5.6). There is one kind of
// event, that the receiver has changed; one that waits stands for all that
// happened meanwhile.
type events struct {
	peer   netip.Addr
	keys   pairing.ChannelKeys
	update func() []byte
	gone   func(reason string) // the sender closed the channel
	log    logger

	listener *net.TCPListener
	wake     chan struct{}
	cancel   context.CancelFunc
	done     chan struct{}
}

// openEvents listens on an address of ours, on a port or, where that is taken
// by another connection, on any.
func openEvents(local netip.Addr, port uint16, e *events) error {
	listen := func(port uint16) (err error) {
		e.listener, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, port)))
		return err
	}
	err := listen(port)
	if err != nil && port != 0 {
		err = listen(0)
	}
	if err != nil {
		return fmt.Errorf("event port: %w", err)
	}
	e.wake, e.done = make(chan struct{}, 1), make(chan struct{})
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(context.Background())
	go e.run(ctx)
	return nil
}

func (e *events) port() int { return e.listener.Addr().(*net.TCPAddr).Port }

// changed sends the sender an event, unless one waits already.
func (e *events) changed() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// close ends the channel and returns when it has.
func (e *events) close() {
	e.cancel()
	<-e.done
}

func (e *events) run(ctx context.Context) {
	defer close(e.done)
	nc := e.accept(ctx)
	if nc == nil {
		return
	}
	c := rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.Timeouts{Message: eventWait, Write: eventWait})
	c.Encrypt(e.keys.Sender, e.keys.Receiver)
	answers, ended := make(chan int, 1), make(chan error, 1)
	go func() {
		var p rtsp.Response
		for {
			if err := c.ReadResponse(&p); err != nil {
				ended <- err
				return
			}
			select {
			case answers <- p.Status:
			default: // nobody asked
			}
		}
	}()
	reason, over := e.serve(ctx, c, answers, ended)
	nc.Close()
	if !over {
		<-ended
	}
	if ctx.Err() == nil {
		e.gone(reason)
	}
}

// accept returns the sender's connection, nil if there is none in time.
func (e *events) accept(ctx context.Context) net.Conn {
	stop := context.AfterFunc(ctx, func() { e.listener.Close() })
	defer stop()
	late := time.AfterFunc(eventWait, func() { e.listener.Close() })
	defer late.Stop()
	defer e.listener.Close()
	for {
		nc, err := e.listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				e.log.Info("session: the sender does not listen to events", "error", err)
			}
			return nil
		}
		if addrOf(nc.RemoteAddr()).Addr() == e.peer {
			return nc
		}
		nc.Close()
	}
}

// serve sends events until the channel ends; over tells that reading has.
func (e *events) serve(ctx context.Context, c *rtsp.Conn, answers <-chan int, ended <-chan error) (reason string, over bool) {
	for seq := 0; ; seq++ {
		select {
		case <-ctx.Done():
			return "", false
		case err := <-ended:
			return "the event channel ended: " + describe(err), true
		case <-e.wake:
		}
		q := rtsp.Request{Method: "POST", Target: "/command", Proto: rtsp.RTSP, Body: e.update()}
		q.Header.Add("CSeq", fmt.Sprint(seq))
		q.Header.Add("Content-Type", rtsp.TypeBinaryPlist)
		if err := c.WriteRequest(&q); err != nil {
			return "an event could not be sent: " + describe(err), false
		}
		select {
		case <-ctx.Done():
			return "", false
		case err := <-ended:
			return "the event channel ended: " + describe(err), true
		case code := <-answers:
			e.log.Debug("session: event answered", "status", code)
		case <-time.After(eventWait):
			return "the sender does not answer events", false
		}
	}
}
