package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"aerie/receiver/config"
)

// Senders that others wrote, from Debian's packages: what they are given to
// play is what would be heard, sample by sample.

// noiseSeconds is how much they play.
const noiseSeconds = 7

// noise makes sound in which every place is like no other, as bytes of a WAV
// file's samples.
func noise() []byte {
	rng := rand.New(rand.NewPCG(9, 9))
	var b []byte
	for range noiseSeconds * 44100 * 2 {
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(rng.IntN(40000)-20000)))
	}
	return b
}

// writeWAV writes samples to a file.
func writeWAV(t *testing.T, name string, samples []byte) {
	t.Helper()
	le := binary.LittleEndian
	h := le.AppendUint32([]byte("RIFF"), uint32(36+len(samples)))
	h = le.AppendUint32(append(h, "WAVEfmt "...), 16)
	h = le.AppendUint32(h, 1|2<<16)
	h = le.AppendUint32(le.AppendUint32(h, 44100), 44100*4)
	h = le.AppendUint32(h, 4|16<<16)
	h = le.AppendUint32(append(h, "data"...), uint32(len(samples)))
	if err := os.WriteFile(name, append(h, samples...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bench is a place where programs run that must not meet those of the user.
type bench struct {
	t   *testing.T
	dir string
	env []string
	on  *machine // where they run; nil for this computer
}

func newBench(t *testing.T) *bench {
	dir := t.TempDir()
	env := append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir, "XDG_CONFIG_HOME="+dir, "PIPEWIRE_CONFIG_DIR="+dir, "PIPEWIRE_DEBUG=1",
		"PULSE_RUNTIME_PATH="+dir, "PULSE_STATE_PATH="+dir, "DBUS_SESSION_BUS_ADDRESS=unix:path="+dir+"/none")
	return &bench{t: t, dir: dir, env: env}
}

// command makes a program of the bench.
func (b *bench) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	if b.on != nil {
		cmd = b.on.command(name, args...)
	}
	cmd.Env, cmd.Dir = b.env, b.dir
	return cmd
}

// start starts a program that ends with the test at the latest.
func (b *bench) start(name string, args ...string) *exec.Cmd {
	b.t.Helper()
	cmd := b.command(name, args...)
	out := &logBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if b.t.Failed() {
			b.t.Logf("%s:\n%s", name, out)
		}
	})
	return cmd
}

// try runs a program to its end.
func (b *bench) try(name string, args ...string) (string, error) {
	out, err := b.command(name, args...).CombinedOutput()
	return string(out), err
}

// until tries until it succeeds.
func (b *bench) until(what string, done func() bool) {
	b.t.Helper()
	for range 600 {
		if done() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatalf("waited 30 s for %s", what)
}

// pipewire plays a file through PipeWire's RAOP sink at an address.
func (b *bench) pipewire(port, transport, encryption, file string) {
	// The name of the host changed between versions.
	b.pipewireWith(fmt.Sprintf(`raop-sink args = { raop.ip = "127.0.0.1" raop.hostname = "127.0.0.1" raop.port = %s raop.name = "aerie"
raop.transport = "%s" raop.encryption.type = "%s" raop.audio.codec = "PCM" stream.props = { node.name = "raop" } }`, port, transport, encryption), file)
}

// pipewireWith plays a file through PipeWire with a module, which makes a sink
// whose name begins with "raop". There is no session manager: its work is one
// format and two links.
func (b *bench) pipewireWith(module, file string) {
	const rate = "default.clock.rate = 44100 default.clock.quantum = 2048 default.clock.min-quantum = 2048 default.clock.max-quantum = 2048"
	conf := `context.properties = { core.daemon = true core.name = pipewire-0 support.dbus = false ` + rate + ` }
context.spa-libs = { audio.convert.* = audioconvert/libspa-audioconvert support.* = support/libspa-support }
context.modules = [
`
	for _, m := range []string{"protocol-native", "client-node", "adapter", "metadata", "spa-node-factory", "link-factory", "access"} {
		conf += "{ name = libpipewire-module-" + m + " }\n"
	}
	conf += `{ name = libpipewire-module-` + module + ` } ]
context.objects = [ { factory = spa-node-factory
args = { factory.name = support.node.driver node.name = driver node.group = pipewire.dummy priority.driver = 20000 } } ]
`
	if err := os.WriteFile(filepath.Join(b.dir, "pipewire.conf"), []byte(conf), 0o600); err != nil {
		b.t.Fatal(err)
	}
	for _, name := range []string{"client.conf", "client-rt.conf"} {
		client, err := os.ReadFile("/usr/share/pipewire/" + name)
		if err != nil {
			continue // newer versions have one of the two
		}
		if err := os.WriteFile(filepath.Join(b.dir, name), client, 0o600); err != nil {
			b.t.Fatal(err)
		}
	}
	b.start("pipewire", "-c", filepath.Join(b.dir, "pipewire.conf"))
	node := func(name string) (whole string) {
		is := regexp.MustCompile(`node\.name = "(` + name + `[^"]*)"`)
		b.until("node "+name, func() bool {
			out, err := b.try("pw-cli", "ls", "Node")
			if m := is.FindStringSubmatch(out); err == nil && m != nil {
				whole = m[1]
			}
			return whole != ""
		})
		return whole
	}
	sink := node("raop")
	player := b.start("pw-cat", "-p", "-P", "{ node.name = player }", "--target", sink, file)
	node("player")
	const format = `format: { mediaType: "audio", mediaSubtype: "raw", format: "F32P", rate: 44100, channels: 2, position: [ "FL", "FR" ] }`
	for name, direction := range map[string]string{sink: "Input", "player": "Output"} {
		if out, err := b.try("pw-cli", "s", name, "PortConfig", `{ direction: "`+direction+`", mode: "dsp", `+format+` }`); err != nil {
			b.t.Fatalf("pw-cli: %v\n%s", err, out)
		}
	}
	for _, channel := range []string{"FL", "FR"} {
		b.until("link", func() bool {
			_, err := b.try("pw-link", "player:output_"+channel, sink+":playback_"+channel)
			return err == nil
		})
	}
	b.ends(player)
}

// pulseaudio plays a file through PulseAudio's RAOP sink.
func (b *bench) pulseaudio(port, transport, encryption, file string) {
	sink := fmt.Sprintf("module-raop-sink server=127.0.0.1:%s protocol=%s encryption=%s codec=ALAC channels=2 rate=44100 format=s16le sink_name=raop",
		port, strings.ToUpper(transport), encryption)
	b.start("pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes", "-n", "-F", "/dev/null",
		"-L", "module-native-protocol-unix", "-L", sink)
	b.until("sink", func() bool {
		out, err := b.try("pactl", "list", "short", "sinks")
		return err == nil && strings.Contains(out, "raop")
	})
	b.ends(b.start("paplay", "-d", "raop", file))
}

// ends waits for a program to end.
func (b *bench) ends(cmd *exec.Cmd) {
	b.t.Helper()
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(time.Minute):
		b.t.Fatalf("%s does not end", cmd.Path)
	}
}

func TestOtherSenders(t *testing.T) {
	if testing.Short() {
		t.Skip("not in short mode: it plays in real time")
	}
	for _, c := range []struct {
		program, hint         string
		play                  func(b *bench, port, transport, encryption, file string)
		transport, encryption string
	}{
		{"pw-cat", "pipewire pipewire-bin libpipewire-0.3-modules", (*bench).pipewire, "udp", "none"},
		{"pw-cat", "pipewire pipewire-bin libpipewire-0.3-modules", (*bench).pipewire, "udp", "RSA"},
		{"pw-cat", "pipewire pipewire-bin libpipewire-0.3-modules", (*bench).pipewire, "tcp", "none"},
		{"paplay", "pulseaudio pulseaudio-utils pulseaudio-module-raop", (*bench).pulseaudio, "udp", "RSA"},
	} {
		t.Run(c.program+" "+c.transport+" "+c.encryption, func(t *testing.T) {
			if _, err := exec.LookPath(c.program); err != nil {
				t.Skip(c.program + " is not installed (Debian: apt install " + c.hint + ")")
			}
			want := noise()
			// A sender that does not get the processor in time breaks its own
			// sound; then it gets another chance.
			for range 3 {
				found, longest := recognise(playedBy(t, want, c.play, c.transport, c.encryption), want)
				t.Logf("%.0f %% of the sound arrived as it was, %v of it in one piece", found*100, longest)
				if longest > 3*time.Second {
					return
				}
			}
			t.Error("the samples are not those that were played")
		})
	}
}

// playedBy has a sender play sound to a receiver and returns what would be
// heard.
func playedBy(t *testing.T, samples []byte, play func(b *bench, port, transport, encryption, file string), transport, encryption string) []byte {
	t.Helper()
	b := newBench(t)
	in, out := filepath.Join(b.dir, "in.wav"), filepath.Join(b.dir, "out.wav")
	// Players end before their last sound was sent.
	writeWAV(t, in, append(bytes.Clone(samples), make([]byte, 44100*4)...))
	g := newRig(t, func(c *config.Config) { c.Audio.Output, c.Audio.Initial = "file:"+out, 0 })
	play(b, fmt.Sprint(g.r.Port()), transport, encryption, in)
	defer g.stop()
	return heardIn(t, out, samples)
}

// heardIn returns what a receiver wrote to a file, once it has written the end
// of the sound: what a sender has sent is heard within its latency.
func heardIn(t *testing.T, file string, samples []byte) (got []byte) {
	t.Helper()
	for range 40 {
		var err error
		if got, err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(got, samples[len(samples)-4000:]) {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	return got[min(44, len(got)):]
}

// recognise looks for the sound in what was heard: the part of it that is
// there, and the longest piece that is there as a whole.
func recognise(heard, sound []byte) (part float64, longest time.Duration) {
	const frame, step = 4, 4 * 441 // 10 ms
	found, at, run := 0, -1, 0
	for i := 0; i+step <= len(sound); i += step {
		piece := sound[i : i+step]
		if at >= 0 && at+step <= len(heard) && bytes.Equal(heard[at:at+step], piece) {
			run++
		} else {
			at, run = bytes.Index(heard, piece), 0
		}
		if at < 0 || at%frame != 0 {
			at = -1
			continue
		}
		found++
		at += step
		longest = max(longest, time.Duration(run)*10*time.Millisecond)
	}
	return float64(found) / float64(len(sound)/step), longest
}
