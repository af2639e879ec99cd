package main

import (
	"fmt"
	"io"
	"strings"

	"aerie/receiver/config"
)

const about = `Aerie receives what iPhones, iPads, Macs and music players send by AirPlay: the
picture on a display, in a web page or in a file, and sound with it or alone.`

// help prints the commands, or one of them with its flags.
func help(args []string, out io.Writer) error {
	if len(args) > 0 {
		for _, c := range commands() {
			if c.name == args[0] {
				fmt.Fprintf(out, "Usage: aerie %s %s\n\n%s\n", c.name, c.args, c.help)
				if takesFlags(c) {
					fmt.Fprintln(out)
					printFlags(out, c.name)
				}
				return nil
			}
		}
		return usageError("there is no command %q", args[0])
	}
	fmt.Fprintf(out, "%s\n\nUsage: aerie [COMMAND] [FLAGS]\n\nCommands:\n", about)
	for _, c := range commands() {
		fmt.Fprintf(out, "  %-11s %s\n", c.name, c.help)
	}
	fmt.Fprintf(out, "\nFlags of run:\n")
	printFlags(out, "run")
	fmt.Fprintf(out, "\nSettings without a flag stand in the settings file: see \"aerie config\".\n")
	return nil
}

func takesFlags(c command) bool { return strings.Contains(c.args, "FLAGS") }

// flagRow is a flag as it is shown.
type flagRow struct{ name, arg, help, def string }

// flagRows lists the flags of a command: settings, then the others.
func flagRows(command string) (rows []flagRow) {
	for _, s := range config.Default().Settings() {
		if s.Flag != "" {
			rows = append(rows, flagRow{s.Flag, s.Arg, s.Help, s.Text()})
		}
	}
	for _, f := range extraFlags {
		if strings.Contains(" "+f.commands+" ", " "+command+" ") {
			rows = append(rows, flagRow{f.name, f.arg, f.help, ""})
		}
	}
	return rows
}

func printFlags(out io.Writer, command string) {
	for _, r := range flagRows(command) {
		head := "  --" + r.name
		if r.arg != "" {
			head += " " + r.arg
		}
		if r.def != "" && r.def != "false" {
			head += "  (" + r.def + ")"
		}
		fmt.Fprintln(out, head)
		indent(out, "        ", r.help, 80)
	}
}
