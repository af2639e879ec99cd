package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aerie/receiver/config"
)

// applianceFile is a settings file for a receiver that disturbs nobody.
const applianceFile = "name = \"Kitchen\"\n[network]\nport = 0\nptp_port = 0\ndiscovery = false\nhttp = \"127.0.0.1:0\"\n[wifi]\nmanage = false\n[video]\noutput = \"browser\"\n[audio]\noutput = \"none\"\n"

// An appliance starts with whatever file there is, and says what is wrong.
func TestApplianceStartsWithAnyFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "aerie.toml")
	args := []string{"--appliance", "--config", file, "--state", filepath.Join(dir, "state")}
	starts := func(what, text, name, mistake string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, e, err := parse("run", args)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if (e.mistake != nil) != (mistake != "") || mistake != "" && !strings.Contains(e.mistake.Plain(), mistake) {
			t.Errorf("%s: %v", what, e.mistake)
		}
		r, c, err := startWhatever(c, e, args, func() {})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if c.Name != name || c.Network.HTTP != "127.0.0.1:0" {
			t.Errorf("%s: %q, %q", what, c.Name, c.Network.HTTP)
		}
	}
	starts("a good file", applianceFile, "Kitchen", "")
	starts("a mistake", "name = Den\n", "Kitchen", "line 1: name takes text in quotes")
	starts("an empty file", "", "Kitchen", "empty")
	starts("no device of that name", strings.Replace(applianceFile, "[network]\n", "[network]\ninterface = \"none0\"\n", 1), "Kitchen", "")
	starts("a good one again", strings.Replace(applianceFile, "Kitchen", "Den", 1), "Den", "")
}

// The system's part: the boot partition is writable for no longer than it takes,
// and the country is set.
func TestApplySettings(t *testing.T) {
	dir := t.TempDir()
	s := &config.Store{File: filepath.Join(dir, "aerie.toml"), Dir: filepath.Join(dir, "settings")}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	pending := filepath.Join(s.Dir, "pending.toml")
	if err := os.WriteFile(pending, []byte("name = \"Den\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var log []string
	run := func(name string, args ...string) error {
		text, _ := os.ReadFile(s.File)
		log = append(log, strings.Join(append([]string{name}, args...), " ")+" with "+string(text))
		return nil
	}
	var out bytes.Buffer
	if err := applyWith(s, &out, run); err != nil {
		t.Fatal(err)
	}
	want := []string{"mount -o remount,rw " + dir + " with ", "mount -o remount,ro " + dir + " with name = \"Den\"\n"}
	if strings.Join(log, "|") != strings.Join(want, "|") || !strings.Contains(out.String(), "written") {
		t.Errorf("%q, want %q; says %q", log, want, out.String())
	}
	log = nil
	if err := applyWith(s, &out, run); err != nil || len(log) > 0 {
		t.Errorf("with nothing to do: %q, %v", log, err)
	}
	if err := os.WriteFile(pending, []byte("name = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("write-protected")
	if err := applyWith(s, &out, func(string, ...string) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}
