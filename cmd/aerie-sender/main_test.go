package main

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
)

// options parses flags as the program does.
func options(t *testing.T, args ...string) (*phone.Options, error) {
	t.Helper()
	var f flags
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	f.add(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return f.options("192.0.2.1:7000")
}

// Every flag does what its help says.
func TestFlagsBecomeOptions(t *testing.T) {
	o, err := options(t, "--name", "Ann's iPhone", "--device", "02:00:00:00:00:07", "--pin", "0042", "--password", "open sesame", "--size", "640x360",
		"--fps", "30", "--frames", "2", "--key", "1", "--sound", "alac", "--seconds", "9", "--loss", "0.02", "--reorder", "0.1", "--deaf", "--no-clock",
		"--no-feedback", "--ahead", "1.5", "--drift", "50", "--pause", "3", "--rotate", "4", "--seed", "7")
	if err != nil {
		t.Fatal(err)
	}
	if o.Address != "192.0.2.1:7000" || o.Name != "Ann's iPhone" || o.Device != "02:00:00:00:00:07" || o.Password != "open sesame" || !o.Pair ||
		o.Duration != 9*time.Second || o.Loss != 0.02 || o.Reorder != 0.1 || !o.Deaf || !o.NoClock || !o.NoFeedback || o.Fast || o.Seed != 7 ||
		o.Ahead != 1500*time.Millisecond || o.Drift < 49.9e-6 || o.Drift > 50.1e-6 || o.PauseEvery != 3*time.Second || o.RotateEvery != 4*time.Second {
		t.Errorf("%+v", o)
	}
	if pin, err := o.PIN(); pin != "0042" || err != nil {
		t.Errorf("PIN %q, %v", pin, err)
	}
	if _, width, height, _ := o.Picture.Describe(); width != 640 || height != 360 || o.Sound.Format().Codec != audio.ALAC {
		t.Errorf("%d x %d with %v", width, height, o.Sound.Format())
	}
	for range 2 {
		if _, key, err := o.Picture.Next(nil, 0, false); !key || err != nil {
			t.Errorf("key %v, %v", key, err)
		}
	}
	if _, err := o.Picture.When(); err != io.EOF {
		t.Errorf("after two frames: %v", err)
	}
}

func TestDefaults(t *testing.T) {
	o, err := options(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, width, height, _ := o.Picture.Describe(); width != 1920 || height != 1080 || o.Sound.Format().Codec != audio.AACELD || o.Pair || o.Duration != 0 {
		t.Errorf("%d x %d, %+v", width, height, o)
	}
	for _, silent := range [][]string{{"--fast"}, {"--sound", "none"}} {
		if o, err := options(t, silent...); err != nil || o.Sound != nil {
			t.Errorf("%v: %v, %v", silent, o, err)
		}
	}
}

// Mistakes are told before anything is sent.
func TestMistakes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	const nobody = "127.0.0.1:1"
	for _, c := range []struct{ args, want string }{
		{"", "which receiver?"},
		{"a b", "several receivers are a group"},
		{"--sound-only --buffered --ptp 0 a b", "a --ptp port"},
		{"--sound-only --buffered " + nobody + " " + nobody, "connection refused"},
		{"--frobnicate " + nobody, "frobnicate"},
		{"--size big " + nobody, `"big" is not a size`},
		{"--size 2x2 " + nobody, "2x2"},
		{"--fps 0 " + nobody, "pattern: "},
		{"--sound vinyl " + nobody, `"vinyl"`},
		{"--loss 2 " + nobody, "--loss takes a part between 0 and 1, not 2"},
		{"--reorder -0.1 " + nobody, "--reorder takes"},
		{"--loss NaN " + nobody, "--loss takes"},
		{"--clip " + bad + " " + nobody, bad + ": no movie"},
		{"--replay " + bad + " " + nobody, "transcript: line 1"},
		{"--replay " + bad + ".none " + nobody, "no such file"},
		{"--frames 1 " + nobody, "connection refused"},
	} {
		var out strings.Builder
		if err := run(strings.Fields(c.args), &out); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.args, err, c.want)
		}
	}
}

// What a script reads stays whole when the session fails.
func TestReportOfAFailure(t *testing.T) {
	var out strings.Builder
	if err := run([]string{"--json", "--frames", "1", "127.0.0.1:1"}, &out); err == nil {
		t.Error("nobody was there and all is well")
	}
	var report map[string]any
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil || report["pictures"] != 0.0 {
		t.Errorf("%v in %s", err, &out)
	}
	out.Reset()
	if err := run([]string{"--version"}, &out); err != nil || out.String() != "aerie-sender "+version+"\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	out.Reset()
	if err := run([]string{"--help"}, &out); err != flag.ErrHelp || !strings.Contains(out.String(), "RECEIVER is HOST:PORT") || !strings.Contains(out.String(), "-replay FILE") {
		t.Errorf("%q, %v", out.String(), err)
	}
}

// A receiver is found by address with or without a port.
func TestResolve(t *testing.T) {
	for receiver, want := range map[string]string{
		"192.0.2.1:7001": "192.0.2.1:7001", "192.0.2.1": "192.0.2.1:7000", "fd00::1": "[fd00::1]:7000", "[fd00::1]": "[fd00::1]:7000",
		"[fd00::1]:7001": "[fd00::1]:7001", "localhost": "localhost:7000", "tv.example.org:7001": "tv.example.org:7001",
	} {
		if got, err := resolve(t.Context(), receiver); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", receiver, got, err, want)
		}
	}
}

// The flags of a classic sender.
func TestClassicFlags(t *testing.T) {
	for name, encryption := range map[string]phone.Encryption{"none": phone.Clear, "rsa": phone.RSA, "fairplay": phone.FairPlay} {
		o, err := options(t, "--classic", name, "--tcp", "--remote")
		if err != nil {
			t.Fatal(err)
		}
		if o.Classic == nil || o.Classic.Encryption != encryption || !o.Classic.TCP || o.Classic.Told == nil || o.Classic.Playing.Title == "" || o.Picture != nil || o.Sound.Format().Codec != audio.ALAC {
			t.Errorf("%s: %+v", name, o.Classic)
		}
	}
	if o, err := options(t, "--classic", "none", "--sound", "pcm"); err != nil || o.Classic.TCP || o.Sound.Format().Codec != audio.PCM {
		t.Errorf("PCM: %+v, %v", o, err)
	}
	for _, args := range [][]string{{"--classic", "dsa"}, {"--classic", "rsa", "--sound", "mp3"}} {
		if o, err := options(t, args...); err == nil {
			t.Errorf("%v: %+v", args, o)
		}
	}
}
