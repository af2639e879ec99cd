package main

import (
	"archive/zip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// filesOf are the files of a bundle.
func filesOf(t *testing.T, bundle string) map[string]string {
	t.Helper()
	z, err := zip.OpenReader(bundle)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	files := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(text)
	}
	return files
}

// The command saves the bundle of the receiver that runs, and where none does
// what can be seen of the machine; nothing is left of one that fails.
func TestDiagnosticsCommand(t *testing.T) {
	dir := t.TempDir()
	settings := filepath.Join(dir, "aerie.toml")
	if err := os.WriteFile(settings, []byte("name = \"Attic\"\n[access]\npassword = \"open sesame\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, log := started(t, "--http", "127.0.0.1:0", "--discovery=false", "--video", "none", "--config", settings)
	page := log.wait(t, `http://(\S+:\d+)/`)[1]
	file := filepath.Join(dir, "x.zip")
	r := call(t, "aerie", "diagnostics", "--http", page, file)
	if r.code != 0 || !strings.Contains(r.out, "the receiver that runs here") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	files := filesOf(t, file)
	if !strings.Contains(files["log.txt"], "msg=machine") || !strings.Contains(files["status.json"], `"name": "Bench"`) {
		t.Errorf("log.txt: %q\nstatus.json: %q", files["log.txt"], files["status.json"])
	}
	for name, text := range files {
		if strings.Contains(text, "open sesame") {
			t.Errorf("%s has the password", name)
		}
	}
	ended(t, cmd)

	r = call(t, "aerie", "diagnostics", "--http", page, "--config", settings, file)
	if r.code != 0 || !strings.Contains(r.out, "this machine (no receiver answers here") {
		t.Fatalf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if files = filesOf(t, file); !strings.Contains(files["probe.txt"], "Machine") || !strings.Contains(files["about.txt"], "no receiver runs") || strings.Contains(files["settings.toml"], "open sesame") {
		t.Errorf("about.txt: %q\nprobe.txt: %q", files["about.txt"], files["probe.txt"])
	}

	for _, args := range [][]string{{}, {"--http"}, {"--nonsense", file}, {filepath.Join(dir, "nowhere", "x.zip")}, {"--config", file, file}} {
		if r := call(t, "aerie", append([]string{"diagnostics"}, args...)...); r.code == 0 || r.err == "" {
			t.Errorf("%q: exit code %d, %q", args, r.code, r.err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}
