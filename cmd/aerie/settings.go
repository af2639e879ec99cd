package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"aerie/receiver/config"
)

// extra are the flags that are no settings.
type extra struct {
	file      string
	appliance bool
	store     *config.Store     // of an appliance's settings
	mistake   *config.FileError // in them
	measure   bool
	seconds   int
	sender    string
}

// extraFlag describes one of them, for the flag set and for the help.
type extraFlag struct {
	name, arg, help string
	commands        string // which take it
	add             func(*flag.FlagSet, *extra, extraFlag)
}

var extraFlags = []extraFlag{
	{"config", "FILE", "Read settings from this file. Flags override it.", "run demo config diagnostics",
		func(fs *flag.FlagSet, e *extra, f extraFlag) { fs.StringVar(&e.file, f.name, "", f.help) }},
	{"appliance", "", "Be the only thing on this machine: keep the last good settings in force whatever becomes of the file, look after Wi-Fi, have a page for the settings, and show the page on port 80.", "run demo config",
		func(fs *flag.FlagSet, e *extra, f extraFlag) { fs.BoolVar(&e.appliance, f.name, false, f.help) }},
	{"measure", "", "Read the stamps of the test pattern and print the latency when the receiver ends.", "run demo",
		func(fs *flag.FlagSet, e *extra, f extraFlag) { fs.BoolVar(&e.measure, f.name, false, f.help) }},
	{"seconds", "N", "End the demo after so many seconds. 0: with Ctrl-C.", "demo",
		func(fs *flag.FlagSet, e *extra, f extraFlag) { fs.IntVar(&e.seconds, f.name, 0, f.help) }},
	{"sender", "FLAGS", "More flags for aerie-sender, separated by blanks.", "demo",
		func(fs *flag.FlagSet, e *extra, f extraFlag) { fs.StringVar(&e.sender, f.name, "", f.help) }},
}

// parse reads the command line of a command over the settings file over the
// defaults.
func parse(name string, args []string) (*config.Config, *extra, error) {
	// The file comes first, so the flags are parsed twice: once to find it.
	e, flags := &extra{}, config.Default()
	if err := parseInto(name, flags, e, args); err != nil {
		return nil, nil, err
	}
	c := config.Default()
	switch {
	case e.appliance:
		c.Appliance()
		if err := e.openStore(flags); err != nil {
			return nil, nil, err
		}
		if e.store != nil {
			e.mistake = e.store.Load(c)
		}
	case e.file != "":
		if err := c.ReadFile(e.file); err != nil {
			return nil, nil, err
		}
	}
	if err := parseInto(name, c, &extra{}, args); err != nil {
		return nil, nil, err
	}
	return c, e, nil
}

func parseInto(name string, c *config.Config, e *extra, args []string) error {
	fs := flag.NewFlagSet("aerie "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	c.Flags(fs)
	for _, f := range extraFlags {
		if strings.Contains(" "+f.commands+" ", " "+name+" ") {
			f.add(fs, e, f)
		}
	}
	if err := fs.Parse(args); err != nil {
		return usageError("%v", err)
	}
	if fs.NArg() > 0 {
		return usageError("%q is not a flag", fs.Arg(0))
	}
	return nil
}

func printConfig(args []string, out io.Writer) error {
	c, _, err := parse("config", args)
	if err != nil {
		return err
	}
	_, err = out.Write(c.File())
	return err
}

// isTerminal tells whether a person is likely to look.
func isTerminal(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// indent prints text in lines of a width, each behind a prefix.
func indent(out io.Writer, prefix, text string, width int) {
	line := prefix
	for _, w := range strings.Fields(text) {
		if len(line)+1+len(w) > width && line != prefix {
			fmt.Fprintln(out, line)
			line = prefix
		}
		if line != prefix {
			line += " "
		}
		line += w
	}
	fmt.Fprintln(out, line)
}
