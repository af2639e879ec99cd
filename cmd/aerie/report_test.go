package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"aerie/drm"
	"aerie/hw/alsa"
	"aerie/hw/board"
	"aerie/hw/cec"
	"aerie/hw/dmaheap"
	"aerie/receiver"
	"golang.org/x/sys/unix"
)

const gib = 1 << 30

func mode(width, height, hz int) drm.Mode {
	return drm.Mode{Width: width, Height: height, Refresh: hz * 1000, Clock: width * height * hz / 1000}
}

// television is a connector with a set that prefers 4K.
func television(name string) drm.ConnectorInfo {
	return drm.ConnectorInfo{Name: name, Connected: true, EDID: drm.EDID{Name: "LG TV SSCR2"},
		Modes: []drm.Mode{mode(3840, 2160, 30), mode(1920, 1080, 60), mode(1280, 720, 60)}}
}

func hdmi(n int, plug alsa.Plug, monitor string) alsa.Device {
	d := alsa.Device{Card: alsa.Card{Number: n, ID: fmt.Sprintf("vc4hdmi%d", n), Name: fmt.Sprintf("vc4-hdmi-%d", n)}, Kind: alsa.HDMI, Sink: alsa.Sink{Plug: plug}}
	if monitor != "" {
		d.Sink.ELD = &alsa.ELD{Monitor: monitor}
	}
	return d
}

// machines are made up; what is printed for each is in testdata/probe.
var machines = map[string]*report{
	"pi4": {Version: "1.0", Kernel: "6.12.34+rpt-rpi-v8 aarch64",
		Board:  board.Board{Family: board.Pi4, Model: "Raspberry Pi 4 Model B Rev 1.4", Memory: 4 * gib, CPUs: 4, H264: true, HEVC: true, Jack: true},
		Health: board.Health{Temperature: 48.3, Warm: true, Clock: 1500, SinceBoot: board.UnderVoltage, Power: board.Mailbox},
		Cards: []drm.CardInfo{{Path: "/dev/dri/card0", Driver: "v3d", Err: fmt.Errorf("drm: /dev/dri/card0: it drives no display")},
			{Path: "/dev/dri/card1", Driver: "vc4", Connectors: []drm.ConnectorInfo{television("HDMI-A-1"), {Name: "HDMI-A-2"}}}},
		Decoders: []string{"video10 bcm2835-codec-decode", "video19 rpi-hevc-dec"},
		Sounds: []alsa.Device{hdmi(0, alsa.Plugged, "LG TV"), hdmi(1, alsa.Unplugged, ""),
			{Card: alsa.Card{Number: 2, ID: "Headphones", Name: "bcm2835 Headphones"}, Kind: alsa.Analog}},
		TVs: []cec.Device{{Path: "/dev/cec0", Driver: "vc4_hdmi", Wired: true, Card: 1, Connector: 33},
			{Path: "/dev/cec1", Driver: "vc4_hdmi", Wired: true, Card: 1, Connector: 42}},
		Heaps: []dmaheap.Source{{Name: "vidbuf_cached", Path: "/dev/dma_heap/vidbuf_cached"}, {Name: "linux,cma", Path: "/dev/dma_heap/linux,cma"}},
		Choice: receiver.Choice{Picture: "display HDMI-A-1 on /dev/dri/card1 (vc4), LG TV SSCR2 at 1920x1080@60 (1080p60 with the timing of television)", PictureWhy: "a free display was found",
			Decoder: "H.264 by /dev/video10 (bcm2835-codec, bcm2835-codec-decode): the machine has one",
			HEVC:    "HEVC in software: there is /dev/video19 (rpi-hevc-dec), but video.hevc_hardware is off",
			Way:     "decoded into memory of /dev/dma_heap/vidbuf_cached that the display reads: nothing is copied",
			Sound:   "ALSA device vc4hdmi0,0 (MAI PCM i2s-hifi-0)", SoundWhy: "the best device there is: vc4hdmi0,0",
			Limits: board.Limits{Width: 1920, Height: 1080, FPS: 60, Threads: 3, Reason: "H.264 in hardware"}}},
	"pi5-desktop": {Version: "1.0", Kernel: "6.12.34+rpt-rpi-2712 aarch64",
		Board:   board.Board{Family: board.Pi5, Model: "Raspberry Pi 5 Model B Rev 1.0", Memory: 8 * gib, CPUs: 4, HEVC: true},
		Health:  board.Health{Temperature: 61, Warm: true, Clock: 2400, Power: board.Mailbox},
		Cards:   []drm.CardInfo{{Path: "/dev/dri/card1", Driver: "vc4", Busy: true, Connectors: []drm.ConnectorInfo{television("HDMI-A-1"), {Name: "HDMI-A-2"}}}},
		Holders: map[string]string{"/dev/dri/card1": "labwc (812)"},
		Sounds:  []alsa.Device{hdmi(0, alsa.Plugged, "LG TV")},
		Heaps:   []dmaheap.Source{{Name: "system", Path: "/dev/dma_heap/system"}},
		Choice: receiver.Choice{Picture: "the status page", PictureWhy: "the display belongs to a desktop", Sound: "the status page", SoundWhy: "the picture goes to the page",
			Limits: board.Limits{Width: 1920, Height: 1080, FPS: 60, Threads: 1, Reason: "pictures are not decoded here"}}},
	"pi3-bare": {Version: "1.0", Kernel: "6.12.34 aarch64",
		Board:    board.Board{Family: board.Pi3, Model: "Raspberry Pi 3 Model B Plus Rev 1.3", Memory: gib, CPUs: 4, H264: true, Jack: true},
		Health:   board.Health{Temperature: 80.1, Warm: true, Clock: 600, Now: board.Throttled, SinceBoot: board.Throttled | board.UnderVoltage, Power: board.Sysfs},
		Cards:    []drm.CardInfo{{Path: "/dev/dri/card0", Driver: "simpledrm", Err: fmt.Errorf("drm: /dev/dri/card0: atomic mode setting: %w", unix.EOPNOTSUPP)}},
		SoundErr: fmt.Errorf("alsa: Headphones: open: %w (is the user in group audio?)", fs.ErrPermission),
		Heaps:    []dmaheap.Source{{Name: "linux,cma", Path: "/dev/dma_heap/linux,cma", Err: fmt.Errorf("dmaheap: open: %w", fs.ErrPermission)}},
		Choice: receiver.Choice{Picture: "the status page", PictureWhy: "no display that can be driven directly", Sound: "the status page", SoundWhy: "the picture goes to the page",
			Limits: board.Limits{Width: 1920, Height: 1080, FPS: 60, Threads: 1, Reason: "pictures are not decoded here"}}},
	"pi4-no-permission": {Version: "1.0", Kernel: "6.12.34+rpt-rpi-v8 aarch64",
		Board:    board.Board{Family: board.Pi4, Model: "Raspberry Pi 4 Model B Rev 1.4", Memory: 4 * gib, CPUs: 4, H264: true, HEVC: true},
		Cards:    []drm.CardInfo{{Path: "/dev/dri/card1", Err: fmt.Errorf("drm: /dev/dri/card1: open: %w", fs.ErrPermission)}},
		Decoders: []string{"video10 bcm2835-codec-decode"},
		TVs:      []cec.Device{{Path: "/dev/cec0", Err: fmt.Errorf("cec: /dev/cec0: open: %w", fs.ErrPermission)}},
		Choice: receiver.Choice{Picture: "the status page", PictureWhy: "no display that can be driven directly", Sound: "the status page", SoundWhy: "the picture goes to the page",
			Limits: board.Limits{Width: 1920, Height: 1080, FPS: 60, Threads: 1, Reason: "pictures are not decoded here"}}},
	"pc": {Version: "devel", Kernel: "6.18.44 x86_64", Board: board.Board{Family: board.PC, Model: "QEMU Standard PC", Memory: 16 * gib, CPUs: 8},
		Choice: receiver.Choice{Picture: "the status page", PictureWhy: "no display that can be driven directly", Sound: "the status page", SoundWhy: "the picture goes to the page",
			Limits: board.Limits{Width: 1920, Height: 1080, FPS: 60, Threads: 1, Reason: "pictures are not decoded here"}}},
}

// TestProbeLayout holds what is printed for made-up machines against the golden
// texts: one screen each, none of them wider than it should be.
func TestProbeLayout(t *testing.T) {
	for name, r := range machines {
		var b bytes.Buffer
		if err := r.print(&b); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", "probe", name+".txt")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(file); err != nil || !bytes.Equal(want, b.Bytes()) {
			t.Errorf("%s: printed (UPDATE=1 writes it, %v)\n%s", name, err, &b)
		}
		lines := strings.Split(b.String(), "\n")
		if len(lines) > 32 {
			t.Errorf("%s: %d lines are no screen", name, len(lines))
		}
		for _, l := range lines {
			if len(l) > pageWidth || strings.HasSuffix(l, " ") {
				t.Errorf("%s: the line %q", name, l)
			}
		}
	}
}

// What there is to see of programs and decoders is read from files.
func TestProbeFiles(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("sys/class/video4linux/video10/name", "bcm2835-codec-decode\n")
	put("sys/class/video4linux/video11/name", "bcm2835-codec-encode_image\n")
	put("sys/class/video4linux/video12/name", "bcm2835-isp\n")
	if got := decoders(root); strings.Join(got, "|") != "video10 bcm2835-codec-decode" {
		t.Errorf("decoders %q", got)
	}
	put("proc/812/comm", "labwc\n")
	if err := os.MkdirAll(filepath.Join(root, "proc/812/fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/dri/card1", filepath.Join(root, "proc/812/fd/7")); err != nil {
		t.Fatal(err)
	}
	if got := holder(filepath.Join(root, "proc"), "/dev/dri/card1"); got != "labwc (812)" {
		t.Errorf("held by %q", got)
	}
	if got := holder(filepath.Join(root, "proc"), "/dev/dri/card0"); got != "" {
		t.Errorf("held by %q", got)
	}
}
