package config

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
)

// Flags adds a flag for each setting that has one; parsing sets them in c.
func (c *Config) Flags(fs *flag.FlagSet) {
	for _, s := range c.Settings() {
		if s.Flag != "" {
			fs.Var(&flagValue{s}, s.Flag, s.Help)
		}
	}
}

// flagValue makes a setting a flag.Value.
type flagValue struct{ s Setting }

func (v *flagValue) IsBoolFlag() bool {
	_, is := v.s.value.(*bool)
	return is
}

// String is also called on a zero value, by package flag.
func (v *flagValue) String() string {
	if v == nil || v.s.value == nil {
		return ""
	}
	return v.s.Text()
}

func (v *flagValue) Set(text string) error {
	switch p := v.s.value.(type) {
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		*p = n
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*p = b
	case *[]string:
		*p = strings.Split(text, ",")
	}
	if v.s.check != nil {
		return v.s.check()
	}
	return nil
}

// Text returns the present value as a flag takes it.
func (s *Setting) Text() string {
	switch p := s.value.(type) {
	case *[]string:
		return strings.Join(*p, ",")
	case *string:
		return *p
	case *int:
		return strconv.Itoa(*p)
	case *bool:
		return strconv.FormatBool(*p)
	}
	return ""
}

// Switch tells whether the setting is on or off and takes no argument.
func (s *Setting) Switch() bool {
	_, is := s.value.(*bool)
	return is
}

// Secret tells whether the value is to be kept from logs, screens and prints.
func (s *Setting) Secret() bool {
	return strings.HasSuffix("."+s.Key, ".password") || s.Key == "fleet.code" || s.Key == "fleet.azure"
}

// Appliance changes the defaults to those of a machine that does nothing else:
// the page is where people look for it, and Wi-Fi is looked after.
func (c *Config) Appliance() {
	c.WiFi.Manage = true
	c.Panel.LED = "ACT"
	c.Network.HTTP = ":80"
}
