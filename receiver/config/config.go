// Package config holds every setting of the receiver: one struct, one table,
// one commented file.
//
// The table names each setting once, with its key in the file, its flag, what
// it takes and what it does; the settings file, the flags, --help, the manual
// page and the shell completion are all made from it, so they cannot disagree.
//
// The file may come from any editor of any system: Windows' line ends,
// byte-order marks and UTF-16 are read as they are meant. A mistake is named by
// its line, in one line, and changes nothing: of an appliance, whose owner sees
// no terminal, the last good settings stay in force (Store). The settings page
// changes single values and keeps everything else of the file (Edit).
//
// Proof: config_test.go (defaults survive the file and the flags; the file in
// docs is what the table says), broken_test.go (the broken files in testdata,
// each with its line and no setting lost; no secret in a message), store_test.go
// (the last good copy outlives every kind of damage, and writing is cut off after
// every operation), edit_test.go (comments and other settings stay), FuzzFile and
// FuzzEdit.
package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	fleet "aerie/receiver/fleet/pairing"
	"aerie/receiver/ota"
)

// Config is what the receiver is told. Default has the defaults.
type Config struct {
	Name     string `toml:"name"`
	Identity string `toml:"identity"`
	State    string `toml:"state"`
	TimeZone string `toml:"time_zone"`

	WiFi struct {
		Manage   bool   `toml:"manage"`
		SSID     string `toml:"ssid"`
		Password string `toml:"password"`
		Hidden   bool   `toml:"hidden"`
		Country  string `toml:"country"`
	} `toml:"wifi"`

	Network struct {
		Port       int    `toml:"port"`
		MediaPorts int    `toml:"media_ports"`
		PTPPort    int    `toml:"ptp_port"`
		Interface  string `toml:"interface"`
		HTTP       string `toml:"http"`
		Discovery  bool   `toml:"discovery"`
	} `toml:"network"`

	Access struct {
		PIN      string   `toml:"pin"`
		Password string   `toml:"password"`
		Takeover bool     `toml:"takeover"`
		Allow    []string `toml:"allow"`
		Block    []string `toml:"block"`
	} `toml:"access"`

	Video struct {
		Output       string `toml:"output"`
		Size         string `toml:"size"`
		FPS          int    `toml:"fps"`
		HEVC         bool   `toml:"hevc"`
		HEVCHardware bool   `toml:"hevc_hardware"`
		Overscan     bool   `toml:"overscan"`
		Decoder      string `toml:"decoder"`
		Threads      int    `toml:"threads"`
		MaxDelay     int    `toml:"max_delay"`
		Connector    string `toml:"connector"`
		Mode         string `toml:"mode"`
		Rotate       int    `toml:"rotate"`
	} `toml:"video"`

	Audio struct {
		Output  string `toml:"output"`
		Offset  int    `toml:"offset"`
		Curve   string `toml:"volume_curve"`
		Initial int    `toml:"initial_volume"`
	} `toml:"audio"`

	Panel struct {
		LED    string `toml:"led"`
		Button string `toml:"button"`
	} `toml:"panel"`

	TV struct {
		Control      string `toml:"control"`
		StandbyAfter int    `toml:"standby_after"`
	} `toml:"tv"`

	MQTT struct {
		Broker   string `toml:"broker"`
		User     string `toml:"user"`
		Password string `toml:"password"`
		Topic    string `toml:"topic"`
	} `toml:"mqtt"`

	Updates struct {
		Mode    string `toml:"mode"`
		URL     string `toml:"url"`
		Window  string `toml:"window"`
		Confirm int    `toml:"confirm"`
	} `toml:"updates"`

	Fleet struct {
		Server string `toml:"server"`
		Code   string `toml:"code"`
		Pool   string `toml:"pool"`
		Azure  string `toml:"azure"`
		Root   string `toml:"root"`
	} `toml:"fleet"`

	Log struct {
		Level  string `toml:"level"`
		Record string `toml:"record"`
	} `toml:"log"`
}

// Default returns the defaults.
func Default() *Config {
	c := &Config{}
	c.Identity = "mirror"
	c.Network.Port = 7000
	c.Network.PTPPort = 319
	c.Network.HTTP = "127.0.0.1:7080"
	c.Network.Discovery = true
	c.Access.PIN = "off"
	c.Video.Output = "auto"
	c.Video.Size = "auto"
	c.Video.Decoder = "auto"
	c.Video.MaxDelay = 250
	c.Audio.Output = "auto"
	c.Audio.Curve = "flat"
	c.Audio.Initial = -15
	c.TV.Control = "auto"
	c.TV.StandbyAfter = 60
	c.MQTT.Topic = "aerie"
	c.Updates.Mode = "auto"
	c.Updates.Window = "02:00-05:00"
	c.Updates.Confirm = 5
	c.Fleet.Pool = "aerie"
	c.Fleet.Root = fleet.DefaultRoot
	c.Log.Level = "info"
	return c
}

// Setting is one row of the table.
type Setting struct {
	Key  string // in the file: "name" or "table.name"
	Flag string // without dashes; "" if there is none
	Arg  string // what it takes, as --help has it; "" for a switch
	Help string // one or two sentences

	value any // *string, *int, *bool or *[]string in a Config
	check func() error
}

// Settings returns the table, bound to c.
func (c *Config) Settings() []Setting {
	w, n, a, v, s, t, p, m, u, f, l := &c.WiFi, &c.Network, &c.Access, &c.Video, &c.Audio, &c.TV, &c.Panel, &c.MQTT, &c.Updates, &c.Fleet, &c.Log
	return []Setting{
		{"name", "name", "NAME", "Name in the sender's list. Empty: the host name.", &c.Name, func() error { return checkName(c.Name) }},
		{"identity", "identity", "mirror|airplay2|both", "What senders take the receiver for. mirror: screens and their sound, and music from senders without AirPlay 2; every sender is known to take it. airplay2: a loudspeaker of AirPlay 2, encrypted and without a picture. both: one entry for screens and AirPlay 2, which fewer senders are known to take.", &c.Identity, func() error { return oneOf(c.Identity, "mirror", "airplay2", "both") }},
		{"state", "state", "DIR", "Where keys and remembered senders are kept. Empty: $STATE_DIRECTORY, or aerie below $XDG_STATE_HOME or ~/.local/state.", &c.State, nil},
		{"time_zone", "", "ZONE", "Time zone of the clock on the TV, of the hours for updates and of the log, such as Europe/Berlin. Empty: that of the system.", &c.TimeZone, c.checkZone},

		{"wifi.manage", "manage-wifi", "", "Join the network below, and open an access point with a page for the settings while there is none. Needs NetworkManager. Of an appliance: true.", &w.Manage, nil},
		{"wifi.ssid", "", "NAME", "Name of the Wi-Fi network to join. Empty: none.", &w.SSID, func() error { return checkSSID(w.SSID) }},
		{"wifi.password", "", "TEXT", "Its password. Empty: the network is open.", &w.Password, func() error { return checkPassphrase(w.Password) }},
		{"wifi.hidden", "", "", "The network does not tell its name.", &w.Hidden, nil},
		{"wifi.country", "", "CC", "Country where the receiver stands, such as DE, of which the channels of Wi-Fi depend. Empty: the channels allowed everywhere.", &w.Country, func() error { return checkCountry(w.Country) }},

		{"network.port", "port", "N", "TCP port of the receiver. 0: any free one.", &n.Port, func() error { return within(n.Port, 0, 65535) }},
		{"network.media_ports", "media-ports", "N", "First of three ports for picture, sound, clock and events (TCP and UDP, N to N+2), for firewalls. 0: any free ones.", &n.MediaPorts, func() error { return within(n.MediaPorts, 0, 65530) }},
		{"network.ptp_port", "", "N", "First of the two UDP ports for the clock of AirPlay 2 groups, where the identity has them. Senders expect 319, which needs CAP_NET_BIND_SERVICE. 0: none, and with it no buffered sound; senders are told to use NTP.", &n.PTPPort, func() error { return within(n.PTPPort, 0, 65534) }},
		{"network.interface", "interface", "IFACE", "Announce and accept on this network interface only. Empty: all.", &n.Interface, nil},
		{"network.http", "http", "ADDR", "Where the status page listens. Who can reach it sees what is mirrored to it. Empty: nowhere. Of an appliance: :80.", &n.HTTP, func() error { return checkAddr(n.HTTP) }},
		{"network.discovery", "discovery", "", "Announce the receiver by multicast DNS.", &n.Discovery, nil},

		{"access.pin", "pin", "off|once|always", "Ask new senders, or all every time, for a PIN that is shown on the screen.", &a.PIN, func() error { return oneOf(a.PIN, "off", "once", "always") }},
		{"access.password", "", "TEXT", "Ask senders for this password. Empty: none.", &a.Password, nil},
		{"access.takeover", "takeover", "", "Let a second sender take over from the first instead of refusing it.", &a.Takeover, nil},
		{"access.allow", "", "ID,...", "Device ids of the only senders let in. Empty: all.", &a.Allow, func() error { return checkIDs(a.Allow) }},
		{"access.block", "", "ID,...", "Device ids of senders never let in.", &a.Block, func() error { return checkIDs(a.Block) }},

		{"video.output", "video", "auto|kms|browser|file:PATH|raw:PATH|none", "Where the picture goes: a display driven directly, the status page, an MP4 file, or the bare elementary stream. auto: a free display, else the browser.", &v.Output, func() error { _, err := ParseVideo(v.Output); return err }},
		{"video.size", "size", "auto|WxH", "The largest picture asked of senders. auto: what the machine can decode and show, 1920x1080 at most.", &v.Size, func() error { return checkSize(v.Size) }},
		{"video.fps", "fps", "N", "The most pictures a second asked of senders. 0: as many as the machine can decode and show, 60 at most.", &v.FPS, func() error { return within(v.FPS, 0, 120) }},
		{"video.hevc", "hevc", "", "Offer HEVC, with which senders mirror in up to 4K.", &v.HEVC, nil},
		{"video.hevc_hardware", "", "", "Decode HEVC with the hardware of a Raspberry Pi 4 or 5, for a display that is driven directly. Off, because no board has run it yet; software takes over if it fails.", &v.HEVCHardware, nil},
		{"video.overscan", "overscan", "", "Tell senders that the display cuts off the edges of the picture.", &v.Overscan, nil},
		{"video.decoder", "decoder", "auto|hardware|software", "What decodes H.264 for a display that is driven directly. auto: the machine's hardware decoder if it has one, and software when that fails. hardware: the same, but do not start without one.", &v.Decoder, func() error { return oneOf(v.Decoder, "auto", "hardware", "software") }},
		{"video.threads", "threads", "N", "Threads of the software decoder. Every one beyond the first delays the picture by a frame. 0: as few as the machine needs.", &v.Threads, func() error { return within(v.Threads, 0, 16) }},
		{"video.max_delay", "max-delay", "MS", "The longest that picture and sound are held back to make up for the network, in milliseconds.", &v.MaxDelay, func() error { return within(v.MaxDelay, 0, 2000) }},
		{"video.connector", "connector", "NAME", "Which output of the graphics card to use, such as HDMI-A-1. Empty: the first with a display.", &v.Connector, nil},
		{"video.mode", "mode", "WxH[@HZ]", "Mode of the display. Empty: 1080p at 60 Hz if it can, else the best of what it can.", &v.Mode, func() error { return checkMode(v.Mode) }},
		{"video.rotate", "rotate", "0|180", "Turn the picture, for a display that hangs upside down.", &v.Rotate, func() error { return oneOf(v.Rotate, 0, 180) }},

		{"audio.output", "audio", "auto|alsa[:DEVICE]|file:PATH|none", "Where the sound goes: an ALSA device, or a WAV file. auto: with the picture if that goes to a page or a file, else the display's own sound.", &s.Output, func() error { _, err := ParseAudio(s.Output); return err }},
		{"audio.offset", "audio-offset", "MS", "Play the sound earlier (negative) or later by so many milliseconds, for a display that delays one of the two.", &s.Offset, func() error { return within(s.Offset, -1000, 1000) }},
		{"audio.volume_curve", "", "flat|taper", "flat: the slider's decibels as they are. taper: half the slider is half as loud.", &s.Curve, func() error { return oneOf(s.Curve, "flat", "taper") }},
		{"audio.initial_volume", "", "DB", "Volume that senders are told at first, from -30 to 0.", &s.Initial, func() error { return within(s.Initial, -30, 0) }},

		{"tv.control", "tv", "auto|off|DEVICE", "Wake the television when a session begins, and take the keys of its remote, over HDMI-CEC. auto: if the display can do that. DEVICE: an adapter such as /dev/cec0.", &t.Control, func() error { return checkControl(t.Control) }},
		{"tv.standby_after", "", "S", "How long after the last session a television that was woken for it goes back to sleep, in seconds. 0: it stays on.", &t.StandbyAfter, func() error { return within(t.StandbyAfter, 0, 86400) }},

		{"panel.led", "led", "NAME", "Light that says how the receiver is: one of the kernel's, such as ACT, or a GPIO line, such as GPIO17; with ! before it where it is the wrong way round. Empty: none.", &p.LED, func() error { return checkLine(p.LED) }},
		{"panel.button", "button", "LINE", "GPIO line of a button to ground, such as GPIO26. A short press shows the next PIN, or sends a sender away that is there; ten seconds forget everything. Empty: none.", &p.Button, func() error { return checkLine(p.Button) }},

		{"mqtt.broker", "mqtt", "HOST:PORT", "Publish what is playing to this MQTT broker, without encryption. Empty: nowhere.", &m.Broker, func() error { return checkAddr(m.Broker) }},
		{"mqtt.user", "", "NAME", "Name by which the broker knows the receiver. Empty: none.", &m.User, nil},
		{"mqtt.password", "", "TEXT", "Password that goes with it.", &m.Password, nil},
		{"mqtt.topic", "", "TOPIC", "What the topics begin with.", &m.Topic, func() error { return checkTopic(m.Topic) }},

		{"updates.mode", "", "off|notify|auto", "What an appliance does about new versions by itself: nothing, say that there is one, or install it when nobody has played for half an hour. What plays is never interrupted.", &u.Mode, func() error { return oneOf(u.Mode, "off", "notify", "auto") }},
		{"updates.url", "", "URL", "Folder of releases: an https:// address or a path. http:// works too, and tells the network what is fetched. Empty: nowhere.", &u.URL, func() error { return checkFolder(u.URL) }},
		{"updates.window", "", "HH:MM-HH:MM", "Part of the day in which a minute without playing is enough. Empty: none.", &u.Window, func() error { _, err := ota.ParseWindow(u.Window); return err }},
		{"updates.confirm", "", "N", "Minutes for which a new version must work before it is kept. Until then three starts that fail bring the old one back.", &u.Confirm, func() error { return within(u.Confirm, 0, 60) }},

		{"fleet.server", "fleet", "HOST:PORT", "Service of the fleet that the receiver belongs to. Empty: none.", &f.Server, func() error { return checkAddr(f.Server) }},
		{"fleet.code", "", "CODE", "One-time code that the service issued for the receiver. Empty: the receiver shows one, which its owner types into the page of the service.", &f.Code, func() error { return checkCode(f.Code) }},
		{"fleet.pool", "", "NAME", "Which services of the fleet look after the receiver.", &f.Pool, func() error { return checkWord(f.Pool) }},
		{"fleet.azure", "", "TEXT", "Connection string of the receiver at an Azure IoT Hub, in place of a server. Empty: none.", &f.Azure, func() error { return checkHub(f.Azure) }},
		{"fleet.root", "", "NAME", "Property below which the fleet's are in the receiver's twin. Services must have the same.", &f.Root, func() error { return checkWord(f.Root) }},

		{"log.level", "log", "debug|info|warn|error", "How much is logged.", &l.Level, func() error { return oneOf(l.Level, "debug", "info", "warn", "error") }},
		{"log.record", "record", "FILE", "Write the conversation with senders to this file, without secrets and without picture and sound, for a report about a new device.", &l.Record, nil},
	}
}

// Check tells the first mistake in the values.
func (c *Config) Check() error {
	for _, s := range c.Settings() {
		if s.check == nil {
			continue
		}
		if err := s.check(); err != nil {
			return fmt.Errorf("%s: %w", s.Key, err)
		}
	}
	return nil
}

func within(v, low, high int) error {
	if v < low || v > high {
		return fmt.Errorf("%d is not between %d and %d", v, low, high)
	}
	return nil
}

func oneOf[T comparable](v T, values ...T) error {
	if slices.Contains(values, v) {
		return nil
	}
	var list []string
	for _, x := range values {
		list = append(list, fmt.Sprint(x))
	}
	return fmt.Errorf("%v is none of %s", v, strings.Join(list, ", "))
}

// checkName holds a name to what fits into a DNS label beside the device id
// of the RAOP instance.
func checkName(s string) error {
	const longest = 63 - len("AABBCCDDEEFF@")
	if len(s) > longest {
		return fmt.Errorf("longer than %d bytes", longest)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return fmt.Errorf("contains a control character")
	}
	return nil
}

func checkAddr(s string) error {
	if s == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT", s)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("port %q is not a number up to 65535", port)
	}
	return nil
}

// checkTopic holds a topic to what may be published to (MQTT 3.1.1 section
// 4.7).
func checkTopic(s string) error {
	if s == "" || len(s) > 128 || strings.HasPrefix(s, "$") || strings.HasSuffix(s, "/") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '+' || r == '#' }) {
		return fmt.Errorf("%q is not the beginning of a topic such as house/tv", s)
	}
	return nil
}

func checkIDs(ids []string) error {
	for _, id := range ids {
		if _, err := net.ParseMAC(id); err != nil {
			return fmt.Errorf("%q is not a device id such as AA:BB:CC:DD:EE:FF", id)
		}
	}
	return nil
}

func checkSize(s string) error {
	if s == "auto" {
		return nil
	}
	_, _, err := ParseSize(s)
	return err
}

func checkMode(s string) error {
	if s == "" {
		return nil
	}
	size, hz, at := strings.Cut(s, "@")
	if _, _, err := ParseSize(size); err != nil {
		return err
	}
	if at {
		if f, err := strconv.ParseFloat(hz, 64); err != nil || f < 10 || f > 240 {
			return fmt.Errorf("%q is not a refresh rate", hz)
		}
	}
	return nil
}
