package main

import (
	"fmt"
	"io"
	"strings"
)

// completion prints the completion script of a shell, made from the tables of
// commands and flags.
func completion(args []string, out io.Writer) error {
	if len(args) != 1 {
		return usageError("completion takes one of bash, zsh and fish")
	}
	switch args[0] {
	case "bash":
		bashCompletion(out)
	case "zsh":
		// zsh runs the completion of bash.
		fmt.Fprintln(out, "#compdef aerie\nautoload -U +X bashcompinit && bashcompinit")
		bashCompletion(out)
	case "fish":
		fishCompletion(out)
	default:
		return usageError("there is no completion for %q", args[0])
	}
	return nil
}

// values are what may follow a flag, as far as the help names it.
func values(arg string) []string {
	if !strings.Contains(arg, "|") {
		return nil
	}
	var list []string
	for v := range strings.SplitSeq(arg, "|") {
		v, _, _ = strings.Cut(v, "[")
		if kind, _, path := strings.Cut(v, ":"); path {
			v = kind + ":"
		}
		list = append(list, v)
	}
	return list
}

func bashCompletion(out io.Writer) {
	var names, flags []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	fmt.Fprint(out, "_aerie() {\n\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n\tcase $prev in\n")
	for _, r := range flagRows("demo") {
		flags = append(flags, "--"+r.name)
		switch v := values(r.arg); {
		case v != nil:
			fmt.Fprintf(out, "\t--%s) COMPREPLY=($(compgen -W %q -- \"$cur\")); return ;;\n", r.name, strings.Join(v, " "))
		case r.arg == "FILE":
			fmt.Fprintf(out, "\t--%s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", r.name)
		case r.arg == "DIR":
			fmt.Fprintf(out, "\t--%s) COMPREPLY=($(compgen -d -- \"$cur\")); return ;;\n", r.name)
		case r.arg != "":
			fmt.Fprintf(out, "\t--%s) return ;;\n", r.name)
		}
	}
	fmt.Fprintf(out, "\tcompletion) COMPREPLY=($(compgen -W \"bash zsh fish\" -- \"$cur\")); return ;;\n\tesac\n")
	fmt.Fprintf(out, "\tif [[ $COMP_CWORD == 1 && $cur != -* ]]; then\n\t\tCOMPREPLY=($(compgen -W %q -- \"$cur\"))\n\telse\n\t\tCOMPREPLY=($(compgen -W %q -- \"$cur\"))\n\tfi\n}\ncomplete -F _aerie aerie\n",
		strings.Join(names, " "), strings.Join(append(flags, "--help", "--version"), " "))
}

func fishCompletion(out io.Writer) {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `\'`) + "'" }
	fmt.Fprintln(out, "complete -c aerie -f")
	for _, c := range commands() {
		fmt.Fprintf(out, "complete -c aerie -n __fish_use_subcommand -a %s -d %s\n", c.name, quote(c.help))
	}
	for _, r := range flagRows("demo") {
		line := "complete -c aerie -l " + r.name + " -d " + quote(r.help)
		switch v := values(r.arg); {
		case v != nil:
			line += " -x -a " + quote(strings.Join(v, " "))
		case r.arg == "FILE" || r.arg == "DIR":
			line += " -r -F"
		case r.arg != "":
			line += " -x"
		}
		fmt.Fprintln(out, line)
	}
}
