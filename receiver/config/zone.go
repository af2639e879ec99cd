package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrNoZones is the error of a machine without the time zone database.
var ErrNoZones = errors.New("this machine has no time zones")

// Location returns the time zone that is set, or that of the system. With
// ErrNoZones it is that of the system too.
func (c *Config) Location() (*time.Location, error) {
	if c.TimeZone == "" {
		return time.Local, nil
	}
	l, err := time.LoadLocation(c.TimeZone)
	if err == nil {
		return l, nil
	}
	if _, none := time.LoadLocation("Europe/London"); none != nil {
		return time.Local, ErrNoZones
	}
	return time.Local, fmt.Errorf("%q is not a time zone such as Europe/Berlin", c.TimeZone)
}

// checkZone holds a time zone to those that the machine knows, and where it
// knows none to what names of zones look like.
func (c *Config) checkZone() error {
	for part := range strings.SplitSeq(c.TimeZone, "/") {
		if c.TimeZone != "" && (part == "" || len(c.TimeZone) > 64 || c.TimeZone == "Local" || strings.ContainsFunc(part, func(r rune) bool {
			return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' && r != '-' && r != '+'
		})) {
			return fmt.Errorf("%q is not a time zone such as Europe/Berlin", c.TimeZone)
		}
	}
	if _, err := c.Location(); err != nil && !errors.Is(err, ErrNoZones) {
		return err
	}
	return nil
}
