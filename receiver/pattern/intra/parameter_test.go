package intra

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os/exec"
	"testing"
)

// probed is what ffprobe says about a stream.
type probed struct {
	Profile       string
	Width         int
	Height        int
	PixelFormat   string `json:"pix_fmt"`
	Level         int
	ColorRange    string `json:"color_range"`
	ColorSpace    string `json:"color_space"`
	Transfer      string `json:"color_transfer"`
	Primaries     string `json:"color_primaries"`
	FieldOrder    string `json:"field_order"`
	References    int    `json:"refs"`
	FrameRate     string `json:"r_frame_rate"`
	IsAVC         string `json:"is_avc"`
	BitsPerSample string `json:"bits_per_raw_sample"`
}

// TestParameterSets has ffprobe read the parameter sets.
func TestParameterSets(t *testing.T) {
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("ffprobe is not installed: it reads the parameter sets")
	}
	for _, c := range []struct {
		config Config
		level  int
		rate   string
	}{
		{Config{Width: 1920, Height: 1080, FPS: 60}, 42, "60/1"},
		{Config{Width: 1920, Height: 1080, FPS: 30}, 40, "30/1"},
		{Config{Width: 1280, Height: 720, FPS: 60, FullRange: true}, 32, "60/1"},
		{Config{Width: 640, Height: 480, FPS: 25}, 30, "25/1"},
		{Config{Width: 1170, Height: 2532, FPS: 60}, 51, "60/1"},
		{Config{Width: 3840, Height: 2160, FPS: 60}, 52, "60/1"},
		{Config{Width: 18, Height: 34, FPS: 120}, 30, "120/1"},
	} {
		e, err := New(c.config)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(ffprobe, "-v", "error", "-f", "h264", "-show_streams", "-of", "json", "-")
		cmd.Stdin = bytes.NewReader(annexB(e, e.AppendFrame(nil, true), e.AppendFrame(nil, false), e.AppendFrame(nil, false)))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		var streams struct{ Streams []probed }
		if err := json.Unmarshal(out, &streams); err != nil || len(streams.Streams) != 1 {
			t.Fatalf("%v\n%s", err, out)
		}
		want := probed{
			Profile: "High", Width: c.config.Width, Height: c.config.Height,
			PixelFormat: "yuv420p", Level: c.level, ColorRange: "tv",
			ColorSpace: "bt709", Transfer: "bt709", Primaries: "bt709", FieldOrder: "progressive",
			References: 1, FrameRate: c.rate, IsAVC: "false", BitsPerSample: "8",
		}
		if c.config.FullRange {
			want.ColorRange, want.PixelFormat = "pc", "yuvj420p"
		}
		if got := streams.Streams[0]; got != want {
			t.Errorf("%+v:\n%+v, want\n%+v", c.config, got, want)
		}
	}
}

// TestParameterSetBytes pins the parameter sets of the most usual stream.
func TestParameterSetBytes(t *testing.T) {
	e, err := New(Config{Width: 1920, Height: 1080, FPS: 60})
	if err != nil {
		t.Fatal(err)
	}
	const sps, pps = "6764002aac2cc80780227e59a808080a000003000200000300f008", "68ce033c80"
	if got := hex.EncodeToString(e.SPS()); got != sps {
		t.Errorf("SPS %s, want %s", got, sps)
	}
	if got := hex.EncodeToString(e.PPS()); got != pps {
		t.Errorf("PPS %s, want %s", got, pps)
	}
}
