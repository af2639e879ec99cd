package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"aerie/drm"
	"aerie/hw/alsa"
	"aerie/hw/board"
	"aerie/hw/cec"
	"aerie/hw/dmaheap"
	"aerie/receiver"
)

// report is what probe found. Printing it looks at nothing else, so that tests
// can print made-up machines.
type report struct {
	Version, Kernel string
	Board           board.Board
	Health          board.Health
	Cards           []drm.CardInfo
	Holders         map[string]string // of busy cards: who, "" if unknown
	Decoders        []string
	Sounds          []alsa.Device
	SoundErr        error
	TVs             []cec.Device
	Heaps           []dmaheap.Source
	Choice          receiver.Choice
}

// print lays the report out as one screen.
func (r *report) print(out io.Writer) error {
	p := &page{}
	p.section("Machine", r.Board.String(), r.Health.String(), "Linux "+r.Kernel+", Aerie "+r.Version)
	p.section("Displays", orNone(r.displays(), "none that can be driven directly")...)
	p.section("Decoders", orNone(r.Decoders, "none in hardware; the processors decode")...)
	p.section("Audio", orNone(r.sounds(), "no device")...)
	p.section("TV", orNone(r.tvs(), "no HDMI-CEC: it is not woken, and its remote does nothing")...)
	p.section("Memory", orNone(r.heaps(), dmaheap.ErrNone.Error())...)
	p.section("Missing", orNone(r.missing(), "nothing")...)
	l := r.Choice.Limits
	p.section("Senders", fmt.Sprintf("are asked for %dx%d at %d pictures a second: %s", l.Width, l.Height, l.FPS, l.Reason))
	picture := []string{"to " + r.Choice.Picture + ": " + r.Choice.PictureWhy}
	for _, line := range []string{r.Choice.Decoder, r.Choice.HEVC} {
		if line != "" {
			picture = append(picture, line)
		}
	}
	if r.Choice.Way != "" {
		picture = append(picture, "in software: "+r.Choice.Way)
	}
	p.section("Picture", picture...)
	p.section("Sound", "to "+r.Choice.Sound+": "+r.Choice.SoundWhy)
	_, err := out.Write(p.text)
	return err
}

func (r *report) displays() (lines []string) {
	for _, c := range r.Cards {
		state := ""
		switch {
		case c.Err != nil:
			state = ", cannot be used: " + c.Err.Error()
		case c.Busy:
			state = ", in use by another program"
			if who := r.Holders[c.Path]; who != "" {
				state = ", in use by " + who
			}
		}
		lines = append(lines, fmt.Sprintf("%s, driver %s%s", c.Path, orUnknown(c.Driver), state))
		for _, k := range c.Connectors {
			lines = append(lines, "  "+connector(k))
		}
	}
	return lines
}

func connector(k drm.ConnectorInfo) string {
	if !k.Connected {
		return fmt.Sprintf("%-11s nothing plugged in", k.Name)
	}
	name := k.EDID.Name
	if name == "" {
		name = "a display without a name"
	}
	s := fmt.Sprintf("%-11s %s, %d modes", k.Name, name, len(k.Modes))
	if m, why, ok := drm.ChooseMode(k.Modes, nil); ok {
		s += fmt.Sprintf("; best for video: %s (%s)", m, why)
	}
	return s
}

func (r *report) sounds() (lines []string) {
	for _, d := range r.Sounds {
		s := fmt.Sprintf("%-17s %s, %s", d, d.Card.Name, d.Kind)
		if d.Sink.Plug != alsa.Unknown {
			s += ", " + d.Sink.Plug.String()
		}
		if e := d.Sink.ELD; e != nil && e.Monitor != "" {
			s += ", " + e.Monitor
		}
		lines = append(lines, s)
	}
	if r.SoundErr != nil {
		lines = append(lines, strings.Split(r.SoundErr.Error(), "\n")...)
	}
	return lines
}

func (r *report) tvs() (lines []string) {
	for _, d := range r.TVs {
		s := "HDMI-CEC by " + d.String()
		if d.Wired {
			s += fmt.Sprintf(", of connector %d of card%d", d.Connector, d.Card)
		}
		if d.Err != nil {
			s += ", cannot be used"
		}
		lines = append(lines, s)
	}
	return lines
}

func (r *report) heaps() (lines []string) {
	for _, h := range r.Heaps {
		s := h.Path
		if h.Err != nil {
			s += ", cannot be used"
		}
		lines = append(lines, s)
	}
	return lines
}

// missing says what stands in the way of the best that the machine could do,
// and what to do about it.
func (r *report) missing() (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	pi := r.Board.Family.Pi()
	drivers := map[string]bool{}
	denied := false
	for _, c := range r.Cards {
		drivers[c.Driver] = true
		if errors.Is(c.Err, fs.ErrPermission) {
			denied = true
			say("permission for %s: sudo usermod -aG video $USER, then log in again", c.Path)
		}
		if c.Busy {
			say("the display: a desktop or another program has it; without one: sudo systemctl isolate multi-user.target")
		}
	}
	if pi && !drivers["vc4"] && !denied {
		say("the display driver vc4: dtoverlay=vc4-kms-v3d in config.txt (not fkms), then restart")
	}
	has := func(name string) bool {
		return slices.ContainsFunc(r.Decoders, func(d string) bool { return strings.Contains(d, name) })
	}
	if r.Board.H264 && !has("bcm2835-codec-decode") {
		say("the H.264 decoder of this board: it takes the kernel of Raspberry Pi OS, and gpu_mem=128 in config.txt (16 leaves it out)")
	}
	if errors.Is(r.SoundErr, fs.ErrPermission) {
		say("permission for the sound devices: sudo usermod -aG audio $USER, then log in again")
	} else if hdmi := func(d alsa.Device) bool { return d.Kind == alsa.HDMI }; pi && drivers["vc4"] && !slices.ContainsFunc(r.Sounds, hdmi) {
		say("the sound of HDMI: dtoverlay=vc4-kms-v3d without the parameter noaudio")
	}
	for _, h := range r.Heaps {
		if errors.Is(h.Err, fs.ErrPermission) {
			say("permission for %s: sudo usermod -aG video $USER, then log in again", h.Path)
		}
	}
	for _, d := range r.TVs {
		if errors.Is(d.Err, fs.ErrPermission) {
			say("permission for %s: sudo usermod -aG video $USER, then log in again", d.Path)
		}
	}
	if r.Health.SinceBoot&board.UnderVoltage != 0 {
		say("power: the supply or its cable is too weak (under-voltage since the machine started)")
	}
	return lines
}

func orNone(lines []string, none string) []string {
	if len(lines) == 0 {
		return []string{none}
	}
	return lines
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// page is text in two columns: a heading, and what there is to say.
type page struct{ text []byte }

const (
	headingWidth = 10
	pageWidth    = 100
)

// section adds lines under a heading; long ones are continued, indented.
func (p *page) section(heading string, lines ...string) {
	for _, l := range lines {
		indent := len(l) - len(strings.TrimLeft(l, " "))
		for l != "" {
			head := l
			if l = ""; len(head) > pageWidth-headingWidth {
				cut := strings.LastIndexByte(head[:pageWidth-headingWidth+1], ' ')
				if cut <= indent+2 {
					cut = pageWidth - headingWidth
				}
				head, l = head[:cut], strings.Repeat(" ", indent+2)+strings.TrimLeft(head[cut:], " ")
			}
			p.text = fmt.Appendf(p.text, "%-*s%s\n", headingWidth, heading, head)
			heading = ""
		}
	}
}
