package main

import (
	"fmt"
	"io"

	"aerie/drm"
	"aerie/hw/alsa"
	"aerie/receiver"
	"aerie/receiver/config"
)

// probe shows what this machine offers.
func probe(_ []string, out io.Writer) error {
	fmt.Fprintln(out, "Displays:")
	cards := drm.Cards()
	for _, c := range cards {
		fmt.Fprintf(out, "  %s (%s)", c.Path, c.Driver)
		switch {
		case c.Err != nil:
			fmt.Fprintf(out, ": cannot be used: %v", c.Err)
		case c.Busy:
			fmt.Fprint(out, ": in use by another program")
		}
		fmt.Fprintln(out)
		for _, k := range c.Connectors {
			state := "nothing plugged in"
			if k.Connected {
				state = fmt.Sprintf("%s, %d modes", k.EDID.Name, len(k.Modes))
				if m, why, ok := drm.ChooseMode(k.Modes, nil); ok {
					state += fmt.Sprintf(", would use %s (%s)", m, why)
				}
			}
			fmt.Fprintf(out, "    %-10s %s\n", k.Name, state)
		}
	}
	if len(cards) == 0 {
		fmt.Fprintln(out, "  none that can be driven directly")
	}
	fmt.Fprintln(out, "Sound devices:")
	devices, err := alsa.Devices()
	for _, d := range devices {
		fmt.Fprintf(out, "  hw:%-16s %s\n", d, d.Name)
	}
	if err != nil {
		fmt.Fprintf(out, "  %v\n", err)
	}
	if len(devices) == 0 && err == nil {
		fmt.Fprintln(out, "  none")
	}
	return receiver.PrintChoice(out, config.Default())
}
