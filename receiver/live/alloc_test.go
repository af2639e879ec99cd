package live

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// drain reads a stream and throws it away.
func drain(t testing.TB, addr, path string) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	go func() {
		b := make([]byte, 256<<10)
		for {
			if _, err := conn.Read(b); err != nil {
				return
			}
		}
	}()
}

// catchUp shows pictures until all viewers have got one as it came.
func catchUp(t testing.TB, v *View, p *phone, viewers int) {
	eventually(t, "all viewers", func() bool { return v.Viewers() == viewers })
	eventually(t, "all up to date", func() bool {
		before := v.HandOver.Count()
		p.show(false)
		time.Sleep(10 * time.Millisecond)
		return v.HandOver.Count() == before+uint64(viewers)
	})
}

// TestPictureDoesNotAllocate counts allocations for a picture and two frames
// of sound, of the session and of all viewers.
func TestPictureDoesNotAllocate(t *testing.T) {
	for _, viewers := range []int{0, 2} {
		v, p := newView(t, Options{})
		addr := serve(t, v)
		v.Start()
		p.turn(1280, 720)
		if err := v.SetAudio(aacLC); err != nil {
			t.Fatal(err)
		}
		sample := p.sample(100)
		v.Picture(sample, 0, true, clock.Now())
		for range viewers {
			drain(t, addr, "/live/video")
			drain(t, addr, "/live/audio")
		}
		frames := [][]byte{make([]byte, 300), make([]byte, 310)}
		n := 0
		show := func() {
			n++
			seen := v.HandOver.Count()
			v.Picture(sample, p.pts(n), false, clock.Now())
			v.Sound(p.pts(n), clock.Now(), frames...)
			for viewers > 0 && v.HandOver.Count() < seen+uint64(viewers) {
				runtime.Gosched()
			}
		}
		catchUp(t, v, p, viewers)
		for range 100 {
			show() // buffers grow
		}
		if allocs := testing.AllocsPerRun(500, show); allocs > 0 {
			t.Errorf("%v allocations for a picture with %d viewers", allocs, viewers)
		}
	}
}

func BenchmarkPicture(b *testing.B) {
	for name, viewers := range map[string]int{"unwatched": 0, "watched": 1} {
		b.Run(name, func(b *testing.B) {
			v, p := newView(b, Options{})
			addr := serve(b, v)
			v.Start()
			p.turn(1920, 1080)
			p.sizes = 30_000
			sample := p.sample(1)
			v.Picture(sample, 0, true, clock.Now())
			for range viewers {
				drain(b, addr, "/live/video")
			}
			catchUp(b, v, p, viewers)
			b.SetBytes(int64(len(sample)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n++
				seen := v.HandOver.Count()
				v.Picture(sample, p.pts(n), false, clock.Now())
				for viewers > 0 && v.HandOver.Count() == seen {
					runtime.Gosched()
				}
			}
			if viewers > 0 {
				b.ReportMetric(float64(v.HandOver.Quantile(0.5).Microseconds()), "µs-median")
				b.ReportMetric(float64(v.HandOver.Quantile(0.99).Microseconds()), "µs-p99")
			}
		})
	}
}
