package main

import (
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pkg is what go list says of a package.
type pkg struct {
	ImportPath   string
	Dir          string
	TestGoFiles  []string
	XTestGoFiles []string
	Module       struct{ Dir string }
}

// packages tests every package that the patterns name, one VM after another,
// and returns the exit code.
func (o *options) packages(patterns []string) (int, error) {
	list, err := listPackages(patterns)
	if err != nil {
		return 2, err
	}
	tmp, err := os.MkdirTemp("", "lab-bin.")
	if err != nil {
		return 2, err
	}
	defer os.RemoveAll(tmp)
	code := 0
	for _, p := range list {
		if len(p.TestGoFiles)+len(p.XTestGoFiles) == 0 {
			fmt.Printf("?   \t%s\t[no test files]\n", p.ImportPath)
			continue
		}
		c, err := o.test(p, tmp)
		if err != nil {
			fmt.Fprintln(os.Stderr, "lab:", err)
		}
		if code == 0 {
			code = c
		}
		if c == 2 {
			break // the lab itself is broken
		}
	}
	return code, nil
}

// listPackages expands the patterns.
func listPackages(patterns []string) ([]pkg, error) {
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,TestGoFiles,XTestGoFiles,Module", "--"}, patterns...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return list, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		list = append(list, p)
	}
}

// test builds one package's tests, runs them in a VM and prints the line go
// test would end with.
func (o *options) test(p pkg, tmp string) (int, error) {
	bin := filepath.Join(tmp, strings.ReplaceAll(p.ImportPath, "/", "_")+".test")
	if err := o.compile(p, bin); err != nil {
		fmt.Printf("FAIL\t%s [build failed]\n", p.ImportPath)
		return 1, err
	}
	libs, err := sharedLibraries(bin)
	if err != nil {
		return 2, err
	}
	rel, err := filepath.Rel(p.Module.Dir, p.Dir)
	if err != nil {
		return 2, err
	}
	out := &verdict{w: os.Stdout}
	begin := time.Now()
	r, err := o.machine.boot(job{binary: bin, libs: libs, args: o.arguments(), env: o.env,
		source: p.Module.Dir, dir: "/src/" + filepath.ToSlash(rel), timeout: o.timeout, out: out})
	if err != nil {
		return 2, err
	}
	out.flush()
	code, took := r.code(o.strict), seconds(time.Since(begin))
	if code != 0 {
		fmt.Printf("FAIL\t%s\t%s\n", p.ImportPath, took)
	} else {
		fmt.Printf("ok  \t%s\t%s [VM up in %s]\n", p.ImportPath, took, r.boot)
	}
	return code, r.explain(o.strict)
}

// compile makes the test binary.
func (o *options) compile(p pkg, bin string) error {
	args := []string{"test", "-c", "-o", bin}
	cgo := "CGO_ENABLED=0"
	if o.race {
		args = append(args, "-race")
	}
	if o.cgo || o.race {
		cgo = "CGO_ENABLED=1"
	} else if flags := os.Getenv("AERIE_LDFLAGS"); flags != "" {
		// The environment of receiver/codec/ffmpeg/env.sh: cgo, yet static.
		args, cgo = append(args, "-tags", os.Getenv("AERIE_TAGS"), "-ldflags", flags), "CGO_ENABLED=1"
	}
	cmd := exec.Command("go", append(args, p.ImportPath)...)
	cmd.Env = append(os.Environ(), cgo, "GOOS=linux", "GOARCH=amd64")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// arguments are the flags of the test binary. Its own time limit comes before
// the VM's, so that a hanging test prints its goroutines.
func (o *options) arguments() []string {
	args := []string{"-test.paniconexit0", "-test.timeout=" + (o.timeout * 9 / 10).String(),
		"-test.count=" + strconv.Itoa(o.count)}
	if o.verbose {
		args = append(args, "-test.v")
	}
	if o.short {
		args = append(args, "-test.short")
	}
	for flag, value := range map[string]string{"run": o.run, "skip": o.skip, "bench": o.bench} {
		if value != "" {
			args = append(args, "-test."+flag+"="+value)
		}
	}
	return args
}

// verdict passes a test binary's output on, less its own last line: go test
// prints PASS only with -v, and its summary line instead.
type verdict struct {
	w    io.Writer
	held []byte // an unfinished or a withheld last line
}

func (v *verdict) Write(p []byte) (int, error) {
	v.held = append(v.held, p...)
	if bytes.Equal(v.held, []byte("PASS\n")) {
		return len(p), nil
	}
	// Keep the last line back until another follows it.
	end := bytes.LastIndexByte(bytes.TrimSuffix(v.held, []byte("\n")), '\n') + 1
	if _, err := v.w.Write(v.held[:end]); err != nil {
		return 0, err
	}
	v.held = append(v.held[:0], v.held[end:]...)
	return len(p), nil
}

func (v *verdict) flush() {
	if !bytes.Equal(v.held, []byte("PASS\n")) {
		v.w.Write(v.held)
	}
	v.held = nil
}

// sharedLibraries maps the name of every shared library that a program needs,
// and of its loader, to the file; it is empty for a static program.
func sharedLibraries(bin string) (map[string]string, error) {
	f, err := elf.Open(bin)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if names, err := f.ImportedLibraries(); err != nil || len(names) == 0 {
		return nil, err
	}
	out, err := exec.Command("ldd", bin).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd %s: %w", bin, err)
	}
	libs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "not found") {
			return nil, errors.New("ldd: " + strings.TrimSpace(line))
		}
		for _, field := range strings.Fields(line) {
			if filepath.IsAbs(field) {
				libs[filepath.Base(field)] = field
			}
		}
	}
	return libs, nil
}
