package v4l2

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stop makes a model stop in mid-stream in one of several ways.
var stops = map[string]func(m *model){
	"takes and gives nothing": func(m *model) { m.stuck = true },
	"does not even take":      func(m *model) { m.deaf = true },
	"gives empty buffers":     func(m *model) { m.nothing = true },
}

// A device that stops is noticed within a second, whether at the first picture
// or later, and whether or not the sender goes on.
func TestStall(t *testing.T) {
	for what, stop := range stops {
		for _, good := range []int{0, 20} {
			t.Run(what, func(t *testing.T) {
				everywhere(t, func(t *testing.T, m *model) { stall(t, m, stop, good) })
			})
		}
	}
}

func stall(t *testing.T, m *model, stop func(*model), good int) {
	v := newViewer(t)
	v.open(m, v.config(m, 640, 480))
	defer v.close(m)
	for n := range good {
		kind := byte('P')
		if n == 0 {
			kind = 'K'
		}
		v.send(accessUnit(kind, 640, 480))
		time.Sleep(time.Second / 60)
		for len(v.pictures) > 0 {
			v.d.Release(<-v.pictures)
		}
	}
	m.mu.Lock()
	stop(m)
	m.mu.Unlock()
	began := time.Now()
	kind := byte('K')
	if good > 0 {
		kind = 'P'
	}
	for {
		in, err := v.d.Lease(context.Background())
		if err != nil {
			if !errors.Is(err, ErrStalled) {
				t.Errorf("Lease: %v", err)
			}
			break
		}
		in.Submit(copy(in.Bytes(), accessUnit(kind, 640, 480)), 1000)
		kind = 'P'
		time.Sleep(time.Second / 60)
	}
	err := <-v.failed
	if after := time.Since(began); after > 900*time.Millisecond {
		t.Errorf("noticed after %v", after)
	}
	if !errors.Is(err, ErrStalled) || !errors.Is(v.d.Err(), ErrStalled) || !strings.Contains(err.Error(), "/dev/video10") {
		t.Error(err)
	}
	if err := v.d.Drain(); !errors.Is(err, ErrStalled) {
		t.Errorf("Drain: %v", err)
	}
	if len(v.failed) > 0 {
		t.Error("told twice")
	}
}

// A still screen is no stall: the sender sends nothing, or a picture now and
// then, of which the driver holds one back.
func TestStillScreen(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		v.send(accessUnit('K', 640, 480))
		for range 20 {
			time.Sleep(time.Minute)
			v.send(accessUnit('P', 0, 0))
			synctest.Wait()
			for len(v.pictures) > 0 {
				v.d.Release(<-v.pictures)
			}
		}
		if err := v.d.Err(); err != nil {
			t.Error(err)
		}
	})
}

// The caller keeps every picture for good: that is a stall as well.
func TestStarved(t *testing.T) {
	everywhere(t, func(t *testing.T, m *model) {
		v := newViewer(t)
		v.open(m, v.config(m, 640, 480))
		defer v.close(m)
		kind := byte('K')
		for began := time.Now(); v.d.Err() == nil && time.Since(began) < 2*time.Second; {
			in, err := v.d.Lease(context.Background())
			if err != nil {
				break
			}
			in.Submit(copy(in.Bytes(), accessUnit(kind, 640, 480)), 1)
			kind = 'P'
			time.Sleep(time.Second / 60)
		}
		if err := <-v.failed; !errors.Is(err, ErrStalled) {
			t.Error(err)
		}
	})
}
