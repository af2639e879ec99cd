package codec

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time that this process has used, on all threads: a
// measure that other work on the machine does not lengthen much.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	must(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDecode1080p decodes one frame per operation and tells its processor
// time. The floor is the system's ffmpeg, which runs the same decoder in C on
// one thread; its start is part of the measure.
func BenchmarkDecode1080p(b *testing.B) {
	for _, o := range []VideoOptions{{}, {Threads: 2}} {
		b.Run(o.String(), func(b *testing.B) {
			c := makeClip(b, H264, "1920x1080", 60)
			r := newRig(b, H264, o)
			b.ReportAllocs()
			i := 0
			before := cpuTime(b)
			for b.Loop() {
				if i == len(c.units) {
					r.Flush()
					i = 0
				}
				must(b, r.send(c.units[i], int64(i)))
				for r.Receive(r.frame) != ErrAgain {
				}
				i++
			}
			b.ReportMetric((cpuTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/frame")
		})
	}
	b.Run("floor", func(b *testing.B) {
		c := makeClip(b, H264, "1920x1080", 60)
		file := filepath.Join(b.TempDir(), "clip.h264")
		must(b, os.WriteFile(file, bytes.Join(c.units, nil), 0o600))
		frames, used := 0, time.Duration(0)
		for b.Loop() {
			if frames%60 == 0 {
				cmd := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-threads", "1", "-flags", "low_delay", "-i", file, "-f", "null", "-")
				if out, err := cmd.CombinedOutput(); err != nil {
					b.Fatalf("%v\n%s", err, out)
				}
				used += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
			}
			frames++
		}
		b.ReportMetric(used.Seconds()*1e3/float64((frames+59)/60*60), "cpu-ms/frame")
	})
}

// BenchmarkConvert writes a 1080p picture; the floor for each format is the
// copy of as many bytes from one place to another.
func BenchmarkConvert(b *testing.B) {
	f := randomFrame(b, I420, 1920, 1080, 0, Colour{Matrix: MatrixBT709}, false)
	for _, to := range []Format{I420, NV12, XRGB8888} {
		dst := NewImage(to, 1920, 1080, 64)
		size := 0
		for _, p := range dst.Planes {
			size += len(p)
		}
		b.Run(to.String(), func(b *testing.B) {
			var v Converter
			defer v.Close()
			b.SetBytes(int64(size))
			for b.Loop() {
				must(b, v.Convert(dst, f))
			}
		})
		b.Run(to.String()+"/floor", func(b *testing.B) {
			src := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				n := 0
				for _, p := range dst.Planes {
					n += copy(p, src[n:])
				}
			}
		})
	}
	for _, size := range [][2]int{{1280, 720}, {1024, 576}} {
		b.Run(fmt.Sprintf("XRGB8888/%dx%d", size[0], size[1]), func(b *testing.B) {
			dst := NewImage(XRGB8888, size[0], size[1], 64)
			var v Converter
			defer v.Close()
			b.SetBytes(int64(len(dst.Planes[0])))
			for b.Loop() {
				must(b, v.Convert(dst, f))
			}
		})
	}
}

// BenchmarkAudio decodes a packet of 480 samples, which last 10.9 ms, and
// encodes a frame of 1024, which last 21.3 ms.
func BenchmarkAudio(b *testing.B) {
	measure := func(name string, step func(i int) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			for i := 0; b.Loop(); i++ {
				must(b, step(i))
			}
			b.ReportMetric((cpuTime(b)-before).Seconds()*1e3/float64(b.N), "cpu-ms/frame")
		})
	}
	packets, _ := loadELD(b)
	d := newAudio(b, eld)
	buf := make([]float32, 960)
	measure("AAC-ELD decoder", func(i int) error {
		_, err := d.Decode(packets[i%len(packets)], buf)
		return err
	})
	e, err := NewAudioEncoder(48000, 128000)
	must(b, err)
	defer e.Close()
	sound, unit := tone(48000, 20*EncoderFrame), make([]byte, MaxAccessUnit)
	measure("AAC-LC encoder", func(i int) error {
		at := i % 20 * EncoderFrame * EncoderChannels
		_, err := e.Encode(sound[at:at+EncoderFrame*EncoderChannels], unit)
		return err
	})
}
