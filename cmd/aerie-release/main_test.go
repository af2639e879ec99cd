package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aerie/receiver/ota/release"
)

// program writes the header of a program, and some bytes after it.
func program(t *testing.T, dir string, machine elf.Machine, dynamic bool) string {
	t.Helper()
	h := elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: 64, Phentsize: 56, Shentsize: 64,
	}
	p := elf.Prog64{Type: uint32(elf.PT_INTERP)}
	if dynamic {
		h.Phoff, h.Phnum = 64, 1
	}
	var b bytes.Buffer
	for _, v := range []any{h, p} {
		if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, machine.String())
	if err := os.WriteFile(path, append(b.Bytes(), make([]byte, 5000)...), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// typed is standard input with a line on it.
func typed(t *testing.T, line string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(line); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { r.Close() })
	return r
}

// tool runs the program.
func tool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), args, typed(t, ""), &out)
	return out.String(), err
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tool(t, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// A release that is made here is taken as a device takes it.
func TestRelease(t *testing.T) {
	dir := t.TempDir()
	name, dist := filepath.Join(dir, "owner"), filepath.Join(dir, "dist")
	arm64, armhf := program(t, dir, elf.EM_AARCH64, false), program(t, dir, elf.EM_ARM, false)
	must(t, "keygen", "--no-password", name)
	if info, err := os.Stat(name + ".key"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key: %v, %v", info, err)
	}
	if _, err := tool(t, "keygen", "--no-password", name); !errors.Is(err, os.ErrExist) {
		t.Errorf("keys over others: %v", err)
	}
	sign := func(version, counter string, programs ...string) (string, error) {
		return tool(t, append([]string{"sign", "--key", name + ".key", "--version", version, "--counter", counter, "--out", dist}, programs...)...)
	}
	if out, err := sign("v1.0", "7", arm64, armhf); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out := must(t, "verify", "--key", name+".pub", dist, "arm64", "armhf")
	if strings.Count(out, "is genuine") != 2 || !strings.Contains(out, "aerie v1.0 for armhf") || !strings.Contains(out, "counter 7") {
		t.Errorf("verify says\n%s", out)
	}
	if _, err := tool(t, "verify", "--key", name+".pub", dist, "amd64"); !errors.Is(err, release.ErrNone) {
		t.Errorf("an architecture that is not there: %v", err)
	}
	if names, _ := filepath.Glob(filepath.Join(dist, "*")); len(names) != 6 {
		t.Errorf("in the folder: %q", names)
	}

	// A counter that does not grow would strand devices.
	for _, counter := range []string{"6", "7"} {
		if _, err := sign("v1.1", counter, arm64); err == nil {
			t.Errorf("the counter %s after 7", counter)
		}
	}
	if out, err := sign("v1.1", "8", arm64); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// A new key begins anew; until devices know it they refuse what it signs.
	must(t, "keygen", "--no-password", name+"2")
	must(t, "sign", "--key", name+"2.key", "--version", "v2", "--counter", "9", "--out", dist, arm64)
	if _, err := tool(t, "verify", "--key", name+".pub", dist); !errors.Is(err, release.ErrKey) {
		t.Errorf("with the old key: %v", err)
	}
	must(t, "verify", "--key", name+"2.pub", dist)
	// What was served badly is noticed.
	if err := os.Truncate(filepath.Join(dist, "aerie-arm64-v2"), 3000); err != nil {
		t.Fatal(err)
	}
	if _, err := tool(t, "verify", "--key", name+"2.pub", dist); !errors.Is(err, release.ErrContent) {
		t.Errorf("a short file: %v", err)
	}
}

func TestMistakes(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "owner")
	must(t, "keygen", "--no-password", key)
	static, text := program(t, dir, elf.EM_X86_64, false), filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	other := t.TempDir()
	sign := []string{"sign", "--key", key + ".key", "--out", filepath.Join(dir, "dist"), "--version", "1", "--counter", "1"}
	for want, args := range map[string][]string{
		"what is to be done":  {},
		"no command":          {"publish", "--key", key},
		"flag provided":       {"sign", "--force"},
		"one name":            {"keygen"},
		"which key":           {"sign", static},
		"which programs":      sign,
		"no such file":        append(sign, filepath.Join(dir, "none")),
		"not a program":       append(sign, text),
		"linked dynamically":  append(sign, program(t, other, elf.EM_X86_64, true)),
		"not made for":        append(sign, program(t, other, elf.EM_PPC64, false)),
		"a second program":    append(sign, static, static),
		"counter of 0":        {"sign", "--key", key + ".key", "--out", dir, "--version", "1", static},
		"version":             {"sign", "--key", key + ".key", "--out", dir, "--counter", "1", "--version", "1 beta", static},
		"not a secret key":    {"sign", "--key", key + ".pub", "--out", dir, "--counter", "1", "--version", "1", static},
		"which folder":        {"verify", "--key", key + ".pub"},
		"not a public key":    {"verify", "--key", key + ".key", dir},
		"no password on":      {"keygen", filepath.Join(other, "new")},
		"there is no release": {"verify", "--key", key + ".pub", other},
		"not an HTTPS":        {"verify", "--key", key + ".pub", "http://127.0.0.1/"},
	} {
		if out, err := tool(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q\n%s", args, err, want, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "dist")); err == nil {
		t.Error("a mistake left a folder")
	}
	if out, err := tool(t, "sign", "--help"); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out, "keygen") {
		t.Errorf("help: %v\n%s", err, out)
	}
}

// A key with a password is opened here and by minisign. Keys of keygen cost
// seconds and a gigabyte at each use, as the library's and minisign's own do;
// the one in testdata is made to be cheap. Its password is "secret".
func TestPassword(t *testing.T) {
	key, public := filepath.Join("testdata", "password.key"), filepath.Join("testdata", "password.pub")
	dir := t.TempDir()
	static := program(t, dir, elf.EM_AARCH64, false)
	sign := []string{"sign", "--key", key, "--out", dir, "--version", "1", "--counter", "1", static}
	for password, good := range map[string]bool{"secret\n": true, "secret": true, "wrong\n": false, "\n": false, "": false} {
		if err := os.RemoveAll(filepath.Join(dir, release.IndexName(release.Product, "arm64"))); err != nil {
			t.Fatal(err)
		}
		if err := run(t.Context(), sign, typed(t, password), io.Discard); (err == nil) != good {
			t.Errorf("the password %q: %v", password, err)
		}
	}
	if _, err := exec.LookPath("minisign"); err != nil {
		t.Skip("minisign is not installed (Debian: apt install minisign)")
	}
	signature := filepath.Join(dir, "signature")
	cmd := exec.Command("minisign", "-S", "-s", key, "-m", static, "-x", signature)
	cmd.Stdin = typed(t, "secret\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := exec.Command("minisign", "-V", "-p", public, "-m", static, "-x", signature).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
