package mp4

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"aerie/receiver/codec/h264"
)

// liveFile writes a whole live stream to a file.
func liveFile(t *testing.T, l *Live, events []event) string {
	t.Helper()
	b := l.AppendInit(nil)
	for _, e := range events {
		if e.video {
			b = l.AppendVideo(b, e.data, e.pts, e.key)
		} else {
			b = l.AppendAudio(b, e.pts, e.data)
		}
	}
	parseFile(t, b)
	name := filepath.Join(t.TempDir(), "live.mp4")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// ffmpeg finds every sample of a live stream at its time and decodes the
// pictures that were sent.
func TestLive(t *testing.T) {
	for _, codec := range []Codec{H264, HEVC} {
		t.Run(codec.String(), func(t *testing.T) {
			clip, sound := makeClip(t, codec, 320, 180, 90), makeSound(t, 48000, 4)
			l, err := NewLive(&clip.video, &sound.audio)
			if err != nil {
				t.Fatal(err)
			}
			events := session(clip, sound, 2*time.Second, 2100*time.Millisecond, 6)
			file := liveFile(t, l, events)
			checkTimes(t, probe(t, file, "v"), times(events, true, 0), 0.000002)
			checkTimes(t, probe(t, file, "a"), times(events, false, 0), 1.0/48000)
			if got := decode(t, file, "v"); !slices.Equal(got, clip.pictures(t)) {
				t.Errorf("%d pictures decoded, or they differ", len(got))
			}
			if l.Skipped() != 0 {
				t.Errorf("skipped %v", l.Skipped())
			}
		})
	}
}

// A stream of pictures alone leaves pauses out of its time, one of sound
// follows its samples.
func TestLiveSkips(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	l, err := NewLive(&clip.video, nil)
	if err != nil {
		t.Fatal(err)
	}
	events := session(clip, nil, 5*time.Second, 0, 7)
	file := liveFile(t, l, events)
	at, want := time.Duration(0), []time.Duration(nil)
	for i, e := range events {
		if i == 0 {
			at = e.pts
		} else {
			at += min(e.pts-events[i-1].pts, 100*time.Millisecond)
		}
		want = append(want, at)
	}
	checkTimes(t, probe(t, file, "v"), want, 0.000002)
	if got := events[len(events)-1].pts - l.Skipped(); got != at || l.Skipped() < 2*time.Second {
		t.Errorf("the last picture is at %v, skipped %v, want %v", got, l.Skipped(), at)
	}

	l, err = NewLive(nil, &sound.audio)
	if err != nil {
		t.Fatal(err)
	}
	events = session(nil, sound, 0, time.Second, 8)
	for i := range events[50:] {
		events[50+i].pts += time.Minute // the music stopped for a while
	}
	var contiguous []time.Duration
	for i := range events {
		contiguous = append(contiguous, time.Second+sound.at(i))
	}
	checkTimes(t, probe(t, liveFile(t, l, events), "a"), contiguous, 1.0/44100)
	if s := l.Skipped() - time.Minute; s < -time.Microsecond || s > time.Microsecond {
		t.Errorf("skipped %v", l.Skipped())
	}
}

// Every second a picture is a recovery point, behind an access unit delimiter
// if there is one, with start codes or lengths.
func TestLiveRecoveryPoints(t *testing.T) {
	clip := makeClip(t, H264, 320, 180, 90)
	delimiter := []byte{0, 0, 0, 1, byte(h264.TypeAUD), 0xf0}
	for _, annexB := range []bool{true, false} {
		for _, delimited := range []bool{true, false} {
			v := clip.video
			v.AnnexB = annexB
			l, err := NewLive(&v, nil)
			if err != nil {
				t.Fatal(err)
			}
			var points []int
			for i, u := range clip.units {
				if delimited {
					u = append(slices.Clone(delimiter), u...)
				}
				if !annexB {
					u = slices.Clone(u)
					if err := h264.ToLengths(u); err != nil {
						t.Fatal(err)
					}
				}
				f := l.AppendVideo(nil, u, time.Duration(i)*40*time.Millisecond, i == 0)
				var types []h264.Type
				for nal := range h264.LengthPrefixed(f[pictureHeader:]) {
					types = append(types, h264.TypeOf(nal))
				}
				if delimited != (types[0] == h264.TypeAUD) {
					t.Errorf("picture %d begins with types %v", i, types)
				}
				sync := parseFile(t, f).find("tfhd").u32(16) == flagSync
				if sync {
					points = append(points, i)
				}
				if bytes.Contains(f, recoverySEI) != (sync && i > 0) {
					t.Errorf("picture %d: sync %v, SEI %v", i, sync, !sync)
				}
			}
			if !slices.Equal(points, []int{0, 25, 50, 75}) {
				t.Errorf("pictures to start from: %v", points)
			}
		}
	}
}

// Start codes of 3 bytes, which do not fit lengths, are copied one by one.
func TestLiveShortStartCodes(t *testing.T) {
	clip := makeClip(t, H264, 320, 180, 90)
	l, err := NewLive(&clip.video, nil)
	if err != nil {
		t.Fatal(err)
	}
	sample := []byte{0, 0, 1, 6, 0xaa, 0, 0, 0, 1, 0x65, 0x88, 0, 0, 1, 0x65, 0x40}
	f := l.AppendVideo(nil, sample, 0, true)
	want := []byte{0, 0, 0, 2, 6, 0xaa, 0, 0, 0, 2, 0x65, 0x88, 0, 0, 0, 2, 0x65, 0x40}
	if got := f[pictureHeader:]; !bytes.Equal(got, want) {
		t.Errorf("% x", got)
	}
	if n := binary.BigEndian.Uint32(f[pictureMoof:]); int(n) != len(want)+8 {
		t.Errorf("mdat of %d bytes", n)
	}
}

// A fragment is written without any allocation.
func TestLiveAllocations(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	video, err := NewLive(&clip.video, nil)
	if err != nil {
		t.Fatal(err)
	}
	audio, err := NewLive(nil, &sound.audio)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, len(clip.units[0])+MaxOverhead)
	at := time.Duration(0)
	if n := testing.AllocsPerRun(200, func() {
		video.AppendVideo(buf, clip.units[0], at, false)
		audio.AppendAudio(buf, at, sound.frames[3:6]...)
		at += 100 * time.Millisecond
	}); n != 0 {
		t.Errorf("%v allocations per fragment", n)
	}
	if n := len(video.AppendVideo(nil, clip.units[0], at+2*time.Second, false)) - len(clip.units[0]); n > MaxOverhead {
		t.Errorf("a picture becomes %d bytes longer", n)
	}
	frames := sound.frames[:8]
	size := 0
	for _, f := range frames {
		size += len(f)
	}
	if n := len(audio.AppendAudio(nil, at, frames...)) - size; n > MaxOverhead+4*len(frames) {
		t.Errorf("8 frames become %d bytes longer", n)
	}
	if got := audio.AppendAudio(nil, at); got != nil {
		t.Errorf("no frames become %d bytes", len(got))
	}
}

func TestMIMEType(t *testing.T) {
	avc, hvc := makeClip(t, H264, 320, 180, 90), makeClip(t, HEVC, 320, 180, 90)
	sound := makeSound(t, 44100, 4)
	for _, c := range []struct {
		video *Video
		audio *Audio
		want  string
	}{
		{&avc.video, nil, `video/mp4; codecs="avc1.42c00d"`},
		{nil, &sound.audio, `audio/mp4; codecs="mp4a.40.2"`},
		{&hvc.video, &sound.audio, `video/mp4; codecs="hvc1.1.6.L60.90, mp4a.40.2"`},
		{nil, &Audio{Config: []byte{0xf8, 0xe8, 0x50, 0}}, `audio/mp4; codecs="mp4a.40.39"`},
	} {
		l, err := NewLive(c.video, c.audio)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.MIMEType(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestNewLiveRefuses(t *testing.T) {
	clip := makeClip(t, H264, 320, 180, 90)
	if _, err := NewLive(nil, nil); !errors.Is(err, ErrNoTrack) {
		t.Errorf("nothing: %v", err)
	}
	for name, v := range map[string]Video{
		"no codec":    {Config: clip.video.Config},
		"empty":       {Codec: H264},
		"wrong codec": {Codec: HEVC, Config: clip.video.Config},
		"long":        {Codec: H264, Config: append(slices.Clone(clip.video.Config), make([]byte, maxConfig)...)},
		"no SPS":      {Codec: H264, Config: []byte{1, 66, 0, 30, 0xff, 0xe1, 0, 4, 0x67, 66, 0, 30, 1, 0, 2, 0x68, 0x80}},
	} {
		if _, err := NewLive(&v, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAudioConfig(t *testing.T) {
	for _, c := range []struct {
		config                  []byte
		rate, channels, samples int
	}{
		{[]byte{0x12, 0x10}, 44100, 2, 1024},
		{[]byte{0x11, 0x90}, 48000, 2, 1024},
		{[]byte{0x12, 0x14}, 44100, 2, 960},
		{[]byte{0x11, 0xb8}, 48000, 8, 1024},
		{[]byte{0xf8, 0xe8, 0x50, 0x00}, 44100, 2, 480}, // AirPlay's AAC-ELD
		{[]byte{0xf8, 0xe6, 0x40, 0x00}, 48000, 2, 512},
		{[]byte{0x17, 0x80, 0x56, 0x22, 0x10}, 44100, 2, 1024}, // rate in full
	} {
		a, err := newAudioTrack(Audio{Config: c.config})
		if err != nil || a.rate != c.rate || a.channels != c.channels || a.frameLength != c.samples {
			t.Errorf("% x: %+v, %v", c.config, a, err)
		}
	}
	for _, config := range [][]byte{nil, {0x12}, {0x0a, 0x10}, {0x12, 0x00}, {0x16, 0x90}, {0x17, 0x80, 0, 0, 0x10}, make([]byte, 65)} {
		if a, err := newAudioTrack(Audio{Config: config}); err == nil {
			t.Errorf("% x: accepted as %+v", config, a)
		}
	}
}

func BenchmarkAppendVideo(b *testing.B) {
	clip := makeClip(b, H264, 1280, 720, 30)
	l, err := NewLive(&clip.video, nil)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, len(clip.units[0])+MaxOverhead)
	b.SetBytes(int64(len(clip.units[0])))
	b.ReportAllocs()
	at := time.Duration(0)
	for b.Loop() {
		l.AppendVideo(buf, clip.units[0], at, false)
		at += time.Second / 60
	}
}
