package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"aerie/hw/dmaheap"
	"aerie/receiver"
	"aerie/receiver/codec"
	"aerie/receiver/codec/eld"
	"aerie/receiver/config"
	"aerie/receiver/pattern/sound"
)

// selftest tries this build on this machine: what depends on the processor and
// on the kernel, without a display, a sound card or a network. It prints a line
// for each step; a step that fails does not keep the others from being tried.
func selftest(_ []string, out io.Writer) error {
	dir, err := os.MkdirTemp("", "aerie-selftest")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	failed := 0
	for _, step := range []struct {
		name string
		try  func() (string, error)
	}{
		{"decoder", tryDecoder},
		{"sound", trySound},
		{"memory", tryMemory},
		{"session", func() (string, error) { return trySession(dir) }},
	} {
		began := time.Now()
		said, err := step.try()
		switch {
		case errors.Is(err, errNotTried):
			fmt.Fprintf(out, "--    %-8s %v\n", step.name, err)
		case err != nil:
			failed++
			fmt.Fprintf(out, "FAIL  %-8s %v\n", step.name, err)
		default:
			fmt.Fprintf(out, "ok    %-8s %s (%v)\n", step.name, said, since(began))
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d steps of the self-test failed", failed)
	}
	return nil
}

// errNotTried is wrapped by what says why a step was left out.
var errNotTried = errors.New("not tried")

// tryDecoder decodes a built-in clip, with one thread and with several.
func tryDecoder() (string, error) {
	n := 0
	for _, threads := range []int{1, 3} {
		pictures, err := codec.SelfTest(codec.VideoOptions{Threads: threads})
		if n += pictures; err != nil {
			return "", fmt.Errorf("%d threads: %w", threads, err)
		}
	}
	return fmt.Sprintf("%d pictures of H.264, all right to the last bit", n), nil
}

// trySound encodes three seconds of the pattern's tone as phones do, decodes
// them, and finds the beeps in them: one each second, to a few samples.
func trySound() (string, error) {
	const rate, channels, frames = 44100, 2, 480
	tone, err := sound.New(rate)
	if err != nil {
		return "", err
	}
	encoder, err := eld.NewEncoder(eld.Config{SampleRate: rate, Channels: channels, FrameLength: frames})
	if err != nil {
		return "", err
	}
	decoder, err := codec.NewAudioDecoder(codec.AudioParameters{Codec: codec.AAC, Rate: rate, Channels: channels, FrameLength: frames, Config: encoder.AudioSpecificConfig()})
	if err != nil {
		return "", err
	}
	defer decoder.Close()
	block, heard := make([]float32, frames*channels), make([]float32, 0, 4*rate*channels)
	var packet []byte
	for position := int64(-frames); position < 3*rate+rate/2; position += frames {
		tone.Fill(block, position)
		packet = encoder.AppendFrame(packet[:0], block)
		n, err := decoder.Decode(packet, block)
		if err != nil {
			return "", err
		}
		heard = append(heard, block[:n]...)
	}
	beeps := sound.Find(heard, channels, rate)
	const most = 5 // samples
	for i := 1; i < len(beeps); i++ {
		if apart := beeps[i].Sample - beeps[i-1].Sample; math.Abs(apart-rate) > most {
			return "", fmt.Errorf("beeps are %.1f samples apart, not %d", apart, rate)
		}
	}
	if len(beeps) != 4 {
		return "", fmt.Errorf("%d beeps in 3.5 s", len(beeps))
	}
	return fmt.Sprintf("%d beeps through AAC-ELD and back, %d samples apart", len(beeps), rate), nil
}

// tryMemory writes memory of every source there is and reads it again.
func tryMemory() (string, error) {
	const size = 1920 * 1088 * 3 / 2
	var used []string
	for _, s := range dmaheap.Sources() {
		if s.Err != nil {
			continue // aerie probe says why
		}
		if err := tryBuffer(s, size); err != nil {
			return "", err
		}
		used = append(used, s.Path)
	}
	if len(used) == 0 {
		return "", fmt.Errorf("%w: %w", errNotTried, dmaheap.ErrNone)
	}
	return "one picture in memory of " + strings.Join(used, ", "), nil
}

func tryBuffer(s dmaheap.Source, size int) error {
	b, err := s.Allocate(size)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Begin(); err != nil {
		return err
	}
	for i := range b.Data {
		b.Data[i] = byte(i * 7 >> 3)
	}
	if err := b.End(); err != nil {
		return err
	}
	for i := range b.Data {
		if b.Data[i] != byte(i*7>>3) {
			return fmt.Errorf("memory of %s: byte %d is not what was written", s.Path, i)
		}
	}
	return nil
}

// The pattern that the session mirrors.
const (
	selftestFPS    = 15
	selftestFrames = 4 * selftestFPS
)

// trySession mirrors the test pattern with its tone over loopback: pairing,
// FairPlay, decryption, clock and decoder. Every stamp must be read in the
// decoded pictures. Sound keeps time only if the machine does, so it may be
// silent on an emulated one; but what was played is there.
func trySession(dir string) (string, error) {
	sender, err := findSender()
	if err != nil {
		return "", fmt.Errorf("%w: aerie-sender is not beside aerie", errNotTried)
	}
	wav := filepath.Join(dir, "sound.wav")
	c := config.Default()
	c.Name, c.State = "Self-test", filepath.Join(dir, "state")
	c.Network.Port, c.Network.Discovery, c.Network.HTTP = 0, false, ""
	c.Video.Output, c.Audio.Output = "none", "file:"+wav
	r, err := receiver.New(receiver.Options{Config: c, Version: version, Log: slog.New(slog.DiscardHandler), Measure: true})
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	output, err := exec.CommandContext(ctx, sender, "-size", "320x240", "-fps", fmt.Sprint(selftestFPS), "-frames", fmt.Sprint(selftestFrames),
		net.JoinHostPort("127.0.0.1", fmt.Sprint(r.Port()))).CombinedOutput()
	cancel()
	if ran := <-ended; err == nil {
		err = ran
	}
	if err != nil {
		return "", fmt.Errorf("the sender: %w\n%s", err, output)
	}
	t := r.Tally()
	if t.Stamped != selftestFrames || t.Gaps != 0 || t.Undecodable != 0 {
		return "", fmt.Errorf("%d frames were sent: %+v\n%s", selftestFrames, t, output)
	}
	const header = 44
	st, err := os.Stat(wav)
	if err != nil || st.Size() <= header {
		return "", fmt.Errorf("no sound was played: %w", err)
	}
	return fmt.Sprintf("%d pictures mirrored, the stamp of every one read; %.1f s of sound", t.Stamped, float64(st.Size()-header)/4/44100), nil
}
