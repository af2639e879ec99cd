package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// demo runs the receiver, and aerie-sender beside it, which mirrors the test
// pattern to it.
func demo(args []string, out io.Writer) error {
	c, e, err := parse("demo", args)
	if err != nil {
		return err
	}
	sender, err := findSender()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := start(c, true, nil)
	if err != nil {
		return err
	}
	banner(out, r)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()

	flags := []string{"--name", "Aerie demo"}
	if e.seconds > 0 {
		flags = append(flags, "--seconds", fmt.Sprint(e.seconds))
	}
	flags = append(flags, strings.Fields(e.sender)...)
	flags = append(flags, net.JoinHostPort("127.0.0.1", fmt.Sprint(r.Port())))
	cmd := exec.CommandContext(ctx, sender, flags...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	var report strings.Builder
	cmd.Stdout, cmd.Stderr = &report, os.Stderr
	fmt.Fprintf(out, "A test pattern with a tone is mirrored now; a beep sounds when the square lights up.\n")
	if page := r.About().Page; page != "" {
		fmt.Fprintf(out, "Open %s to see and hear it.\n\n", page)
	}
	err = cmd.Run()
	stopped := ctx.Err() != nil
	cancel()
	if runErr := <-ended; runErr != nil && err == nil {
		err = runErr
	}
	fmt.Fprintf(out, "\nWhat the sender saw:\n%s\nWhat the receiver saw:\n", report.String())
	r.PrintLatency(out)
	if stopped {
		return nil // Ctrl-C is the way to end it
	}
	return err
}

// findSender finds aerie-sender beside this program, or in the path.
func findSender() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "aerie-sender")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	name, err := exec.LookPath("aerie-sender")
	if err != nil {
		return "", errors.New("the demo needs aerie-sender beside aerie: build it with \"make build\"")
	}
	return name, nil
}
