package receiver

import (
	"errors"
	"log/slog"
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
	if err := r.Do(t.Context(), "shutdown"); !errors.Is(err, remote.ErrCommand) {
		t.Errorf("no command: %v", err)
	}
}
