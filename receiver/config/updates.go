package config

import (
	"fmt"
	"net/url"
	"strings"
)

// checkFolder holds an address to those that updates are fetched from.
func checkFolder(s string) error {
	if s == "" || strings.HasPrefix(s, "/") {
		return nil
	}
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return fmt.Errorf("%q is neither an https:// address nor a path such as /media/usb", s)
	}
	return nil
}
