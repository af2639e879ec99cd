package codec

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

var threadings = []VideoOptions{{}, {Threads: 2}, {Threads: 4}, {Threads: 3, SliceThreads: true}}

func (o VideoOptions) String() string {
	return fmt.Sprintf("threads=%d,slices=%t", o.Threads, o.SliceThreads)
}

// TestGolden decodes the clips of testdata on every threading model and
// compares every picture, and what is known about it, with the encoder's
// settings and with the checksums of another decoder.
func TestGolden(t *testing.T) {
	for _, want := range clips {
		for _, o := range threadings {
			t.Run(want.name+"/"+o.String(), func(t *testing.T) {
				c := loadClip(t, want.name, want.codec)
				r := newRig(t, want.codec, o)
				n := 0
				must(t, r.decode(c.units, func(f *Frame) {
					if n < len(c.sums) && sum(&f.Image) != c.sums[n] {
						t.Errorf("picture %d differs", n)
					}
					if f.Token != int64(n) || f.Key != (n == 0) || f.Corrupt || f.ID != -1 {
						t.Errorf("picture %d: token %d, key %t, corrupt %t, memory %d", n, f.Token, f.Key, f.Corrupt, f.ID)
					}
					if f.Width != 350 || f.Height != 198 || f.Left != 0 || f.Top != 0 || f.Format != want.format {
						t.Errorf("picture %d: %dx%d%+d%+d in %v", n, f.Width, f.Height, f.Left, f.Top, f.Format)
					}
					if f.Colour != want.colour || f.AspectWidth != want.aspect[0] || f.AspectHeight != want.aspect[1] {
						t.Errorf("picture %d: colour %+v, pixel aspect %d:%d", n, f.Colour, f.AspectWidth, f.AspectHeight)
					}
					n++
				}))
				if n != len(c.sums) {
					t.Errorf("%d pictures, want %d", n, len(c.sums))
				}
			})
		}
	}
}

// TestAgainstFFmpeg decodes clips of full size, made on the spot, to the same
// bits as the system's ffmpeg.
func TestAgainstFFmpeg(t *testing.T) {
	for _, v := range []struct {
		codec  VideoCodec
		size   string
		frames int
	}{{H264, "1920x1080", 60}, {HEVC, "1920x1080", 20}, {H264, "498x1080", 20}} {
		t.Run(fmt.Sprint(v.codec, " ", v.size), func(t *testing.T) {
			c := makeClip(t, v.codec, v.size, v.frames)
			r := newRig(t, v.codec, VideoOptions{})
			n := 0
			must(t, r.decode(c.units, func(f *Frame) {
				if sum(&f.Image) != c.sums[n] {
					t.Errorf("picture %d differs", n)
				}
				n++
			}))
			if n != v.frames {
				t.Errorf("%d pictures, want %d", n, v.frames)
			}
		})
	}
}

// TestLag proves that one thread gives back each picture before the next
// access unit is sent, and that n frame threads lag by n-1 exactly.
func TestLag(t *testing.T) {
	for _, v := range clips {
		for _, o := range threadings {
			t.Run(v.name+"/"+o.String(), func(t *testing.T) {
				c := loadClip(t, v.name, v.codec)
				r := newRig(t, v.codec, o)
				lag := 0
				if !o.SliceThreads {
					lag = max(o.Threads, 1) - 1
				}
				if r.Lag() != lag {
					t.Errorf("Lag() = %d, want %d", r.Lag(), lag)
				}
				for i, unit := range c.units {
					must(t, r.send(unit, int64(i)))
					var tokens []int64
					if err := r.receiveAll(func(f *Frame) { tokens = append(tokens, f.Token) }); err != ErrAgain {
						t.Fatal(err)
					}
					want := "[]"
					if i >= lag {
						want = fmt.Sprint([]int{i - lag})
					}
					if fmt.Sprint(tokens) != want {
						t.Fatalf("after unit %d: pictures %v, want %s", i, tokens, want)
					}
				}
			})
		}
	}
}

// TestFlush starts the stream anew, in the middle and after its end.
func TestFlush(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	for _, o := range threadings {
		t.Run(o.String(), func(t *testing.T) {
			r := newRig(t, H264, o)
			for _, until := range []int{1, 7, len(c.units), len(c.units)} {
				n := 0
				must(t, r.decode(c.units[:until], func(f *Frame) {
					if f.Token != int64(n) || sum(&f.Image) != c.sums[n] {
						t.Errorf("picture %d (token %d) differs", n, f.Token)
					}
					n++
				}))
				if n != until {
					t.Errorf("%d pictures, want %d", n, until)
				}
				r.Flush()
			}
			// Pictures that were not fetched are forgotten.
			must(t, r.send(c.units[0], 0))
			r.Flush()
			if err := r.Receive(r.frame); err != ErrAgain {
				t.Errorf("Receive after Flush: %v", err)
			}
		})
	}
}

// TestFramesOutliveDecoder keeps every picture, in frames that were moved, and
// looks at them when the decoder is gone.
func TestFramesOutliveDecoder(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	r := newRig(t, H264, VideoOptions{})
	var kept []*Frame
	must(t, r.decode(c.units, func(f *Frame) {
		k, err := NewFrame()
		must(t, err)
		f.Move(k)
		if f.Planes[0] != nil {
			t.Error("the frame moved from still shows a picture")
		}
		kept = append(kept, k)
	}))
	r.Close()
	for i, k := range kept {
		if k.Token != int64(i) || sum(&k.Image) != c.sums[i] {
			t.Errorf("picture %d differs", i)
		}
		k.Release()
		k.Release()
		k.Free()
	}
}

// TestSkipLoopFilter changes the filter while decoding: pictures differ from
// where it is left out, and the whole clip is right again after a key frame.
func TestSkipLoopFilter(t *testing.T) {
	for _, v := range clips[:2] {
		c := loadClip(t, v.name, v.codec)
		r := newRig(t, v.codec, VideoOptions{})
		for round, level := range []LoopFilter{FilterAll, FilterNone, FilterKeysOnly, FilterAll} {
			r.SkipLoopFilter(FilterAll)
			same, n := 0, 0
			must(t, r.decode(c.units, func(f *Frame) {
				if sum(&f.Image) == c.sums[n] {
					same++
				}
				if n++; n == 10 {
					r.SkipLoopFilter(level)
				}
			}))
			if want := map[bool]int{true: len(c.sums), false: 10}[level == FilterAll]; same != want {
				t.Errorf("%s round %d: %d pictures of the full filter, want %d", v.name, round, same, want)
			}
			r.Flush()
		}
	}
}

// TestCorrupt loses an access unit: the pictures after it are marked, or
// swallowed and counted.
func TestCorrupt(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	broken := append([][]byte(nil), c.units...)
	broken[5] = append([]byte(nil), broken[5]...)
	for i := len(broken[5]) / 2; i < len(broken[5]); i++ {
		broken[5][i] = byte(i * 151)
	}
	for _, drop := range []bool{false, true} {
		r := newRig(t, H264, VideoOptions{DropCorrupt: drop})
		seen, marked := 0, 0
		err := r.decode(broken, func(f *Frame) {
			seen++
			if f.Corrupt {
				marked++
			}
		})
		must(t, err)
		if drop && (marked != 0 || r.Dropped() == 0 || seen+int(r.Dropped()) != len(broken)) {
			t.Errorf("dropping: %d pictures, %d marked, %d dropped", seen, marked, r.Dropped())
		}
		if !drop && (marked == 0 || seen != len(broken) || r.Dropped() != 0) {
			t.Errorf("concealing: %d pictures, %d marked, %d dropped", seen, marked, r.Dropped())
		}
	}
}

// TestSendErrors goes through the ways of misusing Send.
func TestSendErrors(t *testing.T) {
	c := loadClip(t, "high.h264", H264)
	r := newRig(t, H264, VideoOptions{})
	lease := func(n int) *Input {
		in, err := r.pool.Lease(n)
		must(t, err)
		return in
	}
	for name, data := range map[string][]byte{"empty": nil, "foreign": make([]byte, 8)} {
		if err := r.Send(lease(100), data, 0); err == nil {
			t.Errorf("%s data was taken", name)
		}
	}
	in := lease(100)
	beyond := in.Bytes()[50:100:100]
	in.Release()
	if err := r.Send(lease(60), beyond, 0); err == nil {
		t.Error("data beyond the lease was taken")
	}

	// When nobody fetches pictures, a unit is refused, and its lease is kept.
	sent := 0
	for ; sent < 5; sent++ {
		in := lease(len(c.units[sent]))
		copy(in.Bytes(), c.units[sent])
		err := r.Send(in, in.Bytes(), int64(sent))
		if err == ErrAgain {
			must(t, r.receiveAll(func(*Frame) {}), ErrAgain)
			must(t, r.Send(in, in.Bytes(), int64(sent)))
			break
		}
		must(t, err)
	}
	if sent == 5 {
		t.Error("the decoder takes units without end")
	}
	if err := r.send([]byte{0, 0, 0, 1, 0x65}, 0); err != nil && !errors.Is(err, ErrInvalid) && err != ErrAgain {
		t.Errorf("a stub of a slice: %v", err)
	}
	must(t, r.receiveAll(func(*Frame) {}), ErrAgain, ErrInvalid)
	must(t, r.Drain())
	must(t, r.receiveAll(func(*Frame) {}), io.EOF)
	if err := r.Receive(r.frame); err != io.EOF {
		t.Errorf("Receive after the end: %v", err)
	}
}

func TestVideoOptions(t *testing.T) {
	for _, o := range []VideoOptions{{Threads: -1}, {Threads: 17}, {MaxPixels: -1}, {MaxMemory: -1}} {
		if d, err := NewVideoDecoder(H264, o); err == nil {
			d.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
	if _, err := NewVideoDecoder(0, VideoOptions{}); err == nil {
		t.Error("a decoder for no codec was opened")
	}
}
