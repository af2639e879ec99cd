package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mosquitto starts Debian's broker for the length of the test, which lets in
// nobody without a password.
func mosquitto(t *testing.T) (address string) {
	t.Helper()
	program, err := exec.LookPath("mosquitto")
	if err != nil {
		if program = "/usr/sbin/mosquitto"; exec.Command(program, "-h").Run() != nil {
			t.Skip("mosquitto is not installed (Debian: apt install mosquitto mosquitto-clients)")
		}
	}
	dir := t.TempDir()
	// Mosquitto, when it is started by root, reads its files as another user.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	users := filepath.Join(dir, "users")
	if out, err := exec.Command("mosquitto_passwd", "-b", "-c", users, "aerie", "secret").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address = free.Addr().String()
	free.Close()
	_, port, _ := net.SplitHostPort(address)
	conf := filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "listener %s 127.0.0.1\nallow_anonymous false\npassword_file %s\npersistence false\n", port, users), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(users, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-c", conf)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("mosquitto:\n%s", &out)
		}
	})
	return address
}

// retained asks the broker for what it keeps of a topic.
func retained(address, topic string) string {
	_, port, _ := net.SplitHostPort(address)
	out, err := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-u", "aerie", "-P", "secret", "-t", topic, "-C", "1", "-W", "2").CombinedOutput()
	if err != nil {
		return "nothing: " + err.Error()
	}
	return strings.TrimSuffix(string(out), "\n")
}

// eventually waits until the broker keeps a value.
func eventually(t *testing.T, address, topic, want string) {
	t.Helper()
	got := ""
	for range 60 {
		if got = retained(address, topic); got == want {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("%s is %q, want %q", topic, got, want)
}

func TestMosquitto(t *testing.T) {
	if _, err := exec.LookPath("mosquitto_sub"); err != nil {
		t.Skip("mosquitto_sub is not installed (Debian: apt install mosquitto mosquitto-clients)")
	}
	address := mosquitto(t)
	o := Options{Address: address, User: "aerie", Password: "secret", ClientID: "aerie-test", Base: "house/tv", Log: slog.New(slog.DiscardHandler)}
	p := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { p.Run(ctx); close(done) }()
	p.Set("title", []byte("Für Elise"))
	eventually(t, address, "house/tv/title", "Für Elise")
	eventually(t, address, "house/tv/status", online)
	p.Set("title", []byte("Another"))
	eventually(t, address, "house/tv/title", "Another")
	cancel()
	<-done
	eventually(t, address, "house/tv/status", offline)

	// One that vanishes leaves its will.
	vanishing := o
	conns := make(chan net.Conn, 1)
	vanishing.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if len(conns) > 0 {
			return nil, net.ErrClosed // it does not come back
		}
		c, err := net.Dial(network, address)
		if err == nil {
			conns <- c
		}
		return c, err
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	go New(vanishing).Run(ctx)
	eventually(t, address, "house/tv/status", online)
	c := <-conns
	conns <- c
	c.Close()
	eventually(t, address, "house/tv/status", offline)

	// A wrong password is said.
	refused := make(chan error, 1)
	wrong := NewClient(ClientOptions{Address: address, ClientID: "aerie-wrong", SignIn: func() (string, string, time.Time) { return "aerie", "wrong", time.Time{} },
		Down: func(err error) { refused <- err; cancel() }})
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	wrong.Run(ctx, nil)
	if err := <-refused; !errors.Is(err, ErrRefused) {
		t.Errorf("with a wrong password: %v", err)
	}
}
