package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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
		r, c, err := startWhatever(c, e, args)
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

// The program as it runs in the box: the page asks for the PIN, which is in the
// log of a box without a TV, changes the file, and the program ends to be started
// anew.
func TestSettingsPageOfTheProgram(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "aerie.toml")
	if err := os.WriteFile(file, []byte("# mine\n"+applianceFile), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "aerie"), "run", "--appliance", "--config", file, "--state", filepath.Join(dir, "state"))
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	wait := func(from *bufio.Scanner, pattern string) string {
		t.Helper()
		for re := regexp.MustCompile(pattern); from.Scan(); {
			if m := re.FindStringSubmatch(from.Text()); m != nil {
				return m[1]
			}
		}
		t.Fatalf("it ends without saying %s", pattern)
		return ""
	}
	log := bufio.NewScanner(stderr)
	page := wait(bufio.NewScanner(stdout), `(http://127\.0\.0\.1:\d+/)`) + "settings/"
	token := ""
	jar, _ := cookiejar.New(nil) // without options it never fails
	client := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	ask := func(method, what, body string) string {
		t.Helper()
		r, err := http.NewRequest(method, page+what, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Aerie-Page", "1")
		r.Header.Set("Aerie-Token", token)
		p, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Body.Close()
		answer, err := io.ReadAll(p.Body)
		if err != nil || p.StatusCode > 204 {
			t.Fatalf("%s: %d %s, %v", what, p.StatusCode, answer, err)
		}
		return string(answer)
	}
	ask("POST", "pin", "")
	ask("POST", "enter", `{"pin":"`+wait(log, `PIN: (\d{6})`)+`"}`)
	_, token, _ = strings.Cut(ask("GET", "state", ""), `"token":"`)
	token, _, _ = strings.Cut(token, `"`)
	ask("POST", "save", `{"changes":[{"key":"name","value":"Den"}]}`)
	for log.Scan() { // to the end
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	want := strings.Replace("# mine\n"+applianceFile, "Kitchen", "Den", 1)
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%v, %q, want %q", err, got, want)
	}
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
	if err := applyWith(s, filepath.Join(dir, "none"), &out, run); err != nil {
		t.Fatal(err)
	}
	want := []string{"mount -o remount,rw " + dir + " with ", "mount -o remount,ro " + dir + " with name = \"Den\"\n"}
	if strings.Join(log, "|") != strings.Join(want, "|") || !strings.Contains(out.String(), "written") {
		t.Errorf("%q, want %q; says %q", log, want, out.String())
	}
	log = nil
	if err := applyWith(s, filepath.Join(dir, "none"), &out, run); err != nil || len(log) > 0 {
		t.Errorf("with nothing to do: %q, %v", log, err)
	}
	if err := os.WriteFile(pending, []byte("name = \"x\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("write-protected")
	if err := applyWith(s, filepath.Join(dir, "none"), &out, func(string, ...string) error { return broken }); !errors.Is(err, broken) {
		t.Error(err)
	}

	// The country is told where there is a radio: that of the settings in force,
	// whatever editor wrote them.
	for text, want := range map[string]string{
		"":                                     "",
		"[wifi]\ncountry = \"DE\"\n":           "iw reg set DE",
		"\ufeff[wifi]\r\ncountry='FR' # F\r\n": "iw reg set FR",
		"[wifi]\ncountry = \"$(reboot)\"\n":    "",
	} {
		if err := os.WriteFile(s.File, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		said := ""
		err := applyWith(s, dir, &out, func(name string, args ...string) error {
			said = strings.Join(append([]string{name}, args...), " ")
			return nil
		})
		if err != nil || said != want {
			t.Errorf("%q: %q, want %q, %v", text, said, want, err)
		}
	}
}
