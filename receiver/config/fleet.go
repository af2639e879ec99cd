package config

import (
	"fmt"
	"strings"

	"aerie/receiver/fleet/enrol"
	"aerie/receiver/fleet/wire"
)

// checkCode holds a code to what a service issues.
func checkCode(s string) error {
	if s == "" {
		return nil
	}
	c, err := enrol.ParseCode(s)
	if err == nil && c.Name == "" {
		err = fmt.Errorf("is a code from a screen; that of a service has 20 characters")
	}
	return err
}

func checkHub(s string) error {
	if s == "" {
		return nil
	}
	_, err := wire.ParseHub(s)
	return err
}

// checkWord holds a name to what both sides of a fleet take.
func checkWord(s string) error {
	if s == "" || len(s) > 64 || strings.HasPrefix(s, "$") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return fmt.Errorf("%q is not a name without spaces of up to 64 bytes", s)
	}
	return nil
}
