package mp4

import (
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A disk that hangs holds nobody up: the queue fills, then samples are
// dropped and counted, the picture up to the next key picture. When the disk
// is back, everything that was not dropped is in the file.
func TestRecordSlowDisk(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	synctest.Test(t, func(t *testing.T) {
		f := &memFile{block: make(chan struct{})}
		const queue = 300_000
		r, err := NewRecorder(f, Options{Video: &clip.video, Audio: &sound.audio, QueueBytes: queue})
		if err != nil {
			t.Fatal(err)
		}
		at := time.Duration(0)
		given := 0
		for range 5 {
			for i, u := range clip.units {
				r.WriteVideo(u, at, i == 0)
				r.WriteAudio(sound.frames[i], at)
				given++
				at += 20 * time.Millisecond
				if q := r.Stats().Queued; q > queue {
					t.Fatalf("%d bytes are queued", q)
				}
			}
		}
		s := r.Stats()
		if s.Video != 0 || s.DroppedVideo < 200 || s.DroppedAudio < 100 || s.Queued < queue*9/10 {
			t.Errorf("while the disk hangs: %+v", s)
		}
		close(f.block) // the disk is back
		synctest.Wait()
		dropped := s.DroppedVideo
		r.WriteVideo(clip.units[1], at, false)
		if s := r.Stats(); s.DroppedVideo != dropped+1 {
			t.Errorf("a picture that depends on lost ones was taken: %+v", s)
		}
		r.WriteVideo(clip.units[0], at, true)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		s = r.Stats()
		if int(s.Video+s.DroppedVideo) != given+2 || int(s.Audio+s.DroppedAudio) != given {
			t.Errorf("%d samples given: %+v", given, s)
		}
		if got, err := play(f.data, false); err != nil || got.video != int(s.Video) || got.audio != int(s.Audio) {
			t.Errorf("in the file: %+v, %v; counted %+v", got, err, s)
		}
	})
}

// A sender that sends no second key picture is recorded all the same: after
// 2 s the picture goes on, and says that it is a place to start from.
func TestRecordWithoutKeyPicture(t *testing.T) {
	clip := makeClip(t, H264, 320, 180, 90)
	file := filepath.Join(t.TempDir(), "recording.mp4")
	r, err := Create(file, Options{Video: &clip.video})
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range clip.units[1:] {
		r.WriteVideo(u, time.Duration(i)*50*time.Millisecond, false)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	s := r.Stats()
	if s.DroppedVideo != 40 || s.Video != 49 {
		t.Errorf("%+v", s)
	}
	p := probe(t, file, "v")
	if len(p) != 49 || !p[0].key || p[1].key || p[0].size != len(clip.units[41])+len(recoverySEI) {
		t.Errorf("%d packets, the first is %+v, was %d bytes", len(p), p[0], len(clip.units[41]))
	}
}

// The last picture before a long pause reaches the disk without another one
// behind it.
func TestRecordTick(t *testing.T) {
	clip := makeClip(t, H264, 320, 180, 90)
	synctest.Test(t, func(t *testing.T) {
		f := new(memFile)
		r, err := NewRecorder(f, Options{Video: &clip.video})
		if err != nil {
			t.Fatal(err)
		}
		r.WriteVideo(clip.units[0], 0, true)
		synctest.Wait()
		if s := r.Stats(); s.Video != 0 {
			t.Errorf("at once: %+v", s)
		}
		time.Sleep(2 * time.Second) // of the bubble's clock
		synctest.Wait()
		if got, err := play(f.data, false); err != nil || got.video != 1 || got.finished {
			t.Errorf("after two ticks: %+v, %v", got, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// Picture, sound, statistics and the end come from different goroutines.
func TestRecordConcurrently(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	f := new(memFile)
	r, err := NewRecorder(f, Options{Video: &clip.video, Audio: &sound.audio})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 600 {
			r.WriteVideo(clip.units[i%90], time.Duration(i)*33*time.Millisecond, i%90 == 0)
		}
	})
	wg.Go(func() {
		for i := range 600 {
			r.WriteAudio(sound.frames[i%len(sound.frames)], sound.at(i))
			r.Stats()
		}
	})
	wg.Go(func() {
		for range 50 {
			if err := r.SetVideo(clip.video); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	wg.Go(func() { r.WriteVideo(clip.units[0], time.Hour, true) })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	s := r.Stats()
	if got, err := play(f.data, false); err != nil || got.video != int(s.Video) || got.audio != int(s.Audio) || got.video < 600 {
		t.Errorf("%+v, %v, counted %+v", got, err, s)
	}
}

// In the long run a sample is copied and nothing is allocated for it.
func TestRecordAllocations(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	r, err := NewRecorder(nullFile{}, Options{Video: &clip.video, Audio: &sound.audio})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Duration(0)
	second := func() {
		for i := range 60 {
			r.WriteVideo(clip.units[i], at, i == 0)
			r.WriteAudio(sound.frames[i], at)
			at += time.Second / 60
		}
		for r.Stats().Queued > 2<<20 {
		}
	}
	for range 10 {
		second()
	}
	// A fragment costs the writer some, a sample must not.
	if n := testing.AllocsPerRun(50, second); n > 60 {
		t.Errorf("%v allocations per second of 120 samples", n)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// nullFile takes everything.
type nullFile struct{}

func (nullFile) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }
func (nullFile) Truncate(int64) error                   { return nil }
func (nullFile) Sync() error                            { return nil }
func (nullFile) Close() error                           { return nil }

// BenchmarkWriteVideo is what the picture path pays for a recording.
func BenchmarkWriteVideo(b *testing.B) {
	clip := makeClip(b, H264, 1280, 720, 30)
	r, err := NewRecorder(nullFile{}, Options{Video: &clip.video})
	if err != nil {
		b.Fatal(err)
	}
	unit := clip.units[0]
	b.SetBytes(int64(len(unit)))
	b.ReportAllocs()
	at := time.Duration(0)
	for b.Loop() {
		r.WriteVideo(unit, at, false)
		at += time.Second / 60
	}
	b.StopTimer()
	r.Close()
}

// Units of a timescale survive the way to time and back, also before zero.
func TestTicks(t *testing.T) {
	for _, scale := range []uint32{44100, 48000, 90000} {
		for _, at := range []int64{-1 << 40, -90001, -1703, -1702, -1, 0, 1, 1703, 44099, 1 << 40} {
			if back := ticks(timeOf(at, scale), scale); back != at {
				t.Errorf("%d/%d s comes back as %d", at, scale, back)
			}
		}
	}
	if at := ticks(-38611127, 44100); at != -1703 {
		t.Errorf("-38.611127 ms is at %d, want -1703", at)
	}
}
