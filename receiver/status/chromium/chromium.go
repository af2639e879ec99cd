// Package chromium drives a headless browser for tests of the page: what a
// person sees is in its screenshots, what went wrong in its console.
//
//	b := chromium.Start(t)
//	tab := b.Open("http://127.0.0.1:7080/", 1280, 800)
//	frame, ok := tab.Frame() // the number that the test pattern shows now
//
// It speaks the DevTools protocol over two pipes with the system's Chromium and
// knows nothing of Aerie but the stamp of the test pattern. No program links
// it.
//
// Proof: the tests of aerie/receiver/status and aerie/cmd/aerie.
package chromium

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/receiver/pattern/stamp"
)

// Browser is a headless browser that is driven over the DevTools protocol: JSON
// messages that end with a zero byte, on two pipes.
type Browser struct {
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

// Start starts a browser that ends with the test.
func Start(t testing.TB) *Browser {
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
	c := &Browser{t: t, to: in, waiting: make(map[int]chan reply)}
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

func (c *Browser) read(from io.Reader) {
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
func (c *Browser) call(session, method string, params, result any) {
	c.t.Helper()
	if err := c.try(3*time.Minute, session, method, params, result); err != nil {
		c.t.Fatal(err)
	}
}

// try is call for what the browser may refuse, or forget to answer.
func (c *Browser) try(patience time.Duration, session, method string, params, result any) error {
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

// Downloads has what pages download saved in a directory, under the names that
// they give it.
func (c *Browser) Downloads(dir string) {
	c.t.Helper()
	c.call("", "Browser.setDownloadBehavior", map[string]any{"behavior": "allow", "downloadPath": dir}, nil)
}

// A Tab is one page of the browser.
type Tab struct {
	*Browser
	session string
}

// Open opens a page of width by height pixels.
func (c *Browser) Open(url string, width, height int) *Tab {
	c.t.Helper()
	var target struct{ TargetID string }
	c.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	p := &Tab{c, attached.SessionID}
	p.call(p.session, "Runtime.enable", struct{}{}, nil)
	p.call(p.session, "Log.enable", struct{}{}, nil)
	p.call(p.session, "Page.enable", struct{}{}, nil)
	p.Resize(width, height, 1, false)
	p.call(p.session, "Page.navigate", map[string]any{"url": url}, nil)
	return p
}

// Resize changes what the page has for its window, in CSS pixels, and how many
// pixels of the screen each is.
func (p *Tab) Resize(width, height int, scale float64, mobile bool) {
	p.t.Helper()
	p.call(p.session, "Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile}, nil)
}

// Reload loads the page anew.
func (p *Tab) Reload() {
	p.t.Helper()
	p.call(p.session, "Page.reload", struct{}{}, nil)
}

// Screenshot returns the page as PNG. While a page takes the place of another
// there is nothing to take a picture of, and what is asked then may get lost.
func (p *Tab) Screenshot() []byte {
	p.t.Helper()
	var shot struct{ Data string }
	for end := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
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

// Eval evaluates an expression, waits for its promise and decodes the result.
func (p *Tab) Eval(expression string, result any) error {
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

// Patience is how long a page may take for what usually takes a second or two:
// browsers are slow on a busy machine.
const Patience = time.Minute

// Eventually waits for something that the page brings about by itself, and
// fails with what the console says.
func (p *Tab) Eventually(what string, happens func() bool) {
	p.t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if happens() {
			return
		}
	}
	p.t.Fatalf("in %v not: %s\nconsole: %s", Patience, what, strings.Join(p.Console(), "\n"))
}

// Console returns what pages wrote to the console: exceptions, and policies
// that they broke, among it.
func (c *Browser) Console() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.console)
}

// Frame reads the stamp of the test pattern in a screenshot: what a person
// sees now.
func (p *Tab) Frame() (number uint32, ok bool) {
	p.t.Helper()
	img, err := png.Decode(bytes.NewReader(p.Screenshot()))
	if err != nil {
		p.t.Fatal(err)
	}
	s, _, ok := stamp.FindImage(img)
	return s.Frame, ok
}

// Ask evaluates an expression over what the scripts of the status page export.
func Ask[T any](p *Tab, expression string) (v T) {
	p.t.Helper()
	if err := p.Eval(`import("/app.js").then(({player, figures, probe}) => `+expression+`)`, &v); err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}
