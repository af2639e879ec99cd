package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver"
	"aerie/receiver/audio"
	"aerie/receiver/config"
	"aerie/receiver/pattern"
	"aerie/receiver/status"
)

// rig is a whole receiver in this process.
type rig struct {
	t    testing.TB
	r    *receiver.Receiver
	addr string
	log  *logBuffer
	stop func()
}

// logBuffer keeps the log for those who look for something in it.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// newRig starts a receiver that nobody but the test can find.
func newRig(t testing.TB, change func(*config.Config)) *rig {
	t.Helper()
	return startRig(t, change, false)
}

// newMeasuredRig starts one that decodes what it gets.
func newMeasuredRig(t testing.TB) *rig {
	t.Helper()
	return startRig(t, nil, true)
}

func startRig(t testing.TB, change func(*config.Config), measure bool) *rig {
	t.Helper()
	c := config.Default()
	c.Name, c.State = "Test", t.TempDir()
	c.Network.Port, c.Network.PTPPort, c.Network.Discovery, c.Network.HTTP = 0, 0, false, ""
	c.Video.Output, c.Audio.Output = "none", "none"
	if change != nil {
		change(c)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	log := &logBuffer{}
	r, err := receiver.New(receiver.Options{Config: c, Version: "test", Log: slog.New(newLog(log, slog.LevelDebug)), Measure: measure})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	g := &rig{t: t, r: r, addr: net.JoinHostPort("127.0.0.1", fmt.Sprint(r.Port())), log: log}
	var once sync.Once
	g.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the receiver ended with %v", err)
			}
		})
	}
	t.Cleanup(func() {
		g.stop()
		if t.Failed() {
			t.Logf("log of the receiver:\n%s", log)
		}
	})
	return g
}

// testPattern makes a small pattern of so many frames.
func testPattern(t testing.TB, width, height, fps, frames int) *phone.Pattern {
	t.Helper()
	p, err := phone.NewPattern(pattern.Config{Width: width, Height: height, FPS: fps})
	if err != nil {
		t.Fatal(err)
	}
	p.Frames = uint32(frames)
	return p
}

func tone(t testing.TB, codec audio.Codec) *phone.Tone {
	t.Helper()
	s, err := phone.NewTone(codec)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// mirror mirrors to the receiver until the picture ends.
func (g *rig) mirror(o phone.Options) *phone.Report {
	g.t.Helper()
	report, err := g.try(o)
	if err != nil {
		g.t.Fatalf("mirroring: %v", err)
	}
	return report
}

func (g *rig) try(o phone.Options) (*phone.Report, error) {
	o.Address = g.addr
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return phone.Mirror(ctx, o)
}

// mirrorOn mirrors until the function that it returns is called.
func (g *rig) mirrorOn(o phone.Options) (hangUp func()) {
	g.t.Helper()
	o.Address = g.addr
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := phone.Mirror(ctx, o)
		done <- err
	}()
	hangUp = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			g.t.Errorf("mirroring: %v", err)
		}
	})
	g.t.Cleanup(hangUp)
	return hangUp
}

// latency returns the stages of the way of a picture by their names.
func (g *rig) latency() map[string]status.Stage {
	g.t.Helper()
	w := httptest.NewRecorder()
	g.r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/status", nil))
	var s status.Snapshot
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		g.t.Fatal(err)
	}
	stages := map[string]status.Stage{}
	for _, stage := range s.Latency {
		stages[stage.Name] = stage
	}
	return stages
}

// decodeFile decodes a file with ffmpeg, which is another decoder than ours.
func decodeFile(t testing.TB, args ...string) []byte {
	t.Helper()
	return decodeFileWith(t, "ffmpeg", append([]string{"-v", "error", "-nostdin"}, args...)...)
}

// decodeFileWith is decodeFile with another program of the same package.
func decodeFileWith(t testing.TB, program string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian: apt install ffmpeg)", program)
	}
	cmd := exec.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, stderr.String())
	}
	return out
}

// readWAV returns the samples of a WAV file that the receiver wrote.
func readWAV(t testing.TB, name string) []int16 {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 44 || string(b[:4]) != "RIFF" || string(b[36:40]) != "data" {
		t.Fatalf("%s is no WAV file of ours", name)
	}
	if n := int(uint32(b[40]) | uint32(b[41])<<8 | uint32(b[42])<<16 | uint32(b[43])<<24); n != len(b)-44 {
		t.Errorf("the header says %d bytes, there are %d", n, len(b)-44)
	}
	b = b[44:]
	pcm := make([]int16, len(b)/2)
	for i := range pcm {
		pcm[i] = int16(uint16(b[2*i]) | uint16(b[2*i+1])<<8)
	}
	return pcm
}

// built is the folder of the programs, "" until there is one.
var built string

// binaries builds both programs once, as they are shipped where the environment
// of "make" says how, and returns their folder.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "aerie-test")
	if err != nil {
		return "", err
	}
	built = dir
	cmd := exec.Command("go", "build", "-trimpath", "-tags", os.Getenv("AERIE_TAGS"), "-ldflags", os.Getenv("AERIE_LDFLAGS"), "-o", dir+string(filepath.Separator), "aerie/cmd/aerie", "aerie/cmd/aerie-sender")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

func program(t testing.TB, name string) string {
	t.Helper()
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// started runs the shipped program, as people do.
func started(t testing.TB, args ...string) (cmd *exec.Cmd, log *logBuffer) {
	t.Helper()
	log = &logBuffer{}
	cmd = exec.Command(program(t, "aerie"), append([]string{"run", "--name", "Bench", "--port", "0", "--state", t.TempDir()}, args...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // which does nothing to one that has ended
	return cmd, log
}

func ended(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	cmd.Process.Signal(os.Interrupt)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// wait waits for a line of the log and returns what the expression groups.
func (l *logBuffer) wait(t testing.TB, expression string) []string {
	t.Helper()
	re := regexp.MustCompile(expression)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if m := re.FindStringSubmatch(l.String()); m != nil {
			return m
		}
	}
	t.Fatalf("no %q in\n%s", expression, l)
	return nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// resources counts what a process must not leak.
type resources struct{ goroutines, descriptors int }

func count(t testing.TB) resources {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return resources{runtime.NumGoroutine(), len(fds)}
}

// settle waits until no more is held than before.
func (before resources) settle(t testing.TB) {
	t.Helper()
	var now resources
	for range 500 {
		now = count(t)
		if now.goroutines <= before.goroutines && now.descriptors <= before.descriptors {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<20)
	t.Errorf("leaked: %+v before, %+v now\n%s", before, now, buf[:runtime.Stack(buf, true)])
}

var _ io.Writer = (*logBuffer)(nil)
