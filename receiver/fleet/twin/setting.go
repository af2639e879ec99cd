package twin

import (
	"fmt"
	"maps"
	"reflect"
)

// Setting is a desired property that services write one after another. Each
// writes into a half of its own, so what they wrote meets in the device, and
// in the service that takes the device over: the later writing wins, wherever
// and in whatever order they meet.
//
// As JSON it is {"value": ..., "version": n, "by": "service"}. A setting that
// was taken away is one whose value is null.
type Setting struct {
	Value   any
	Version int64  // one more than that of any that the writer knew
	By      string // who wrote it; decides between two of one version
}

// Later tells whether s was written after t.
func (s Setting) Later(t Setting) bool {
	return s.Version > t.Version || s.Version == t.Version && s.By > t.By
}

// Object writes a setting.
func (s Setting) Object() Object {
	return Object{"value": s.Value, "version": float64(s.Version), "by": s.By}
}

// ParseSetting reads a setting. It fails with ErrMalformed.
func ParseSetting(v any) (s Setting, err error) {
	o, ok := v.(Object)
	if !ok {
		return s, fmt.Errorf("%w: a setting is an object with value and version", ErrMalformed)
	}
	if s.Version, ok = Integer(o, "version"); !ok || s.Version == 0 {
		return s, fmt.Errorf("%w: a setting without a version", ErrMalformed)
	}
	s.By, _ = Text(o, "by", maxRun)
	s.Value = o["value"]
	return s, nil
}

// Settings are settings by name.
type Settings map[string]Setting

// maxSettings bounds how many a half may have.
const maxSettings = 64

// ParseSettings reads those of an object. What is no setting is left out and
// told in malformed, so that one bad property does not keep the others from
// the device.
func ParseSettings(o Object) (s Settings, malformed map[string]error) {
	s = Settings{}
	for name, v := range o {
		setting, err := ParseSetting(v)
		if err == nil && len(s) >= maxSettings {
			err = fmt.Errorf("%w: more than %d settings", ErrTooLarge, maxSettings)
		}
		if err != nil {
			if malformed == nil {
				malformed = map[string]error{}
			}
			malformed[name] = err
			continue
		}
		s[name] = setting
	}
	return s, malformed
}

// Object writes settings.
func (s Settings) Object() Object {
	o := Object{}
	for name, setting := range s {
		o[name] = setting.Object()
	}
	return o
}

// Join returns the later of both for every name. It does not matter in which
// order settings are joined, or how often.
func (s Settings) Join(t Settings) Settings {
	out := maps.Clone(s)
	if out == nil {
		out = Settings{}
	}
	for name, setting := range t {
		if old, there := out[name]; !there || setting.Later(old) {
			out[name] = setting
		}
	}
	return out
}

// Write returns s with a value that by wrote after all that it knew of. Known
// is what the device has reported of this name, the zero value for nothing. A
// value that is there already is not written again.
func (s Settings) Write(name string, value any, by string, known Setting) Settings {
	old, there := s[name]
	if there && !known.Later(old) && reflect.DeepEqual(old.Value, value) {
		return s
	}
	out := maps.Clone(s)
	if out == nil {
		out = Settings{}
	}
	out[name] = Setting{Value: value, Version: max(old.Version, known.Version) + 1, By: by}
	return out
}

// Acknowledgement is what a device reports of a setting: the value and version
// that it acted upon and what came of it.
//
// As JSON it is {"value": ..., "version": n, "by": "service", "status": 200,
// "text": "..."}.
type Acknowledgement struct {
	Setting
	Status int    // as in HTTP: 200 done, 202 under way, 4xx refused, 5xx failed
	Text   string // why, if not 200
}

// Object writes an acknowledgement.
func (a Acknowledgement) Object() Object {
	o := a.Setting.Object()
	o["status"] = float64(a.Status)
	if a.Text != "" {
		o["text"] = a.Text
	}
	return o
}

// ParseAcknowledgement reads an acknowledgement. It fails with ErrMalformed.
func ParseAcknowledgement(v any) (a Acknowledgement, err error) {
	if a.Setting, err = ParseSetting(v); err != nil {
		return a, err
	}
	o := v.(Object)
	status, ok := Integer(o, "status")
	if !ok || status < 100 || status > 599 {
		return a, fmt.Errorf("%w: an acknowledgement without a status", ErrMalformed)
	}
	a.Status = int(status)
	a.Text, _ = Text(o, "text", 512)
	return a, nil
}
