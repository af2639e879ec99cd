package drm

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Picture is what to show, and how.
type Picture struct {
	// ID is the caller's name for it, given back in Flip and Released.
	ID uint64
	FB *Framebuffer
	// Source is the part of FB to show, in pixels; empty: all of it. Its origin
	// is moved onto whole chroma samples.
	Source Rect
	// Dest is where on the screen; empty: as large as fits, in the middle.
	Dest  Rect
	Color Color
	// Due is the vertical blanking it is meant for, CLOCK_MONOTONIC in ns; it
	// only serves to tell whether it came late. 0: none.
	Due int64
}

// layer is the state of the base picture or of the one over it.
type layer struct {
	next    Picture // the mailbox: latest picture not yet committed
	waiting bool    // next is to be committed; without FB it takes the layer away
	current Picture // as in the latest commit
}

// Show puts a picture on the screen at the next vertical blanking. It never
// waits: while an earlier commit is on its way, or no display is lit, the
// picture waits in a mailbox, where a newer one replaces it. ErrUnsupported
// says that the hardware cannot show it; then, as with any error, the picture
// was not taken and will not be released.
func (d *Display) Show(p Picture) error {
	if p.FB == nil {
		return fmt.Errorf("drm: picture %d has no frame buffer", p.ID)
	}
	return d.post(&d.base, p)
}

// SetOverlay puts a picture over the base picture, where Dest says, until the
// next call; one without FB takes it away. ErrUnsupported says that the hardware
// has no room for it: the caller can draw it into the base picture instead. An
// overlay that later stands in the way of a base picture is released, with a
// Change that says so.
func (d *Display) SetOverlay(p Picture) error { return d.post(&d.over, p) }

// Check tells whether Show would accept the picture, without showing it. It
// needs a lit display, and is ErrUnsupported if the hardware cannot show it.
func (d *Display) Check(p Picture) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.usable(&p); err != nil {
		return err
	}
	if !d.lit {
		return fmt.Errorf("drm: %s: no display is lit", d.card.path)
	}
	return d.canShow(&d.base, &p)
}

func (d *Display) post(l *layer, p Picture) error {
	d.mu.Lock()
	err := d.usable(&p)
	if err == nil && d.lit {
		// What is no verdict on the picture is for commit to deal with.
		if err = d.canShow(l, &p); err != nil && !final(err) {
			err = nil
		}
	}
	if err != nil {
		d.mu.Unlock()
		return err
	}
	if l.waiting && l.next.FB != nil {
		if l == &d.base {
			d.counters.Replaced++
		}
		d.release(&l.next)
	}
	l.next, l.waiting = p, true
	if p.FB != nil {
		p.FB.uses++
	}
	d.commit()
	d.mu.Unlock()
	d.deliver()
	return nil
}

// final reports whether an error says that a picture can never be shown.
func final(err error) bool {
	var errno unix.Errno
	return errors.Is(err, ErrUnsupported) || !errors.As(err, &errno)
}

// usable refuses pictures that are none of this display's.
func (d *Display) usable(p *Picture) error {
	switch {
	case d.closed:
		return ErrClosed
	case d.lost != nil:
		return fmt.Errorf("%w: %w", ErrClosed, d.lost)
	case p.FB != nil && (p.FB.d != d || p.FB.closing):
		return fmt.Errorf("drm: picture %d: its frame buffer is closed or another display's", p.ID)
	}
	return nil
}

// canShow finds out whether the scene with p in layer l can be shown.
func (d *Display) canShow(l *layer, p *Picture) error {
	base, over := d.base.latest(), d.over.latest()
	if l == &d.base {
		base = p
	} else {
		over = p
	}
	_, _, err := d.arrange(base, over)
	if err != nil && final(err) && l == &d.base && over.FB != nil {
		_, _, err = d.arrange(base, &Picture{}) // commit will drop the overlay
	}
	return err
}

// arrange gives the plan for two pictures. Without a base there is none.
func (d *Display) arrange(base, over *Picture) (*plan, scene, error) {
	w, h := d.out.mode.Width, d.out.mode.Height
	var sc scene
	var err error
	if sc.base, err = shapeOf(base, w, h); err != nil {
		return nil, sc, err
	}
	if sc.over, err = shapeOf(over, w, h); err != nil || base.FB == nil {
		return nil, sc, err
	}
	p, err := d.planFor(&sc, base.FB, over.FB)
	return p, sc, err
}

// latest is the picture that the next commit shows.
func (l *layer) latest() *Picture {
	if l.waiting {
		return &l.next
	}
	return &l.current
}
