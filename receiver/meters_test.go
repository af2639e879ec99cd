package receiver

import (
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
)

// The position goes on between what the sender tells, stands still while
// nothing comes, and never passes the end.
func TestPosition(t *testing.T) {
	const begin, minute = 4294900000, 60 * progressRate // the time stamps wrap
	at := func(frames uint32) uint32 { return begin + frames }
	p := playing{progress: message.Progress{Start: begin, Current: at(minute), End: at(3 * minute)}, told: clock.Time(time.Hour)}
	for _, c := range []struct{ active, want time.Duration }{
		{0, time.Minute}, {time.Hour, time.Minute}, {time.Hour + 5*time.Second, 65 * time.Second}, {2 * time.Hour, 3 * time.Minute},
	} {
		if at, length := p.position(clock.Time(c.active)); at != c.want || length != 3*time.Minute {
			t.Errorf("%v: at %v of %v", c.active, at, length)
		}
	}
	if at, length := new(playing).position(clock.Time(time.Hour)); at != 0 || length != 0 {
		t.Errorf("of nothing: %v of %v", at, length)
	}
}
