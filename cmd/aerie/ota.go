package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"aerie/receiver"
	"aerie/receiver/config"
	"aerie/receiver/ota"
)

// updateCommand is what "aerie ota" does. It works on the folder of the slots,
// beside a receiver that runs, which notices.
type updateCommand struct {
	store *ota.Store
	out   io.Writer
	json  bool
	where string // of releases
}

// update runs "aerie ota".
func update(args []string, out io.Writer) error {
	if len(args) == 0 {
		return usageError("ota takes one of status, check, install and rollback")
	}
	fs := flag.NewFlagSet("aerie ota", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	u := updateCommand{out: out}
	state, file := fs.String("state", "", ""), fs.String("config", "", "")
	fs.BoolVar(&u.json, "json", false, "")
	what := args[0]
	if err := fs.Parse(args[1:]); err != nil {
		return usageError("%v", err)
	}
	if fs.NArg() > 0 {
		u.where = fs.Arg(0)
		// Flags may stand behind it as well.
		if err := fs.Parse(fs.Args()[1:]); err != nil {
			return usageError("%v", err)
		}
		if fs.NArg() > 0 {
			return usageError("%q is too much", fs.Arg(0))
		}
	}
	c := config.Default()
	if *file != "" {
		if err := c.ReadFile(*file); err != nil {
			return err
		}
	}
	if u.where == "" {
		u.where = c.Updates.URL
	}
	if *state != "" {
		c.State = *state
	}
	folder, err := slotsOf(c)
	if err != nil {
		return err
	}
	if u.store, err = openStore(folder, thisRelease(), slog.New(newLog(os.Stderr, slog.LevelWarn))); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch what {
	case "status":
		return u.status()
	case "check":
		return u.check(ctx)
	case "install":
		return u.install(ctx)
	case "rollback":
		return u.rollback()
	}
	return usageError("ota does not know %q, but status, check, install and rollback", what)
}

// slotsOf is the folder of the slots of the receiver on this machine.
func slotsOf(c *config.Config) (string, error) {
	if st, err := os.Stat(deviceState); c.State == "" && err == nil && st.IsDir() {
		return storeFolder(deviceState), nil
	}
	dir, err := receiver.StateDir(c)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return storeFolder(dir), nil
}

func (u *updateCommand) status() error {
	st := u.store.Status("")
	if u.json {
		b, err := json.MarshalIndent(st, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(u.out, "%s\n", b)
		return err
	}
	row := func(what, text string) {
		if text != "" {
			fmt.Fprintf(u.out, "%-11s %s\n", what, text)
		}
	}
	slot := "slot " + string(st.Slot)
	switch {
	case st.Slot == ota.Factory:
		slot = "the factory version"
	case !st.Proven:
		slot += ", has yet to prove itself"
	}
	row("Version", fmt.Sprintf("%s (%s)", st.Version, slot))
	row("Next start", st.Pending)
	row("Last", st.Last.String())
	for _, b := range st.Bad {
		row("Given up", b.Version+": "+b.Why)
	}
	row("Problem", st.Problem)
	return nil
}

var errNowhere = errors.New(`nowhere to look: name a file, a folder or an https:// address, or set updates.url and name the settings file with --config`)

func (u *updateCommand) check(ctx context.Context) error {
	if u.where == "" {
		return errNowhere
	}
	offer, err := findAt(u.where, true)(ctx)
	if err != nil {
		return err
	}
	if err := u.store.Acceptable(offer.Release, false); err != nil {
		return err
	}
	_, err = fmt.Fprintf(u.out, "%s can be installed.\n", offer.Release.Version)
	return err
}

func (u *updateCommand) install(ctx context.Context) error {
	if u.where == "" {
		return errNowhere
	}
	offer, err := findAt(u.where, true)(ctx)
	if err != nil {
		return err
	}
	version := offer.Release.Version
	fmt.Fprintf(u.out, "Installing %s.\n", version)
	shown := int64(0)
	err = u.store.Install(ctx, ota.Update{
		Release: offer.Release, ByHand: true, Test: testProgram,
		Step: func(s ota.Step) { fmt.Fprintf(u.out, "  %s\n", s) },
		Fetch: func(ctx context.Context, to ota.Partial, have int64) error {
			return offer.Fetch(ctx, to, have, func(have, size int64) {
				if tenth := have * 10 / max(size, 1); tenth != shown && isTerminal(os.Stdout) {
					shown = tenth
					fmt.Fprintf(u.out, "  %d %%\n", 10*tenth)
				}
			})
		},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(u.out, "%s is installed. The receiver starts it as soon as nothing is playing; the old version comes back if it does not work.\n", version)
	return nil
}

func (u *updateCommand) rollback() error {
	e, err := u.store.SendBack()
	if err != nil {
		return err
	}
	to := e.To
	if to == "" {
		to = "the factory version"
	}
	fmt.Fprintf(u.out, "The next start is that of %s. The receiver starts it as soon as nothing is playing; %s is not installed again by itself.\n", to, e.From)
	return nil
}
