package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// aStore has a good file, read once and kept.
func aStore(t *testing.T) (*Store, *Config) {
	t.Helper()
	dir := t.TempDir()
	s := &Store{File: filepath.Join(dir, "aerie.toml"), Dir: filepath.Join(dir, "state", "settings")}
	place(t, s.File, "# mine\nname = \"Kitchen\"\n\n[wifi]\nssid = \"Home\"\npassword = \"correct horse\"\n")
	return s, load(t, s)
}

func place(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// load starts with what there is.
func load(t *testing.T, s *Store) *Config {
	t.Helper()
	c := Default()
	if m := s.Load(c); m != nil {
		t.Fatal(m)
	}
	if err := s.Keep(); err != nil {
		t.Fatal(err)
	}
	return c
}

// Whatever becomes of the owner's file, the last good settings stay in force,
// and the mistake is told.
func TestLastGoodSettingsStay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "broken", "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	s, want := aStore(t)
	after := func(what string) {
		t.Helper()
		c := Default()
		if m := s.Load(c); m == nil {
			t.Errorf("%s: no mistake", what)
		}
		if !reflect.DeepEqual(c, want) {
			t.Errorf("%s: a setting was lost: %+v", what, c)
		}
		if err := s.Keep(); err != nil {
			t.Error(err)
		}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		place(t, s.File, string(text))
		after(file)
	}
	place(t, s.File, "")
	after("nothing left")
	place(t, s.File, "\r\n \n")
	after("blank")
	os.Remove(s.File)
	after("missing")
	if err := os.Mkdir(s.File, 0o755); err != nil {
		t.Fatal(err)
	}
	after("a folder")
	os.Remove(s.File)

	// The next good one counts, and what it leaves out is the default's.
	place(t, s.File, "name = \"Den\"\n")
	if c := load(t, s); c.Name != "Den" || c.WiFi.SSID != "" {
		t.Errorf("%+v", c)
	}
}

// A good file that the receiver cannot start with does not become the last good
// one.
func TestOnlyWhatStartedIsKept(t *testing.T) {
	s, want := aStore(t)
	place(t, s.File, "[network]\ninterface = \"none0\"\n")
	c := Default()
	if m := s.Load(c); m != nil || c.Network.Interface != "none0" {
		t.Fatal(m, c.Network)
	}
	c = Default()
	if err := s.LastGood(c); err != nil || !reflect.DeepEqual(c, want) {
		t.Errorf("%v, %+v", err, c)
	}
}

// A new appliance has no mistake, with or without a file; and a copy that is
// damaged does no harm.
func TestNothingToStay(t *testing.T) {
	dir := t.TempDir()
	s := &Store{File: filepath.Join(dir, "aerie.toml"), Dir: filepath.Join(dir, "settings")}
	for range 2 {
		if c := load(t, s); !reflect.DeepEqual(c, Default()) {
			t.Errorf("%+v", c)
		}
		place(t, s.File, "")
	}
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	place(t, s.good(), "\x00\x00")
	place(t, s.File, "name = TV")
	c := Default()
	if m := s.Load(c); m == nil || m.Line != 1 || !reflect.DeepEqual(c, Default()) {
		t.Errorf("%v, %+v", m, c)
	}
	place(t, s.File, "name = 'TV'")
	if c := load(t, s); c.Name != "TV" {
		t.Errorf("%+v", c)
	}
}

// The page changes a file that the owner has broken: the last good one is
// changed, and the broken one kept.
func TestSave(t *testing.T) {
	s, want := aStore(t)
	if err := s.Save([]Change{{"name", "Den"}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.File)
	if err != nil || string(text) != "# mine\nname = \"Den\"\n\n[wifi]\nssid = \"Home\"\npassword = \"correct horse\"\n" {
		t.Errorf("%q, %v", text, err)
	}
	load(t, s)

	const broken = "# hours of work\nname = Kitchen\n"
	place(t, s.File, broken)
	if err := s.Save([]Change{{"access.pin", "once"}}); err != nil {
		t.Fatal(err)
	}
	want.Name, want.Access.PIN = "Den", "once"
	if c := load(t, s); !reflect.DeepEqual(c, want) {
		t.Errorf("%+v, want %+v", c, want)
	}
	if text, err := os.ReadFile(s.File + ".broken"); err != nil || string(text) != broken {
		t.Errorf("%q, %v", text, err)
	}

	// A value that is none changes nothing, and a file that cannot be changed in
	// one place is written anew, with its secrets.
	before, _ := os.ReadFile(s.File)
	var fe *FileError
	if err := s.Save([]Change{{"video.fps", "1000"}}); !errors.As(err, &fe) {
		t.Error(err)
	}
	if now, _ := os.ReadFile(s.File); !bytes.Equal(now, before) {
		t.Errorf("%q", now)
	}
	place(t, s.File, "wifi = { ssid = \"Home\", password = \"correct horse\" }\n")
	if err := s.Save([]Change{{"wifi.ssid", "Away"}}); err != nil {
		t.Fatal(err)
	}
	if c := load(t, s); c.WiFi.SSID != "Away" || c.WiFi.Password != "correct horse" {
		t.Errorf("%+v", c.WiFi)
	}
	if err := s.Install([]byte("name = x")); !errors.As(err, &fe) {
		t.Error("a file with a mistake is installed")
	}
}

// cutDisk is a disk on which the power fails: what is written and not synced is
// lost, and so is a rename whose folder is not.
type cutDisk struct {
	left           int // operations until then
	synced, cached map[string]string
}

var errCut = errors.New("the power is gone")

func (d *cutDisk) step() error {
	d.left--
	if d.left < 0 {
		return errCut
	}
	return nil
}

func (d *cutDisk) write(name string, text []byte) error {
	if d.step() != nil {
		return errCut
	}
	d.cached[name], d.synced[name] = "", "" // made, and nothing in it yet
	if d.step() != nil {
		return errCut
	}
	d.cached[name], d.synced[name] = string(text), string(text)
	return nil
}

func (d *cutDisk) rename(from, to string) error {
	if d.step() != nil {
		return errCut
	}
	d.cached[to] = d.cached[from]
	delete(d.cached, from)
	return nil
}

func (d *cutDisk) syncDir(string) error {
	if d.step() != nil {
		return errCut
	}
	d.synced = map[string]string{}
	for n, text := range d.cached {
		d.synced[n] = text
	}
	return nil
}

func (d *cutDisk) remove(string) {}

// After a power cut at any moment the file is the old one or the new one, and
// after a full run the new one is there for certain.
func TestPowerCutWhileWriting(t *testing.T) {
	for cut := range 10 {
		d := &cutDisk{left: cut, synced: map[string]string{"f": "old"}, cached: map[string]string{"f": "old"}}
		err := writeFile(d, "f", []byte("new"))
		for _, now := range []map[string]string{d.synced, d.cached} { // the kernel writes when it likes
			if now["f"] != "old" && now["f"] != "new" {
				t.Errorf("after %d steps: %q", cut, now["f"])
			}
		}
		if err == nil && d.synced["f"] != "new" {
			t.Errorf("after %d steps: done, and %q", cut, d.synced["f"])
		}
		if (err == nil) != (cut >= 4) {
			t.Errorf("after %d steps: %v", cut, err)
		}
	}
}

// What cannot be written is said, and nothing stays behind.
func TestWriteFileFails(t *testing.T) {
	dir := t.TempDir()
	if err := WriteFile(filepath.Join(dir, "none", "f"), nil); err == nil {
		t.Error("written into a folder that is not there")
	}
	if err := os.Mkdir(filepath.Join(dir, "f"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "f"), []byte("x")); err == nil {
		t.Error("a folder is replaced")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v stays behind", left)
	}
}
