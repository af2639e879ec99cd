package v4l2

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"aerie/drm"
	"aerie/hw/lab/bench"
	"aerie/hw/v4l2/uapi"
	"aerie/hw/v4l2/vicodec"
	"golang.org/x/sys/unix"
)

// patient is how long a test waits for what must come.
const patient = 60 * time.Second

// kinds are the ways in which the virtual codec can be loaded and driven.
var kinds = []struct {
	name   string
	mplane bool
	early  bool
}{
	{"single-planar", false, false},
	{"multi-planar", true, false},
	{"memory before the stream", true, true},
}

// labKinds runs a test for each of them.
func labKinds(t *testing.T, f func(t *testing.T)) {
	bench.Need(t)
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			planes := "multiplanar=0"
			if k.mplane {
				planes = "multiplanar=1"
			}
			bench.Load(t, "vicodec", planes)
			if k.early {
				drivers["vicodec"] = quirks{early: true, frames: spare}
				defer delete(drivers, "vicodec")
			}
			d, err := Find(uapi.FWHT)
			if err != nil || d.Driver != "vicodec" || d.Mplane != k.mplane {
				t.Fatalf("%+v, %v", d, err)
			}
			f(t)
			if n := descriptors(t); n != 0 {
				t.Errorf("%d descriptors of video devices or dma-bufs are left", n)
			}
		})
	}
}

// descriptors counts open video devices and dma-bufs of this process.
func descriptors(t *testing.T) (n int) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		target, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		if bytes.Contains([]byte(target), []byte("/dev/video")) || bytes.Contains([]byte(target), []byte("dmabuf")) {
			n++
		}
	}
	return n
}

// encode makes access units of moving pictures. Each is begun with a start
// code, which the codec skips.
func encode(t *testing.T, width, height int, format uapi.FourCC, n int) (units [][]byte) {
	t.Helper()
	e, err := vicodec.Open(width, height, format)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range n {
		au, err := e.Encode(func(mem []byte) {
			for k := range mem {
				mem[k] = byte(16 + (k/3+k/width*5+i*9)%200)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, append([]byte{0, 0, 0, 1}, au...))
	}
	return units
}

// labViewer decodes on the virtual codec.
type labViewer struct {
	t        *testing.T
	d        *Decoder
	layouts  chan *Layout
	retired  chan *Layout
	pictures chan Picture
	failed   chan error
	sent     uint64
}

func openLab(t *testing.T, width, height int, change func(*Config), formats ...uapi.FourCC) *labViewer {
	t.Helper()
	device, err := Find(uapi.FWHT)
	if err != nil {
		t.Fatal(err)
	}
	v := &labViewer{t: t, layouts: make(chan *Layout, 10), retired: make(chan *Layout, 10), pictures: make(chan Picture, 100), failed: make(chan error, 1)}
	cfg := Config{Device: device, Codec: uapi.FWHT, Width: width, Height: height, References: 1, Held: 3, Formats: formats, Stall: patient,
		Setup:   func(l *Layout) error { v.layouts <- l; return nil },
		Retire:  func(l *Layout) { v.retired <- l },
		Picture: func(p Picture) { v.pictures <- p },
		Failed:  func(err error) { v.failed <- err }}
	if change != nil {
		change(&cfg)
	}
	if v.d, err = Open(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.d.Close() })
	return v
}

func (v *labViewer) send(au []byte) {
	v.t.Helper()
	in, err := v.d.Lease(context.Background())
	if err != nil {
		v.t.Fatal(err)
	}
	v.sent++
	in.Submit(copy(in.Bytes(), au), v.sent)
}

func await[T any](t *testing.T, c <-chan T, failed <-chan error, what string) T {
	t.Helper()
	select {
	case x := <-c:
		return x
	case err := <-failed:
		t.Fatalf("instead of %s: %v", what, err)
	case <-time.After(patient):
		t.Fatalf("no %s", what)
	}
	panic("unreachable")
}

// pixels copies a picture out of its dma-buf, without padding.
func pixels(t *testing.T, l *Layout, p Picture) []byte {
	t.Helper()
	mem, err := unix.Mmap(l.Buffers[p.Index], 0, l.Size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	return bytes.Clone(mem)
}

// TestLabDecode decodes what the encoder of the same codec made; the picture is
// nearly the source, and the same on every way that the device can be driven.
func TestLabDecode(t *testing.T) {
	const width, height, frames = 640, 480, 12
	var first [][]byte
	labKinds(t, func(t *testing.T) {
		units := encode(t, width, height, uapi.NV12, frames)
		v := openLab(t, width, height, nil, uapi.NC12, uapi.NV12)
		var all [][]byte
		v.send(units[0])
		l := await(t, v.layouts, v.failed, "memory")
		if l.Format != uapi.NV12 || l.Visible != (Rect{0, 0, width, height}) {
			t.Fatalf("%v", l)
		}
		for i := range units {
			if i > 0 {
				v.send(units[i])
			}
			p := await(t, v.pictures, v.failed, "picture")
			if p.Token != uint64(i+1) || p.Corrupt {
				t.Fatalf("%+v", p)
			}
			all = append(all, pixels(t, l, p))
			v.d.Release(p)
		}
		worst := 0
		for k, b := range all[3][:width*height] {
			want := 16 + (k/3+k/width*5+3*9)%200
			if want > 60 && want < 180 { // the edge of the sawtooth rings
				worst = max(worst, int(b)-want, want-int(b))
			}
		}
		if worst > 60 {
			t.Errorf("a sample is wrong by %d", worst)
		}
		if first == nil {
			first = all
		}
		for i := range all {
			if !bytes.Equal(all[i], first[i]) {
				t.Errorf("picture %d differs from the one that was decoded another way", i)
			}
		}
		if err := v.d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestLabChange: pictures of three sizes in one stream, each in its memory.
func TestLabChange(t *testing.T) {
	labKinds(t, func(t *testing.T) {
		v := openLab(t, 640, 480, nil, uapi.NV12)
		var before *Layout
		for round, size := range [][2]int{{640, 480}, {800, 608}, {640, 368}} {
			units := encode(t, size[0], size[1], uapi.NV12, 3)
			for i, au := range units {
				v.send(au)
				p := await(t, v.pictures, v.failed, "picture")
				if p.Token != uint64(3*round+i+1) {
					t.Fatalf("%+v", p)
				}
				if i == 0 {
					l := await(t, v.layouts, v.failed, "memory")
					for l.Generation != p.Generation { // made for a guess
						l = await(t, v.layouts, v.failed, "memory")
					}
					if l.Visible.W != size[0] || l.Visible.H != size[1] {
						t.Errorf("%v for %v", l, size)
					}
					if before != nil {
						await(t, v.retired, v.failed, "end of the old memory")
					}
					before = l
				}
				v.d.Release(p)
			}
		}
		if err := v.d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestLabDrainAndFlush: the end of a stream, its repetition, and what is
// forgotten in between.
func TestLabDrainAndFlush(t *testing.T) {
	labKinds(t, func(t *testing.T) {
		units := encode(t, 640, 480, uapi.NV12, 4)
		v := openLab(t, 640, 480, nil, uapi.NV12)
		for round := range 3 {
			for _, au := range units {
				v.send(au)
			}
			if err := v.d.Drain(); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			if len(v.pictures) != len(units) {
				t.Errorf("round %d: %d pictures after a drain", round, len(v.pictures))
			}
			for len(v.pictures) > 0 {
				v.d.Release(<-v.pictures)
			}
			v.send(units[0])
			if err := v.d.Flush(); err != nil {
				t.Fatalf("round %d: flush: %v", round, err)
			}
			for len(v.pictures) > 0 {
				v.d.Release(<-v.pictures)
			}
		}
		if err := v.d.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestLabStarved: nobody gives pictures back, and the watchdog tells.
func TestLabStarved(t *testing.T) {
	bench.Need(t)
	units := encode(t, 640, 480, uapi.NV12, 4)
	v := openLab(t, 640, 480, func(c *Config) { c.Stall = 0 }, uapi.NV12)
	for n := 0; v.d.Err() == nil && n < 100; n++ {
		in, err := v.d.Lease(context.Background())
		if err != nil {
			break
		}
		in.Submit(copy(in.Bytes(), units[n%len(units)]), uint64(n))
	}
	if err := await(t, v.failed, nil, "failure"); !errors.Is(err, ErrStalled) {
		t.Error(err)
	}
	if err := v.d.Close(); err != nil || descriptors(t) != 0 {
		t.Errorf("%v, %d descriptors left", err, descriptors(t))
	}
}

// TestLabScanOut: what the decoder wrote is what the display shows, and the CPU
// has touched none of it.
func TestLabScanOut(t *testing.T) {
	for _, format := range []uapi.FourCC{uapi.XBGR, uapi.NV12} {
		t.Run(format.String(), func(t *testing.T) {
			bench.Need(t)
			const width, height, frames = 640, 480, 6
			units := encode(t, width, height, format, frames)
			flips, released := make(chan drm.Flip, 100), make(chan uint64, 100)
			display, err := drm.Open(drm.Options{Driver: "vkms", Mode: "640x480@60",
				Flipped: func(f drm.Flip) { flips <- f }, Released: func(id uint64) { released <- id }})
			if err != nil {
				t.Fatal(err)
			}
			defer display.Close()
			var fbs []*drm.Framebuffer
			v := openLab(t, width, height, func(c *Config) {
				setup := c.Setup
				c.Setup = func(l *Layout) (err error) {
					fbs, err = importAll(display, l)
					if err != nil {
						return err
					}
					return setup(l)
				}
			}, format)
			var l *Layout
			for i, au := range units {
				v.send(au)
				if i == 0 {
					l = await(t, v.layouts, v.failed, "memory")
				}
				p := await(t, v.pictures, v.failed, "picture")
				if err := display.Show(drm.Picture{ID: uint64(p.Index) + 1, FB: fbs[p.Index], Source: drm.Rect(l.Visible), Color: drm.Color{Encoding: drm.BT601}}); err != nil {
					t.Fatal(err)
				}
				await(t, flips, v.failed, "flip")
				same(t, display, l, pixels(t, l, p))
				if i > 0 {
					v.d.Release(Picture{Generation: 1, Index: int(await(t, released, v.failed, "release")) - 1})
				}
			}
			if err := v.d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// importAll makes frame buffers of a layout.
func importAll(display *drm.Display, l *Layout) (fbs []*drm.Framebuffer, err error) {
	for _, fd := range l.Buffers {
		b := drm.DMABuf{Width: l.Width, Height: l.Height, Format: drm.Format(l.Fourcc), Modifier: drm.Modifier(l.Modifier)}
		for i, p := range l.Planes {
			b.Planes[i] = drm.DMABufPlane{FD: fd, Offset: p.Offset, Pitch: p.Pitch}
		}
		fb, err := display.Import(b)
		if err != nil {
			return nil, err
		}
		fbs = append(fbs, fb)
	}
	return fbs, nil
}

// same compares what the display shows with a picture of the decoder.
func same(t *testing.T, display *drm.Display, l *Layout, mem []byte) {
	t.Helper()
	shot, err := display.Capture()
	if err != nil {
		t.Fatal(err)
	}
	var planes []vicodec.Plane
	for _, p := range l.Planes {
		planes = append(planes, vicodec.Plane(p))
	}
	if err := vicodec.Compare(shot.RGB, vicodec.BT601, mem, l.Visible.W, l.Visible.H, planes); err != nil {
		t.Fatal(err)
	}
}
