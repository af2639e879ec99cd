package config

import (
	"errors"
	"testing"
	"time"
)

// A zone is one that the machine knows; names that would leave the database's
// folder are none anywhere.
func TestTimeZone(t *testing.T) {
	c := Default()
	if l, err := c.Location(); l != time.Local || err != nil || c.Check() != nil {
		t.Errorf("none: %v, %v", l, err)
	}
	for _, bad := range []string{"/etc/passwd", "../../etc/passwd", "Europe/", "Europe//Berlin", "Local", "Europe/Ber lin", "Mars/Olympus\x00", "."} {
		if c.TimeZone = bad; c.Check() == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	c.TimeZone = "America/Argentina/Buenos_Aires"
	l, err := c.Location()
	if errors.Is(err, ErrNoZones) {
		t.Skip("no time zones here (Debian: tzdata)")
	}
	if _, offset := time.Unix(1.8e9, 0).In(l).Zone(); err != nil || offset != -3*3600 || c.Check() != nil {
		t.Errorf("%v, %v", l, err)
	}
	if c.TimeZone = "Europe/Berlyn"; c.Check() == nil {
		t.Error("a zone that nobody knows")
	}
}
