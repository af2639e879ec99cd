package ptp

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"aerie/receiver/clock"
)

// listenPair opens a follower's ports on a pair that is free.
func listenPair(t *testing.T, f *Follower) (*Ports, int) {
	t.Helper()
	for range 50 {
		probe, err := net.ListenUDP("udp", nil)
		if err != nil {
			t.Fatal(err)
		}
		port := probe.LocalAddr().(*net.UDPAddr).Port
		probe.Close()
		if port == 65535 {
			continue
		}
		if p, err := Listen(f, port, clock.Now); err == nil {
			return p, port
		}
	}
	t.Fatal("no two free ports")
	return nil, 0
}

// TestPorts: a clock over loopback is known within a millisecond, however busy
// the machine is: what its messages took is measured.
func TestPorts(t *testing.T) {
	f := NewFollower(7)
	ports, port := listenPair(t, f)
	if _, err := Listen(f, port, clock.Now); err == nil {
		t.Error("the ports are opened twice")
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); ports.Run(ctx) }()
	f.Peers([]netip.Addr{netip.MustParseAddr("127.0.0.1")})

	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	m := &Master{Conn: conn, Identity: 5, Event: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(port)),
		Now: func() clock.Remote { return clock.Remote(clock.Now()).Add(time.Hour) }}
	served := make(chan struct{})
	go func() { defer close(served); m.Run(ctx) }()

	deadline := time.Now().Add(time.Minute)
	for {
		e, id := f.Estimate()
		now := clock.Now()
		if e.Source == clock.NTP && id == 5 {
			if wrong := e.ToRemote(now).Sub(clock.Remote(now).Add(time.Hour)).Abs(); wrong > e.ErrorAt(now) {
				t.Errorf("off by %v, bound %v", wrong, e.ErrorAt(now))
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("clock %x, %v", id, e.Source)
		}
		time.Sleep(20 * time.Millisecond)
	}
	cancel()
	<-done
	<-served
}
