package main

import (
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"aerie/receiver/ota"
	"aerie/receiver/ota/release"
)

// What the launcher tells the program that it starts.
const (
	slotVariable  = "AERIE_SLOT" // a, b or factory
	storeVariable = "AERIE_OTA"  // the folder of the slots
)

// deviceState is where an appliance keeps its state.
const deviceState = "/data/aerie"

// launch becomes the program that is to run: that of a slot, or the factory
// binary, which is also what runs this. It knows no settings, for those of a
// later version may be unknown to it, and it starts something whatever happens.
func launch(args []string, out io.Writer) (err error) {
	began := time.Now()
	fs := flag.NewFlagSet("aerie launch", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	state := fs.String("state", "", "")
	factory := fs.String("factory", "", "")
	if err := fs.Parse(args); err != nil {
		return usageError("%v", err)
	}
	rest := fs.Args()
	if len(rest) == 0 {
		rest = []string{"run"}
	}
	if *state == "" {
		*state = stateOf(rest)
	}
	log := slog.New(newLog(os.Stderr, slog.LevelInfo))
	l := launcher{factory: *factory, folder: storeFolder(*state), args: rest}
	defer func() {
		fault := recover()
		if fault != nil {
			err = fmt.Errorf("the launcher failed: %v", fault)
		}
		if err != nil {
			log.Error("launch: going on as I am", "error", err)
			os.Setenv(slotVariable, string(ota.Factory))
			os.Setenv(storeVariable, l.folder)
			err = dispatch(rest, out)
		}
	}()
	store, err := openStore(l.folder, thisRelease(), log)
	if err != nil {
		log.Error("launch: there are no slots", "error", err)
		return l.become(ota.Factory, l.factory)
	}
	return store.Launch(func(c ota.Choice) error {
		program, name := l.factory, version
		if c.Slot != ota.Factory {
			program, name = store.Program(c.Slot), c.Release.Version
		}
		log.Info("launch", "slot", c.Slot, "version", name, "after", since(began))
		return l.become(c.Slot, program)
	})
}

type launcher struct {
	factory string // "" for this program
	folder  string
	args    []string
}

// become replaces this process, and returns only if that fails.
func (l *launcher) become(slot ota.Slot, program string) error {
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		program = self
	}
	env := append(withoutVariables(os.Environ(), slotVariable, storeVariable), slotVariable+"="+string(slot), storeVariable+"="+l.folder)
	err := syscall.Exec(program, append([]string{"aerie"}, l.args...), env)
	return fmt.Errorf("%s: %w", program, err)
}

// withoutVariables leaves variables out of an environment.
func withoutVariables(env []string, names ...string) (out []string) {
next:
	for _, e := range env {
		for _, name := range names {
			if strings.HasPrefix(e, name+"=") {
				continue next
			}
		}
		out = append(out, e)
	}
	return out
}

// stateOf finds the state folder among the arguments of run, else where a
// service or an appliance has it.
func stateOf(args []string) string {
	for i, a := range args {
		name, value, is := strings.Cut(strings.TrimLeft(a, "-"), "=")
		switch {
		case name != "state" || !strings.HasPrefix(a, "-"):
		case is:
			return value
		case i+1 < len(args):
			return args[i+1]
		}
	}
	if dir := os.Getenv("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	return deviceState
}

// storeFolder is where the slots are below a state folder.
func storeFolder(state string) string {
	if absolute, err := filepath.Abs(state); err == nil {
		state = absolute
	}
	return filepath.Join(state, "ota")
}

// thisRelease is what is known of this program.
func thisRelease() ota.Release {
	return ota.Release{Version: version, Counter: release.Counter()}
}

// openStore opens the slots in a folder.
func openStore(folder string, factory ota.Release, log *slog.Logger) (*ota.Store, error) {
	disk, err := ota.OpenFolder(folder)
	if err != nil {
		return nil, err
	}
	o := ota.Options{Disk: disk, Path: folder, Log: log, Factory: factory}
	// Without memory that outlives a process, nothing is kept there.
	if st, err := os.Stat(filepath.Dir(volatileFolder())); err == nil && st.IsDir() {
		if o.Volatile, err = ota.OpenFolder(volatileFolder()); err != nil {
			log.Warn("launch: what the disk does not take is not kept", "error", err)
			o.Volatile = nil
		}
	}
	return ota.New(o), nil
}

// volatileFolder is in memory, and outlives this process but not the machine's
// next start.
func volatileFolder() string {
	runtime := os.Getenv("RUNTIME_DIRECTORY") // systemd.exec(5)
	if runtime == "" {
		runtime = "/run/aerie"
	}
	return filepath.Join(runtime, "ota")
}
