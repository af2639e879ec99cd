package release

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"aead.dev/minisign"
)

// Debian's minisign verifies what this package signs, and this package what it
// signs, with keys of either.
func TestDebiansMinisign(t *testing.T) {
	if _, err := exec.LookPath("minisign"); err != nil {
		t.Skip("minisign is not installed (Debian: apt install minisign)")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write := func(name string, text []byte) {
		if err := os.WriteFile(in(name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, error) {
		cmd := exec.Command("minisign", args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("-G", "-W", "-p", "theirs.pub", "-s", "theirs.key"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ours, keys := owner(t)
	text, _ := ours.MarshalText()
	write("ours.key", append(text, '\n')) // it wants the last line to end
	text, _ = keys[0].MarshalText()
	write("ours.pub", append(text, '\n'))

	p := program(300_000)
	info := claims()
	write(info.File, p)
	for _, owner := range []string{"ours", "theirs"} {
		var private minisign.PrivateKey
		text, err := os.ReadFile(in(owner + ".key"))
		if err == nil {
			err = private.UnmarshalText(text)
		}
		if err != nil {
			t.Fatalf("%s: %v", owner, err)
		}
		keys, err := LoadKeys(in(owner + ".pub"))
		if err != nil {
			t.Fatal(err)
		}

		signature := signed(t, private, p, info)
		write(SignatureName(info.File), signature)
		out, err := run("-V", "-H", "-p", owner+".pub", "-m", info.File)
		if err != nil || !strings.Contains(out, "counter=12 size=300000 ") {
			t.Errorf("it says of a signature by %s key: %v\n%s", owner, err, out)
		}
		write(SignatureName(info.File), bytes.Replace(signature, []byte("counter=12"), []byte("counter=13"), 1))
		if out, err := run("-V", "-p", owner+".pub", "-m", info.File); err == nil {
			t.Errorf("it believes a comment that was changed:\n%s", out)
		}

		mine, err := keys.Open(signature)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := run("-S", "-s", owner+".key", "-t", mine.comment(), "-m", info.File); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if text, err = os.ReadFile(in(SignatureName(info.File))); err != nil {
			t.Fatal(err)
		}
		r, err := keys.Open(text)
		if err != nil {
			t.Fatalf("its signature by %s key: %v", owner, err)
		}
		if err := r.Verify(bytes.NewReader(p)); err != nil || r.Info != mine.Info {
			t.Errorf("its signature by %s key: %+v, %v", owner, r.Info, err)
		}
	}
}
