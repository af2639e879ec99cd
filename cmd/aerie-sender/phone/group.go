package phone

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"

	"aerie/receiver/clock"
)

// group is what the sessions of one sender have in common: its clock, who the
// others are, and when the music begins. It is safe for concurrent use.
type group struct {
	zero clock.Time // when the sender's clock was set
	size int        // sessions

	mu      sync.Mutex
	members []netip.Addr  // receivers that are ready for music
	full    chan struct{} // closed when all of them are
	begin   clock.Time    // of the music, from then on
}

func newGroup(size int) *group {
	return &group{zero: clock.Now(), size: size, full: make(chan struct{})}
}

// join waits until all are ready, and tells the clocks of the group, the
// sender's own first, and when the music begins.
func (g *group) join(ctx context.Context, sender, receiver netip.Addr) (peers []netip.Addr, begin clock.Time, err error) {
	g.mu.Lock()
	g.members = append(g.members, receiver)
	if len(g.members) == g.size {
		g.begin = clock.Now().Add(musicBegins)
		close(g.full)
	}
	g.mu.Unlock()
	select {
	case <-g.full:
		return append([]netip.Addr{sender}, g.members...), g.begin, nil
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
}

// Group plays buffered sound to several receivers in step: each follows the
// sender's one clock by PTP and is told the same instant of the same frame
// (reference sections 15.3 and 15.6). Options, one a receiver, differ in their
// Address and in their Sound, which is read by one session alone. Where one
// session fails, all end. There is a report for each, in their order.
func Group(ctx context.Context, members []Options) ([]*Report, error) {
	for i := range members {
		if o := &members[i]; !o.Buffered || o.PTPPort == 0 || o.Sound == nil || o.Picture != nil {
			return nil, errors.New("a group plays buffered sound alone, on the clock of PTP")
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	g := newGroup(len(members))
	reports := make([]*Report, len(members))
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	for i, o := range members {
		p := &Phone{o: o, group: g}
		reports[i] = &p.report
		wg.Go(func() {
			if err := p.run(ctx); err != nil {
				once.Do(func() {
					first = fmt.Errorf("%s: %w", o.Address, err)
					cancel(first)
				})
			}
		})
	}
	wg.Wait()
	return reports, first
}
