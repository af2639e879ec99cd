package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// result is what a script sees of a program.
type result struct {
	out, err string
	code     int
}

// call runs a program to its end.
func call(t *testing.T, name string, args ...string) result {
	t.Helper()
	cmd := exec.Command(program(t, name), args...)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{out.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// TestHelp: help, manual page and completions come from one table, so each
// names every flag.
func TestHelp(t *testing.T) {
	help := call(t, "aerie", "--help")
	if help.code != 0 || help.err != "" {
		t.Errorf("--help: exit code %d, %q", help.code, help.err)
	}
	for _, line := range strings.Split(help.out, "\n") {
		if len(line) > 80 {
			t.Errorf("--help: %q is too wide for a terminal", line)
		}
	}
	texts := map[string]string{"--help": help.out, "run --help": call(t, "aerie", "run", "--help").out, "man": call(t, "aerie", "man").out}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		texts["completion "+shell] = call(t, "aerie", "completion", shell).out
	}
	for what, text := range texts {
		plain := strings.ReplaceAll(text, `\-`, "-")
		for _, row := range flagRows("run") {
			if !strings.Contains(plain, row.name) {
				t.Errorf("%s does not name --%s", what, row.name)
			}
		}
		for _, c := range commands() {
			if !strings.Contains(plain, c.name) && what != "run --help" {
				t.Errorf("%s does not name the command %s", what, c.name)
			}
		}
	}
}

// TestShellsTakeCompletions has the shells that are here read them.
func TestShellsTakeCompletions(t *testing.T) {
	for shell, flags := range map[string][]string{"bash": {"-n"}, "zsh": {"-n"}, "fish": {"--no-execute"}} {
		path, err := exec.LookPath(shell)
		if err != nil {
			t.Logf("%s is not installed", shell)
			continue
		}
		cmd := exec.Command(path, flags...)
		cmd.Stdin = strings.NewReader(call(t, "aerie", "completion", shell).out)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	cmd := exec.Command("bash", "-c", `eval "$("$1" completion bash)"
		COMP_WORDS=(aerie run --vid) COMP_CWORD=2; _aerie; echo "${COMPREPLY[*]}"
		COMP_WORDS=(aerie run --pin '') COMP_CWORD=3; _aerie; echo "${COMPREPLY[*]}"`, "bash", program(t, "aerie"))
	out, err := cmd.CombinedOutput()
	if want := "--video\noff once always\n"; err != nil || string(out) != want {
		t.Errorf("bash completes to %q, %v; want %q", out, err, want)
	}
}

// TestManualPage has man-db render the page without a complaint.
func TestManualPage(t *testing.T) {
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("man is not installed (Debian: apt install man-db)")
	}
	cmd := exec.Command("man", "--warnings", "--local-file", "-")
	cmd.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C.UTF-8", "MANPAGER=cat")
	cmd.Stdin = strings.NewReader(call(t, "aerie", "man").out)
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Errorf("man: %v\n%s", err, warnings.String())
	}
	for _, want := range []string{"NAME", "SYNOPSIS", "COMMANDS", "FLAGS", "--video"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the page has no %s", want)
		}
	}
}

// TestMistakes: what is wrong is said in a line, with the way to more, and
// scripts see it by the exit code.
func TestMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "aerie.toml")
	if err := os.WriteFile(file, []byte("name = \"TV\"\n\n[video]\nfps = \"many\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"frobnicate", 2, `no command "frobnicate"`},
		{"run --frobnicate", 2, "frobnicate"},
		{"run surplus", 2, `"surplus" is not a flag`},
		{"run --port 70000", 2, "70000"},
		{"run --video cinema", 2, "cinema"},
		{"run --video file:", 2, "file:"},
		{"run --config " + file, 1, "aerie.toml:4: video.fps"},
		{"run --config " + file + ".none", 1, "no such file"},
		{"run --interface nowhere0", 1, "nowhere0"},
		{"run --discovery=false --http= --video none --port " + port, 1, "choose one with --port"},
		{"run --discovery=false --port 0 --http 127.0.0.1:" + port, 1, port},
		{"completion tcsh", 2, "tcsh"},
	} {
		args := strings.Fields(c.args)
		if args[0] == "run" {
			args = append(args, "--state", t.TempDir())
		}
		r := call(t, "aerie", args...)
		if r.code != c.code || !strings.Contains(r.err, c.says) || r.out != "" {
			t.Errorf("%s: exit code %d, want %d; says %q, want %q in it; prints %q", c.args, r.code, c.code, r.err, c.says, r.out)
		}
		if strings.Contains(r.err, "goroutine") {
			t.Errorf("%s: a panic", c.args)
		}
	}
	for _, args := range [][]string{{}, {"--size", "big", "localhost:1"}, {"--sound", "vinyl", "localhost:1"}, {"localhost:1"}, {"--clip", "nowhere.mp4", "localhost:1"}} {
		if r := call(t, "aerie-sender", args...); r.code != 1 || r.err == "" {
			t.Errorf("aerie-sender %v: exit code %d, %q", args, r.code, r.err)
		}
	}
}

// TestRun starts the program as people do, and ends it as systemd does.
func TestRun(t *testing.T) {
	cmd := exec.Command(program(t, "aerie"), "run", "--name", "Attic", "--port", "0", "--http", "127.0.0.1:0",
		"--discovery=false", "--video", "browser", "--state", t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	var banner strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(banner.String(), "Ctrl-C") {
		banner.WriteString(lines.Text() + "\n")
	}
	for _, want := range []string{`Name +Attic`, `Address +\S+ port \d+`, `Picture +\S`, `Sound +\S`} {
		if !regexp.MustCompile(want).MatchString(banner.String()) {
			t.Errorf("the banner has no %q:\n%s", want, banner.String())
		}
	}
	page := regexp.MustCompile(`http://\S+`).FindString(banner.String())
	resp, err := http.Get(page + "status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var status struct{ Receiver struct{ Name string } }
	if err := json.NewDecoder(resp.Body).Decode(&status); err != nil || status.Receiver.Name != "Attic" {
		t.Errorf("/status: %+v, %v", status, err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	go io.Copy(io.Discard, out)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("SIGTERM: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("SIGTERM: it goes on")
	}
}

// TestDemo runs the demo for a while and reads what it prints at the end.
func TestDemo(t *testing.T) {
	dir := t.TempDir()
	film := filepath.Join(dir, "film.mp4")
	r := call(t, "aerie", "demo", "--seconds", "3", "--sender", "--size 640x360 --fps 30", "--video", "file:"+film,
		"--port", "0", "--http", "", "--discovery=false", "--state", dir)
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	for _, want := range []string{"What the sender saw:", "What the receiver saw:", "pattern to shown", "frames of the pattern missing: 0", "up to"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("the demo does not print %q:\n%s", want, r.out)
		}
	}
	if info, err := os.Stat(film); err != nil || info.Size() < 10_000 {
		t.Errorf("the recording: %v, %v", info, err)
	}
}

// TestSenderReport reads the report as a script does.
func TestSenderReport(t *testing.T) {
	g := newRig(t, nil)
	r := call(t, "aerie-sender", "--json", "--size", "320x180", "--fps", "30", "--frames", "20", "--sound", "none", g.addr)
	var report struct {
		Receiver struct{ Name string }
		Pictures int
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil || r.code != 0 {
		t.Fatalf("exit code %d, %v\n%s%s", r.code, err, r.out, r.err)
	}
	if report.Pictures != 20 || report.Receiver.Name != "Test" {
		t.Errorf("%+v in %s", report, r.out)
	}
}
