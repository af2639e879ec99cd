package ota

import (
	"fmt"
	"strings"
	"time"
)

// Window is a part of every day, by the device's own clock; it may go over
// midnight. The zero value is no part of it.
type Window struct{ from, to time.Duration } // since midnight

// ParseWindow parses "02:00-05:00"; "" is the zero value.
func ParseWindow(text string) (w Window, err error) {
	if text == "" {
		return w, nil
	}
	from, to, ok := strings.Cut(text, "-")
	if ok {
		w.from, err = parseTime(from)
	}
	if ok && err == nil {
		w.to, err = parseTime(to)
	}
	if !ok || err != nil || w.from == w.to {
		return Window{}, fmt.Errorf("%.40q is not a part of the day such as 02:00-05:00", text)
	}
	return w, nil
}

func parseTime(text string) (time.Duration, error) {
	t, err := time.Parse("15:04", text)
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, err
}

// firstYear is one that a clock which was set does not fall below.
const firstYear = 2025

// Contains tells whether a time is in the window. One of a clock that was
// never set is not.
func (w Window) Contains(t time.Time) bool {
	if t.Year() < firstYear {
		return false
	}
	of := time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	if w.from <= w.to {
		return w.from <= of && of < w.to
	}
	return of >= w.from || of < w.to
}
