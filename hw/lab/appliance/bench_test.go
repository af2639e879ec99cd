package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// patience is how long a machine that is emulated, on a machine that does other
// things as well, may take for a step of a few seconds. AERIE_VM_PATIENCE sets
// it where there is a lot else to do.
var patience = func() time.Duration {
	if d, err := time.ParseDuration(os.Getenv("AERIE_VM_PATIENCE")); err == nil {
		return d
	}
	return 4 * time.Minute
}()

// bench is what the tests of this package boot: an image, and releases for it.
type bench struct {
	image    image
	releases string // the folder that machines see as /run/host
}

// need skips a test that was not asked for.
func need(t *testing.T) {
	t.Helper()
	if os.Getenv("AERIE_VM") == "" {
		t.Skip("the appliance is booted only when asked for: AERIE_VM=1, or make vm-test")
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	for _, program := range []string{"qemu-system-x86_64", "mmdebstrap", "mksquashfs", "sfdisk", "mcopy", "mkfs.vfat", "mkfs.ext4", "cpio", "depmod"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no appliance: %s is not here (.ci/setup vm)", program)
		}
	}
}

// newBench builds version 1, the factory's; version 2, which works; 3, which
// crashes; 4, which hangs; a version 5 that a stranger has signed; and 6, which
// works. The image knows who signs.
func newBench(t *testing.T) *bench {
	t.Helper()
	arch := runtime.GOARCH
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	signer := in("aerie-release")
	check(build(arch, "./cmd/aerie-release", signer))
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(signer, args...).CombinedOutput(); err != nil {
			t.Fatalf("aerie-release %v: %v\n%s", args, err, out)
		}
	}
	run("keygen", "--no-password", in("owner"))
	run("keygen", "--no-password", in("stranger"))
	b := &bench{releases: in("host")}
	sign := func(key, n, program string) {
		t.Helper()
		run("sign", "--key", in(key+".key"), "--version", n, "--counter", n, "--out", filepath.Join(b.releases, n), program)
	}
	aerie := func(n string) string {
		program := in("v"+n) + "/aerie"
		check(build(arch, "./cmd/aerie", program, "main.version="+n, "aerie/receiver/ota/release.counter="+n))
		return program
	}
	broken := func(n, how string) string {
		program := in("v"+n) + "/aerie"
		check(build(arch, "./hw/lab/appliance/testdata/broken", program, "main.how="+how))
		return program
	}
	factory := aerie("1")
	sign("owner", "2", aerie("2"))
	sign("owner", "3", broken("3", "crash"))
	sign("owner", "4", broken("4", "hang"))
	sign("stranger", "5", in("v2")+"/aerie")
	sign("owner", "6", aerie("6"))

	extra := in("extra/usr/lib/aerie")
	check(os.MkdirAll(extra, 0o755))
	key, err := os.ReadFile(in("owner.pub"))
	check(err)
	check(os.WriteFile(filepath.Join(extra, "release.pub"), key, 0o644))
	b.image, err = makeImage(arch, factory, in("extra"), in("image"))
	if errors.Is(err, errNoDebian) {
		t.Skip("no appliance: ", err)
	}
	check(err)
	return b
}

// machine is a vm under test.
type machine struct {
	*vm
	t *testing.T
}

// boot starts a machine and waits for its shell.
func (b *bench) boot(t *testing.T, d *disk, kernel string) *machine {
	t.Helper()
	const boots = 5
	for n := 1; ; n++ {
		dir, err := os.MkdirTemp("", "aerie-vm.")
		if err != nil {
			t.Fatal(err)
		}
		v, err := start(dir, settings{image: b.image, disk: d, share: b.releases, append: kernel})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			v.off()
			if t.Failed() {
				t.Logf("console of the machine:\n%s", tail(v.log(), 60))
			}
			os.RemoveAll(dir)
		})
		if err = v.open(patience); err == nil {
			return &machine{v, t}
		}
		if !v.lame() && !v.crashed() || n == boots {
			t.Fatalf("no shell: %v", err)
		}
		v.off()
	}
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// sh runs a command as root.
func (m *machine) sh(command string) string {
	m.t.Helper()
	out, err := m.try(command, patience)
	if err != nil {
		m.t.Errorf("%s: %v\n%s", command, err, out)
		// What the system had to say about it, where it is systemd's.
		journal, _ := m.try("journalctl -b --no-pager -o short-monotonic | tail -n 100", patience)
		m.t.Fatal(journal)
	}
	return strings.TrimSpace(out)
}

// mount mounts the releases.
func (m *machine) mount() {
	m.t.Helper()
	m.sh("mkdir -p /run/host && modprobe -q 9pnet_virtio && mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=262144 host /run/host")
}

// until waits for something, and fails the test if it does not come.
func (m *machine) until(what string, f func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); !f(); {
		if err := m.alive(deadline); err != nil {
			m.t.Fatalf("waiting for %s: %v", what, err)
		}
	}
}

// version asks the page which version runs; "" for none.
func (m *machine) version() string {
	client := http.Client{Timeout: 5 * time.Second}
	p, err := client.Get("http://" + m.page + "/status")
	if err != nil {
		return ""
	}
	defer p.Body.Close()
	var s struct {
		Receiver struct{ Version string }
	}
	if err := json.NewDecoder(io.LimitReader(p.Body, 1<<20)).Decode(&s); err != nil {
		return ""
	}
	return s.Receiver.Version
}

// updates is what "aerie ota status" says.
type updates struct {
	Version  string
	Slot     string
	Proven   bool
	WentBack string `json:"went_back"`
	Problem  string
	Bad      []struct{ Version, Why string }
}

func (m *machine) updates() (u updates) {
	m.t.Helper()
	out := m.sh("aerie ota status --json --state /data/aerie 2>/dev/null")
	if err := json.Unmarshal([]byte(out), &u); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	return u
}

// picture takes a screenshot for whoever wants to look at it.
func (m *machine) picture(name string) {
	m.t.Helper()
	dir := os.Getenv("AERIE_VM_PICTURES")
	if dir == "" {
		dir = m.t.TempDir()
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	if err := m.screenshot(ctx, filepath.Join(dir, name)); err != nil {
		m.t.Error(err)
	}
}
