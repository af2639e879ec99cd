package mp4

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What goes into a table comes out of it, for any number of samples from the
// start.
func TestTable(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	var tab table
	var at, sizes, syncs []int64
	var chunks []chunk
	now, offset := int64(1000), int64(mediaAt)
	for i := range 300 {
		n := 1 + rng.IntN(40)
		for j := range n {
			size, key := rng.Int64N(1<<rng.IntN(30)+1), j == 0 && i%7 == 0
			tab.add(now, uint32(size), key)
			at, sizes = append(at, now), append(sizes, size)
			if key {
				syncs = append(syncs, int64(len(at)))
			}
			now += []int64{1500, 1500, 1500, 1, 1<<32 - 1, 1600 + rng.Int64N(9)}[rng.IntN(6)]
		}
		tab.chunk(offset, n, i/100)
		chunks = append(chunks, chunk{offset, n, i / 100})
		offset += 1 + rng.Int64N(1<<33)
	}
	if got := slices.Collect(tab.allChunks(1 << 62)); !slices.Equal(got, chunks) {
		t.Error("chunks differ")
	}
	if got := slices.Collect(tab.allChunks(chunks[100].offset)); !slices.Equal(got, chunks[:100]) {
		t.Error("chunks before an offset differ")
	}
	for _, n := range []int{1, 2, 3, 500, len(at) - 1, len(at)} {
		var got []int64
		when, last := tab.first, int64(0)
		for k, d := range tab.runs(n, 77) {
			if d == last {
				t.Fatal("two runs of the same duration")
			}
			last = d
			for range k {
				got = append(got, when)
				when += d
			}
		}
		if !slices.Equal(got, at[:n]) || last != 77 || when != at[n-1]+77 || tab.timeAt(n) != at[n-1] {
			t.Errorf("times of the first %d samples differ", n)
		}
		f := finishedTrack{table: &tab, n: n}
		var want []int
		for _, s := range syncs {
			if s <= int64(n) {
				want = append(want, int(s))
			}
		}
		if !slices.Equal(slices.Collect(f.syncSamples()), want) {
			t.Errorf("sync samples among the first %d differ", n)
		}
	}
	r := tab.sizes.reader()
	for i, s := range sizes {
		if got := int64(r.next()); got != s {
			t.Fatalf("size %d is %d, want %d", i, got, s)
		}
	}
	if r.more() {
		t.Error("more sizes than samples")
	}
}

// Chunks of the same shape share an entry of stsc.
func TestChunkRuns(t *testing.T) {
	var tab table
	for i, c := range []chunk{{0, 60, 0}, {0, 60, 0}, {0, 60, 0}, {0, 59, 0}, {0, 59, 1}, {0, 59, 1}} {
		tab.chunk(mediaAt+int64(i)*1000, c.samples, c.description)
	}
	var firsts []int
	for first := range (&finishedTrack{table: &tab, end: 1 << 40}).chunkRuns() {
		firsts = append(firsts, first)
	}
	if !slices.Equal(firsts, []int{1, 4, 5}) {
		t.Errorf("entries begin with chunks %v", firsts)
	}
}

// The tables of two hours of jittering 1080p60 with sound, and writing them.
func TestTableMemory(t *testing.T) {
	w := longWriter(t, 2)
	pictures, frames := w.video.samples, w.sound.samples
	perPicture, perFrame := float64(w.video.bytes())/float64(pictures), float64(w.sound.bytes())/float64(frames)
	t.Logf("%d pictures at %.2f bytes, %d frames of sound at %.2f bytes, %d KB in all", pictures, perPicture, frames, perFrame,
		(w.video.bytes()+w.sound.bytes())>>10)
	if perPicture > 5.2 || perFrame > 2.2 {
		t.Errorf("%.2f bytes a picture, %.2f a frame", perPicture, perFrame)
	}
	start := w.end
	if err := w.finalise(); err != nil {
		t.Fatal(err)
	}
	t.Logf("moov of %d KB", (w.end-start)>>10)
	if n := testing.AllocsPerRun(1, func() {
		if _, err := w.writeMoov(); err != nil {
			t.Fatal(err)
		}
	}); n > 1000 {
		t.Errorf("%v allocations to write moov", n)
	}
}

// longWriter is a recording of some hours, without the pictures.
func longWriter(t testing.TB, hours int) *fileWriter {
	f := nullFile{}
	rng := rand.New(rand.NewPCG(1, 1))
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	v, err := newVideoTrack(clip.video)
	if err != nil {
		t.Fatal(err)
	}
	a, err := newAudioTrack(sound.audio)
	if err != nil {
		t.Fatal(err)
	}
	w := &fileWriter{file: f, front: front{file: f}, end: mediaAt, configs: []*videoTrack{v}, audio: a}
	heard := int64(0)
	for second := range hours * 3600 {
		for i := range 60 {
			w.video.add(int64(second)*90000+int64(i)*1500+rng.Int64N(400), 15000+rng.Uint32N(20000), second == 0 && i == 0)
		}
		w.video.chunk(w.end, 60, 0)
		w.end += 60 * 25000
		n := 0
		for ; heard < int64(second+1)*44100; heard += 1024 {
			w.sound.add(heard, 300+rng.Uint32N(100), false)
			n++
		}
		w.sound.chunk(w.end, n, 0)
		w.end += int64(n) * 350
	}
	return w
}

func BenchmarkMoovOfADay(b *testing.B) {
	w := longWriter(b, 24)
	for b.Loop() {
		if _, err := w.writeMoov(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(w.video.bytes()+w.sound.bytes())/1e6, "MB-of-tables")
}

// A file of more than 4 GB: most of it is a hole.
func TestRecordLargeFile(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	name := filepath.Join(t.TempDir(), "large.mp4")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	v, _ := newVideoTrack(clip.video)
	a, _ := newAudioTrack(sound.audio)
	w := &fileWriter{file: f, front: front{file: f}, end: mediaAt}
	put := func(half int) {
		frag := &fragment{}
		for i, u := range clip.units[half*45 : half*45+45] {
			at := len(frag.video.data)
			frag.video.data = v.appendSample(frag.video.data, u)
			frag.video.samples = append(frag.video.samples, sample{int64(half*45+i) * 3000, uint32(len(frag.video.data) - at), half+i == 0})
			frag.audio.data = append(frag.audio.data, sound.frames[half*45+i]...)
			frag.audio.samples = append(frag.audio.samples, sample{int64(half*45+i) * 1024, uint32(len(sound.frames[half*45+i])), false})
		}
		if err := w.write(frag, []*videoTrack{v}, a); err != nil {
			t.Fatal(err)
		}
	}
	put(0)
	// Five gigabytes that belong to no track.
	const hole = 5 << 30
	large := binary.BigEndian.AppendUint64([]byte{0, 0, 0, 1, 'f', 'r', 'e', 'e'}, hole)
	if _, err := f.WriteAt(large, w.end); err != nil {
		t.Fatal(err)
	}
	w.end += hole
	put(1)
	if err := w.finish(); err != nil {
		t.Fatal(err)
	}
	p := probe(t, name, "v")
	if len(p) != 90 || p[89].position < hole || len(probe(t, name, "a")) != 90 {
		t.Fatalf("%d pictures, the last at %d", len(p), p[len(p)-1].position)
	}
	if got := decode(t, name, "v"); !slices.Equal(got, clip.pictures(t)) {
		t.Errorf("%d pictures decoded, or they differ", len(got))
	}
}

func TestTimeline(t *testing.T) {
	const ms = time.Millisecond
	video := timeline{scale: 90000}
	for i, c := range []struct {
		pts  time.Duration
		want int64
	}{
		{time.Hour, 324000000}, {time.Hour + 10*ms, 324000900}, {time.Hour + 10*ms, 324000901}, {time.Hour + 9*ms, 324000902},
		{time.Hour + 30*ms, 324002700},
		{2 * time.Second, 324002700 + 1798}, // the clock was set back: on from there, one step
		{2*time.Second + 40*ms, 324002700 + 1798 + 3600},
		{1000 * time.Hour, 324002700 + 1798 + 3600 + 3600}, // and forward
		{1000*time.Hour + 3*time.Hour, 324002700 + 1798 + 3600 + 3600 + 3*3600*90000},
	} {
		if at, ok := video.place(c.pts); at != c.want || !ok {
			t.Errorf("picture %d at %d, %v, want %d", i, at, ok, c.want)
		}
	}
	sound := timeline{scale: 44100, frame: 1024}
	frame := func(n int) time.Duration { return time.Duration(n) * 1024 * time.Second / 44100 }
	for i, c := range []struct {
		pts  time.Duration
		want int64 // -1: dropped
	}{
		{0, 0}, {frame(1) + 5*ms, 1024}, {frame(2) - 5*ms, 2048}, {frame(3), 3072},
		{frame(6), 6 * 1024},            // two frames were lost
		{frame(7) + 30*ms, 8491},        // 30 ms late
		{frame(7), -1},                  // heard already
		{frame(8) + 30*ms, 8491 + 1024}, // continuous again
		{frame(9) + 3*ms, -1},           // more than 20 ms too early
		{frame(10) + 10*ms, 8491 + 2*1024},
	} {
		at, ok := sound.place(c.pts)
		if !ok {
			at = -1
		}
		if at != c.want {
			t.Errorf("frame %d at %d, want %d", i, at, c.want)
		}
	}
	// However far the clocks drift, sound stays within 20 ms of its time.
	drift := timeline{scale: 48000, frame: 1024}
	for i := range 500000 {
		pts := time.Duration(float64(i) * 1024 / 48000 * 1.0002 * 1e9) // 200 ppm
		if at, ok := drift.place(pts); ok {
			if d := pts - timeOf(at, 48000); d > 21*ms || d < -21*ms {
				t.Fatalf("frame %d is %v off", i, d)
			}
		}
	}
}

// boxWriter writes the same with a sink as without one.
func TestBoxWriterSink(t *testing.T) {
	write := func(w *boxWriter) func() {
		return func() {
			w.box("moov", func() {
				w.list("stsz", 50000, func() {
					for i := range 50000 {
						w.u32(uint32(i))
						w.spill()
					}
				})
				w.box("free", func() {})
				w.full("mdhd", 1, 0, func() { w.box("deep", func() { w.str("x") }) })
			})
		}
	}
	var plain, streamed boxWriter
	write(&plain)()
	var out sink
	n := streamed.measure(&out, write(&streamed))
	write(&streamed)()
	if err := streamed.flush(); err != nil || !slices.Equal(out, plain.b) || n != int64(len(out)) {
		t.Errorf("%d bytes streamed, %d measured, %d plain, %v", len(out), n, len(plain.b), err)
	}
	broken := boxWriter{}
	broken.measure(brokenSink{}, write(&broken))
	write(&broken)()
	if err := broken.flush(); err != io.ErrShortWrite {
		t.Errorf("broken sink: %v", err)
	}
}

type sink []byte

func (s *sink) Write(b []byte) (int, error) { *s = append(*s, b...); return len(b), nil }

type brokenSink struct{}

func (brokenSink) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
