package settings

import (
	"slices"
	"strings"

	"aerie/receiver/config"
)

// changeable are the settings that the page has, in its order.
var changeable = []string{
	"name", "time_zone", "access.pin", "access.password", "access.takeover",
	"video.mode", "video.size", "video.hevc", "video.overscan", "video.rotate",
	"audio.output", "audio.offset",
	"updates.mode", "updates.window",
}

// wireless are those that it has beside, where the network is looked after.
var wireless = []string{"wifi.ssid", "wifi.password", "wifi.hidden", "wifi.country"}

// field is one setting as the page shows it.
type field struct {
	Key     string   `json:"key"`
	Help    string   `json:"help"`
	Value   string   `json:"value"`             // as a flag takes it; "" of a secret
	Switch  bool     `json:"switch,omitempty"`  // true or false
	Options []string `json:"options,omitempty"` // all that it takes; none: text
	Arg     string   `json:"arg,omitempty"`     // the form of that text
	Secret  bool     `json:"secret,omitempty"`
	Set     bool     `json:"set,omitempty"` // the secret is
}

// fields lists what the page has.
func fields(c *config.Config, network bool) (list []field) {
	want := changeable
	if network {
		want = slices.Concat(changeable, wireless)
	}
	table := map[string]config.Setting{}
	for _, s := range c.Settings() {
		table[s.Key] = s
	}
	for _, key := range want {
		s, there := table[key]
		if !there {
			continue
		}
		f := field{Key: key, Help: s.Help, Value: s.Text(), Switch: s.Switch(), Options: choices(s.Arg), Secret: s.Secret()}
		if len(f.Options) == 0 {
			f.Arg = s.Arg
		}
		if f.Secret {
			f.Set, f.Value = f.Value != "", ""
		}
		list = append(list, f)
	}
	return list
}

// choices are the words of an argument that takes no others.
func choices(arg string) []string {
	words := strings.Split(arg, "|")
	if len(words) < 2 {
		return nil
	}
	for _, w := range words {
		if strings.ToLower(w) != w || strings.ContainsAny(w, ":[") {
			return nil
		}
	}
	return words
}

// maxChanges is more than the page has fields.
const maxChanges = 32

// forbidden returns the first change that the page does not make, if there is
// one. Sound goes to devices, and not to files that a visitor names.
func forbidden(list []config.Change) (key string, is bool) {
	if len(list) > maxChanges {
		return "", true
	}
	for _, ch := range list {
		known := slices.Contains(changeable, ch.Key) || slices.Contains(wireless, ch.Key)
		if !known || ch.Key == "audio.output" && strings.HasPrefix(ch.Value, "file") {
			return ch.Key, true
		}
	}
	return "", false
}

// about returns the key that a mistake begins with.
func about(reason string, list []config.Change) string {
	for _, ch := range list {
		if strings.HasPrefix(reason, ch.Key+":") {
			return ch.Key
		}
	}
	return ""
}

func keys(list []config.Change) (out []string) {
	for _, ch := range list {
		out = append(out, ch.Key)
	}
	return out
}
