// Command aerie-fleet looks after a fleet of Aerie receivers: it pairs with
// them, shows how they are, and brings new releases to them in rings.
//
// "aerie-fleet serve" is the service, with an MQTT broker and a certificate
// authority of its own, or as one more instance at a broker that is there
// already. The other commands ask a service on the same machine over its socket,
// or one elsewhere with the owner's token.
//
// Packages below: authority signs certificates, broker is the embedded broker,
// link the connection to one, service what a paired service does, rollout staged
// releases, enrolment new devices, page the page and the API. What devices and
// services share is in receiver/fleet.
//
// Proof: main_test.go runs the binary as people do; mosquitto_test.go,
// agent_test.go (the receivers' own side), load_test.go and chaos_test.go run
// whole fleets against it.
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

// command is what follows "aerie-fleet".
type command struct {
	name string
	args string // as --help shows them
	help string // one line
	run  func(args []string, out io.Writer) error
}

// commands is a function because help, one of them, lists them all.
func commands() []command {
	return []command{
		{"serve", "[FLAGS]", "Run the service.", serve},
		{"devices", "[FLAGS] [SEARCH]", "List devices.", devices},
		{"device", "[FLAGS] ID [identify|restart|forget-senders|rename NAME|revoke]", "Show one device, or do something with it.", device},
		{"rollout", "[FLAGS] [start URL NUMBER|pause|resume|cancel]", "Show the rollout, or order something.", rollouts},
		{"pair", "[FLAGS] new [NOTE] | list | admit ID CODE", "Bring a device into the fleet.", pair},
		{"token", "[FLAGS]", "Print the owner's token, for the page.", token},
		{"instance", "[FLAGS] FOLDER", "Make the folder of one more instance, for another machine.", instance},
		{"certificate", "[FLAGS] FOLDER NAME...", "Make a certificate for a broker that is another program.", certificate},
		{"version", "", "Print the version.", printVersion},
		{"help", "", "Print this.", help},
	}
}

func main() {
	err := dispatch(os.Args[1:], os.Stdout)
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		fmt.Fprintln(os.Stderr, "aerie-fleet:", err)
		fmt.Fprintln(os.Stderr, `Run "aerie-fleet help" for what it can do.`)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, "aerie-fleet:", err)
		os.Exit(1)
	}
}

// errUsage is wrapped by errors about the command line.
var errUsage = errors.New("usage")

// usageError is a mistake on the command line.
func usageError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errUsage, fmt.Sprintf(format, args...))
}

func dispatch(args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
		return help(nil, out)
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(args[1:], out)
		}
	}
	return usageError("there is no command %q", args[0])
}

func help(_ []string, out io.Writer) error {
	fmt.Fprintf(out, "aerie-fleet looks after a fleet of Aerie receivers.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(out, "  aerie-fleet %s %s\n        %s\n", c.name, c.args, c.help)
	}
	_, err := fmt.Fprintln(out, "\nEach command prints its flags with --help. docs/fleet.md begins with five minutes to a fleet of one.")
	return err
}

func printVersion(_ []string, out io.Writer) error {
	_, err := fmt.Fprintln(out, "aerie-fleet", version)
	return err
}

// flags makes the flags of a command, with those that all have.
func flags(name string) (f *flag.FlagSet, state *string) {
	f = flag.NewFlagSet("aerie-fleet "+name, flag.ContinueOnError)
	return f, f.String("state", stateFolder(), "folder of the service")
}

// stateFolder is where a service keeps its keys and documents.
func stateFolder() string {
	if os.Geteuid() == 0 {
		return "/var/lib/aerie-fleet"
	}
	if dir, err := os.UserHomeDir(); err == nil {
		return dir + "/.local/state/aerie-fleet"
	}
	return "aerie-fleet"
}
