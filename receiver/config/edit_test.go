package config

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// Comments, order, blank lines and line ends stay; a setting that was not there
// comes into its table.
func TestEditKeepsTheRest(t *testing.T) {
	wifi := []Change{{"wifi.ssid", "Home"}, {"wifi.password", "correct horse"}}
	cases := []struct {
		what, before, after string
		changes             []Change
	}{
		{"a value with a comment", "# mine\nname   =  'TV' # the big one\n", "# mine\nname   =  \"Kitchen\" # the big one\n", []Change{{"name", "Kitchen"}}},
		{"a new table", "name = \"TV\"\n", "name = \"TV\"\n\n[wifi]\nssid = \"Home\"\npassword = \"correct horse\"\n", wifi},
		{"a table that is there", "[wifi] # at home\ncountry = \"DE\" # here\n\n# next\n[video]\nfps = 30\n", "[wifi] # at home\ncountry = \"DE\" # here\nssid = \"Home\"\npassword = \"correct horse\"\n\n# next\n[video]\nfps = 30\n", wifi},
		{"an empty file", "", "\n[wifi]\nssid = \"Home\"\npassword = \"correct horse\"\n", wifi},
		{"below the first comment", "# Aerie\n# mine\n\n[video]\nfps = 3", "# Aerie\n# mine\nname = \"TV\"\n\n[video]\nfps = 3", []Change{{"name", "TV"}}},
		{"above the last line", firstLine + "\n\n" + lastLine + "\n", firstLine + "\n\n\n[access]\npin = \"once\"\n\n" + lastLine + "\n", []Change{{"access.pin", "once"}}},
		{"Windows' line ends", "[video]\r\nfps = 30 # slow\r\n", "[video]\r\nfps = 60 # slow\r\nhevc = true\r\n", []Change{{"video.fps", "60"}, {"video.hevc", "true"}}},
		{"a long string", "name = \"\"\"\n T\\\"V # no comment\"\"\" # comment\n", "name = \"K\" # comment\n", []Change{{"name", "K"}}},
		{"a list of many lines", "[access]\nblock = [ # them\n  \"AA:BB:CC:DD:EE:FF\", # ] him\n] # end\npin = 'off'\n", "[access]\nblock = [\"00:11:22:33:44:55\"] # end\npin = 'off'\n", []Change{{"access.block", "00:11:22:33:44:55"}}},
		{"dotted", "video.fps = 30\n", "video.fps = 25\n", []Change{{"video.fps", "25"}}},
		{"quotes in the value", "name = 'x'\n", "name = \"a\\\"b\\\\\"\n", []Change{{"name", `a"b\`}}},
	}
	for _, c := range cases {
		got, err := Edit([]byte(c.before), c.changes)
		if err != nil || string(got) != c.after {
			t.Errorf("%s: %v\n%q, want\n%q", c.what, err, got, c.after)
		}
	}
	// The whole file of the documents changes in one line.
	got, err := Edit(Default().File(), []Change{{"video.fps", "30"}})
	if want := strings.Replace(string(Default().File()), "\nfps = 0\n", "\nfps = 30\n", 1); err != nil || string(got) != want {
		t.Errorf("%v in %s", err, got)
	}
}

func TestEditRefuses(t *testing.T) {
	for text, changes := range map[string][]Change{
		"name = TV":                   {{"name", "x"}}, // a mistake
		"wifi = { ssid = 'a' }":       {{"wifi.ssid", "b"}},
		"video.fps = 3\n[video.deep]": {{"video.fps", "5"}},
	} {
		if out, err := Edit([]byte(text), changes); !errors.Is(err, ErrEdit) {
			t.Errorf("%q: %v, %q", text, err, out)
		}
	}
	for _, ch := range []Change{{"video.fps", "many"}, {"video.fps", "1000"}, {"video.overscan", "yes!"}, {"nmae", "x"}, {"name", "\n"}, {"wifi.password", "short"}, {"", ""}} {
		var fe *FileError
		if out, err := Edit(nil, []Change{ch}); !errors.As(err, &fe) || errors.Is(err, ErrEdit) {
			t.Errorf("%v: %v, %q", ch, err, out)
		}
		c := Default()
		if err := c.Set([]Change{{"name", "y"}, ch}); err == nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%v: %v, %q", ch, err, c.Name)
		}
	}
}

func FuzzEdit(f *testing.F) {
	f.Add([]byte("name = \"a\" # b\n[wifi] # c\nssid=''\n"), "x", "y")
	f.Add(Default().File(), "TV \"1\"", "#ssid")
	f.Add([]byte("# a\r\n[wifi]\r\npassword = \"\"\"\nabcdefgh\"\"\"\r\n[video]\r\nfps = 3\r\n"), "", "\\")
	f.Add([]byte("wifi.ssid = 'a'\nwifi = 3"), "", "")
	f.Add([]byte("wifi = { ssid = 'a' }\nname='''\n'\n'''''"), "", "")
	f.Fuzz(func(t *testing.T, text []byte, name, ssid string) {
		before := Default()
		if before.parse("x", text) != nil || checkName(name) != nil || checkSSID(ssid) != nil {
			return
		}
		out, err := Edit(text, []Change{{"name", name}, {"wifi.ssid", ssid}})
		if err != nil {
			return
		}
		after := Default()
		if err := after.parse("x", out); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		before.Name, before.WiFi.SSID = name, ssid
		if !reflect.DeepEqual(before, after) {
			t.Fatalf("%+v, want %+v", after, before)
		}
	})
}
