package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAllocations counts what the hot paths allocate on the Go heap.
func TestAllocations(t *testing.T) {
	if instrumented {
		t.Skip("the race detector and the sanitizer allocate")
	}
	none := func(what string, f func()) {
		t.Helper()
		f()
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s allocates %.1f times", what, n)
		}
	}
	for _, v := range clips {
		for _, o := range []VideoOptions{{}, {Threads: 2}, {Memory: newDisplayFixed(t)}} {
			c := loadClip(t, v.name, v.codec)
			r := newRig(t, v.codec, o)
			i := 0
			none(fmt.Sprintf("%s with %+v", v.name, o), func() {
				if i == len(c.units) {
					r.Flush()
					i = 0
				}
				must(t, r.send(c.units[i], int64(i)))
				i++
				for r.Receive(r.frame) != ErrAgain {
				}
			})
		}
	}
	var v Converter
	defer v.Close()
	f := randomFrame(t, I420, 128, 72, 0, Colour{}, false)
	for _, to := range []Format{I420, NV12, XRGB8888} {
		dst := NewImage(to, 128, 72, 64)
		none("conversion to "+to.String(), func() { must(t, v.Convert(dst, f)) })
	}

	packets, _ := loadELD(t)
	d := newAudio(t, eld)
	buf := make([]float32, 960)
	i := 0
	none("AAC-ELD", func() {
		_, err := d.Decode(packets[i%len(packets)], buf)
		must(t, err)
		i++
	})
	pcm := newAudio(t, AudioParameters{Codec: PCM16, Rate: 44100, Channels: 2, FrameLength: 352})
	packet := make([]byte, 1408)
	none("PCM", func() { pcm.Decode(packet, buf) })
	p := AudioParameters{Codec: ALAC, Rate: 44100, Channels: 2, FrameLength: 352}
	p.Config = cookie(p, 16)
	alac, frame := newAudio(t, p), verbatim(make([]int32, 704), 16)
	none("ALAC", func() {
		_, err := alac.Decode(frame, buf)
		must(t, err)
	})
	e, err := NewAudioEncoder(48000, 128000)
	must(t, err)
	defer e.Close()
	sound, unit := tone(48000, EncoderFrame), make([]byte, MaxAccessUnit)
	none("AAC encoder", func() {
		_, err := e.Encode(sound, unit)
		must(t, err)
	})
}

// fixedDisplay lends prepared memory without allocating, as a display does.
type fixedDisplay struct {
	t    testing.TB
	free []int
	all  []Picture
}

func newDisplayFixed(t testing.TB) *fixedDisplay { return &fixedDisplay{t: t} }

func (d *fixedDisplay) Lend(l Layout) (Picture, bool) {
	if d.all == nil {
		for id := range 8 {
			p := Picture{ID: id, Strides: l.Strides}
			for i := range l.Planes {
				p.Planes[i] = guarded(d.t, l.Strides[i]*l.Rows[i]+l.Tail, l.Align-(l.Strides[i]*l.Rows[i]+l.Tail)%l.Align)
			}
			d.all, d.free = append(d.all, p), append(d.free, id)
		}
	}
	if len(d.free) == 0 {
		return Picture{}, false
	}
	id := d.free[len(d.free)-1]
	d.free = d.free[:len(d.free)-1]
	return d.all[id], true
}

func (d *fixedDisplay) Return(id int) { d.free = append(d.free, id) }

// status returns a line of /proc/self/status, in KiB.
func status(t testing.TB, key string) (kib int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	must(t, err)
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key+":"); ok {
			_, err := fmt.Sscan(rest, &kib)
			must(t, err)
			return kib
		}
	}
	t.Fatalf("no %s in /proc/self/status", key)
	return 0
}

// TestResidentMemory decodes 1080p in a process of its own, which measures
// itself: the limit for the whole of the program is 60 MB. Decoding the clip
// several more times must not make the process grow.
func TestResidentMemory(t *testing.T) {
	if instrumented {
		t.Skip("the race detector and the sanitizer need memory themselves")
	}
	const role = "AERIE_TEST_RESIDENT"
	if file := os.Getenv(role); file != "" {
		residentMemory(t, file)
		return
	}
	c := makeClip(t, H264, "1920x1080", 60)
	file := filepath.Join(t.TempDir(), "clip")
	var stream []byte
	for _, u := range c.units {
		stream = append(binary.BigEndian.AppendUint32(stream, uint32(len(u))), u...)
	}
	must(t, os.WriteFile(file, stream, 0o600))
	cmd := exec.Command(os.Args[0], "-test.run=^TestResidentMemory$", "-test.v")
	cmd.Env = append(os.Environ(), role+"="+file)
	out, err := cmd.CombinedOutput()
	if errors.Is(err, unix.ENOEXEC) {
		t.Skip("this program runs under an emulator, and so its memory is the emulator's")
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "resident") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// residentMemory reads units as a receiver does: a length, and then as many
// bytes into a leased buffer.
func residentMemory(t *testing.T, file string) {
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	r := newRig(t, H264, VideoOptions{})
	round := func() {
		_, err := f.Seek(0, io.SeekStart)
		must(t, err)
		n := 0
		for ; ; n++ {
			var head [4]byte
			if _, err := io.ReadFull(f, head[:]); err == io.EOF {
				break
			}
			in, err := r.pool.Lease(int(binary.BigEndian.Uint32(head[:])))
			must(t, err)
			_, err = io.ReadFull(f, in.Bytes())
			must(t, err)
			must(t, r.Send(in, in.Bytes(), int64(n)))
			must(t, r.Receive(r.frame))
		}
		if n != 60 {
			t.Fatalf("%d pictures", n)
		}
		r.frame.Release()
		r.Flush()
	}
	resident := func() int {
		debug.FreeOSMemory() // Go's garbage is not at issue
		return status(t, "VmRSS")
	}
	for range 4 {
		round()
	}
	before := resident()
	for range 6 {
		round()
	}
	after, peak := resident(), status(t, "VmHWM")
	t.Logf("resident: %d KiB after 4 rounds, %d KiB after 10, peak %d KiB", before, after, peak)
	if peak > 60_000_000/1024 {
		t.Errorf("resident memory reached %d KiB", peak)
	}
	if after > before+1024 {
		t.Errorf("resident memory grew from %d to %d KiB", before, after)
	}
}
