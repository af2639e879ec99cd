package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"aerie/hw/lab/bench"
)

// TestMain lets the test binary be the program that runs in the VM.
func TestMain(m *testing.M) {
	what := os.Getenv("LAB_TEST")
	switch {
	case strings.HasPrefix(what, "exit "):
		n, _ := strconv.Atoi(what[5:])
		here, _ := os.Getwd()
		fmt.Println("hello from", here, strings.Join(os.Args[1:], "|"))
		os.Exit(n)
	case what == "die":
		unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	case what == "sleep":
		time.Sleep(time.Hour)
	case what == "warn":
		os.WriteFile("/dev/kmsg", []byte("<4>WARNING: CPU: 0 at a test\n"), 0)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testMachine(t *testing.T) *machine {
	t.Helper()
	if bench.Inside() {
		t.Skip("the bench has no bench inside")
	}
	m := &machine{cpus: 1, memory: 512, accel: "tcg,thread=multi"}
	var err error
	if m.kernel, err = readyKernel(); err != nil {
		t.Skip(err)
	}
	if err := m.findTools(); err != nil {
		t.Skip(err)
	}
	return m
}

func TestVM(t *testing.T) {
	m := testMachine(t)
	if testing.Short() {
		t.Skip("boots four virtual machines")
	}
	libs, err := sharedLibraries(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	src := t.TempDir()
	if err := os.Mkdir(filepath.Join(src, "a dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		what string
		args []string
		code int
		out  string
		err  string
	}{
		{"exit 7", []string{"a b", "it's", "$HOME"}, 7, "hello from /src/a dir a b|it's|$HOME\n", ""},
		{"die", nil, 125, "", "without a result"},
		{"sleep", nil, 124, "", "out of time"},
		{"warn", nil, 126, "", "WARNING: CPU: 0 at a test"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			var out bytes.Buffer
			limit := 3 * time.Minute
			if tt.what == "sleep" {
				limit = 2 * time.Second
			}
			r, err := m.boot(job{binary: os.Args[0], libs: libs, args: tt.args, env: []string{"LAB_TEST=" + tt.what},
				source: src, dir: "/src/a dir", timeout: limit, out: &out})
			if err != nil {
				t.Fatal(err)
			}
			if code := r.code(true); code != tt.code {
				t.Errorf("exit code %d, want %d: %v", code, tt.code, r.explain(true))
			}
			if out.String() != tt.out {
				t.Errorf("output %q, want %q", out.String(), tt.out)
			}
			if err := r.explain(true); (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("explained as %v, want %q", err, tt.err)
			}
			if tt.what == "warn" && r.code(false) != 0 {
				t.Error("a lax run fails for a kernel warning")
			}
		})
	}
}

// TestInitramfs reads the archive back with the rules of the format.
func TestInitramfs(t *testing.T) {
	root := t.TempDir()
	ko := filepath.Join(root, "lib/modules/1.2-lab/kernel/x.ko")
	if err := os.MkdirAll(filepath.Dir(ko), 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(ko, []byte("module"), 0o644)
	os.Symlink("/usr/src", filepath.Join(root, "lib/modules/1.2-lab/build"))
	box := filepath.Join(root, "busybox")
	os.WriteFile(box, []byte("box"), 0o755)
	m := &machine{busybox: box, kernel: kernel{modules: root}}
	var b bytes.Buffer
	if err := m.initramfs(&b); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for data := b.Bytes(); ; {
		if string(data[:6]) != "070701" {
			t.Fatalf("no header at %q", data[:20])
		}
		field := func(i int) int {
			n, err := strconv.ParseUint(string(data[6+8*i:14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(n)
		}
		mode, size, name := field(1), field(6), string(data[110:110+field(11)-1])
		if name == "TRAILER!!!" {
			break
		}
		body := (110 + field(11) + 3) &^ 3
		got[name] = fmt.Sprintf("%o %d", mode, size)
		if name == "lib/modules/1.2-lab/kernel/x.ko" && string(data[body:body+size]) != "module" {
			t.Errorf("%s holds %q", name, data[body:body+size])
		}
		data = data[(body+size+3)&^3:]
	}
	for name, want := range map[string]string{"bin": "40755 0", "bin/busybox": "100755 3", "init": fmt.Sprintf("100755 %d", len(initScript)),
		"lib/modules/1.2-lab": "40755 0", "lib/modules/1.2-lab/kernel/x.ko": "100755 6"} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if _, ok := got["lib/modules/1.2-lab/build"]; ok {
		t.Error("a symbolic link out of the tree is in the archive")
	}
}

func TestKernel(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("AERIE_LAB_KERNEL", dir)
	if _, err := findKernel(nil); err == nil || !strings.Contains(err.Error(), "AERIE_LAB_KERNEL") {
		t.Errorf("an empty directory: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "bzImage"), nil, 0o644)
	os.MkdirAll(filepath.Join(dir, "root/lib/modules/7/"), 0o755)
	os.WriteFile(filepath.Join(dir, "root/lib/modules/7/modules.dep"), nil, 0o644)
	if k, err := findKernel(nil); err != nil || k.image != filepath.Join(dir, "bzImage") {
		t.Errorf("%+v %v", k, err)
	}
	t.Setenv("AERIE_CACHE", "/x")
	for _, s := range series {
		if d, err := cacheDir(); err != nil || !strings.HasPrefix(builtDir(d, s), "/x/lab-"+s+"-") {
			t.Errorf("%s is kept in %s: %v", s, builtDir(d, s), err)
		}
	}
}

// TestVerdict: the output is that of go test.
func TestVerdict(t *testing.T) {
	for in, want := range map[string]string{
		"PASS\n":                    "",
		"--- FAIL: TestX\nFAIL\n":   "--- FAIL: TestX\nFAIL\n",
		"=== RUN\n--- PASS\nPASS\n": "=== RUN\n--- PASS\n",
		"no newline at the end":     "no newline at the end",
		"PASS\nmore after it\n":     "PASS\nmore after it\n",
	} {
		for _, size := range []int{1, 3, 1000} {
			var b bytes.Buffer
			v := &verdict{w: &b}
			for rest := []byte(in); len(rest) > 0; {
				n := min(size, len(rest))
				v.Write(rest[:n])
				rest = rest[n:]
			}
			v.flush()
			if b.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", in, size, b.String(), want)
			}
		}
	}
}

// A guest whose kernel trusts no timer is told from one that is up.
func TestWatchTimers(t *testing.T) {
	for text, want := range map[string]bool{
		"[    0.7] Could not switch to high resolution mode on CPU 1\n":          true,
		"[    0.2] APIC timer disabled due to verification failure\n[ 1] more\n": true,
		"[    2.1] lab: up at 2.05 s\n":                                          false,
	} {
		log := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := watchTimers(log, nil); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	done := make(chan struct{})
	close(done)
	if watchTimers(filepath.Join(t.TempDir(), "none"), done) {
		t.Error("a guest without a log is lame")
	}
}
