package codec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// The clips in testdata are shaped like a phone's: one slice a frame, no
// B-frames, no SEI, parameter sets once at the start; 350x198 pixels, so that
// both directions need cropping. They were made from ffmpeg's testsrc2 with
// noise by Debian's libx264 and libx265 (settings as in largeClip), and the
// checksums beside them by "ffmpeg -i CLIP -f framemd5 -".
var clips = []struct {
	name   string
	codec  VideoCodec
	format Format
	colour Colour
	aspect [2]int
}{
	{"high.h264", H264, I420, Colour{1, 1, MatrixBT709, false}, [2]int{1, 1}},
	{"main.hevc", HEVC, I420, Colour{2, 2, MatrixSMPTE170M, true}, [2]int{4, 3}},
	{"main10.hevc", HEVC, I420P10, Colour{9, 16, MatrixBT2020, false}, [2]int{1, 1}},
}

// clip is a stream cut into access units.
type clip struct {
	codec VideoCodec
	units [][]byte
	sums  []string // MD5 of each picture's visible rows, plane after plane
}

func loadClip(t testing.TB, name string, codec VideoCodec) *clip {
	t.Helper()
	stream, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join("testdata", name+".md5"))
	if err != nil {
		t.Fatal(err)
	}
	return &clip{codec, accessUnits(codec, stream), strings.Fields(string(sums))}
}

// rig is a decoder with its input pool and a frame.
type rig struct {
	*VideoDecoder
	pool  *InputPool
	frame *Frame
}

func newRig(t testing.TB, codec VideoCodec, o VideoOptions) *rig {
	t.Helper()
	d, err := NewVideoDecoder(codec, o)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := NewInputPool(d.Inputs(), 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := NewFrame()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { frame.Free(); d.Close(); pool.Close() })
	return &rig{d, pool, frame}
}

// send copies a unit to a leased buffer and sends it.
func (r *rig) send(unit []byte, token int64) error {
	in, err := r.pool.Lease(len(unit))
	if err != nil {
		return err
	}
	copy(in.Bytes(), unit)
	return r.Send(in, in.Bytes(), token)
}

// decode sends every unit, with its index as the token, and calls got for
// every picture, up to the end of the stream.
func (r *rig) decode(units [][]byte, got func(f *Frame)) error {
	for i, unit := range units {
		if err := r.send(unit, int64(i)); err != nil {
			return fmt.Errorf("unit %d: %w", i, err)
		}
		if err := r.receiveAll(got); err != ErrAgain {
			return fmt.Errorf("unit %d: %w", i, err)
		}
	}
	if err := r.Drain(); err != nil {
		return err
	}
	if err := r.receiveAll(got); err != io.EOF {
		return err
	}
	return nil
}

func (r *rig) receiveAll(got func(f *Frame)) error {
	for {
		if err := r.Receive(r.frame); err != nil {
			return err
		}
		got(r.frame)
		r.frame.Release()
	}
}

// makeClip has Debian's ffmpeg encode a test pattern and decode it again for
// the checksums; the clip is made once per test run.
var madeClips sync.Map

func makeClip(t testing.TB, codec VideoCodec, size string, frames int) *clip {
	t.Helper()
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		t.Skip("ffmpeg is missing: sudo apt install ffmpeg")
	}
	key := fmt.Sprint(codec, size, frames)
	if c, ok := madeClips.Load(key); ok {
		return c.(*clip)
	}
	mp4 := filepath.Join(t.TempDir(), "clip.mp4")
	args := []string{"-f", "lavfi", "-i", fmt.Sprintf("testsrc2=size=%s:rate=60,noise=alls=6:allf=t,format=yuv420p", size), "-frames:v", fmt.Sprint(frames)}
	filter := "h264_mp4toannexb"
	if codec == H264 {
		args = append(args, "-c:v", "libx264", "-profile:v", "high", "-preset", "superfast", "-tune", "zerolatency",
			"-x264-params", "bframes=0:ref=1:slices=1:sliced-threads=0:rc-lookahead=0:sync-lookahead=0:mbtree=0:keyint=infinite:scenecut=0:aud=0:repeat-headers=0:cabac=1:8x8dct=1:weightp=0",
			"-b:v", "15M", "-maxrate", "15M", "-bufsize", "1M", "-bsf:v", "filter_units=remove_types=6")
	} else {
		filter = "hevc_mp4toannexb"
		args = append(args, "-c:v", "libx265", "-preset", "ultrafast", "-tune", "zerolatency", "-tag:v", "hvc1",
			"-x265-params", "log-level=error:bframes=0:ref=1:slices=1:keyint=-1:scenecut=0:repeat-headers=0:aud=0:info=0:rc-lookahead=0:frame-threads=1")
	}
	ffmpeg(t, append(args, mp4)...)
	stream := ffmpeg(t, "-i", mp4, "-c", "copy", "-bsf:v", filter, "-f", map[VideoCodec]string{H264: "h264", HEVC: "hevc"}[codec], "-")
	c := &clip{codec: codec, units: accessUnits(codec, stream)}
	for line := range strings.Lines(string(ffmpeg(t, "-i", mp4, "-f", "framemd5", "-"))) {
		if fields := strings.Fields(line); !strings.HasPrefix(line, "#") && len(fields) > 0 {
			c.sums = append(c.sums, fields[len(fields)-1])
		}
	}
	if len(c.units) != frames || len(c.sums) != frames {
		t.Fatalf("ffmpeg made %d access units and decoded %d, not %d", len(c.units), len(c.sums), frames)
	}
	madeClips.Store(key, c)
	return c
}

func ffmpeg(t testing.TB, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("ffmpeg", append([]string{"-nostdin", "-v", "error", "-y"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && strings.Contains(stderr.String(), "Unknown encoder") {
		t.Skip("this machine's ffmpeg lacks the encoder")
	}
	if err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, stderr.String())
	}
	return out
}

// must fails the test unless err is nil or one of those allowed.
func must(t testing.TB, err error, allowed ...error) {
	t.Helper()
	for _, a := range allowed {
		if errors.Is(err, a) {
			return
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
