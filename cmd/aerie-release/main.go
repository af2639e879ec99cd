// Command aerie-release makes signed releases: keys, signatures, and a folder
// that devices take updates from. Run "aerie-release --help" for what it can
// do, and see docs/releasing.md for how it is used.
//
// The format is package release's; keys are files of minisign, so the owner
// may as well use that program.
//
// Proof: main_test.go (a release made and taken as a device takes it, mistakes
// that would strand devices), and Debian's minisign with a key from here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `Usage:

  aerie-release keygen [--no-password] NAME
      Make a pair of keys: NAME.key, which is kept secret, and NAME.pub, which
      devices have at /usr/lib/aerie/release.pub.

  aerie-release sign --key NAME.key --version VERSION --counter N [--out dist] PROGRAM...
      Put programs, one for each architecture, into a folder, with their
      signatures and as the newest release. The counter must grow.

  aerie-release verify --key NAME.pub SOURCE [ARCH...]
      Take the newest release from a folder or an HTTPS address as a device
      does, and say what it is. ARCH is amd64, arm64 (default) or armhf.

The password of a key is asked for, or read from standard input where that is
no terminal.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "aerie-release:", err)
		os.Exit(1)
	}
}

// run does what is asked for.
func run(ctx context.Context, args []string, in *os.File, out io.Writer) error {
	if len(args) == 0 {
		fmt.Fprint(out, usage)
		return errors.New("what is to be done?")
	}
	fs := flag.NewFlagSet("aerie-release", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	var s signing
	fs.StringVar(&s.key, "key", "", "")
	fs.StringVar(&s.version, "version", "", "")
	fs.Uint64Var(&s.counter, "counter", 0, "")
	fs.StringVar(&s.out, "out", "dist", "")
	fs.BoolVar(&s.noPassword, "no-password", false, "")
	command, args := args[0], args[1:]
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) || command == "help" || command == "-h" || command == "--help" {
		fmt.Fprint(out, usage)
		return flag.ErrHelp
	} else if err != nil {
		return err
	}
	if s.key == "" && command != "keygen" {
		return errors.New("which key? --key FILE")
	}
	switch command {
	case "keygen":
		if fs.NArg() != 1 {
			return errors.New("one name for the keys, please")
		}
		return keygen(fs.Arg(0), s.noPassword, in, out)
	case "sign":
		if fs.NArg() == 0 {
			return errors.New("which programs?")
		}
		return s.sign(fs.Args(), in, out)
	case "verify":
		if fs.NArg() == 0 {
			return errors.New("the releases of which folder or address?")
		}
		return verify(ctx, s.key, fs.Arg(0), fs.Args()[1:], out)
	}
	return fmt.Errorf("there is no command %q", command)
}
