package config

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestDefaultsSurviveTheFile(t *testing.T) {
	c := Default()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	c.Access.Allow = []string{"AA:BB:CC:DD:EE:FF"}
	c.Name = "Küche \"5\""
	c.Video.HEVC = true
	back := &Config{}
	if err := back.parse("x", c.File()); err != nil {
		t.Fatalf("%v\n%s", err, c.File())
	}
	if len(back.Access.Block) == 0 {
		back.Access.Block = nil // an empty list is no list
	}
	if !reflect.DeepEqual(c, back) {
		t.Errorf("got  %+v\nwant %+v", back, c)
	}
}

// The file that users read is what the table says.
func TestFileInDocs(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "aerie.toml")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(name, Default().File(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, Default().File()) {
		t.Errorf("%s differs from the table; write it anew with UPDATE=1", name)
	}
}

// Every setting is in the table, and every row of the table in the struct.
func TestTableIsComplete(t *testing.T) {
	keys := map[string]bool{}
	for _, s := range Default().Settings() {
		if keys[s.Key] {
			t.Errorf("%s is there twice", s.Key)
		}
		keys[s.Key] = true
		if s.Help == "" || !strings.HasSuffix(s.Help, ".") {
			t.Errorf("%s: help %q", s.Key, s.Help)
		}
		if s.Switch() != (s.Arg == "") {
			t.Errorf("%s: argument %q", s.Key, s.Arg)
		}
	}
	var walk func(prefix string, v reflect.Type)
	walk = func(prefix string, v reflect.Type) {
		for i := range v.NumField() {
			f := v.Field(i)
			key := prefix + f.Tag.Get("toml")
			if f.Type.Kind() == reflect.Struct {
				walk(key+".", f.Type)
				continue
			}
			if !keys[key] {
				t.Errorf("%s is not in the table", key)
			}
			delete(keys, key)
		}
	}
	walk("", reflect.TypeFor[Config]())
	for k := range keys {
		t.Errorf("%s is in the table only", k)
	}
}

func TestTolerance(t *testing.T) {
	c := Default()
	if err := c.parse("x", []byte("\xef\xbb\xbfname = \"TV\"\r\n\r\n[video]\r\nfps = 30\r\n")); err != nil {
		t.Fatal(err)
	}
	if c.Name != "TV" || c.Video.FPS != 30 || c.Network.Port != 7000 {
		t.Errorf("%+v", c)
	}
	if err := c.parse("x", nil); err != nil || c.Name != "TV" {
		t.Errorf("an empty file: %v", err)
	}
}

func TestMistakesAreNamedByLine(t *testing.T) {
	cases := []struct {
		text string
		line int
		word string // in the reason
	}{
		{"nmae = \"TV\"", 1, "nmae"},
		{"\n\nnmae = \"TV\"", 3, "nmae"},
		{"name = TV", 1, ""},
		{"name = \"TV", 1, ""},
		{"name = 5", 1, "name"},
		{"name \"TV\"", 1, ""},
		{"= 5", 1, ""},
		{"[video", 1, ""},
		{"[video]]", 1, ""},
		{"[vido]\nfps = 30", 1, "vido"},
		{"[video]\nfps = \"30\"", 2, "fps"},
		{"[video]\nfps = 30.5", 2, "fps"},
		{"[video]\nfps = 121", 2, "video.fps"},
		{"[video]\n# slow\nfps = 1000", 3, "video.fps"},
		{"[video]\nsize = \"big\"", 2, "video.size"},
		{"[video]\nsize = \"1921x1080\"", 2, "even"},
		{"[video]\nsize = \"1920x1080x2\"", 2, "video.size"},
		{"[video]\noutput = \"file\"", 2, "path"},
		{"[video]\noutput = \"tv\"", 2, "video.output"},
		{"[video]\noutput = \"kms:1\"", 2, "video.output"},
		{"[video]\nmode = \"1080p\"", 2, "video.mode"},
		{"[video]\nmode = \"1920x1080@9000\"", 2, "refresh"},
		{"[video]\nrotate = 90", 2, "video.rotate"},
		{"[video]\nhevc = 1", 2, "hevc"},
		{"[audio]\noutput = \"alsa:\"", 2, "audio.output"},
		{"[audio]\ninitial_volume = 5", 2, "initial_volume"},
		{"[access]\npin = \"yes\"", 2, "access.pin"},
		{"[access]\nallow = [\"me\"]", 2, "access.allow"},
		{"[access]\nallow = \"AA:BB:CC:DD:EE:FF\"", 2, "allow"},
		{"[network]\nport = 70000", 2, "network.port"},
		{"[network]\nport = -1", 2, "network.port"},
		{"[network]\nport = 99999999999999999999", 2, ""},
		{"[network]\nhttp = \"8080\"", 2, "network.http"},
		{"[network]\nhttp = \":port\"", 2, "network.http"},
		{"[log]\nlevel = \"loud\"", 2, "log.level"},
		{"[mqtt]\nbroker = \"house\"", 2, "mqtt.broker"},
		{"[mqtt]\ntopic = \"house/#\"", 2, "mqtt.topic"},
		{"name = \"a\"\nname = \"b\"", 2, "name"},
		{"network.port = 99999", 1, "network.port"},
		{"name = \"\x01\"", 1, ""},
		{"\x00\x01\x02", 1, ""},
	}
	for _, c := range cases {
		conf := Default()
		err := conf.parse("aerie.toml", []byte(c.text))
		var fe *FileError
		if !errors.As(err, &fe) {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if fe.Line != c.line || !strings.Contains(fe.Reason, c.word) || strings.Contains(fe.Error(), "\n") {
			t.Errorf("%q: line %d: %q", c.text, fe.Line, fe.Reason)
		}
		if !reflect.DeepEqual(conf, Default()) {
			t.Errorf("%q: a setting was lost", c.text)
		}
	}
	if err := Default().parse("x", make([]byte, maxFile+1)); err == nil {
		t.Error("a huge file is accepted")
	}
}

func TestFlags(t *testing.T) {
	parse := func(args ...string) (*Config, error) {
		c := Default()
		fs := flag.NewFlagSet("aerie", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		c.Flags(fs)
		return c, fs.Parse(args)
	}
	c, err := parse("--name", "TV", "--port=0", "--takeover", "--video", "file:/tmp/a:b.mp4", "--pin", "once", "--discovery=false")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := ParseVideo(c.Video.Output); c.Name != "TV" || c.Network.Port != 0 || !c.Access.Takeover || o.Path != "/tmp/a:b.mp4" || c.Access.PIN != "once" || c.Network.Discovery {
		t.Errorf("%+v", c)
	}
	for _, bad := range [][]string{{"--port", "x"}, {"--port", "99999"}, {"--video", "tv"}, {"--takeover=maybe"}, {"--nmae", "x"}, {"--audio", "file"}} {
		if _, err := parse(bad...); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

func TestOutputs(t *testing.T) {
	for text, want := range map[string]Output{"auto": {"auto", ""}, "alsa": {"alsa", ""}, "alsa:hw:1,0": {"alsa", "hw:1,0"}, "file:x.wav": {"file", "x.wav"}, "none": {"none", ""}} {
		if got, err := ParseAudio(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add(Default().File())
	f.Add([]byte("[video]\nfps = 5\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c := Default()
		if err := c.parse("x", text); err == nil {
			if err := c.Check(); err != nil {
				t.Fatalf("accepted, though %v", err)
			}
		}
	})
}
