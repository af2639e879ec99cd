package receiver

import (
	"bytes"
	"fmt"
	"testing"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec"
	"aerie/receiver/codec/h264"
)

// softly decodes access units in Annex B in software and calls show for each
// picture, which must come at once.
func softly(t *testing.T, units [][]byte, show func(i int, f *codec.Frame)) {
	t.Helper()
	d, err := codec.NewVideoDecoder(codec.H264, codec.VideoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	pool, err := codec.NewInputPool(4, 8<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	f, err := codec.NewFrame()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Free()
	for i, u := range units {
		in, err := pool.Lease(len(u))
		if err != nil {
			t.Fatal(err)
		}
		copy(in.Bytes(), u)
		if err := d.Send(in, in.Bytes(), int64(i)); err != nil {
			t.Fatalf("access unit %d: %v", i, err)
		}
		if err := d.Receive(f); err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
		if f.Corrupt || f.Token != int64(i) {
			t.Fatalf("picture %d: corrupt %v, token %d", i, f.Corrupt, f.Token)
		}
		show(i, f)
	}
}

// samples are the visible samples of a picture.
func samples(f *codec.Frame) []byte {
	var out []byte
	for p := range f.Format.Planes() {
		row, rows := f.Format.PlaneSize(p, f.Width, f.Height)
		for y := range rows {
			out = append(out, f.Planes[p][y*f.Strides[p]:][:row]...)
		}
	}
	return out
}

// memoryOf writes a picture as a hardware decoder would.
func memoryOf(f *codec.Frame, format uapi.FourCC) (*v4l2.Layout, []byte) {
	w, h := f.Width, f.Height
	l := &v4l2.Layout{Format: format, Width: w, Height: h, Size: 4 * w * h}
	mem := make([]byte, l.Size)
	at := func(plane, x, y int) *byte { return &mem[l.Planes[plane].Offset+y*l.Planes[plane].Pitch+x] }
	switch format {
	case uapi.NV12:
		l.Planes = []v4l2.Plane{{Offset: 0, Pitch: w + 32}, {Offset: (w + 32) * h, Pitch: w + 32}}
	case uapi.YUV:
		l.Planes = []v4l2.Plane{{Offset: 0, Pitch: w}, {Offset: w * h, Pitch: w / 2}, {Offset: w * h * 5 / 4, Pitch: w / 2}}
	case uapi.NC12:
		rows := h*3/2 + 8
		l.Modifier = 4 | uint64(rows)<<8
		l.Planes = []v4l2.Plane{{Offset: 0, Pitch: w}, {Offset: 128 * h, Pitch: w}}
		at = func(plane, x, y int) *byte { return &mem[l.Planes[plane].Offset+x/128*128*rows+y*128+x%128] }
	}
	for y := range h {
		for x := range w {
			*at(0, x, y) = f.Planes[0][y*f.Strides[0]+x]
		}
	}
	for y := range h / 2 {
		for x := range w / 2 {
			cb, cr := f.Planes[1][y*f.Strides[1]+x], f.Planes[2][y*f.Strides[2]+x]
			if format == uapi.YUV {
				*at(1, x, y), *at(2, x, y) = cb, cr
			} else {
				*at(1, 2*x, y), *at(1, 2*x+1, y) = cb, cr
			}
		}
	}
	return l, mem
}

// TestStillCarriesOn: software that joins in the middle of a stream, with the
// picture that the hardware showed last, shows every picture behind it as if it
// had seen all.
func TestStillCarriesOn(t *testing.T) {
	const width, height, frames, joined = 320, 240, 90, 60
	p, units := patternUnits(t, width, height, frames)
	for i := range units {
		if err := h264.ToAnnexB(units[i]); err != nil {
			t.Fatal(err)
		}
	}
	all := append([][]byte{append(bytes.Clone(p.AnnexB), units[0]...)}, units[1:]...)
	var want [][]byte
	type memory struct {
		l   *v4l2.Layout
		mem []byte
	}
	var last []memory
	softly(t, all, func(i int, f *codec.Frame) {
		want = append(want, samples(f))
		if i == joined {
			for _, format := range []uapi.FourCC{uapi.NV12, uapi.YUV, uapi.NC12} {
				l, mem := memoryOf(f, format)
				last = append(last, memory{l, mem})
			}
		}
	})
	sets, err := piDecoder.suit(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range last {
		t.Run(fmt.Sprint(m.l.Format), func(t *testing.T) {
			planes := &h264.Planes{Width: sets.width, Height: sets.height, Y: make([]byte, sets.width*sets.height),
				Cb: make([]byte, sets.width*sets.height/4), Cr: make([]byte, sets.width*sets.height/4)}
			if !unpack(planes, m.l, m.mem) {
				t.Fatal("not unpacked")
			}
			still, err := h264.AppendStill(bytes.Clone(sets.annexB), sets.sps, planes)
			if err != nil {
				t.Fatal(err)
			}
			softly(t, append([][]byte{still}, units[joined+1:]...), func(i int, f *codec.Frame) {
				if !bytes.Equal(samples(f), want[joined+i]) {
					t.Fatalf("picture %d is another", joined+i)
				}
			})
		})
	}
}

func TestStillRefused(t *testing.T) {
	p, _ := patternUnits(t, 320, 240, 1)
	for _, planes := range []*h264.Planes{{}, {Width: 320, Height: 240}, {Width: 240, Height: 320, Y: make([]byte, 1<<20), Cb: make([]byte, 1<<20), Cr: make([]byte, 1<<20)}} {
		if b, err := h264.AppendStill(nil, p.SPS, planes); err == nil || b != nil {
			t.Errorf("%dx%d: %d bytes", planes.Width, planes.Height, len(b))
		}
	}
	if unpack(&h264.Planes{}, &v4l2.Layout{Format: uapi.XBGR}, nil) {
		t.Error("RGB was unpacked")
	}
}
