// Command aerie is an AirPlay receiver: it mirrors the screen of an iPhone,
// iPad or Mac, with its sound, to a display, a web page or a file.
//
// Run "aerie --help" for what it can do; the settings are those of package
// config. Everything else is in package receiver: this command reads settings,
// handles signals and prints what people want to know.
//
// Proof: cli_test.go runs the binary as scripts and people do; the other tests
// here run the whole receiver against the sender of cmd/aerie-sender, and
// hostile_test.go against strangers that mean no good.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// version is set when a release is built.
var version = "devel"

// command is what follows "aerie".
type command struct {
	name string
	args string // as --help shows them
	help string // one line
	run  func(args []string, out io.Writer) error
}

// commands is a function because help, one of them, lists them all.
func commands() []command {
	return []command{
		{"run", "[FLAGS]", "Run the receiver. This is what aerie does without a command.", run},
		{"demo", "[FLAGS]", "Run it, and mirror a moving test pattern with a tone to it.", demo},
		{"probe", "", "Show what this machine has, and which way picture and sound take.", probe},
		{"diagnostics", "[--config FILE] FILE", "Save what helps to find out what is wrong, as a ZIP file.", saveDiagnostics},
		{"selftest", "", "Try this build on this machine: decoder, memory, a whole session.", selftest},
		{"ota", "status|check|install|rollback [URL|FILE] [--state DIR] [--config FILE] [--json]", "Show, look for, install or send back an update of this device.", update},
		{"apply", "--config FILE --state DIR", "Write settings saved on the page, and set the country of Wi-Fi.", applySettings},
		{"launch", "[--state DIR] [--factory FILE] [--] [ARGS]", "Become the version of aerie that is installed, or one that works.", launch},
		{"config", "[FLAGS]", "Print the settings file, with what the flags change.", printConfig},
		{"completion", "bash|zsh|fish", "Print the completion for a shell.", completion},
		{"man", "", "Print the manual page.", manual},
		{"version", "", "Print the version.", printVersion},
		{"help", "", "Print this.", help},
	}
}

func main() {
	err := dispatch(os.Args[1:], os.Stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "aerie:", err)
		fmt.Fprintln(os.Stderr, `Run "aerie --help" for what it can do.`)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "aerie:", err)
		os.Exit(1)
	}
}

// errUsage is wrapped by errors about the command line.
var errUsage = errors.New("usage")

// usageError is a mistake on the command line.
func usageError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

// dispatch runs the command that is named; flags alone mean run.
func dispatch(args []string, out io.Writer) error {
	if len(args) == 0 || args[0] != "" && args[0][0] == '-' {
		for _, a := range args {
			switch a {
			case "-h", "-help", "--help":
				return help(nil, out)
			case "-version", "--version":
				return printVersion(nil, out)
			}
		}
		return run(args, out)
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		for _, a := range args[1:] {
			if a == "-h" || a == "-help" || a == "--help" {
				return help([]string{c.name}, out)
			}
		}
		return c.run(args[1:], out)
	}
	return usageError("there is no command %q", args[0])
}

func printVersion(_ []string, out io.Writer) error {
	_, err := fmt.Fprintln(out, "aerie", version)
	return err
}
