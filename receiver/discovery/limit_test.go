package discovery

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"aerie/receiver/clock"
)

// No record is multicast more than once a second, whatever is asked.
func TestRateLimit(t *testing.T) {
	e, tv, phone := announcedTV(t)
	began := e.now
	for i := range 5000 {
		e.after(time.Duration(i)*time.Millisecond, func() {
			phone.say(query("_airplay._tcp.local.", dns.TypePTR))
			phone.say(query(tvHost, dns.TypeA))
			phone.say(query(tvAirPlay, dns.TypeTXT))
		})
	}
	e.run(7 * time.Second)
	for _, c := range []struct {
		name string
		typ  uint16
	}{{"_airplay._tcp.local.", dns.TypePTR}, {tvHost, dns.TypeA}, {tvAirPlay, dns.TypeTXT}} {
		at := phone.answers(began, c.typ, c.name)
		if len(at) < 5 || len(at) > 7 {
			t.Errorf("%s answered %d times: %v", c.name, len(at), at)
		}
		for i := 1; i < len(at); i++ {
			if at[i]-at[i-1] < 999 { // one for rounding
				t.Errorf("%s answered at %v ms", c.name, at)
			}
		}
	}
	if sent := tv.r.counters.Sent.Value(); sent > 40 {
		t.Errorf("%d packets sent", sent)
	}
}

// Only so many truncated queries are waited for; the others are answered as
// they are.
func TestManyTruncatedQueries(t *testing.T) {
	e, tv, phone := announcedTV(t)
	m := query("_airplay._tcp.local.", dns.TypePTR)
	m.Truncated = true
	for range 3 * maxHeld {
		phone.say(m)
	}
	began := e.now
	e.run(200 * time.Millisecond)
	if n := len(tv.r.segments[0].held); n != maxHeld {
		t.Errorf("%d queries are held", n)
	}
	if at := phone.answers(began, dns.TypePTR, "_airplay._tcp.local."); len(at) != 1 {
		t.Errorf("answered after %v ms", at)
	}
}

// Strangers get no answer, and neither does a neighbour that asks for
// thousands.
func TestUnicastLimits(t *testing.T) {
	e, tv, phone := announcedTV(t)
	stranger := &host{e: e, name: "stranger", ports: []*port{{lan(1, "10.0.0.1/8"), 1}}}
	e.hosts = append(e.hosts, stranger)
	for _, to := range []string{"", "192.168.1.2:5353"} {
		var dst netip.AddrPort
		if to != "" {
			dst = netip.MustParseAddrPort(to)
		}
		stranger.forget()
		stranger.sayFrom(40000, dst, query(tvHost, dns.TypeA))
		e.run(time.Second)
		for _, s := range stranger.heard {
			if s.msg.Response {
				t.Errorf("a stranger was answered: %v", s)
			}
		}
	}
	if got := tv.r.counters.OffLink.Value(); got != 2 {
		t.Errorf("%d packets from elsewhere counted", got)
	}
	for range 2000 {
		phone.sayFrom(40000, netip.AddrPort{}, query(tvHost, dns.TypeA))
	}
	phone.forget()
	e.run(time.Second)
	answers := 0
	for _, s := range phone.heard {
		if s.msg.Response {
			answers++
		}
	}
	if answers == 0 || answers > unicastBurst+unicastRate {
		t.Errorf("%d answers in a second", answers)
	}
}

// What is read is bounded by its rate, whatever comes in.
func TestIntake(t *testing.T) {
	source := make(chan packet)
	in := newIntake(source)
	for _, size := range []int{12, 300, maxPacket} {
		now := clock.Time(time.Hour) * clock.Time(size)
		read, closed := 0, 0
		for end := now.Add(10 * time.Second); now < end; {
			c, reopen := in.open(now)
			if c == nil {
				closed++
				if reopen <= now {
					t.Fatal("asks again at once")
				}
				now = reopen
				continue
			}
			in.charge(packet{data: make([]byte, size)})
			read += size + packetCost
			now = now.Add(time.Microsecond)
		}
		if limit := 10*readRate + readBurst + largest; read > limit || read < limit*9/10 || closed == 0 {
			t.Errorf("packets of %d bytes: %d read in 10 s, closed %d times", size, read, closed)
		}
	}
}

// A socket that only fails is read ever more rarely, and left when closed.
func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sockets{counters: new(Counters), closing: make(chan struct{})}
		s.readers.Go(func() {
			s.read(func([]byte) (int, arrival, error) { return 0, arrival{}, unix.ENETDOWN })
		})
		time.Sleep(time.Minute)
		close(s.closing)
		s.readers.Wait()
		if n := s.counters.ReceiveFailed.Value(); n < 50 || n > 70 {
			t.Errorf("%d reads in a minute", n)
		}
	})
}
