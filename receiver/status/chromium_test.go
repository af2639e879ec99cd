package status

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// chromium is a headless browser that is driven over the DevTools protocol: JSON
// messages that end with a zero byte, on two pipes.
type chromium struct {
	t  testing.TB
	to io.Writer

	mu      sync.Mutex
	last    int
	waiting map[int]chan reply
	console []string
}

type reply struct {
	ID     int
	Method string
	Params json.RawMessage
	Result json.RawMessage
	Error  *struct{ Message string }
}

// startChromium starts a browser that ends with the test.
func startChromium(t testing.TB) *chromium {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed: the browser of this test")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
		"--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--autoplay-policy=no-user-gesture-required", "--disable-dev-shm-usage", "--remote-debugging-pipe",
		"--user-data-dir="+filepath.Join(t.TempDir(), "profile"))
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it ends its own children
	cmd.WaitDelay = 10 * time.Second
	theirIn, in := pipe(t)
	out, theirOut := pipe(t)
	cmd.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirIn.Close()
	theirOut.Close()
	c := &chromium{t: t, to: in, waiting: make(map[int]chan reply)}
	done := make(chan bool)
	go func() {
		defer close(done)
		c.read(out)
	}()
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		in.Close()
		out.Close()
		<-done
	})
	return c
}

func pipe(t testing.TB) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

func (c *chromium) read(from io.Reader) {
	b := bufio.NewReaderSize(from, 1<<20)
	for {
		line, err := b.ReadBytes(0)
		if err != nil {
			return
		}
		var r reply
		if json.Unmarshal(line[:len(line)-1], &r) != nil {
			continue
		}
		c.mu.Lock()
		if ch := c.waiting[r.ID]; ch != nil {
			delete(c.waiting, r.ID)
			ch <- r
		} else if r.Method == "Runtime.consoleAPICalled" || r.Method == "Runtime.exceptionThrown" || r.Method == "Log.entryAdded" {
			c.console = append(c.console, string(r.Params))
		}
		c.mu.Unlock()
	}
}

// call calls a method in a session of the protocol and waits for its result.
func (c *chromium) call(session, method string, params, result any) {
	c.t.Helper()
	if err := c.try(3*time.Minute, session, method, params, result); err != nil {
		c.t.Fatal(err)
	}
}

// try is call for what the browser may refuse, or forget to answer.
func (c *chromium) try(patience time.Duration, session, method string, params, result any) error {
	c.t.Helper()
	ch := make(chan reply, 1)
	c.mu.Lock()
	c.last++
	b, err := json.Marshal(map[string]any{"id": c.last, "method": method, "params": params, "sessionId": session})
	if session == "" {
		b, err = json.Marshal(map[string]any{"id": c.last, "method": method, "params": params})
	}
	c.waiting[c.last] = ch
	c.mu.Unlock()
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.to.Write(append(b, 0)); err != nil {
		c.t.Fatalf("chromium: %s: %v", method, err)
	}
	select {
	case r := <-ch:
		if r.Error != nil {
			return fmt.Errorf("chromium: %s: %s", method, r.Error.Message)
		}
		if result == nil {
			return nil
		}
		if err := json.Unmarshal(r.Result, result); err != nil {
			return fmt.Errorf("chromium: %s: %v in %s", method, err, r.Result)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("chromium: %s: no answer in %v", method, patience)
	}
}

// A tab is one page of the browser.
type tab struct {
	*chromium
	session string
}

// open opens a page of width by height pixels.
func (c *chromium) open(url string, width, height int) *tab {
	c.t.Helper()
	var target struct{ TargetID string }
	c.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &tab{c, attached.SessionID}
	p.call(p.session, "Runtime.enable", struct{}{}, nil)
	p.call(p.session, "Log.enable", struct{}{}, nil)
	p.call(p.session, "Page.enable", struct{}{}, nil)
	p.resize(width, height, 1, false)
	p.call(p.session, "Page.navigate", map[string]any{"url": url}, nil)
	return p
}

func (p *tab) resize(width, height int, scale float64, mobile bool) {
	p.t.Helper()
	p.call(p.session, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}, nil)
}

func (p *tab) reload() {
	p.t.Helper()
	p.call(p.session, "Page.reload", struct{}{}, nil)
}

// screenshot returns the page as PNG. While a page takes the place of another
// there is nothing to take a picture of, and what is asked then may get lost.
func (p *tab) screenshot() []byte {
	p.t.Helper()
	var shot struct{ Data string }
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := p.try(10*time.Second, p.session, "Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			p.t.Fatal(err)
		}
	}
	b, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		p.t.Fatal(err)
	}
	return b
}

// eval evaluates an expression, waits for its promise and decodes the result.
func (p *tab) eval(expression string, result any) error {
	p.t.Helper()
	var r struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	p.call(p.session, "Runtime.evaluate", map[string]any{
		"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": false}, &r)
	if d := r.ExceptionDetails; d != nil {
		return fmt.Errorf("%s %s", d.Text, d.Exception.Description)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(r.Result.Value, result)
}
