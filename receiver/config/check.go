package config

import (
	"fmt"
	"strings"
)

// What values of settings must look like that name something outside.

// checkSSID holds a name to the 32 bytes of IEEE 802.11.
func checkSSID(s string) error {
	if len(s) > 32 {
		return fmt.Errorf("longer than 32 bytes")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("contains a control character")
	}
	return nil
}

// checkPassphrase holds a passphrase to what WPA takes (IEEE 802.11 annex J.4):
// 8 to 63 characters of ASCII, or the key itself as 64 hexadecimal digits. The
// message must not repeat it.
func checkPassphrase(s string) error {
	switch {
	case s == "":
		return nil
	case len(s) == 64 && strings.Trim(s, "0123456789abcdefABCDEF") == "":
		return nil
	case len(s) < 8 || len(s) > 63:
		return fmt.Errorf("has %d characters; passwords of Wi-Fi have 8 to 63", len(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Errorf("passwords of Wi-Fi have letters without accents, digits and signs only")
	}
	return nil
}

// checkCountry holds a country to two letters (ISO 3166-1 alpha-2).
func checkCountry(s string) error {
	if s != "" && (len(s) != 2 || strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "") {
		return fmt.Errorf("%q is not a country in two capital letters, such as DE or US", s)
	}
	return nil
}

// checkLine holds the name of a light or a line to what the kernel's can be.
func checkLine(s string) error {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '/' || r > '~' }) {
		return fmt.Errorf("%q is no name such as GPIO17", s)
	}
	return nil
}

// checkControl holds the way to the television to what there is.
func checkControl(s string) error {
	if s == "auto" || s == "off" || strings.HasPrefix(s, "/dev/") {
		return nil
	}
	return fmt.Errorf("%q is none of auto, off and a device such as /dev/cec0", s)
}
