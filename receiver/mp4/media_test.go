package mp4

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/receiver/codec/h264"
	"aerie/receiver/codec/hevc"
)

// ffmpeg runs a tool of FFmpeg that has to succeed and to complain about
// nothing, and returns what it prints.
func ffmpeg(t testing.TB, tool string, args ...string) string {
	t.Helper()
	out, complaints := tryFFmpeg(t, tool, args...)
	if complaints != "" {
		t.Fatalf("%s %s: %s", tool, strings.Join(args, " "), complaints)
	}
	return out
}

func tryFFmpeg(t testing.TB, tool string, args ...string) (out, complaints string) {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Skipf("%s is not installed (Debian: apt install ffmpeg)", tool)
	}
	cmd := exec.Command(path, append([]string{"-v", "error"}, args...)...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), err.Error() + "\n" + stderr.String()
	}
	return stdout.String(), stderr.String()
}

// A clip is a real elementary stream in access units with start codes.
type clip struct {
	video  Video
	width  int
	height int
	units  [][]byte
	keys   []bool
}

// A soundtrack is AAC-LC in frames of 1024 samples.
type soundtrack struct {
	audio  Audio
	rate   int
	frames [][]byte
}

var made sync.Map // what has been encoded already, by name

// once encodes something the first time it is asked for.
func once[T any](name string, make func() T) T {
	f, _ := made.LoadOrStore(name, sync.OnceValue(make))
	return f.(func() T)()
}

// makeClip encodes n test pictures as an AirPlay sender does: one key picture,
// then none, one slice for each picture.
func makeClip(t testing.TB, codec Codec, width, height, n int) *clip {
	t.Helper()
	return once(fmt.Sprintf("%v %dx%d %d", codec, width, height, n), func() *clip {
		source := fmt.Sprintf("testsrc2=size=%dx%d:rate=30,format=yuv420p", width, height)
		args := []string{"-f", "lavfi", "-i", source, "-frames:v", strconv.Itoa(n), "-tune", "zerolatency", "-preset", "ultrafast"}
		if codec == HEVC {
			args = append(args, "-c:v", "libx265", "-x265-params", "log-level=0:bframes=0:slices=1:keyint=-1:scenecut=0:info=0:frame-threads=1", "-f", "hevc", "-")
		} else {
			args = append(args, "-c:v", "libx264", "-x264-params", "keyint=infinite:scenecut=0:slices=1:sliced-threads=0", "-f", "h264", "-")
		}
		stream := []byte(ffmpeg(t, "ffmpeg", args...))
		c := splitStream(t, codec, stream)
		c.width, c.height = width, height
		if len(c.units) != n {
			t.Fatalf("%d access units, want %d", len(c.units), n)
		}
		return c
	})
}

func splitStream(t testing.TB, codec Codec, stream []byte) *clip {
	c := &clip{video: Video{Codec: codec, AnnexB: true}}
	sets := map[int][][]byte{}
	var unit []byte
	var slices, key bool
	end := func() {
		if slices {
			c.units, c.keys = append(c.units, unit), append(c.keys, key)
			unit, slices, key = nil, false, false
		}
	}
	for nal := range h264.AnnexB(stream) {
		kind, set, slice, first, idr := int(h264.TypeOf(nal)), h264.TypeOf(nal).IsParameterSet(), h264.TypeOf(nal).IsSlice(),
			h264.IsFirstSlice(nal), h264.TypeOf(nal) == h264.TypeIDR
		if codec == HEVC {
			h := hevc.TypeOf(nal)
			kind, set, slice, first, idr = int(h), h.IsParameterSet(), h.IsSlice(), hevc.IsFirstSlice(nal), h.IsIRAP()
		}
		if set {
			sets[kind] = [][]byte{nal}
			continue
		}
		if !slice || first {
			end()
		}
		unit = h264.AppendAnnexB(unit, nal)
		slices, key = slices || slice, key || idr
	}
	end()
	if codec == HEVC {
		config, err := hevc.NewConfig(sets[int(hevc.TypeVPS)], sets[int(hevc.TypeSPS)], sets[int(hevc.TypePPS)])
		if err != nil {
			t.Fatal(err)
		}
		c.video.Config = config.Append(nil)
		return c
	}
	config, err := h264.NewConfig(sets[int(h264.TypeSPS)], sets[int(h264.TypePPS)])
	if err != nil {
		t.Fatal(err)
	}
	c.video.Config = config.Append(nil)
	return c
}

// makeSound encodes a tone.
func makeSound(t testing.TB, rate int, seconds float64) *soundtrack {
	t.Helper()
	return once(fmt.Sprintf("sound %d %v", rate, seconds), func() *soundtrack {
		adts := []byte(ffmpeg(t, "ffmpeg", "-f", "lavfi", "-i", fmt.Sprintf("sine=frequency=440:sample_rate=%d:duration=%v", rate, seconds),
			"-ac", "2", "-c:a", "aac", "-b:a", "128k", "-f", "adts", "-"))
		s := &soundtrack{rate: rate}
		for len(adts) > 7 {
			size := int(adts[3]&3)<<11 | int(adts[4])<<3 | int(adts[5])>>5
			s.frames = append(s.frames, adts[7:size])
			adts = adts[size:]
		}
		for i, r := range sampleRates {
			if r == rate {
				s.audio.Config = []byte{2<<3 | byte(i>>1), byte(i&1)<<7 | 2<<3}
			}
		}
		return s
	})
}

// at returns when frame i is heard.
func (s *soundtrack) at(i int) time.Duration {
	return time.Duration(i) * 1024 * time.Second / time.Duration(s.rate)
}

// A packet is what ffprobe says of a sample.
type packet struct {
	pts      float64 // seconds
	duration float64
	size     int
	key      bool
	position int64
}

// probe returns the packets of a stream ("v" or "a") in file order.
func probe(t testing.TB, file, stream string) (packets []packet) {
	t.Helper()
	return parsePackets(t, ffmpeg(t, "ffprobe", probeArgs(file, stream)...))
}

func probeArgs(file, stream string) []string {
	return []string{"-select_streams", stream, "-show_entries", "packet=pts_time,duration_time,size,pos,flags", "-of", "csv=p=0", file}
}

func parsePackets(t testing.TB, out string) (packets []packet) {
	for _, line := range strings.Fields(out) {
		f := strings.Split(strings.TrimRight(line, ","), ",")
		var p packet
		var err [4]error
		p.pts, err[0] = strconv.ParseFloat(f[0], 64)
		if f[1] != "N/A" { // of the last packet of a torso
			p.duration, err[1] = strconv.ParseFloat(f[1], 64)
		}
		p.size, err[2] = strconv.Atoi(f[2])
		p.position, err[3] = strconv.ParseInt(f[3], 10, 64)
		for _, e := range err {
			if e != nil {
				t.Fatalf("packet %q: %v", line, e)
			}
		}
		p.key = strings.HasPrefix(f[4], "K")
		packets = append(packets, p)
	}
	return packets
}

// decode decodes a stream to the end and returns the checksum of every frame.
func decode(t testing.TB, file, stream string) (sums []string) {
	t.Helper()
	return checksums(ffmpeg(t, "ffmpeg", "-i", file, "-map", "0:"+stream, "-fps_mode", "passthrough", "-f", "framemd5", "-"))
}

func checksums(framemd5 string) (sums []string) {
	for _, line := range strings.Split(framemd5, "\n") {
		if f := strings.Split(line, ","); len(f) == 6 && !strings.HasPrefix(line, "#") {
			sums = append(sums, strings.TrimSpace(f[5]))
		}
	}
	return sums
}

// pictures decodes the elementary stream of a clip, the truth for all files
// made of it.
func (c *clip) pictures(t testing.TB) []string {
	t.Helper()
	return once(fmt.Sprintf("pictures %p", c), func() []string {
		v, err := newVideoTrack(c.video)
		if err != nil {
			t.Fatal(err)
		}
		var stream []byte
		for nal := range h264.LengthPrefixed(v.sets) {
			stream = h264.AppendAnnexB(stream, nal)
		}
		for _, u := range c.units {
			stream = append(stream, u...)
		}
		file := filepath.Join(t.TempDir(), "stream")
		if err := os.WriteFile(file, stream, 0o600); err != nil {
			t.Fatal(err)
		}
		format := "h264"
		if c.video.Codec == HEVC {
			format = "hevc"
		}
		return checksums(ffmpeg(t, "ffmpeg", "-f", format, "-i", file, "-fps_mode", "passthrough", "-f", "framemd5", "-"))
	})
}
