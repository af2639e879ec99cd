package receiver

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	"aerie/receiver/config"
	"aerie/receiver/remote"
	"aerie/receiver/session"
)

// Commands go to whoever has the stage, and to nobody else.
func TestControlOfTheStage(t *testing.T) {
	r := &Receiver{cfg: config.Default(), log: slog.New(slog.DiscardHandler)}
	r.cfg.Network.Discovery = false
	if err := r.Do(t.Context(), remote.Pause); !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("nobody is there: %v", err)
	}
	// Without discovery no sender is found, and none is looked for.
	s := &streams{r: r, ctx: t.Context(), opening: session.Opening{Sender: session.Sender{Addr: netip.MustParseAddrPort("127.0.0.1:9"), DACPID: "1", ActiveRemote: "2"}}}
	s.openRemote()
	s.wg.Wait()
	r.current.Store(s)
	if err := r.Do(t.Context(), remote.Pause); !errors.Is(err, remote.ErrUnavailable) {
		t.Errorf("without discovery: %v", err)
	}
	// One that was found is told.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	asked := make(chan string, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		line, _ := bufio.NewReader(c).ReadString('\n')
		_, _ = c.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
		asked <- line
	}()
	s.remote.Find = func(context.Context, string) (uint16, error) { return uint16(ln.Addr().(*net.TCPAddr).Port), nil }
	s.remote.Run(t.Context())
	if err := r.Do(t.Context(), remote.Pause); err != nil {
		t.Error(err)
	} else if line := <-asked; line != "GET /ctrl-int/1/pause HTTP/1.1\r\n" {
		t.Errorf("asked %q", line)
	}
	if err := r.Do(t.Context(), "shutdown"); !errors.Is(err, remote.ErrCommand) {
		t.Errorf("no command: %v", err)
	}
}
