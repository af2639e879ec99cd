package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"aerie/receiver"
	"aerie/receiver/config"
	"aerie/receiver/diagnostics"
)

// bundleTime is how long a receiver may take to make its bundle, and bundleMax
// what is taken of it, in bytes.
const (
	bundleTime = 45 * time.Second
	bundleMax  = 64 << 20
)

// saveDiagnostics saves a diagnostics bundle: that of the receiver which runs
// on this machine, or else what can be seen of the machine without one.
func saveDiagnostics(args []string, out io.Writer) error {
	if len(args) == 0 || args[len(args)-1] == "" || args[len(args)-1][0] == '-' {
		return usageError("diagnostics takes the name of a file")
	}
	file := args[len(args)-1]
	c, _, err := parse("diagnostics", args[:len(args)-1])
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	of := "the receiver that runs here"
	err = save(file, func(w io.Writer) error { return askReceiver(ctx, c, w) })
	if errors.Is(err, errNoReceiver) {
		of = fmt.Sprintf("this machine (%v)", err)
		err = save(file, func(w io.Writer) error {
			return receiver.DiagnoseMachine(ctx, w, c, version, diagnostics.Part{Name: "probe.txt", Collect: func(_ context.Context, w io.Writer) error { return probe(nil, w) }})
		})
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: diagnostics of %s.\nLook through its files before you pass them on: they tell names and addresses.\n", file, of)
	return nil
}

// save writes a file that is there whole or not at all, for its owner alone.
func save(name string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails when it has its name
	defer f.Close()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

var errNoReceiver = errors.New("no receiver answers here")

// appliancePage is where an appliance has its page, whose settings may not be
// those of who asks.
const appliancePage = "127.0.0.1:80"

// askReceiver asks the page of the receiver that runs here.
func askReceiver(ctx context.Context, c *config.Config, w io.Writer) error {
	err := errNoReceiver
	for _, page := range []string{c.Network.HTTP, appliancePage} {
		if host, port, split := net.SplitHostPort(page); split == nil {
			if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
				page = net.JoinHostPort("127.0.0.1", port)
			}
			if err = askPage(ctx, page, w); !errors.Is(err, errNoReceiver) {
				return err
			}
		}
	}
	return err
}

// askPage asks a page. When it fails with errNoReceiver, nothing was written.
func askPage(ctx context.Context, page string, w io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, bundleTime)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+page+"/diagnostics", nil)
	if err != nil {
		return err
	}
	q.Header.Set("Aerie-Page", "1") // as the page itself does
	p, err := http.DefaultClient.Do(q)
	if err != nil {
		return fmt.Errorf("%w at %s", errNoReceiver, q.URL.Host)
	}
	defer p.Body.Close()
	if kind := p.Header.Get("Content-Type"); p.StatusCode != http.StatusOK || kind != "application/zip" {
		return fmt.Errorf("%w: %s answers with %s", errNoReceiver, q.URL.Host, p.Status)
	}
	n, err := io.Copy(w, io.LimitReader(p.Body, bundleMax))
	if err == nil && n == bundleMax {
		err = errors.New("the receiver's bundle has no end")
	}
	return err
}
