package status

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/live"
	"aerie/receiver/mp4"
	"aerie/receiver/pattern"
	"aerie/receiver/pattern/sound"
)

// A feed plays the sender: the test pattern and its sound, stamped with the
// monotonic clock, which is the sender's clock too.
type feed struct {
	t    testing.TB
	view *live.View
	fps  int

	mu     sync.Mutex
	stream *pattern.Stream
	number uint32
	key    bool
	quiet  bool // no pictures
	shown  func(number uint32)
}

// start feeds pictures, and sound if there are frames of it, until the end of
// the test or the function that it returns is called.
func (f *feed) start(width, height int, aac *aacLoop) (stop func()) {
	f.t.Helper()
	f.size(width, height)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.pictures(ctx) })
	if aac != nil {
		if err := f.view.SetAudio(mp4.Audio{Config: aac.config}); err != nil {
			f.t.Error(err)
		}
		running.Go(func() { f.sound(ctx, aac) })
	}
	stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
	f.t.Cleanup(stop)
	return stop
}

// size begins a picture of another size, as a phone does when it is turned.
func (f *feed) size(width, height int) {
	f.t.Helper()
	s, err := pattern.New(pattern.Config{Width: width, Height: height, FPS: f.fps, FullRange: true})
	if err != nil {
		f.t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stream, f.key = s, true
	if err := f.view.SetVideo(mp4.Video{Codec: mp4.H264, Config: s.AVCC()}); err != nil {
		f.t.Error(err)
	}
}

// pause stops or resumes the pictures.
func (f *feed) pause(quiet bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.quiet = quiet
}

func (f *feed) newest() uint32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.number
}

func (f *feed) pictures(ctx context.Context) {
	tick := time.NewTicker(time.Second / time.Duration(f.fps))
	defer tick.Stop()
	var b []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		f.mu.Lock()
		if !f.quiet {
			now := clock.Now()
			f.number++
			b = f.stream.AppendFrame(b[:0], pattern.Frame{Number: f.number, Elapsed: time.Duration(now), SenderTime: uint64(now) / 1000}, f.key)
			f.view.Picture(b, time.Duration(now), f.key, clock.Now())
			f.key = false
		}
		f.mu.Unlock()
	}
}

// An aacLoop is sound that repeats without a seam.
type aacLoop struct {
	config []byte
	frames [][]byte
}

const (
	aacRate  = 48000
	aacFrame = 1024
	// loopFrames is 8 s: the shortest whole number of frames and seconds.
	loopFrames = 375
	// aacDelay is how many samples before the first one encoded come out of a
	// decoder.
	aacDelay = 1024
)

// makeAAC has ffmpeg encode the pattern's sound.
func makeAAC(t testing.TB) *aacLoop {
	t.Helper()
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("ffmpeg is not installed: it encodes the sound of this test")
	}
	source, err := sound.New(aacRate)
	if err != nil {
		t.Fatal(err)
	}
	samples := make([]int16, 2*aacFrame*3*loopFrames)
	source.FillInt16(samples, 0)
	raw := make([]byte, 0, 2*len(samples))
	for _, v := range samples {
		raw = append(raw, byte(v), byte(v>>8))
	}
	in := filepath.Join(t.TempDir(), "sound.s16")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(ffmpeg, "-v", "error", "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", in,
		"-c:a", "aac", "-b:a", "128k", "-f", "adts", "-")
	cmd.Stderr = os.Stderr
	adts, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	loop := &aacLoop{config: []byte{0x11, 0x90}} // AAC-LC, 48 kHz, stereo
	var frames [][]byte
	for len(adts) >= 7 {
		n := int(adts[3]&3)<<11 | int(adts[4])<<3 | int(adts[5])>>5
		frames = append(frames, adts[7:n])
		adts = adts[n:]
	}
	loop.frames = frames[loopFrames : 2*loopFrames]
	return loop
}

// sound feeds frames of sound when their last sample has been recorded, one at
// a time.
func (f *feed) sound(ctx context.Context, aac *aacLoop) {
	const period = time.Second * aacFrame / aacRate
	second := int64(clock.Now()) / 1e9
	n := second / 8 * loopFrames // the frame that begins, of a loop that began with the clock
	tick := time.NewTicker(period / 2)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for {
			now := clock.Now()
			if time.Duration(now) < sampleTime((n+1)*aacFrame) {
				break
			}
			pts := sampleTime(n*aacFrame - aacDelay)
			f.view.Sound(pts, now, aac.frames[n%loopFrames])
			n++
		}
	}
}

func sampleTime(n int64) time.Duration {
	return time.Duration(n/aacRate)*time.Second + time.Duration(n%aacRate)*time.Second/aacRate
}
