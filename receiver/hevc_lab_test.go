package receiver

import (
	"context"
	"slices"
	"testing"
	"time"

	"aerie/hw/lab/bench"
	"aerie/hw/v4l2"
	"aerie/hw/v4l2/stateless"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/codec/hevc"
)

// Real clips go through the kernel's visl: it checks the parameters and finds
// the references, and draws a test pattern instead of decoding.
func TestLabHEVCStream(t *testing.T) {
	bench.Need(t)
	dev, err := stateless.Find()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mirror.265", "pyramid.265", "slices.265"} {
		t.Run(name, func(t *testing.T) {
			units, sps := hevcClip(t, name)
			pictures := make(chan v4l2.Picture, 100)
			s, err := openHEVC(dev, sps, v4l2.Config{Held: 2, Formats: []uapi.FourCC{uapi.NV12}, Stall: 30 * time.Second,
				Picture: func(p v4l2.Picture) { pictures <- p },
				Failed:  func(err error) { t.Error(err); close(pictures) },
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			tracker := hevc.NewTracker()
			for i, au := range units {
				p, err := tracker.Next(au, uint64(i))
				if err != nil {
					t.Fatal(err)
				}
				want := slices.Clone(p.Show)
				in, err := s.Lease(context.Background())
				if err != nil {
					t.Fatal(err)
				}
				in.Submit(copy(in.Bytes(), au), uint64(i))
				for _, token := range want {
					if got := <-pictures; got.Token != token || got.Corrupt {
						t.Fatalf("%+v, want picture %d", got, token)
					} else {
						s.Release(got)
					}
				}
			}
			if n, err := s.Lost(); n != 0 {
				t.Errorf("%d lost: %v", n, err)
			}
		})
	}
}
