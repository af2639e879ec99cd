package discovery

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/grandcat/zeroconf"

	"aerie/receiver/clock"
)

// A browser asks in rounds, each twice as long as the last: the library asks
// no more once it has found anything, gives up after a quarter of an hour and
// never tells of a change.
const (
	firstRound = time.Second
	lastRound  = time.Minute
)

// Browse looks for services of a type, such as TypeAirPlay, on one link, or if
// iface is empty on all that an Announcer would use. Every service is sent
// when it is found and again when it has changed, until the context ends and
// the channel is closed. Services that go away are not reported. While it runs
// the library reads every mDNS packet, at no bounded rate.
//
// The error wraps ErrPort if the mDNS port cannot be opened.
func Browse(ctx context.Context, typ, iface string) (<-chan Entry, error) {
	if err := checkType(typ); err != nil {
		return nil, err
	}
	s, err := openSockets(iface, slog.New(slog.DiscardHandler), new(Counters))
	if err != nil {
		return nil, err
	}
	links, err := s.links()
	if err == nil && len(links) == 0 {
		err = errors.New("discovery: there is no link to browse on")
	}
	if err != nil {
		s.close()
		return nil, err
	}
	b := &browser{typ: typ, sockets: s, in: newIntake(s.packets), links: links,
		catalogue: newCatalogue(), entries: make(chan Entry)}
	go func() {
		defer close(b.entries)
		defer s.close()
		for length := firstRound; ctx.Err() == nil; length = min(2*length, lastRound) {
			b.round(ctx, length)
		}
	}()
	return b.entries, nil
}

type browser struct {
	typ       string
	sockets   *sockets
	in        *intake
	links     []link
	catalogue *catalogue
	entries   chan Entry
}

// round asks once and listens for a time.
func (b *browser) round(browsing context.Context, length time.Duration) {
	ctx, cancel := context.WithTimeout(browsing, length)
	defer cancel()
	if links, err := b.sockets.links(); err == nil {
		b.links = links
	}
	asking, enough := context.WithCancel(ctx)
	defer enough()
	services := b.ask(asking)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for count := 0; ctx.Err() == nil; {
		now := clock.Now()
		packets, reopen := b.in.open(now)
		timer.Reset(min(reopen, now.Add(time.Hour)).Sub(now))
		select {
		case s, ok := <-services:
			if !ok {
				services = nil
				continue
			}
			if count++; count > maxEntries { // the library remembers every one
				enough()
			}
			b.catalogue.found(s)
		case p := <-packets:
			b.in.charge(p)
			b.heard(p)
		case <-timer.C:
		case <-ctx.Done():
		}
		b.tell(browsing)
	}
	if services != nil {
		for range services { // until it is closed, or the library would hang
		}
	}
}

func (b *browser) heard(p packet) {
	for _, l := range b.links {
		if l.index == p.index {
			b.catalogue.heard(l, p)
		}
	}
}

func (b *browser) tell(ctx context.Context) {
	for _, e := range b.catalogue.news() {
		select {
		case b.entries <- e:
		case <-ctx.Done():
			return
		}
	}
}

// ask starts a zeroconf resolver for each address family and returns what they
// find. The channel is closed when the context has ended, at once if neither
// family works.
func (b *browser) ask(ctx context.Context) <-chan *zeroconf.ServiceEntry {
	var ifaces []net.Interface
	for _, l := range b.links {
		ifaces = append(ifaces, net.Interface{Index: l.index, Name: l.name})
	}
	merged := make(chan *zeroconf.ServiceEntry)
	var forwards sync.WaitGroup
	for _, family := range []zeroconf.IPType{zeroconf.IPv4, zeroconf.IPv6} {
		resolver, err := zeroconf.NewResolver(zeroconf.SelectIPTraffic(family), zeroconf.SelectIfaces(ifaces))
		if err != nil {
			continue // this family is not available
		}
		found := make(chan *zeroconf.ServiceEntry)
		if err := resolver.Browse(ctx, b.typ, "local.", found); err != nil {
			continue
		}
		forwards.Go(func() {
			for s := range found {
				merged <- s
			}
		})
	}
	go func() {
		forwards.Wait()
		close(merged)
	}()
	return merged
}
