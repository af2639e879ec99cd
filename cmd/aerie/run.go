package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"aerie/receiver"
	"aerie/receiver/codec"
	"aerie/receiver/config"
	"aerie/receiver/diagnostics"
	"aerie/receiver/health"
)

// run runs the receiver until it is told to end.
func run(args []string, out io.Writer) error {
	c, e, err := parse("run", args)
	if err != nil {
		notStarted(err)
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, c, err := startWhatever(c, e, args)
	if err != nil {
		notStarted(err)
		return err
	}
	ctx, restart := context.WithCancel(ctx)
	defer restart()
	updates, endUpdates := runUpdates(ctx, c, r, restart)
	endFleet := runFleet(ctx, r, updates, restart)
	banner(out, r)
	err = r.Run(ctx)
	restart() // nothing goes on without the receiver
	endFleet()
	endUpdates(err)
	if e.measure {
		r.PrintLatency(out)
	}
	return err
}

// start makes the receiver with a log on standard error.
func start(c *config.Config, measure bool, a *receiver.Appliance) (*receiver.Receiver, error) {
	log, err := openLog(c)
	if err != nil {
		return nil, err
	}
	codec.SetLogger(log)
	// Nothing has asked for the time of day yet but the log.
	if time.Local, err = c.Location(); err != nil {
		log.Warn("times are those of the system", "error", err)
	}
	systemd, err := health.FromEnvironment()
	if err != nil {
		return nil, err
	}
	return receiver.New(receiver.Options{Config: c, Version: version, Log: log, Measure: measure, Systemd: systemd, Kept: &kept, Appliance: a})
}

// kept is the end of the log, for diagnostics.
var kept diagnostics.Log

// openLog makes the log on standard error.
func openLog(c *config.Config) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return nil, err
	}
	return slog.New(kept.Handler(newLog(os.Stderr, level))), nil
}

// banner says what people want to know.
func banner(out io.Writer, r *receiver.Receiver) {
	in := r.About()
	fmt.Fprintf(out, "\nAerie %s is ready.\n\n", version)
	row := func(what, text string) {
		if text != "" {
			fmt.Fprintf(out, "  %-9s %s\n", what, text)
		}
	}
	row("Name", in.Name)
	row("Address", in.Address)
	row("Picture", in.Picture)
	row("Sound", in.Sound)
	row("Page", in.Page)
	how := "On an iPhone or iPad open Control Centre, tap Screen Mirroring and choose %q;\non a Mac, Screen Mirroring in the menu bar."
	if in.Loudspeaker {
		how = "On an iPhone or iPad tap AirPlay where music is playing and choose %q;\non a Mac, Sound in the menu bar."
	}
	fmt.Fprintf(out, "\n"+how+" Ctrl-C ends it.\n\n", in.Name)
}

// since is how long something took, for people.
func since(t time.Time) time.Duration { return time.Since(t).Round(time.Millisecond) }
