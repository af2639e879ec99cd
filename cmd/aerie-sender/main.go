// Command aerie-sender plays the phone: it mirrors a moving test pattern or a
// clip, with sound, or plays sound alone, to any AirPlay receiver, and prints
// what it saw. Run "aerie-sender --help" for what it can do.
//
// It is for those who try a receiver without a phone at hand, and for those who
// debug one: it can lose and reorder sound, turn round, be locked, drift, be
// silent, and play a recorded conversation back (--replay).
//
// Everything of AirPlay is in package phone.
//
// Proof: main_test.go (flags, mistakes, addresses); cmd/aerie/cli_test.go runs
// the program against the receiver.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/message"
	"aerie/receiver/pattern"
)

// version is set when a release is built.
var version = "devel"

// flags are those of the command line.
type flags struct {
	clip, size, sound, name, device, pin, password, replay string
	fps, seconds, frames, key, ptp                         int
	soundOnly, forGood, buffered                           bool
	fast, loop, pair, deaf, noClock, noFeedback, json      bool
	version                                                bool
	loss, reorder, ahead, drift                            float64
	pause, rotate                                          int
	classic                                                string
	tcp, remote                                            bool
	seed                                                   uint64
}

const usage = `Usage: aerie-sender [FLAGS] RECEIVER...

RECEIVER is HOST:PORT, HOST (port 7000) or the name in a sender's list. Several
are a group, which plays in step (with --sound-only --buffered).

`

func (f *flags) add(fs *flag.FlagSet) {
	fs.StringVar(&f.clip, "clip", "", "mirror this `FILE` (MP4 with H.264 or HEVC, or .h264) instead of the test pattern")
	fs.BoolVar(&f.loop, "loop", false, "begin the clip again at its end")
	fs.StringVar(&f.size, "size", "1920x1080", "`WxH` of the test pattern")
	fs.IntVar(&f.fps, "fps", 60, "pictures a second of the pattern or of an .h264 file")
	fs.IntVar(&f.frames, "frames", 0, "end after so many frames of the pattern; 0: never")
	fs.IntVar(&f.key, "key", 0, "a key picture every so many frames of the pattern; 0: only the first, as phones do")
	fs.StringVar(&f.sound, "sound", "", "`CODEC` of the tone: eld (what phones mirror with), alac (what classic senders play), pcm or none")
	fs.StringVar(&f.classic, "classic", "", "play the tone alone, as a classic sender, with this `ENCRYPTION`: none, rsa or fairplay")
	fs.BoolVar(&f.remote, "remote", false, "as a classic sender, be open to remote control and print what is asked")
	fs.BoolVar(&f.tcp, "tcp", false, "as a classic sender, send sound over TCP")
	fs.IntVar(&f.seconds, "seconds", 0, "end after so many seconds; 0: with Ctrl-C")
	fs.BoolVar(&f.fast, "fast", false, "send pictures as fast as the receiver takes them, without sound")
	fs.StringVar(&f.name, "name", "Aerie Sender", "the `NAME` it gives itself")
	fs.StringVar(&f.device, "device", "", "the device `ID` it gives itself, such as 02:AE:21:E0:00:01")
	fs.StringVar(&f.pin, "pin", "", "the PIN that the receiver shows; asked for if empty")
	fs.StringVar(&f.password, "password", "", "the password of the receiver")
	fs.BoolVar(&f.pair, "pair", false, "pair even where the receiver does not ask for it")
	fs.BoolVar(&f.forGood, "pair-for-good", false, "pair by HomeKit in the way that the receiver remembers, not for one connection")
	fs.BoolVar(&f.buffered, "buffered", false, "send sound ahead of its time, as music players of AirPlay 2 do")
	fs.IntVar(&f.ptp, "ptp", 319, "UDP `PORT` of the receiver for PTP, the clock of AirPlay 2 groups; 0: NTP")
	fs.BoolVar(&f.soundOnly, "sound-only", false, "send no picture, as to a loudspeaker")
	fs.Float64Var(&f.loss, "loss", 0, "lose this `PART` of the packets of sound: 0.02 is 2 %")
	fs.Float64Var(&f.reorder, "reorder", 0, "let this `PART` of them change places with the next")
	fs.BoolVar(&f.deaf, "deaf", false, "do not send lost packets again")
	fs.BoolVar(&f.noClock, "no-clock", false, "do not answer timing requests")
	fs.BoolVar(&f.noFeedback, "no-feedback", false, "send no feedback")
	fs.Float64Var(&f.ahead, "ahead", 0, "set its clock ahead by so many `SECONDS`")
	fs.Float64Var(&f.drift, "drift", 0, "let its clock run fast by so many `PPM`")
	fs.IntVar(&f.pause, "pause", 0, "be locked for a second every so many `SECONDS`")
	fs.IntVar(&f.rotate, "rotate", 0, "turn round every so many `SECONDS`")
	fs.Uint64Var(&f.seed, "seed", 1, "seed of loss and reordering")
	fs.StringVar(&f.replay, "replay", "", "play a conversation back that was recorded with aerie --record `FILE`")
	fs.BoolVar(&f.json, "json", false, "print the report as JSON")
	fs.BoolVar(&f.version, "version", false, "print the version")
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "aerie-sender:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	var f flags
	fs := flag.NewFlagSet("aerie-sender", flag.ContinueOnError)
	f.add(fs)
	fs.Usage = func() {
		fs.SetOutput(out)
		fmt.Fprint(out, usage)
		fs.PrintDefaults()
	}
	fs.SetOutput(io.Discard)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if f.version {
		_, err := fmt.Fprintln(out, "aerie-sender", version)
		return err
	}
	if fs.NArg() == 0 {
		fs.Usage()
		return errors.New("which receiver?")
	}
	if fs.NArg() > 1 && !(f.soundOnly && f.buffered && f.ptp != 0 && f.classic == "" && f.replay == "") {
		return errors.New("several receivers are a group, which takes --sound-only, --buffered and a --ptp port")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	addr, err := resolve(ctx, fs.Arg(0))
	if err != nil {
		return err
	}
	if f.replay != "" {
		return replay(addr, f.replay, out)
	}
	o, err := f.options(addr)
	if err != nil {
		return err
	}
	if fs.NArg() > 1 {
		return f.group(ctx, o, fs.Args()[1:], out)
	}
	send := phone.Mirror
	if o.Classic != nil {
		send = phone.Play
	}
	report, err := send(ctx, *o)
	if perr := f.print(out, report); perr != nil {
		return perr
	}
	return err
}

// group plays to a first receiver and others.
func (f *flags) group(ctx context.Context, first *phone.Options, others []string, out io.Writer) error {
	members := []phone.Options{*first}
	for _, receiver := range others {
		addr, err := resolve(ctx, receiver)
		if err != nil {
			return err
		}
		o, err := f.options(addr)
		if err != nil {
			return err
		}
		members = append(members, *o)
	}
	reports, err := phone.Group(ctx, members)
	for i, report := range reports {
		if !f.json {
			fmt.Fprintln(out, members[i].Address)
		}
		if perr := f.print(out, report); perr != nil {
			return perr
		}
	}
	return err
}

// print prints a report as it was asked for.
func (f *flags) print(out io.Writer, report *phone.Report) error {
	if !f.json {
		report.Print(out)
		return nil
	}
	b, err := json.MarshalIndent(report, "", "  ")
	if err == nil {
		_, err = fmt.Fprintln(out, string(b))
	}
	return err
}

// options turns flags into what the phone takes.
func (f *flags) options(addr string) (*phone.Options, error) {
	o := &phone.Options{
		Address: addr, Name: f.name, Device: f.device, Password: f.password, Pair: f.pair || f.pin != "", PairForGood: f.forGood, Buffered: f.buffered,
		Duration: time.Duration(f.seconds) * time.Second, Fast: f.fast, Loss: f.loss, Reorder: f.reorder, Deaf: f.deaf, NoClock: f.noClock, NoFeedback: f.noFeedback,
		Seed: f.seed, Ahead: time.Duration(f.ahead * float64(time.Second)), Drift: f.drift * 1e-6,
		PauseEvery: time.Duration(f.pause) * time.Second, RotateEvery: time.Duration(f.rotate) * time.Second,
		PIN: f.askPIN,
	}
	if f.buffered {
		o.PTPPort = f.ptp
	}
	for name, part := range map[string]float64{"loss": f.loss, "reorder": f.reorder} {
		if !(part >= 0 && part <= 1) { // a NaN is neither
			return nil, fmt.Errorf("--%s takes a part between 0 and 1, not %v", name, part)
		}
	}
	if f.classic != "" {
		encryption, ok := map[string]phone.Encryption{"none": phone.Clear, "rsa": phone.RSA, "fairplay": phone.FairPlay}[f.classic]
		if !ok {
			return nil, fmt.Errorf("a classic sender has no encryption %q: none, rsa or fairplay", f.classic)
		}
		o.Classic = &phone.Classic{Encryption: encryption, TCP: f.tcp,
			Playing: message.NowPlaying{Title: "Test tone", Artist: "Aerie", Album: "Seconds and beeps", Length: 3 * time.Minute}}
		if f.remote {
			o.Classic.Told = func(command string) { fmt.Fprintf(os.Stderr, "asked for %q\n", command) }
		}
		return o, f.tone(o, "alac")
	}
	if f.soundOnly {
		f.fast = false
		return o, f.tone(o, "alac")
	}
	if err := f.picture(o); err != nil {
		return nil, err
	}
	if f.buffered {
		return o, f.tone(o, "alac")
	}
	return o, f.tone(o, "eld")
}

// picture adds the clip or the pattern.
func (f *flags) picture(o *phone.Options) error {
	if f.clip != "" {
		c, err := phone.OpenClip(f.clip, f.fps)
		if err != nil {
			return err
		}
		c.Loop = f.loop
		o.Picture = c
		return nil
	}
	var width, height int
	if _, err := fmt.Sscanf(f.size, "%dx%d", &width, &height); err != nil {
		return fmt.Errorf("%q is not a size such as 1920x1080", f.size)
	}
	p, err := phone.NewPattern(pattern.Config{Width: width, Height: height, FPS: f.fps})
	if err != nil {
		return err
	}
	p.Frames, p.KeyEvery = uint32(f.frames), uint32(f.key)
	o.Picture = p
	return nil
}

// tone adds the sound, in its usual coding if none was asked for.
func (f *flags) tone(o *phone.Options, usual string) (err error) {
	codec, ok := map[string]audio.Codec{"eld": audio.AACELD, "alac": audio.ALAC, "pcm": audio.PCM, "none": 0}[cmp.Or(f.sound, usual)]
	if !ok {
		return fmt.Errorf("the tone cannot be sent as %q: eld, alac, pcm or none", f.sound)
	}
	if codec != 0 && !f.fast {
		var t *phone.Tone
		if t, err = phone.NewTone(codec); err == nil {
			o.Sound = t
		}
	}
	return err
}

func (f *flags) askPIN() (string, error) {
	if f.pin != "" {
		return f.pin, nil
	}
	fmt.Fprint(os.Stderr, "PIN shown by the receiver: ")
	var pin string
	_, err := fmt.Scanln(&pin)
	return strings.TrimSpace(pin), err
}
