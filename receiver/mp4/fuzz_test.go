package mp4

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"aerie/receiver/codec/h264"
)

// A description that is accepted makes whole boxes.
func FuzzVideo(f *testing.F) {
	f.Add(byte(H264), makeClip(f, H264, 320, 180, 90).video.Config)
	f.Add(byte(HEVC), makeClip(f, HEVC, 320, 180, 90).video.Config)
	f.Fuzz(func(t *testing.T, codec byte, config []byte) {
		l, err := NewLive(&Video{Codec: Codec(codec), Config: config}, nil)
		if err != nil {
			return
		}
		if l.MIMEType() == "" {
			t.Error("no MIME type")
		}
		parseFile(t, l.AppendInit(nil))
		if !fitsFront([]*videoTrack{l.video}, nil) {
			t.Error("a single description does not fit a file")
		}
	})
}

func FuzzAudio(f *testing.F) {
	f.Add([]byte{0x12, 0x10})
	f.Add([]byte{0xf8, 0xe8, 0x50, 0})
	f.Fuzz(func(t *testing.T, config []byte) {
		l, err := NewLive(nil, &Audio{Config: config})
		if err != nil {
			return
		}
		b := l.AppendInit(nil)
		b = l.AppendAudio(b, time.Second, []byte{1, 2, 3}, nil, []byte{4})
		parseFile(t, b)
	})
}

// Whatever comes in whatever order at whatever time, and wherever the disk
// ends: the file can be played and has what Stats counts.
func FuzzRecorder(f *testing.F) {
	landscape, portrait := makeClip(f, H264, 320, 180, 90).video, makeClip(f, H264, 180, 320, 60).video
	landscape.AnnexB, portrait.AnnexB = false, false
	f.Add([]byte("\x00\x05a\x01\x05b\x02\x01c\x10\x00\x00\x03\x10\x00\x04\x01\x01"), uint32(0))
	f.Add([]byte("\x00\xffa\x01\x05b\x02\x01c\x03\x10\xff\x00\x10\xff\x00\x01\x01\x01\x01\x02"), uint32(60000))
	f.Fuzz(func(t *testing.T, ops []byte, limit uint32) {
		disk := &memFile{limit: int64(limit)}
		tick := make(chan time.Time)
		r, err := NewRecorder(disk, Options{Video: &landscape, QueueBytes: 100_000, Tick: tick})
		if err != nil {
			t.Fatal(err)
		}
		pts := time.Duration(0)
		unit := h264.AppendLengthPrefixed(nil, append([]byte{0x65}, make([]byte, 1000)...))
		for ; len(ops) >= 3; ops = ops[3:] {
			step := time.Duration(int8(ops[1])) * time.Millisecond
			pts += step << (ops[2] & 0x1f)
			switch ops[0] % 6 {
			case 0, 1:
				r.WriteVideo(unit, pts, ops[0]&1 == 1)
			case 2:
				r.WriteAudio(unit[:1+int(ops[2])], pts)
			case 3:
				if err := r.SetAudio(Audio{Config: []byte{0x12, 0x10}}); err != nil {
					t.Fatal(err)
				}
			case 4:
				v := landscape
				if ops[1]&1 == 1 {
					v = portrait
				}
				if err := r.SetVideo(v); err != nil {
					t.Fatal(err)
				}
			case 5:
				select {
				case tick <- time.Time{}:
				case <-r.Done():
				}
			}
		}
		err = r.Close()
		if err != nil && !errors.Is(err, ErrEmpty) && !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		got, perr := play(disk.data, false)
		if perr != nil {
			t.Fatal(perr)
		}
		s := r.Stats()
		if err == nil && (got.video != int(s.Video) || got.audio != int(s.Audio) || !got.finished) {
			t.Errorf("%+v in the file, counted %+v", got, s)
		}
	})
}
