package receiver

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"aerie/drm"
	"aerie/hw/alsa"
	"aerie/hw/board"
	"aerie/receiver/config"
	"aerie/receiver/diagnostics"
)

// consulted are what other parts of the appliance add to a diagnostics bundle.
type consulted struct {
	mu      sync.Mutex
	parts   []diagnostics.Part
	secrets []func() []string
}

// Diagnostics adds files to every diagnostics bundle, and what must not be in
// any of them: secrets is called for each bundle and returns passwords, keys
// and tokens as they are in memory; nil if there are none.
func (r *Receiver) Diagnostics(secrets func() []string, parts ...diagnostics.Part) {
	r.consulted.mu.Lock()
	defer r.consulted.mu.Unlock()
	r.consulted.parts = append(r.consulted.parts, parts...)
	if secrets != nil {
		r.consulted.secrets = append(r.consulted.secrets, secrets)
	}
}

// Diagnose writes a diagnostics bundle of the receiver and its machine, a ZIP
// file: of a few hundred kilobytes, in seconds, and without secrets. The error
// is that of out, or of ctx.
func (r *Receiver) Diagnose(ctx context.Context, out io.Writer) error {
	parts := []diagnostics.Part{
		{Name: "about.txt", Collect: r.aboutPart},
		{Name: "settings.toml", Collect: func(_ context.Context, w io.Writer) error { _, err := w.Write(r.cfg.File()); return err }},
		{Name: "status.json", Collect: r.statusPart},
		{Name: "metrics.txt", Collect: func(_ context.Context, w io.Writer) error { return r.web.metrics.WritePrometheus(w) }},
		{Name: "display.txt", Collect: r.displayPart},
		{Name: "goroutines.txt", Collect: func(_ context.Context, w io.Writer) error { return pprof.Lookup("goroutine").WriteTo(w, 1) }},
	}
	if r.kept != nil {
		parts = append(parts, r.kept.Part())
	}
	r.consulted.mu.Lock()
	parts = append(parts, r.consulted.parts...)
	r.consulted.mu.Unlock()
	if r.current.Load() == nil {
		// Asking a display what it is may hold up the pictures on it.
		parts = append(parts, diagnostics.Part{Name: "cards.txt", Collect: cardsPart})
	}
	return diagnostics.Write(ctx, out, time.Now(), append(parts, machineParts("/")...), r.secrets())
}

// DiagnoseMachine writes a bundle of a machine on which no receiver runs, with
// parts of the caller's.
func DiagnoseMachine(ctx context.Context, out io.Writer, cfg *config.Config, version string, parts ...diagnostics.Part) error {
	parts = append([]diagnostics.Part{
		{Name: "about.txt", Collect: func(_ context.Context, w io.Writer) error {
			_, err := fmt.Fprintf(w, "Aerie %s; no receiver runs\n\n%s", version, program())
			return err
		}},
		{Name: "settings.toml", Collect: func(_ context.Context, w io.Writer) error { _, err := w.Write(cfg.File()); return err }},
		{Name: "cards.txt", Collect: cardsPart},
	}, parts...)
	return diagnostics.Write(ctx, out, time.Now(), append(parts, machineParts("/")...), secretSettings(cfg))
}

// program tells what the program was built from.
func program() string {
	text := fmt.Sprintf("%s %s/%s, %d processors\n", runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	if info, ok := debug.ReadBuildInfo(); ok {
		text += info.String()
	}
	return text
}

// machineParts are the files about the machine whose files are below root.
func machineParts(root string) []diagnostics.Part {
	files := func(name string, patterns ...string) diagnostics.Part {
		return diagnostics.Files(name, root, patterns...)
	}
	return []diagnostics.Part{
		{Name: "board.txt", Collect: func(_ context.Context, w io.Writer) error { return boardPart(root, w) }},
		{Name: "sound-devices.txt", Collect: soundPart},
		files("machine-files.txt", "etc/os-release", "proc/version", "proc/cmdline", "proc/uptime", "proc/loadavg", "proc/meminfo", "proc/interrupts", "proc/modules",
			"boot/config.txt", "boot/cmdline.txt", "boot/firmware/config.txt", "boot/firmware/cmdline.txt"),
		files("power-files.txt", "sys/devices/platform/soc/soc:firmware/get_throttled", "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled",
			"sys/class/hwmon/hwmon*/name", "sys/class/hwmon/hwmon*/in0_lcrit_alarm", "sys/class/thermal/thermal_zone*/type", "sys/class/thermal/thermal_zone*/temp",
			"sys/devices/system/cpu/cpu0/cpufreq/scaling_*_freq", "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		files("display-files.txt", "sys/class/drm/*/status", "sys/class/drm/*/enabled", "sys/class/drm/*/modes", "sys/class/drm/*/edid",
			"sys/kernel/debug/dri/*/name", "sys/kernel/debug/dri/*/state", "sys/kernel/debug/dri/*/hvs_dlist_allocs", "sys/class/video4linux/*/name"),
		files("sound-files.txt", "proc/asound/cards", "proc/asound/pcm", "proc/asound/card*/eld*", "proc/asound/card*/pcm*/sub*/status", "proc/asound/card*/pcm*/sub*/hw_params"),
		files("network-files.txt", "proc/net/dev", "proc/net/wireless", "proc/net/route", "proc/net/if_inet6", "proc/net/snmp", "etc/resolv.conf"),
		diagnostics.Command("network.txt", "ip", "address"),
		diagnostics.Command("disks.txt", "df", "-h"),
		diagnostics.Command("journal.txt", "journalctl", "--no-pager", "-b", "-o", "short-iso", "-n", "4000", "-u", "aerie*", "-u", "NetworkManager", "-u", "wpa_supplicant"),
		diagnostics.Command("kernel.txt", "journalctl", "--no-pager", "-b", "-k", "-o", "short-monotonic", "-n", "2000"),
		diagnostics.Command("services.txt", "systemctl", "--no-pager", "--full", "status", "aerie*"),
	}
}

// boardPart tells what the board is and how it fares.
func boardPart(root string, w io.Writer) error {
	b := board.Read(root)
	mailbox, done, err := board.OpenMailbox(root)
	if err == nil {
		defer done()
	}
	h := board.Check(root, mailbox)
	_, err = fmt.Fprintf(w, "%v\n%v (flags: %v)\n\n%+v\n", b, h, h.Power, b)
	return err
}

// cardsPart describes the display cards, with what their displays say of
// themselves.
func cardsPart(_ context.Context, w io.Writer) error {
	cards := drm.Cards()
	fmt.Fprintf(w, "%d display cards\n", len(cards))
	for _, c := range cards {
		fmt.Fprintf(w, "%s, driver %s, in use: %v, error: %v\n", c.Path, c.Driver, c.Busy, c.Err)
		for _, n := range c.Connectors {
			fmt.Fprintf(w, "  %s, connected: %v\n    %+v\n", n.Name, n.Connected, n.EDID)
			for _, m := range n.Modes {
				fmt.Fprintf(w, "    %v\n", m)
			}
		}
		for _, f := range c.Formats {
			if _, err := fmt.Fprintf(w, "  %v: %v\n", f.Format, f.Modifiers); err != nil {
				return err
			}
		}
	}
	return nil
}

// soundPart describes the sound devices.
func soundPart(_ context.Context, w io.Writer) error {
	devices, err := alsa.Devices()
	for _, d := range devices {
		if _, err := fmt.Fprintf(w, "%v\n  %+v\n", d, d); err != nil {
			return err
		}
	}
	return err
}

// aboutPart tells what runs and how it fares.
func (r *Receiver) aboutPart(_ context.Context, w io.Writer) error {
	healthy := "nothing is stuck"
	if err := r.Healthy(); err != nil {
		healthy = err.Error()
	}
	a := r.About()
	fmt.Fprintf(w, "Aerie %s, running for %v\n%s\n\n", r.version, r.now().Sub(r.began).Round(time.Second), r.status())
	fmt.Fprintf(w, "picture: %s\nsound: %s\npage: %s\nhealth: %s\ncondition: %+v\nlimits: %+v\n", a.Picture, a.Sound, a.Page, healthy, r.Condition(), r.limits())
	r.PrintLatency(w)
	_, err := fmt.Fprintf(w, "\n%s", program())
	return err
}

// statusPart is what the page is told, but for a PIN.
func (r *Receiver) statusPart(_ context.Context, w io.Writer) error {
	s := r.snapshot()
	s.PIN = ""
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// displayPart tells the state of the display that is driven directly, and the
// decoders and ways of pictures to it.
func (r *Receiver) displayPart(_ context.Context, w io.Writer) error {
	kms, ok := r.video.(*kmsOutput)
	if !ok {
		where, why := r.video.describe()
		_, err := fmt.Fprintf(w, "none is driven directly; the picture goes to %s: %s\n", where, why)
		return err
	}
	st := kms.display.Status()
	l := r.limits()
	fmt.Fprintf(w, "%+v\n\nH.264: %s\nHEVC: %s\n", st, r.describeDecoder(), r.describeHEVC())
	if r.current.Load() != nil {
		return nil // status.json tells which way the session's pictures take
	}
	_, err := fmt.Fprintf(w, "in software: %s\n", kms.way(l.Width, l.Height))
	return err
}

// secretSettings are the settings that nobody is told.
func secretSettings(cfg *config.Config) *diagnostics.Redactor {
	d := &diagnostics.Redactor{}
	for _, s := range cfg.Settings() {
		if s.Secret() {
			d.Add(s.Text())
			// A connection string has its key among other fields.
			for field := range strings.SplitSeq(s.Text(), ";") {
				if _, key, is := strings.Cut(field, "Key="); is {
					d.Add(key)
				}
			}
		}
	}
	return d
}

// secrets are what must not be in a bundle, as far as the receiver knows them.
func (r *Receiver) secrets() *diagnostics.Redactor {
	d := secretSettings(r.cfg)
	key := r.identity.store.Identity()
	d.Add(string(key))
	d.Add(string(key.Seed()))
	d.Add(r.pin.shown())
	if code := r.fleetCode.Load(); code != nil {
		d.Add(*code)
	}
	if s := r.current.Load(); s != nil {
		d.Add(s.opening.Sender.DACPID)
		d.Add(s.opening.Sender.ActiveRemote)
	}
	r.poster.mu.Lock()
	d.Add(r.poster.setup.Code)
	d.Add(r.poster.setup.QR)
	d.Add(wifiCodePassword(r.poster.setup.QR))
	r.poster.mu.Unlock()
	r.consulted.mu.Lock()
	more := r.consulted.secrets
	r.consulted.mu.Unlock()
	for _, f := range more {
		for _, s := range f() {
			d.Add(s)
		}
	}
	return d
}

// wifiCodePassword returns the password in the text of a QR code with which
// phones join a network, "WIFI:T:WPA;S:name;P:password;;": a backslash stands
// before signs with a meaning of their own.
func wifiCodePassword(code string) string {
	fields, is := strings.CutPrefix(code, "WIFI:")
	if !is {
		return ""
	}
	var field strings.Builder
	for i := 0; i < len(fields); i++ {
		switch c := fields[i]; {
		case c == '\\' && i+1 < len(fields):
			i++
			field.WriteByte(fields[i])
		case c == ';':
			if p, is := strings.CutPrefix(field.String(), "P:"); is {
				return p
			}
			field.Reset()
		default:
			field.WriteByte(c)
		}
	}
	return ""
}
