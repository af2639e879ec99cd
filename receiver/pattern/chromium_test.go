package pattern

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"aerie/receiver/pattern/stamp"
)

// page plays a video, reads the stamp of each frame that is shown as the
// status page would, and posts what it read.
const page = `<!doctype html>
<video muted src="video.mp4"></video>
<script type="module">
import {find, place, read} from "./stamp.js"
const video = document.querySelector("video")
const draw = (source, width, height) => {
  const canvas = new OffscreenCanvas(width, height)
  canvas.getContext("2d", {willReadFrequently: true}).drawImage(source, 0, 0, width, height)
  return canvas
}
const pixels = canvas => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
const post = result => fetch("result", {method: "POST", body: JSON.stringify(result)})
const frames = []
const shown = (now, metadata) => {
  const width = video.videoWidth, height = video.videoHeight
  const whole = draw(video, width, height)
  const small = find(pixels(draw(whole, width / 2, height / 2)))
  frames.push({
    time: metadata.mediaTime,
    stamp: read(pixels(whole), place(width, height)),
    small: small && small.stamp,
  })
  if (frames.length < 20) video.requestVideoFrameCallback(shown)
  else post({frames})
}
video.requestVideoFrameCallback(shown)
video.onerror = () => post({error: video.error.message})
video.play().catch(e => post({error: String(e)}))
</script>`

type pageStamp struct{ Frame, Time uint64 }

type pageResult struct {
	Error  string
	Frames []struct {
		Time         float64
		Stamp, Small *pageStamp
	}
}

// TestChromium plays a stream in headless Chromium, whose decoder and canvas
// are those of a status page's visitor.
func TestChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	chromium := lookFor(t, "chromium", "chromium-browser", "google-chrome")
	ffmpeg := lookFor(t, "ffmpeg")
	dir := t.TempDir()
	writeMP4(t, ffmpeg, filepath.Join(dir, "video.mp4"))

	results := make(chan pageResult, 1)
	mux := http.NewServeMux()
	mux.Handle("GET /video.mp4", http.FileServer(http.Dir(dir)))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Write([]byte(page))
	})
	mux.HandleFunc("GET /stamp.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		w.Write(stamp.Script)
	})
	mux.HandleFunc("POST /result", func(_ http.ResponseWriter, r *http.Request) {
		var result pageResult
		if err := json.NewDecoder(r.Body).Decode(&result); err != nil {
			result.Error = err.Error()
		}
		select {
		case results <- result:
		default:
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio",
		"--no-first-run", "--disable-dev-shm-usage", "--autoplay-policy=no-user-gesture-required",
		"--user-data-dir="+filepath.Join(dir, "profile"), server.URL)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // lets it end its own children
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		cmd.Wait()
	}()
	select {
	case result := <-results:
		checkFrames(t, result)
	case <-ctx.Done():
		t.Fatal("the page posted no result")
	}
}

func lookFor(t *testing.T, names ...string) string {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}

// writeMP4 writes ten seconds of a stream at 30 frames per second.
func writeMP4(t *testing.T, ffmpeg, path string) {
	s := newStream(t, 1280, 720, 30)
	var units [][]byte
	for i := range 300 {
		elapsed := time.Duration(i) * time.Second / 30
		units = append(units, s.AppendFrame(nil, Frame{1000 + uint32(i), elapsed, 1 << 40 * uint64(i)}, false))
	}
	raw := path + ".h264"
	if err := os.WriteFile(raw, annexB(s, units...), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(ffmpeg, "-v", "error", "-r", "30", "-i", raw, "-c", "copy", "-movflags", "faststart", path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func checkFrames(t *testing.T, result pageResult) {
	if result.Error != "" || len(result.Frames) == 0 {
		t.Fatalf("%d frames, error %q", len(result.Frames), result.Error)
	}
	for i, f := range result.Frames {
		if f.Stamp == nil || f.Small == nil {
			t.Fatalf("frame %d at %.3f s: no stamp read: %v %v", i, f.Time, f.Stamp, f.Small)
		}
		// The canvas may already show a later frame than the callback
		// announces, never an earlier one.
		number := float64(f.Stamp.Frame - 1000)
		if late := number - f.Time*30; late < -0.5 || late > 30 {
			t.Errorf("frame %d at %.3f s shows number %d", i, f.Time, f.Stamp.Frame)
		}
		if f.Stamp.Time != (f.Stamp.Frame-1000)<<40&stamp.MaxTime {
			t.Errorf("frame %d: %+v", i, *f.Stamp)
		}
		if *f.Small != *f.Stamp {
			t.Errorf("frame %d: scaled %+v, whole %+v", i, *f.Small, *f.Stamp)
		}
	}
}
