package main

import (
	"fmt"
	"io"
	"strings"

	"aerie/receiver/config"
)

// manual prints the manual page in the man macros of roff.
func manual(_ []string, out io.Writer) error {
	esc := func(s string) string {
		s = strings.ReplaceAll(s, `\`, `\e`)
		s = strings.ReplaceAll(s, "-", `\-`)
		if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
			s = `\&` + s
		}
		return s
	}
	fmt.Fprintf(out, ".TH AERIE 1 \"\" \"aerie %s\" \"User Commands\"\n", version)
	fmt.Fprintf(out, ".SH NAME\naerie \\- AirPlay receiver\n.SH SYNOPSIS\n.B aerie\n.RI [ command ]\n.RI [ flags ]\n")
	fmt.Fprintf(out, ".SH DESCRIPTION\n%s\n.SH COMMANDS\n", esc(strings.ReplaceAll(about, "\n", " ")))
	for _, c := range commands() {
		fmt.Fprintf(out, ".TP\n.BI \"%s \" \"%s\"\n%s\n", c.name, esc(c.args), esc(c.help))
	}
	fmt.Fprintf(out, ".SH FLAGS\n")
	for _, r := range flagRows("run") {
		fmt.Fprintf(out, ".TP\n.BI \\-\\-%s \" %s\"\n%s\n", esc(r.name), esc(r.arg), esc(r.help))
		if r.def != "" && r.def != "false" {
			fmt.Fprintf(out, "Default: %s.\n", esc(r.def))
		}
	}
	fmt.Fprintf(out, ".SH SETTINGS FILE\nA TOML file, given with \\-\\-config. \"aerie config\" prints one with every setting and its default:\n")
	for _, s := range config.Default().Settings() {
		fmt.Fprintf(out, ".TP\n.B %s\n%s\n", esc(s.Key), esc(s.Help))
	}
	fmt.Fprintf(out, ".SH EXIT STATUS\n0 after an orderly end, 1 if the receiver cannot run, 2 for a mistake on the command line.\n")
	return nil
}
