package mp4

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// A found is what a player can find in a file, which may be a torso.
type found struct {
	video, audio int // whole samples
	finished     bool
	descriptions uint32 // of video
	lossy        bool
}

// play looks for samples as a player does: it takes the first moov, and if
// that announces fragments the fragments too, up to the first thing that is
// not whole. It fails if a sample is not where the boxes say, or, unless the
// disk may have lost some, if the bytes there are no picture.
func play(b []byte, lossy bool) (f found, err error) {
	f.lossy = lossy
	nodes, _, err := parseBoxes(b, true)
	// What follows the first broken box is lost; that is no failure here.
	var moov *node
	at := 0
	for i, n := range nodes {
		size := len(n.body) + 8
		if int(binary.BigEndian.Uint32(b[at:])) == 1 {
			size += 8
		}
		switch {
		case n.name == "moov" && moov == nil:
			moov = &nodes[i]
			f.finished = true
			for range moov.all("mvex") {
				f.finished = false
			}
			if f.finished {
				return f, f.playTables(*moov, b)
			}
			for trak := range moov.all("trak") {
				if trak.find("hdlr").body[8] == 'v' {
					f.descriptions = trak.find("stsd").u32(4)
				}
			}
		case n.name == "moof" && moov == nil:
			return f, errors.New("a fragment and no moov before it")
		case n.name == "moof" && i+1 < len(nodes) && nodes[i+1].name == "mdat":
			if err := f.playFragment(n, at, at+size+len(nodes[i+1].body)+8, b); err != nil {
				return f, err
			}
		}
		at += size
	}
	if at > mediaAt && moov == nil {
		return f, fmt.Errorf("no moov in %d bytes: %v", len(b), err)
	}
	return f, nil
}

// playFragment counts the samples of a fragment and checks that they fill its
// mdat, and that every picture is made of whole NAL units.
func (f *found) playFragment(moof node, at, end int, b []byte) error {
	for traf := range moof.all("traf") {
		tfhd, trun := traf.find("tfhd"), traf.find("trun")
		n, pos, entry := int(trun.u32(4)), at+int(trun.u32(8)), 12
		if trun.u32(0)&trunFirstFlags != 0 {
			entry += 4
		}
		for range n {
			size := int(trun.u32(entry + 4))
			entry += 8
			if pos+size > end {
				return fmt.Errorf("a sample up to %d in a fragment up to %d", pos+size, end)
			}
			if tfhd.u32(4) == videoTrackID {
				if err := wholeUnits(b[pos : pos+size]); err != nil && !f.lossy {
					return err
				}
			}
			pos += size
		}
		if tfhd.u32(4) == videoTrackID {
			f.video += n
			if d := tfhd.u32(8); d > f.descriptions {
				return fmt.Errorf("description %d of %d", d, f.descriptions)
			}
			continue
		}
		f.audio += n
		if pos != end {
			return fmt.Errorf("sound ends at %d, the fragment at %d", pos, end)
		}
	}
	return nil
}

func wholeUnits(sample []byte) error {
	for len(sample) > 0 {
		if len(sample) < 4 || int(binary.BigEndian.Uint32(sample)) > len(sample)-4 {
			return errors.New("a picture is not made of NAL units")
		}
		sample = sample[4+binary.BigEndian.Uint32(sample):]
	}
	return nil
}

// playTables counts the samples of a finished movie and checks that they are
// in the file.
func (f *found) playTables(moov node, b []byte) error {
	for trak := range moov.all("trak") {
		stsz, stsc, stco := trak.find("stsz"), trak.find("stsc"), trak.find("stco")
		video := trak.find("hdlr").body[8] == 'v'
		sample, run := 0, 0
		for c := range int(stco.u32(4)) {
			if run+1 < int(stsc.u32(4)) && int(stsc.u32(8+12*(run+1))) == c+1 {
				run++
			}
			pos := int(stco.u32(8 + 4*c))
			for range stsc.u32(8 + 12*run + 4) {
				size := int(stsz.u32(12 + 4*sample))
				sample++
				if pos+size > len(b) {
					return fmt.Errorf("sample %d ends at %d of %d", sample, pos+size, len(b))
				}
				if video {
					if err := wholeUnits(b[pos : pos+size]); err != nil {
						return err
					}
				}
				pos += size
			}
		}
		if sample != int(stsz.u32(8)) {
			return fmt.Errorf("%d samples in chunks, %d in stsz", sample, stsz.u32(8))
		}
		n := 0
		for i := range int(trak.find("stts").u32(4)) {
			n += int(trak.find("stts").u32(8 + 8*i))
		}
		if n != sample {
			return fmt.Errorf("%d samples in stts, %d in stsz", n, sample)
		}
		if video {
			f.video = sample
		} else {
			f.audio = sample
		}
	}
	return nil
}

// eventful records a session in which everything happens: sound joins late,
// the size changes twice. The writer keeps up with it.
func eventful(t *testing.T, f *memFile) (video, audio int, r *Recorder, err error) {
	t.Helper()
	landscape, portrait := makeClip(t, H264, 320, 180, 90), makeClip(t, H264, 180, 320, 60)
	sound := makeSound(t, 44100, 4)
	synctest.Test(t, func(t *testing.T) {
		if r, err = NewRecorder(f, Options{Video: &landscape.video}); err != nil {
			t.Fatal(err)
		}
		const heard = 12500 * time.Millisecond
		at := 10 * time.Second
		for _, c := range []*clip{landscape, portrait, landscape} {
			if err := r.SetVideo(c.video); err != nil {
				t.Fatal(err)
			}
			for i, u := range c.units {
				r.WriteVideo(u, at, c.keys[i])
				video++
				at += 30 * time.Millisecond
				for audio < len(sound.frames) && heard+sound.at(audio) < at {
					if err := r.SetAudio(sound.audio); err != nil {
						t.Fatal(err)
					}
					r.WriteAudio(sound.frames[audio], heard+sound.at(audio))
					audio++
				}
				synctest.Wait()
			}
		}
		err = r.Close()
	})
	return video, audio, r, err
}

// The file can be played whenever the process dies: after every operation
// and in the middle of every write.
func TestRecordCrash(t *testing.T) {
	f := new(memFile)
	video, audio, _, err := eventful(t, f)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var disk []byte
	var least found
	for i, op := range f.ops {
		for range 3 {
			torn := append([]byte(nil), disk...)
			if n := len(op.data); n > boxHeader { // a disk writes sectors
				torn = apply(torn, op, rng.IntN(n))
			}
			got, err := play(torn, false)
			if err != nil {
				t.Fatalf("torn in operation %d of %d: %v", i, len(f.ops), err)
			}
			if got.video+got.audio < least.video+least.audio {
				t.Fatalf("torn in operation %d of %d: %+v, before it %+v", i, len(f.ops), got, least)
			}
		}
		disk = apply(disk, op, len(op.data))
		got, err := play(disk, false)
		if err != nil || got.video < least.video || got.audio < least.audio {
			t.Fatalf("after operation %d of %d: %+v, %v, before it %+v", i, len(f.ops), got, err, least)
		}
		least = got
	}
	if !least.finished || least.video != video || least.audio != audio {
		t.Errorf("at the end %+v, want %d and %d", least, video, audio)
	}
}

// The file can be played after a power cut, when any of the writes since the
// last sync may be missing.
func TestRecordPowerCut(t *testing.T) {
	f := new(memFile)
	if _, _, _, err := eventful(t, f); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(2, 2))
	var safe []byte // what is on the disk for sure
	from, cuts := 0, 0
	for i, op := range f.ops {
		if op.at >= 0 {
			continue
		}
		least, err := play(safe, true)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			disk := append([]byte(nil), safe...)
			for _, o := range f.ops[from:i] {
				if rng.IntN(2) == 0 {
					disk = apply(disk, o, len(o.data))
				}
			}
			got, err := play(disk, true)
			if err != nil || got.video < least.video || got.audio < least.audio {
				t.Fatalf("between operations %d and %d: %+v, %v, safe were %+v", from, i, got, err, least)
			}
			cuts++
		}
		for _, o := range f.ops[from:i] {
			safe = apply(safe, o, len(o.data))
		}
		from = i + 1
	}
	if cuts < 200 {
		t.Errorf("only %d power cuts", cuts)
	}
}

// ffmpeg plays what is left of a file that was cut at a random byte.
func TestRecordTruncated(t *testing.T) {
	f := new(memFile)
	clip, sound := makeClip(t, H264, 320, 180, 90), makeSound(t, 44100, 4)
	r, err := NewRecorder(f, Options{Video: &clip.video, Audio: &sound.audio})
	if err != nil {
		t.Fatal(err)
	}
	write(r, session(clip, sound, time.Second, 1200*time.Millisecond, 4))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// The disk as it was before the file was finished.
	var disk []byte
	for _, op := range f.ops {
		if op.at == placeholderAt {
			break
		}
		disk = apply(disk, op, len(op.data))
	}
	rng := rand.New(rand.NewPCG(3, 3))
	pictures := clip.pictures(t)
	for range 6 {
		torn := disk[:mediaAt+rng.IntN(len(disk)-mediaAt)]
		want, err := play(torn, false)
		if err != nil {
			t.Fatal(err)
		}
		if want.video == 0 {
			continue
		}
		file := filepath.Join(t.TempDir(), "torn.mp4")
		if err := os.WriteFile(file, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		out, _ := tryFFmpeg(t, "ffmpeg", "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-")
		got := checksums(out)
		if len(got) < want.video {
			t.Errorf("%d of %d bytes: %d pictures, want at least %d", len(torn), len(disk), len(got), want.video)
		}
		for i := range want.video {
			if got[i] != pictures[i] {
				t.Errorf("picture %d differs", i)
				break
			}
		}
		out, _ = tryFFmpeg(t, "ffprobe", probeArgs(file, "a")...) // it complains of a partial file
		if n := len(parsePackets(t, out)); n < want.audio {
			t.Errorf("%d of %d bytes: %d frames of sound, want at least %d", len(torn), len(disk), n, want.audio)
		}
	}
}

// A full disk ends the recording once, and the file is an ordinary movie all
// the same, whatever the last byte was that found room.
func TestRecordDiskFull(t *testing.T) {
	whole := new(memFile)
	video, _, _, err := eventful(t, whole)
	if err != nil {
		t.Fatal(err)
	}
	var limits []int64
	for _, op := range whole.ops {
		if len(op.data) > 8 && string(op.data[4:8]) == "moof" && op.at > mediaAt+300_000 {
			limits = append(limits, op.at+20) // no room for the tables behind the last fragment
		}
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for range 20 {
		limits = append(limits, mediaAt+100_000+rng.Int64N(int64(len(whole.data))-mediaAt-100_000))
	}
	for _, limit := range limits {
		f := &memFile{limit: limit}
		_, _, r, err := eventful(t, f)
		if !errors.Is(err, syscall.ENOSPC) || !errors.Is(r.Err(), syscall.ENOSPC) || !f.closed {
			t.Fatalf("limit %d: error %v, closed %v", f.limit, err, f.closed)
		}
		got, perr := play(f.data, false)
		if perr != nil || !got.finished || got.video == 0 {
			t.Fatalf("limit %d: %+v, %v (%v)", f.limit, got, perr, err)
		}
		s := r.Stats()
		if s.Bytes != int64(len(f.data)) || s.Queued != 0 {
			t.Errorf("limit %d: %+v of %d bytes", f.limit, s, len(f.data))
		}
		if got.video >= video {
			t.Errorf("limit %d: all %d pictures", f.limit, got.video)
		}
	}
}

// Every call to the disk fails, once or from then on: the error is reported
// and what was written before can be played.
func TestRecordBrokenDisk(t *testing.T) {
	whole := new(memFile)
	if _, _, _, err := eventful(t, whole); err != nil {
		t.Fatal(err)
	}
	var disk []byte
	for i, op := range whole.ops {
		for _, again := range []bool{false, true} {
			f := &memFile{broken: func(n int) bool { return n == i || again && n > i }}
			_, _, r, err := eventful(t, f)
			if !errors.Is(err, syscall.EIO) || !errors.Is(r.Err(), syscall.EIO) || !f.closed {
				t.Fatalf("call %d fails: error %v, closed %v", i, err, f.closed)
			}
			least, _ := play(disk, false)
			if got, err := play(f.data, false); err != nil || got.video < least.video || got.audio < least.audio {
				t.Fatalf("call %d fails: %+v, %v, before it %+v", i, got, err, least)
			}
		}
		disk = apply(disk, op, len(op.data))
	}
}

// A disk with no room for anything: one error, nothing hangs.
func TestRecordNoRoomAtAll(t *testing.T) {
	for _, limit := range []int64{1, 1000, mediaAt, mediaAt + 100} {
		f := &memFile{limit: limit}
		_, _, r, err := eventful(t, f)
		if !errors.Is(err, syscall.ENOSPC) || !f.closed {
			t.Errorf("limit %d: %v, closed %v", limit, err, f.closed)
		}
		if s := r.Stats(); s.Queued != 0 {
			t.Errorf("limit %d: %+v", limit, s)
		}
	}
}
