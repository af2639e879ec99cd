// Package button watches a push button between a GPIO line and ground.
//
// The line is looked up by name, for the numbers of chips change (hardware
// reference section 5), and pulled up, so that it takes nothing but the button.
// Edges only wake: what counts is the level of the line when it has been left
// alone for a moment. So neither bouncing contacts nor a line that picks up
// noise can cause more than some reports a second. The kernel debounces as well
// where it can, which keeps noise away from this program.
//
// It leaves to its caller what a press means.
//
// Sources of facts: the kernel's Documentation/userspace-api/gpio/chardev.rst.
//
// Proof: button_test.go (made-up lines on simulated time that bounce, make noise
// and fail); lab_test.go of package led (a line of the kernel's gpio-sim, pressed
// by its pull).
package button

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/warthog618/go-gpiocdev"
)

// ErrNone: there is no line of that name.
var ErrNone = errors.New("button: there is no line of this name")

const (
	// settle is how long a line must have been left alone. Contacts bounce for
	// some milliseconds, and no finger is as fast.
	settle = 20 * time.Millisecond
	// look is how often it is looked at anyhow: an edge may be lost.
	look = 2 * time.Second
)

// line is a GPIO line with a button.
type line interface {
	Value() (int, error) // 1: pressed
	Close() error
}

// Button is an open button.
type Button struct {
	name string
	line line
	edge chan struct{}
}

// Open opens the button on the line of a name, such as "GPIO26". The error wraps
// ErrNone if there is none.
func Open(name string) (*Button, error) {
	chip, offset, err := gpiocdev.FindLine(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %q", ErrNone, name)
	}
	b := &Button{name: name, edge: make(chan struct{}, 1)}
	// Some chips have no pull-ups, and old kernels do not debounce.
	pull, debounce := gpiocdev.WithPullUp, gpiocdev.WithDebounce(settle/2)
	for _, extra := range [][]gpiocdev.LineReqOption{{pull, debounce}, {pull}, {debounce}, nil} {
		options := append([]gpiocdev.LineReqOption{gpiocdev.AsInput, gpiocdev.AsActiveLow, gpiocdev.WithBothEdges,
			gpiocdev.WithConsumer("aerie"), gpiocdev.WithEventHandler(b.edged)}, extra...)
		var l *gpiocdev.Line
		if l, err = gpiocdev.RequestLine(chip, offset, options...); err == nil {
			b.line = l
			return b, nil
		}
	}
	return nil, fmt.Errorf("button: line %s (%s %d): %w", name, chip, offset, err)
}

func (b *Button) String() string { return b.name }

// edged is called at every edge.
func (b *Button) edged(gpiocdev.LineEvent) {
	select {
	case b.edge <- struct{}{}:
	default:
	}
}

// Run reports every change of the button until ctx ends, which is no error, or
// the line fails. One that is down at first is reported, too.
func (b *Button) Run(ctx context.Context, changed func(down bool)) error {
	down := false
	for {
		v, err := b.line.Value()
		if err != nil {
			return fmt.Errorf("button: line %s: %w", b.name, err)
		}
		if is := v != 0; is != down {
			down = is
			changed(down)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-b.edge:
			// Edges that come while it settles are of no interest: the level is
			// read afterwards, and an edge after that wakes again.
			if !pause(ctx, settle) {
				return nil
			}
			select {
			case <-b.edge:
			default:
			}
		case <-time.After(look):
		}
	}
}

// pause waits, and returns false if ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Close gives the line back. Run has to have returned.
func (b *Button) Close() error { return b.line.Close() }
