package phone

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aerie/receiver/codec/h264"
	"aerie/receiver/mp4"
	"aerie/receiver/pattern"
)

// footage is what clips are made of: access units of the pattern, every tenth
// of them a key picture.
func footage(t testing.TB, frames int) (s *pattern.Stream, units [][]byte) {
	t.Helper()
	s, err := pattern.New(pattern.Config{Width: 192, Height: 160, FPS: 25})
	if err != nil {
		t.Fatal(err)
	}
	for i := range frames {
		units = append(units, s.AppendFrame(nil, pattern.Frame{Number: uint32(i)}, i%10 == 0))
	}
	return s, units
}

// movie records footage as an MP4 file.
func movie(t testing.TB, frames int) (name string, units [][]byte) {
	t.Helper()
	s, units := footage(t, frames)
	name = filepath.Join(t.TempDir(), "clip.mp4")
	r, err := mp4.Create(name, mp4.Options{Video: &mp4.Video{Codec: mp4.H264, Config: s.AVCC()}})
	if err != nil {
		t.Fatal(err)
	}
	for i, au := range units {
		r.WriteVideo(au, time.Duration(i)*time.Second/25, i%10 == 0)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return name, units
}

// elementary writes footage as an elementary stream.
func elementary(t testing.TB, frames int) (name string, units [][]byte) {
	t.Helper()
	s, units := footage(t, frames)
	var b []byte
	for i, au := range units {
		if i%10 == 0 {
			b = h264.AppendAnnexB(h264.AppendAnnexB(b, s.SPS()), s.PPS())
		}
		au = bytes.Clone(au)
		if err := h264.ToAnnexB(au); err != nil {
			t.Fatal(err)
		}
		b = append(b, au...)
	}
	name = filepath.Join(t.TempDir(), "clip.h264")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name, units
}

// A clip gives back what it was made of, when it was made, in either form.
func TestClip(t *testing.T) {
	const frames = 35
	for _, form := range []func(testing.TB, int) (string, [][]byte){movie, elementary} {
		name, units := form(t, frames)
		c, err := OpenClip(name, 25)
		if err != nil {
			t.Fatal(err)
		}
		payload, width, height, hevc := c.Describe()
		if _, err := h264.ParseConfig(payload); err != nil || width != 192 || height != 160 || hevc {
			t.Errorf("%s: %d x %d, HEVC %v, %v", name, width, height, hevc, err)
		}
		for i, want := range units {
			at, err := c.When()
			if d := at - time.Duration(i)*time.Second/25; err != nil || d < -time.Millisecond || d > time.Millisecond {
				t.Errorf("%s: picture %d at %v, %v", name, i, at, err)
			}
			got, key, err := c.Next([]byte("head"), 0, false)
			if err != nil || key != (i%10 == 0) || !bytes.HasPrefix(got, []byte("head")) || !bytes.HasSuffix(got, want) {
				t.Fatalf("%s: picture %d has %d bytes, want %d, key %v, %v", name, i, len(got)-4, len(want), key, err)
			}
		}
		if _, err := c.When(); err != io.EOF {
			t.Errorf("%s: after the end: %v", name, err)
		}
		if _, _, err := c.Next(nil, 0, false); err != io.EOF {
			t.Errorf("%s: after the end: %v", name, err)
		}
	}
}

// A loop goes on in its rhythm, also that of a single picture.
func TestLoop(t *testing.T) {
	for frames, want := range map[int][]time.Duration{2: {0, 40, 80, 120, 160}, 1: {0, 1000, 2000, 3000}} {
		name, _ := elementary(t, frames)
		c, err := OpenClip(name, 25)
		if err != nil {
			t.Fatal(err)
		}
		c.Loop = true
		for i, ms := range want {
			at, err := c.When()
			if err != nil || at != ms*time.Millisecond {
				t.Errorf("%d pictures: number %d at %v, want %v, %v", frames, i, at, ms*time.Millisecond, err)
			}
			if _, key, err := c.Next(nil, 0, false); err != nil || i%frames == 0 && !key {
				t.Errorf("%d pictures: number %d: key %v, %v", frames, i, key, err)
			}
		}
	}
}

// box makes a box of an MP4 file.
func box(name string, content ...string) string {
	all := strings.Join(content, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(all)+8))) + name + all
}

// nestedBoxes is a moov box with one box within the other, down to so many.
func nestedBoxes(name string, levels int) string {
	b := make([]byte, 0, 8*levels)
	for i := range levels {
		b = binary.BigEndian.AppendUint32(b, uint32(8*(levels-i)))
		if i == 0 {
			b = append(b, "moov"...)
		} else {
			b = append(b, name...)
		}
	}
	return string(b)
}

// patch changes bytes of a file behind a name in it.
func patch(b []byte, behind string, at int, with string) string {
	b = bytes.Clone(b)
	i := bytes.LastIndex(b, []byte(behind))
	copy(b[i+len(behind)+at:], with)
	return string(b)
}

// reasons are what the errors must say where another check would refuse the
// file too, but later and for more.
var reasons = map[string]string{
	"box of 2^31": "a box \"moov\" of 2147483648 bytes, 8 are left", "fragmented": "ffmpeg -i IN -c copy", "fragments": "ffmpeg -i IN -c copy",
	"nested 1000000 deep": "limit 64", "chunk at 2^32-1": "picture 1 of ", "pictures of 2^32-1": "picture 1 of 4294967295 bytes", "no tables": errTables.Error(),
}

// Files that are no clips are refused with a reason that names them.
func TestHostileClips(t *testing.T) {
	name, _ := movie(t, 12)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	hdlr := box("hdlr", strings.Repeat("\x00", 8), "vide", strings.Repeat("\x00", 13))
	for what, content := range map[string]string{
		"empty":                 "",
		"text":                  "Ceci n'est pas un film.",
		"box of 2^31":           "\x80\x00\x00\x00moov",
		"box of 2^64":           "\x00\x00\x00\x01moov\xff\xff\xff\xff\xff\xff\xff\xff",
		"box of 4":              "\x00\x00\x00\x04moovmoov",
		"many boxes":            strings.Repeat(box("free"), maxBoxes+1),
		"no moov":               box("ftyp", "isom") + box("mdat", "hello"),
		"empty moov":            box("moov"),
		"fragments":             box("ftyp", "isom") + box("moof"),
		"fragmented":            box("moov", box("mvex")),
		"trak of nothing":       box("moov", box("trak")),
		"video of nothing":      box("moov", box("trak", box("mdia", hdlr))),
		"no tables":             box("moov", box("trak", box("mdia", hdlr, box("minf", box("stbl"))))),
		"moov within moov":      strings.Repeat(box("moov"), 1) + box("moov", box("moov")),
		"cut":                   string(good[:len(good)-100]),
		"time scale of 0":       patch(good, "mdhd", 20, "\x00\x00\x00\x00"),
		"2^32-1 pictures":       patch(good, "stsz", 8, "\xff\xff\xff\xff"),
		"pictures of 2^32-1":    patch(good, "stsz", 12, "\xff\xff\xff\xff"),
		"2^32-1 of the same":    patch(good, "stsz", 4, "\x00\x00\x00\x01\xff\xff\xff\xff"),
		"chunk at 2^32-1":       patch(good, "stco", 8, "\xff\xff\xff\xff"),
		"no chunks":             patch(good, "stsc", 8, "\xff\xff\xff\xff"),
		"chunks of 0":           patch(good, "stsc", 12, "\x00\x00\x00\x00"),
		"2^32-1 chunks":         patch(good, "stco", 4, "\xff\xff\xff\xff"),
		"2^32-1 times":          patch(good, "stts", 4, "\xff\xff\xff\xff"),
		"times for none":        patch(good, "stts", 8, "\x00\x00\x00\x00"),
		"avcC of noise":         patch(good, "avcC", 0, "\x01\xff\xff\xff\xff\xff\xff\xff"),
		"lengths of two bytes":  patch(good, "avcC", 4, "\xfd"),
		"sample entry of noise": patch(good, "avc1", 0, strings.Repeat("\xff", 78)),
		"another sample entry":  patch(good, "stsd", 12, "mp4v"),
		"sound for a picture":   patch(good, "hdlr", 8, "soun"),
	} {
		file := filepath.Join(t.TempDir(), "bad.mp4")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		_, err := OpenClip(file, 25)
		if err == nil || !strings.HasPrefix(err.Error(), file+": ") || !strings.Contains(err.Error(), reasons[what]) {
			t.Errorf("%s: %v", what, err)
		}
		if d := time.Since(began); d > 10*time.Second {
			t.Errorf("%s: refused after %v", what, d)
		}
	}
}

func TestHostileElementaryStreams(t *testing.T) {
	name, _ := elementary(t, 3)
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string]string{
		"empty": "", "noise": "\xff\x00\x01\x02", "start codes": strings.Repeat("\x00\x00\x01", 100), "no parameters": "\x00\x00\x01\x65\x80",
		"no pictures": string(good[:bytes.Index(good, []byte("\x00\x00\x00\x01\x65"))]), "SPS of nothing": "\x00\x00\x01\x67\x00\x00\x01\x68\x00\x00\x01\x65\x80",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenClip(name, 25); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := os.WriteFile(name, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenClip(name, 0); err == nil {
		t.Error("no pictures a second")
	}
	if _, err := OpenClip(filepath.Dir(name), 25); err == nil {
		t.Error("a folder is a clip")
	}
	if _, err := OpenClip(name+"x", 25); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// FuzzClip reads whatever is in a file: as a movie or a stream, and if it is
// one, to its end.
func FuzzClip(f *testing.F) {
	for _, form := range []func(testing.TB, int) (string, [][]byte){movie, elementary} {
		name, _ := form(f, 2)
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func(*Clip) error{
			func(c *Clip) error { return c.readMovie(bytes.NewReader(b), int64(len(b))) },
			func(c *Clip) error { return c.readElementary(bytes.NewReader(b), 25) },
		} {
			var c Clip
			if read(&c) != nil || len(c.units) == 0 {
				continue
			}
			total := 0
			for _, err := c.When(); err == nil; _, err = c.When() {
				au, _, err := c.Next(nil, 0, false)
				if err != nil {
					t.Fatal(err)
				}
				total += len(au)
			}
			// Start codes of three bytes become lengths of four.
			if total > len(b)+len(b)/3+4 {
				t.Errorf("%d bytes of pictures in %d", total, len(b))
			}
			if at := c.length(); at <= 0 && len(c.units) > 1 && c.units[len(c.units)-1].at > 0 {
				t.Errorf("a loop of %v", at)
			}
		}
	})
}
