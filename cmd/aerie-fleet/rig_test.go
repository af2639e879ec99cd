package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/service"
)

// The tests run this binary as the program.
func TestMain(m *testing.M) {
	if os.Getenv("AERIE_FLEET_PROGRAM") != "" {
		main()
		os.Exit(0)
	}
	raiseFiles()
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "AERIE_FLEET_PROGRAM=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// fleetctl runs a command of the program to its end.
func fleetctl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := program(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, &errs)
	}
	return out.String(), err
}

// process is a service that runs as a program of its own.
type process struct {
	t     testing.TB
	state string
	args  []string
	// through is a program that runs it, as on another host.
	through []string
	mu      sync.Mutex
	cmd     *exec.Cmd
	log     *text
	api     *client
}

type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (x *text) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.Write(b)
}

func (x *text) String() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.b.String()
}

// freePort finds a port that nobody uses now.
func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// startProcess starts a service; what it says is printed if the test fails.
func startProcess(t testing.TB, state string, args ...string) *process {
	t.Helper()
	p := &process{t: t, state: state, args: append([]string{"serve", "--state", state}, args...), log: &text{}, api: onSocket(filepath.Join(state, "control"))}
	p.start()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			log := p.log.String()
			t.Logf("log of %s:\n%s", filepath.Base(state), log[max(0, len(log)-4000):])
		}
	})
	return p
}

func (p *process) start() {
	p.t.Helper()
	cmd := program(p.args...)
	if len(p.through) > 0 {
		path, err := exec.LookPath(p.through[0])
		if err != nil {
			p.t.Fatal(err)
		}
		cmd.Args = append(append(p.through[:len(p.through):len(p.through)], os.Args[0]), p.args...)
		cmd.Path = path
	}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	if err := cmd.Start(); err != nil {
		p.t.Errorf("start: %v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd = cmd
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd.Process.Kill() // it may have ended
	p.cmd.Wait()
}

// overview asks the service, which may not be there.
func (p *process) overview() (o service.Overview, err error) {
	err = p.api.ask(http.MethodGet, "/api/overview", nil, &o)
	return o, err
}

// metric reads one of the service's counters.
func (p *process) metric(name string) float64 {
	r, err := p.api.http.Get("http://fleet/metrics")
	if err != nil {
		return 0
	}
	defer r.Body.Close()
	var b bytes.Buffer
	b.ReadFrom(r.Body)
	for line := range strings.Lines(b.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			v, _ := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return v
		}
	}
	return 0
}

// memory is what the process has in memory now, in bytes, and cpu the time that
// it has used (proc(5)).
func (p *process) memory() int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	n, _ := strconv.Atoi(strings.Fields(string(b))[1])
	return n * os.Getpagesize()
}

func (p *process) cpu() time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // a tick of the kernel is 1/100 s
}

func eventually(t testing.TB, patience time.Duration, what string, happens func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if happens() {
			return
		}
	}
	t.Fatalf("in %v not: %s", patience, what)
}

// post orders something of a service.
func (p *process) post(ctx context.Context, path string, order any) error {
	b, err := json.Marshal(order)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://fleet"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	response, err := p.api.http.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", path, response.Status)
	}
	return nil
}
