package receiver

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"aerie/hw/v4l2"
	"aerie/hw/v4l2/stateless"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec/h264"
	"aerie/receiver/codec/hevc"
)

// hevcRig is a stream on the kernel that the tests play, and what came out.
type hevcRig struct {
	t        testing.TB
	kernel   *hevcKernel
	stream   *hevcStream
	units    [][]byte
	pictures chan v4l2.Picture
	failed   chan error
	retired  chan *v4l2.Layout
	next     uint64

	mu   sync.Mutex
	lost int
	why  error
}

// hevcClip reads a clip and its sequence parameter set.
func hevcClip(t testing.TB, name string) (units [][]byte, sps *hevc.SPS) {
	t.Helper()
	clip, err := os.ReadFile(filepath.Join("testdata", "hevc", name))
	if err != nil {
		t.Fatal(err)
	}
	for nal := range h264.AnnexB(clip) {
		if hevc.TypeOf(nal) == hevc.TypeSPS && sps == nil {
			if sps, err = hevc.ParseSPS(nal); err != nil {
				t.Fatal(err)
			}
		}
	}
	return hevcUnits(t, clip), sps
}

func newHEVCRig(t testing.TB, name string, change func(*v4l2.Config)) *hevcRig {
	t.Helper()
	r := &hevcRig{t: t, kernel: newHEVCKernel(t), pictures: make(chan v4l2.Picture, 100), failed: make(chan error, 1), retired: make(chan *v4l2.Layout, 1)}
	units, sps := hevcClip(t, name)
	r.units = units
	cfg := v4l2.Config{Held: 3, Formats: []uapi.FourCC{uapi.NV12}, Stall: 20 * time.Millisecond,
		Picture: func(p v4l2.Picture) { r.pictures <- p },
		Failed:  func(err error) { r.failed <- err },
		Retire:  func(l *v4l2.Layout) { r.retired <- l },
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	r.stream, err = openHEVC(stateless.Device{Path: "/dev/video19", Driver: "rpi-hevc-dec", Media: []string{"/dev/media1"}}, sps, cfg, r.lose, r.kernel)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *hevcRig) lose(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost, r.why = r.lost+1, err
}

// losses are the access units that were lost, and why the last one was.
func (r *hevcRig) losses() (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost, r.why
}

// send gives an access unit to the stream under the next token.
func (r *hevcRig) send(au []byte) {
	r.t.Helper()
	in, err := r.stream.Lease(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	in.Submit(copy(in.Bytes(), au), r.next)
	r.next++
}

func (r *hevcRig) receive() v4l2.Picture {
	r.t.Helper()
	select {
	case p := <-r.pictures:
		return p
	case err := <-r.failed:
		r.t.Fatal(err)
	case <-time.After(time.Minute):
		r.t.Fatal("no picture")
	}
	return v4l2.Picture{}
}

func (r *hevcRig) close() {
	r.t.Helper()
	if err := r.stream.Close(); err != nil {
		r.t.Error(err)
	}
	if k := r.kernel; k.fds != 0 || k.mapped != 0 {
		r.t.Errorf("%d descriptors, %d mappings are held", k.fds, k.mapped)
	}
	if l := <-r.retired; l.Generation != 1 {
		r.t.Errorf("retired %+v", l)
	}
}

// Every picture comes out once, as soon as its order allows, and what it refers
// to is still there when it is decoded.
func TestHEVCStream(t *testing.T) {
	for _, name := range []string{"mirror.265", "pyramid.265", "slices.265"} {
		t.Run(name, func(t *testing.T) {
			r := newHEVCRig(t, name, nil)
			tracker := hevc.NewTracker()
			for i, au := range r.units {
				p, err := tracker.Next(au, uint64(i))
				if err != nil {
					t.Fatal(err)
				}
				want := slices.Clone(p.Show)
				r.send(au)
				for _, token := range want {
					got := r.receive()
					if got.Token != token || got.Corrupt || got.Generation != 1 {
						t.Fatalf("%+v, want picture %d", got, token)
					}
					r.stream.Release(got)
				}
			}
			if k := r.kernel; k.runs != len(r.units) || k.missing != 0 {
				t.Errorf("%d pictures of %d decoded, %d references missing", k.runs, len(r.units), k.missing)
			}
			if n, err := r.losses(); n != 0 {
				t.Errorf("%d lost: %v", n, err)
			}
			r.close()
		})
	}
}

// A display that holds pictures does not let them be overwritten.
func TestHEVCHeldPictures(t *testing.T) {
	r := newHEVCRig(t, "mirror.265", nil)
	var held []v4l2.Picture
	for _, au := range r.units {
		r.send(au)
		p := r.receive()
		for _, h := range held {
			if h.Index == p.Index {
				t.Fatalf("picture %d is in the memory of picture %d, which is shown", p.Token, h.Token)
			}
		}
		if held = append(held, p); len(held) > 2 {
			r.stream.Release(held[0])
			held = held[1:]
		}
	}
	r.close()
}

func TestHEVCDisplayKeepsEverything(t *testing.T) {
	r := newHEVCRig(t, "mirror.265", nil)
	for _, au := range r.units {
		in, err := r.stream.Lease(context.Background())
		if err != nil {
			break
		}
		in.Submit(copy(in.Bytes(), au), 0)
		if len(r.failed) > 0 {
			break
		}
	}
	if err := <-r.failed; !errors.Is(err, stateless.ErrNoPicture) {
		t.Error(err)
	}
	r.close()
}

// What is lost costs no more than itself: the pictures that refer to it, two in
// this clip, get another one in its place and are marked.
func TestHEVCLostPictures(t *testing.T) {
	r := newHEVCRig(t, "mirror.265", nil)
	next := func(i int) v4l2.Picture {
		r.send(r.units[i])
		p := r.receive()
		r.stream.Release(p)
		return p
	}
	next(0)
	next(1)
	r.kernel.mu.Lock()
	r.kernel.refuse = 1
	r.kernel.mu.Unlock()
	r.send(r.units[2]) // refused by the kernel
	for i, corrupt := range []bool{3: true, 4: true, 5: false} {
		if i < 3 {
			continue
		}
		if p := next(i); p.Corrupt != corrupt || p.Token != uint64(i) {
			t.Errorf("%+v", p)
		}
	}
	damaged := slices.Clone(r.units[6])
	for i := 6; i < 14; i++ {
		damaged[i] ^= 0xff
	}
	r.send(damaged)
	r.send(nil)
	r.send([]byte{0, 0, 0, 1, 0x46, 1, 0x50}) // no picture, and no loss
	if p := next(7); !p.Corrupt {
		t.Errorf("%+v", p)
	}
	if n, err := r.losses(); n != 3 || err == nil {
		t.Errorf("%d lost, %v", n, err)
	}
	if r.kernel.missing != 0 {
		t.Errorf("%d references were not there", r.kernel.missing)
	}
	r.close()
}

func TestHEVCStalledDevice(t *testing.T) {
	r := newHEVCRig(t, "mirror.265", nil)
	r.kernel.mu.Lock()
	r.kernel.stalled = true
	r.kernel.mu.Unlock()
	r.send(r.units[0])
	if err := <-r.failed; !errors.Is(err, stateless.ErrStalled) || !strings.Contains(err.Error(), "/dev/video19 (rpi-hevc-dec)") {
		t.Error(err)
	}
	if _, err := r.stream.Lease(context.Background()); !errors.Is(err, stateless.ErrStalled) {
		t.Error(err)
	}
	r.close()
}

func TestHEVCOtherStream(t *testing.T) {
	r := newHEVCRig(t, "mirror.265", nil)
	r.stream.width = 64
	r.send(r.units[0])
	if err := <-r.failed; !errors.Is(err, stateless.ErrUnsuitable) || !strings.Contains(err.Error(), "128x96 with 8 bits") {
		t.Error(err)
	}
	r.close()

	_, sps := hevcClip(t, "mirror.265")
	for want, change := range map[string]func(*hevc.SPS){
		"4:2:0":           func(s *hevc.SPS) { s.ChromaFormat = 3 },
		"10 bits for":     func(s *hevc.SPS) { s.BitDepthLuma = 10 },
		"9 bits for luma": func(s *hevc.SPS) { s.BitDepthLuma, s.BitDepthChroma = 9, 9 },
	} {
		other := *sps
		change(&other)
		if _, err := openHEVC(stateless.Device{}, &other, v4l2.Config{}, nil, newHEVCKernel(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestHEVCSetupFails(t *testing.T) {
	k := newHEVCKernel(t)
	_, sps := hevcClip(t, "mirror.265")
	bad := errors.New("the display cannot show it")
	_, err := openHEVC(stateless.Device{Path: "/dev/video19", Media: []string{"/dev/media1"}}, sps,
		v4l2.Config{Formats: []uapi.FourCC{uapi.NV12}, Setup: func(l *v4l2.Layout) error {
			if l.Width != 128 || l.Height != 96 || len(l.Buffers) == 0 || len(l.Planes) != 2 {
				t.Errorf("%+v", l)
			}
			return bad
		}}, nil, k)
	if err != bad || k.fds != 0 || k.mapped != 0 {
		t.Errorf("%v; %d descriptors, %d mappings", err, k.fds, k.mapped)
	}
}

// Memory that is leased is not unmapped under the one who writes to it.
func TestHEVCCloseWaitsForLeases(t *testing.T) {
	r := newHEVCRig(t, "mirror.265", nil)
	a, err := r.stream.Lease(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.stream.Lease(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-r.retired // it is closing
		r.retired <- r.stream.layout
		a.Bytes()[0] = 1
		a.Release()
		b.Submit(copy(b.Bytes(), r.units[0]), 1)
	}()
	r.close()
	if _, err := r.stream.Lease(context.Background()); err == nil {
		t.Error("leased after Close")
	}
	if len(r.pictures) > 0 {
		t.Error("a picture after Close")
	}
}

func TestHEVCAllocatesNothing(t *testing.T) {
	r := newHEVCRig(t, "mirror.265", nil)
	defer r.close()
	for _, au := range r.units {
		r.send(au)
		r.stream.Release(r.receive())
	}
	// The last picture over and over, which refers to the one before it: an
	// order count that stays is as good as any.
	last := r.units[len(r.units)-1]
	ctx := context.Background()
	if n := testing.AllocsPerRun(200, func() {
		in, err := r.stream.Lease(ctx)
		if err != nil {
			t.Fatal(err)
		}
		in.Submit(copy(in.Bytes(), last), 0)
		r.stream.Release(<-r.pictures)
	}); n != 0 {
		t.Errorf("%v allocations for a picture", n)
	}
}

// Damaged streams cost pictures, never more: what the device is told to refer
// to is there, and everything is given back.
func TestHEVCSurvivesDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 265))
	decoded, lost := 0, 0
	for round := range 60 {
		name := []string{"mirror.265", "pyramid.265", "slices.265"}[round%3]
		r := newHEVCRig(t, name, func(c *v4l2.Config) {
			c.Failed = func(err error) {
				if !errors.Is(err, stateless.ErrUnsuitable) {
					t.Error(err)
				}
			}
		})
		r.stream.cfg.Picture = r.stream.Release
		for _, au := range r.units {
			au = slices.Clone(au)
			for range rng.IntN(3) {
				au[rng.IntN(min(len(au), 200))] ^= 1 << rng.IntN(8)
			}
			if rng.IntN(10) > 0 {
				r.send(au)
			}
		}
		var all []HardwareInput
		for range hevcInputs { // until all have come back
			in, err := r.stream.Lease(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, in)
		}
		for _, in := range all {
			in.Release()
		}
		r.close()
		n, _ := r.losses()
		decoded, lost = decoded+r.kernel.runs, lost+n
		if r.kernel.missing != 0 {
			t.Fatalf("%s: %d references were not there", name, r.kernel.missing)
		}
	}
	if decoded < 100 || lost < 100 {
		t.Errorf("%d decoded, %d lost: that says little", decoded, lost)
	}
}
