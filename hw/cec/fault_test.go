package cec

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestFaults makes every call of a conversation fail once, and from some point
// on always, with each error: Open or Run say so or the conversation goes on,
// nothing hangs, and nothing is left open.
func TestFaults(t *testing.T) {
	converse := func(t *testing.T, b *model) (opened bool, calls int, ended error) {
		synctest.Test(t, func(t *testing.T) {
			b.began = time.Now()
			b.changed = make(chan struct{})
			a, err := openOn(b, "/dev/cec0", Options{Name: "Aerie"})
			if err != nil {
				ended = err
				return
			}
			opened = true
			ctx, cancel := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() { done <- a.Run(ctx) }()
			for range 3 {
				time.Sleep(10 * time.Second)
				_ = a.Send(Television, 0x04)
				b.arrive(0x04, 0x8f)
				b.plug(NoPhysical)
				time.Sleep(10 * time.Second)
				b.plug(0x1000)
			}
			time.Sleep(5 * time.Minute) // an address is asked for again
			cancel()
			ended = <-done
			a.Close()
			time.Sleep(time.Second)
		})
		return opened, b.calls, ended
	}
	_, total, err := converse(t, newModel())
	if err != nil || total < 30 {
		t.Fatalf("%d calls, ended with %v", total, err)
	}
	errnos := []unix.Errno{unix.EINTR, unix.EIO, unix.EAGAIN, unix.EBUSY, unix.EINVAL, unix.ENONET, unix.ENODEV}
	if testing.Short() {
		errnos = errnos[:2]
	}
	for _, always := range []bool{false, true} {
		for _, errno := range errnos {
			for at := range total {
				b := newModel()
				what := fmt.Sprintf("call %d fails with %v (always: %v)", at, errno, always)
				if always && (errno == unix.EINTR || errno == unix.EAGAIN) {
					continue // then time stands still in the model
				}
				b.fail = func(n int, call string) error {
					if errno == unix.EINTR && call == "eventfd" {
						return nil // it does not wait
					}
					if n == at || always && n > at {
						what = fmt.Sprintf("%s: %s", what, call)
						return errno
					}
					return nil
				}
				opened, _, ended := converse(t, b)
				if errno == unix.EINTR && ended != nil {
					t.Errorf("%s: %v", what, ended)
				}
				if errno == unix.ENODEV && ended != nil && !errors.Is(ended, ErrGone) {
					t.Errorf("%s: %v", what, ended)
				}
				if b.opened != 0 {
					t.Errorf("%s: %d descriptors are left open", what, b.opened)
				}
				// After a fault that passed, the adapter stands as before.
				if opened && ended == nil && !always && b.claims == 0 {
					t.Errorf("%s: no address was ever claimed", what)
				}
			}
		}
	}
}
