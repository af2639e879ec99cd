package receiver

import (
	"log/slog"
	"testing"

	"aerie/receiver/clock"
	"aerie/receiver/config"
)

// A television that nobody may speak to, and one that cannot be spoken to, are
// in nobody's way.
func TestNoTelevision(t *testing.T) {
	for _, control := range []string{"off", "auto", "/dev/cec99"} {
		r := &Receiver{cfg: config.Default(), log: slog.New(slog.DiscardHandler), now: clock.Now}
		r.cfg.TV.Control = control
		r.tv = r.openTelevision()
		if r.tv == nil != (control == "off") {
			t.Errorf("%s: %v", control, r.tv)
		}
		s := &streams{r: r}
		r.tv.changed()
		r.tv.beginSound(s)
		r.tv.end(s)
		if d := r.tv.describe(); d != nil && d.Reason == "" {
			t.Errorf("%s: nothing is said of why", control)
		}
		r.close()
	}
}
