package mp4

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"aerie/receiver/codec/h264"
)

// An event is one sample on its way into a recording.
type event struct {
	pts   time.Duration
	data  []byte
	video bool
	key   bool
}

// session mixes a clip and a soundtrack in the order in which a sender would
// deliver them. Pictures come at irregular times.
func session(c *clip, s *soundtrack, videoStart, audioStart time.Duration, seed uint64) (events []event) {
	rng := rand.New(rand.NewPCG(seed, 1))
	if c != nil {
		at := videoStart
		for i, u := range c.units {
			events = append(events, event{pts: at, data: u, video: true, key: c.keys[i]})
			at += time.Duration(5+rng.IntN(60)) * time.Millisecond
			at += time.Duration(rng.IntN(1000)) * time.Microsecond
			if i == len(c.units)/2 {
				at += 3 * time.Second // the screen does not change
			}
		}
	}
	if s != nil {
		for i, f := range s.frames {
			events = append(events, event{pts: audioStart + s.at(i), data: f})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return int(a.pts - b.pts) })
	return events
}

func write(r *Recorder, events []event) {
	for _, e := range events {
		if e.video {
			r.WriteVideo(e.data, e.pts, e.key)
		} else {
			r.WriteAudio(e.data, e.pts)
		}
	}
}

// record makes a finished file.
func record(t *testing.T, c *clip, s *soundtrack, events []event) string {
	t.Helper()
	var o Options
	if c != nil {
		o.Video = &c.video
	}
	if s != nil {
		o.Audio = &s.audio
	}
	file := filepath.Join(t.TempDir(), "recording.mp4")
	r, err := Create(file, o)
	if err != nil {
		t.Fatal(err)
	}
	write(r, events)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	st := r.Stats()
	if st.DroppedVideo+st.DroppedAudio != 0 || int(st.Video+st.Audio) != len(events) || st.Queued != 0 {
		t.Errorf("%d samples given: %+v", len(events), st)
	}
	return file
}

// checkTimes compares time stamps with those that were given, from start on.
func checkTimes(t *testing.T, packets []packet, want []time.Duration, tolerance float64) {
	t.Helper()
	if len(packets) != len(want) {
		t.Fatalf("%d packets, want %d", len(packets), len(want))
	}
	for i, p := range packets {
		if math.Abs(p.pts-want[i].Seconds()) > tolerance {
			t.Fatalf("packet %d at %.6f s, want %.6f", i, p.pts, want[i].Seconds())
		}
	}
}

func times(events []event, video bool, zero time.Duration) (at []time.Duration) {
	for _, e := range events {
		if e.video == video {
			at = append(at, e.pts-zero)
		}
	}
	return at
}

// A finished recording has every sample of both tracks at its time, whichever
// track begins first, and decodes to the pictures that were sent.
func TestRecord(t *testing.T) {
	for _, c := range []struct {
		name         string
		codec        Codec
		video, audio time.Duration
	}{
		{"together", H264, 0, 0},
		{"sound later", H264, 100 * time.Second, 100*time.Second + 1500*time.Millisecond},
		{"sound earlier", H264, 50*time.Hour + 700*time.Millisecond, 50 * time.Hour},
		{"HEVC", HEVC, 5 * time.Second, 5*time.Second + 10*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			clip, sound := makeClip(t, c.codec, 320, 180, 90), makeSound(t, 44100, 4)
			events := session(clip, sound, c.video, c.audio, 1)
			file := record(t, clip, sound, events)
			zero := min(c.video, c.audio)
			const halfTick = 0.5/recordTimescale + 1e-6 // ffprobe prints microseconds
			checkTimes(t, probe(t, file, "v"), times(events, true, zero), halfTick)
			checkTimes(t, probe(t, file, "a"), times(events, false, zero), 1.0/44100+1e-6)
			if got, want := decode(t, file, "v"), clip.pictures(t); !slices.Equal(got, want) {
				t.Errorf("%d pictures decoded, want %d, or they differ", len(got), len(want))
			}
			// ffmpeg's decoder keeps the first frame of AAC to itself.
			if got := len(decode(t, file, "a")); got < len(sound.frames)-1 {
				t.Errorf("%d frames of sound decoded, want %d", got, len(sound.frames))
			}
		})
	}
}

func TestRecordOneTrack(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 48000, 2)
	events := session(clip, nil, time.Second, 0, 2)
	checkTimes(t, probe(t, record(t, clip, nil, events), "v"), times(events, true, time.Second), 0.00001)
	events = session(nil, sound, 0, time.Hour, 3)
	checkTimes(t, probe(t, record(t, nil, sound, events), "a"), times(events, false, time.Hour), 0.00003)
	// A track that was announced and never came is not in the file.
	file := record(t, clip, sound, events)
	if out := ffmpeg(t, "ffprobe", "-show_entries", "stream=codec_type", "-of", "csv=p=0", file); out != "audio\n" {
		t.Errorf("streams %q", out)
	}
}

// Parameter sets stand in front of every key picture, behind its delimiter,
// unless it has brought them.
func TestRecordParameterSets(t *testing.T) {
	for _, codec := range []Codec{H264, HEVC} {
		clip := makeClip(t, codec, 320, 180, 90)
		v, err := newVideoTrack(clip.video)
		if err != nil {
			t.Fatal(err)
		}
		delimiter := []byte{0, 0, 0, 1, 0x09, 0xf0}
		if codec == HEVC {
			delimiter = []byte{0, 0, 0, 1, 0x46, 0x01, 0x50}
		}
		var sets []byte
		for nal := range h264.LengthPrefixed(v.sets) {
			sets = h264.AppendAnnexB(sets, nal)
		}
		for _, c := range []struct{ before, want []byte }{
			{nil, v.sets},
			{delimiter, append(v.appendSample(nil, delimiter), v.sets...)},
			{sets, v.sets},
		} {
			f := new(memFile)
			r, err := NewRecorder(f, Options{Video: &clip.video})
			if err != nil {
				t.Fatal(err)
			}
			unit := append(slices.Clone(c.before), clip.units[0]...)
			r.WriteVideo(unit, 0, true)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			stbl := parseFile(t, f.data).find("stbl")
			at, size := stbl.find("stco").u32(8), stbl.find("stsz").u32(12)
			want := v.appendSample(c.want, clip.units[0])
			if got := f.data[at : at+size]; !bytes.Equal(got, want) {
				t.Errorf("%v behind % x: a sample of %d bytes, want %d", codec, c.before, len(got), len(want))
			}
		}
	}
}

// Sound and picture that are out of step share fragments all the same.
func TestRecordOutOfStep(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	f := new(memFile)
	r, err := NewRecorder(f, Options{Video: &clip.video, Audio: &sound.audio})
	if err != nil {
		t.Fatal(err)
	}
	for i, u := range clip.units {
		at := time.Minute + time.Duration(i)*33*time.Millisecond
		r.WriteVideo(u, at, i == 0)
		r.WriteAudio(sound.frames[i], at-300*time.Millisecond)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(f.data, []byte("moof")); n > 5 {
		t.Errorf("%d fragments in 3 s", n)
	}
}

// The last picture stands until the sound is over; without sound, for as long
// as the one before it.
func TestRecordLastPicture(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	var events []event
	for i := range 10 {
		events = append(events, event{pts: time.Duration(i) * 40 * time.Millisecond, data: clip.units[i], video: true, key: i == 0})
	}
	p := probe(t, record(t, clip, nil, events), "v")
	if d := p[len(p)-1].duration; math.Abs(d-0.04) > 1e-4 {
		t.Errorf("alone, the last picture lasts %v s", d)
	}
	for i, f := range sound.frames {
		events = append(events, event{pts: sound.at(i), data: f})
	}
	p = probe(t, record(t, clip, sound, events), "v")
	want := sound.at(len(sound.frames)).Seconds() - 0.36
	if d := p[len(p)-1].duration; math.Abs(d-want) > 1e-4 {
		t.Errorf("with sound, the last picture lasts %v s, want %v", d, want)
	}
}

func TestRecordEmpty(t *testing.T) {
	clip := makeClip(t, H264, 320, 180, 90)
	f := new(memFile)
	r, err := NewRecorder(f, Options{Video: &clip.video})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); !errors.Is(err, ErrEmpty) || !f.closed {
		t.Errorf("error %v, closed %v", err, f.closed)
	}
	if err := r.Close(); !errors.Is(err, ErrEmpty) {
		t.Errorf("closed again: %v", err)
	}
	r.WriteVideo(clip.units[0], 0, true) // does nothing
	if s := r.Stats(); s.DroppedVideo != 1 || s.Bytes != 0 && s.Bytes != mediaAt {
		t.Errorf("%+v", s)
	}
}

// Sound that joins when the file has begun may have frames from before its
// beginning: they have no place in it. Pictures are kept, as later ones need
// them.
func TestRecordBeforeTheBeginning(t *testing.T) {
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	for _, pictureFirst := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := new(memFile)
			r, err := NewRecorder(f, Options{Video: &clip.video, Audio: &sound.audio})
			if err != nil {
				t.Fatal(err)
			}
			video := func() {
				for i := range 60 {
					r.WriteVideo(clip.units[i], 10*time.Second+time.Duration(i)*33*time.Millisecond, i == 0)
				}
				synctest.Wait()
			}
			audio := func(start time.Duration) {
				for i := range 60 {
					r.WriteAudio(sound.frames[i], start+sound.at(i))
				}
				synctest.Wait()
			}
			early := uint64(0)
			if pictureFirst {
				video()
				audio(10*time.Second - sound.at(5))
				early = 5
			} else {
				audio(11 * time.Second)
				video()
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			s := r.Stats()
			if got, err := play(f.data, false); err != nil || got.video != 60 || got.audio != 60-int(early) || s.DroppedAudio != early {
				t.Errorf("%+v, %v, counted %+v", got, err, s)
			}
			for trak := range parseFile(t, f.data).find("moov").all("trak") {
				for range trak.all("elst") {
					t.Error("a track begins late")
				}
			}
		})
	}
}

// A change of the picture's size has its own sample description; going back
// to the first size uses the first one again. Every picture decodes.
func TestRecordSizeChange(t *testing.T) {
	landscape, portrait := makeClip(t, H264, 320, 180, 90), makeClip(t, H264, 180, 320, 60)
	sound := makeSound(t, 44100, 4)
	file := filepath.Join(t.TempDir(), "recording.mp4")
	r, err := Create(file, Options{Audio: &sound.audio})
	if err != nil {
		t.Fatal(err)
	}
	write(r, session(nil, sound, 0, 0, 1)[:20])
	at, want := 500*time.Millisecond, []string(nil)
	for _, c := range []*clip{landscape, portrait, portrait, landscape} {
		if err := r.SetVideo(c.video); err != nil {
			t.Fatal(err)
		}
		for i, u := range c.units {
			r.WriteVideo(u, at, c.keys[i])
			at += 33 * time.Millisecond
		}
		want = append(want, c.pictures(t)...)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	moov := parseFile(t, readAll(t, file)).find("moov")
	if n := moov.find("trak").find("stsd").u32(4); n != 2 {
		t.Errorf("%d sample descriptions, want 2", n)
	}
	// Each description is in use: ffmpeg scales no picture if it is told not
	// to, and counts the pictures of each size.
	out := ffmpeg(t, "ffprobe", "-select_streams", "v", "-show_entries", "frame=width,height", "-of", "csv=p=0", file)
	sizes := map[string]int{}
	for _, line := range slices.Collect(lines(out)) {
		sizes[line]++
	}
	if sizes["320,180"] != 180 || sizes["180,320"] != 120 {
		t.Errorf("pictures by size: %v", sizes)
	}
	if got := decode(t, file, "v"); len(got) != len(want) || !slices.Equal(got[:90], want[:90]) {
		t.Errorf("%d pictures, want %d, or they differ", len(got), len(want))
	}
	entries := moov.find("trak").find("stsc")
	var used []uint32
	for i := range int(entries.u32(4)) {
		d := entries.u32(8 + 12*i + 8)
		if len(used) == 0 || used[len(used)-1] != d {
			used = append(used, d)
		}
	}
	if !slices.Equal(used, []uint32{1, 2, 1}) {
		t.Errorf("descriptions in the order %v", used)
	}
}

// What cannot go on in one file is refused and changes nothing.
func TestRecordNewFile(t *testing.T) {
	avc, hvc := makeClip(t, H264, 320, 180, 90), makeClip(t, HEVC, 320, 180, 90)
	r, err := NewRecorder(new(memFile), Options{Video: &avc.video})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.SetVideo(hvc.video); !errors.Is(err, ErrNewFile) {
		t.Errorf("another codec: %v", err)
	}
	if err := r.SetAudio(Audio{Config: []byte{0x12, 0x10}}); err != nil {
		t.Error(err)
	}
	if err := r.SetAudio(Audio{Config: []byte{0x11, 0x90}}); !errors.Is(err, ErrNewFile) {
		t.Errorf("another rate: %v", err)
	}
	n := 1
	for ; n < 1000; n++ {
		v := avc.video
		v.Config = append(slices.Clone(v.Config), byte(n), byte(n>>8)) // ignored by decoders
		if err = r.SetVideo(v); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrNewFile) || n < 60 {
		t.Errorf("after %d descriptions: %v", n, err)
	}
	if err := r.SetVideo(Video{Codec: H264, Config: []byte{1, 2, 3}}); err == nil || errors.Is(err, ErrNewFile) {
		t.Errorf("broken configuration: %v", err)
	}
}
