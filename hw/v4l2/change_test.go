package v4l2

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"aerie/hw/v4l2/uapi"
)

// The stream changes its size: all old pictures come, then the memory goes and
// new pictures come in new memory, while the display still has old ones.
func TestChangeOfSize(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		var onScreen Picture
		for round, size := range [][2]int{{640, 480}, {480, 640}, {1280, 720}, {64, 64}} {
			// One more of the old size than the new ones: the driver may have
			// held it back.
			v.send(accessUnit('K', size[0], size[1]))
			v.send(accessUnit('P', 0, 0))
			v.send(accessUnit('P', 0, 0))
			if m.keep > 0 && round > 0 {
				onScreen = v.picture(uint64(3 * round))
			}
			p := v.picture(uint64(3*round + 1))
			if int(p.Generation) != round+1 || onScreen.Generation != 0 && int(onScreen.Generation) != round {
				t.Errorf("pictures of generations %d and %d in round %d", onScreen.Generation, p.Generation, round)
			}
			l := <-v.layouts
			if l.Visible.W != size[0] || l.Visible.H != size[1] || l.Generation != p.Generation || l.Height%16 != 0 {
				t.Errorf("%v in round %d", l, round)
			}
			if len(v.retired) != min(round, 1) {
				t.Errorf("memory went %d times", len(v.retired))
			} else if round > 0 {
				<-v.retired
			}
			v.d.Release(onScreen) // of memory that has gone
			v.d.Release(p)
			v.d.Release(v.picture(uint64(3*round + 2)))
			if m.keep == 0 {
				v.d.Release(v.picture(uint64(3*round + 3)))
			}
		}
	})
}

// What changes nothing is no reason for new memory: the colour, or sizes that
// the Raspberry Pi's firmware announces for no reason.
func TestChangeOfNothing(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		for n := uint64(1); n < 40; n++ {
			if n%10 == 0 {
				v.send(accessUnit('C', 0, 0))
			} else {
				v.send(accessUnit('P', 0, 0))
			}
			v.d.Release(v.picture(n))
		}
		if len(v.layouts) != 1 || len(v.retired) != 0 {
			t.Errorf("memory was made %d times and went %d times", len(v.layouts), len(v.retired))
		}
	})
}

// noise has a driver announce a size that is none.
func TestNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newPi()
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		v.send(accessUnit('P', 0, 0))
		v.d.Release(v.picture(1))
		m.mu.Lock()
		m.dev.width, m.dev.height, m.dev.last = 32, 32, true
		m.announce(uapi.EventSourceChange)
		m.notify()
		m.mu.Unlock()
		synctest.Wait()
		m.mu.Lock()
		m.dev.width, m.dev.height = 640, 480
		m.mu.Unlock()
		v.send(accessUnit('P', 0, 0))
		v.picture(2)
		if len(v.layouts) != 1 {
			t.Error("noise was taken for a change")
		}
	})
}

// Only the visible part changes: the display must be told.
func TestChangeOfVisible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newPi()
		visible := uapi.Rect{Width: 640, Height: 470}
		m.compose = func() uapi.Rect { return visible }
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		synctest.Wait()
		if l := <-v.layouts; l.Visible != (Rect{0, 0, 640, 470}) {
			t.Errorf("%v", l)
		}
		m.mu.Lock()
		visible.Height = 472
		m.mu.Unlock()
		v.send(accessUnit('C', 0, 0))
		synctest.Wait()
		if l := <-v.layouts; l.Visible != (Rect{0, 0, 640, 472}) {
			t.Errorf("%v", l)
		}
		v.send(accessUnit('K', 640, 480))
		v.send(accessUnit('P', 0, 0))
		synctest.Wait()
		if len(v.pictures) == 0 {
			t.Error("no picture after the change")
		}
	})
}

// A driver that announces another size and never gives the last picture of the
// old one.
func TestLastPictureLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel()
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		v.d.Release(v.picture(1))
		m.mu.Lock()
		m.dev.width, m.dev.height = 800, 608
		m.announce(uapi.EventSourceChange)
		m.notify()
		m.mu.Unlock()
		time.Sleep(2 * defaultStall)
		v.send(accessUnit('K', 800, 608))
		if p := v.picture(2); p.Generation != 2 {
			t.Errorf("%+v", p)
		}
	})
}

// Nothing is leaked when a decoder is closed at any point of a change.
func TestCloseAnywhere(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		for step := range 6 {
			v := newViewer(t)
			v.open(m, v.config(m, 640, 480))
			var leased *Input
			for i := range step {
				v.send(accessUnit("KPKPP"[i], 640+64*i, 480))
			}
			if step == 3 {
				var err error
				if leased, err = v.d.Lease(context.Background()); err != nil {
					t.Fatal(err)
				}
				go func() {
					time.Sleep(time.Second)
					leased.Bytes()[0] = 1 // the memory is still there
					leased.Release()
				}()
			}
			v.close(m)
		}
	})
}
