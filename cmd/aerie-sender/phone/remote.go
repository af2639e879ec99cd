package phone

import (
	"fmt"
	"net"
	"strings"

	"aerie/receiver/discovery"
	"aerie/receiver/rtsp"
)

// The names under which it lets itself be controlled (reference section 13).
const (
	dacpID       = "AE21E00000000001"
	activeRemote = "2126970"
)

// listenRemote lets the sender be controlled: it announces on the network where
// it listens, and hands what it is told to told. Close ends that.
func listenRemote(told func(command string)) (close func(), err error) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		return nil, err
	}
	name := "iTunes_Ctrl_" + dacpID
	a, err := discovery.Announce(discovery.Config{Name: name, Host: "aerie-sender", Services: []discovery.Service{{
		Type: discovery.TypeDACP, Instance: name, Port: uint16(ln.Addr().(*net.TCPAddr).Port), TXT: []string{"txtvers=1", "Ver=131075"}}}})
	if err != nil {
		ln.Close()
		return nil, err
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go answerRemote(c, told)
		}
	}()
	return func() { a.Close(); ln.Close() }, nil
}

// answerRemote answers one request.
func answerRemote(nc net.Conn, told func(command string)) {
	defer nc.Close()
	c := rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts)
	var q rtsp.Request
	if err := c.ReadRequest(&q); err != nil {
		return
	}
	p := rtsp.Response{Proto: rtsp.HTTP, Status: 204}
	command, ok := strings.CutPrefix(q.Target, "/ctrl-int/1/")
	switch {
	case q.Method != "GET" || !ok:
		p.Status = 404
	case q.Header.Get("Active-Remote") != activeRemote:
		p.Status = 403
	default:
		told(command)
	}
	// Whoever asked may be gone.
	_ = c.WriteResponse(&p)
}

// obey lets the sender be controlled, if that is wanted.
func (p *Phone) obey() (close func(), err error) {
	if p.o.Classic.Told == nil {
		return func() {}, nil
	}
	if close, err = listenRemote(p.o.Classic.Told); err != nil {
		return nil, fmt.Errorf("remote control: %w", err)
	}
	return close, nil
}
