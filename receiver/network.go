package receiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"aerie/receiver/discovery"
	"aerie/receiver/transcript"
)

// startDiscovery announces the receiver. Without multicast DNS it goes on: a
// sender that was told the address finds it all the same.
func (r *Receiver) startDiscovery(ctx context.Context) (stop func()) {
	if !r.cfg.Network.Discovery {
		r.log.Info("not announced, as asked for", "address", r.mainAddress(), "port", r.Port())
		return func() {}
	}
	c := r.capabilities()
	known, links := c.Name, []string(nil) // of the goroutine that notifies
	a, err := discovery.Announce(discovery.Config{
		Name: c.Name, Host: discovery.HostLabel(c.DeviceID), Interface: r.cfg.Network.Interface,
		Services: []discovery.Service{
			discovery.AirPlay(c.Name, uint16(r.Port()), c.AirPlayTXT()),
			discovery.RAOP(c.DeviceID, c.Name, uint16(r.Port()), c.RAOPTXT()),
		},
		Notify: func(st discovery.Status) {
			if r.Name() != known {
				return // it was renamed, and this announcement is ending
			}
			known = st.Name
			news := st.Announced && !slices.Equal(st.Links, links)
			if news {
				links = st.Links
			}
			r.discovered(st, news)
		}, Log: r.log, Clock: r.now,
	})
	if err != nil {
		r.log.Error("senders will not list the receiver", "error", err)
		r.warnings.add(fmt.Sprintf("senders will not list the receiver: %v", err))
		return func() {}
	}
	updates := newUpdates(func() { r.reannounce(a) })
	asking, cancel := context.WithCancel(ctx)
	go r.askAnnouncer(asking, a)
	r.announceMu.Lock()
	r.announce = updates.ask
	r.announceMu.Unlock()
	return func() {
		cancel()
		updates.stop()
		a.Close()
	}
}

// discovered is told how the receiver is known on the network. News has it
// logged where.
func (r *Receiver) discovered(st discovery.Status, news bool) {
	if st.Name != r.Name() {
		r.log.Warn("the name is taken by another receiver", "name", r.Name(), "now", st.Name)
		r.identity.name.Store(st.Name)
		r.pushChange()
	}
	r.announced.Store(st.Announced && slices.ContainsFunc(st.Links, elsewhere))
	if news {
		r.log.Info("announced", "name", st.Name, "host", strings.TrimSuffix(st.Host, "."), "links", st.Links, "after", r.now().Sub(r.began).Round(time.Millisecond))
	}
	r.redrawIdle()
}

// elsewhere tells that a link leads out of this machine.
func elsewhere(link string) bool {
	i, err := net.InterfaceByName(link)
	return err == nil && i.Flags&net.FlagLoopback == 0
}

// reannounce brings the TXT records up to date.
func (r *Receiver) reannounce(a *discovery.Announcer) {
	c := r.capabilities()
	for typ, txt := range map[string][]string{discovery.TypeAirPlay: c.AirPlayTXT(), discovery.TypeRAOP: c.RAOPTXT()} {
		if err := a.SetTXT(typ, txt); err != nil && !errors.Is(err, net.ErrClosed) {
			r.log.Warn("announcement", "error", err)
		}
	}
}

// somethingChanged is called when senders and the screen should know.
func (r *Receiver) somethingChanged() {
	r.announceMu.Lock()
	announce := r.announce
	r.announceMu.Unlock()
	if announce != nil {
		announce()
	}
	r.pushChange()
	r.nowPlaying()
}

// pushChange tells the senders that listen, once there may be any.
func (r *Receiver) pushChange() {
	if s := r.serving.Load(); s != nil {
		s.Push()
	}
}

func (r *Receiver) redrawIdle() {
	if o, ok := r.video.(*kmsOutput); ok {
		o.showIdle()
	}
}

// updates runs a function after it was asked to, and once more if it was asked
// while it ran: callers neither wait nor queue up.
type updates struct {
	wake chan struct{}
	quit chan struct{}
	done sync.WaitGroup
}

func newUpdates(f func()) *updates {
	u := &updates{wake: make(chan struct{}, 1), quit: make(chan struct{})}
	u.done.Go(func() {
		for {
			select {
			case <-u.quit:
				return
			case <-u.wake:
				f()
			}
		}
	})
	return u
}

func (u *updates) ask() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

func (u *updates) stop() {
	close(u.quit)
	u.done.Wait()
}

// openRecorder begins the transcript, if one is wanted.
func (r *Receiver) openRecorder() (*transcript.Recorder, error) {
	name := r.cfg.Log.Record
	if name == "" {
		return nil, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("the conversation cannot be recorded: %w", err)
	}
	r.defer_(func() { f.Close() })
	r.log.Info("the conversation with senders is recorded, without secrets and media", "file", name)
	return transcript.NewRecorder(f, r.now, "Aerie "+r.version), nil
}

// addresses are those under which the receiver can be reached, the most useful
// ones first.
func (r *Receiver) addresses() (out []netip.Addr) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil
	}
	for _, i := range ifaces {
		if want := r.cfg.Network.Interface; i.Flags&net.FlagUp == 0 || want != "" && i.Name != want {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				out = append(out, p.Addr().Unmap())
			}
		}
	}
	rank := func(a netip.Addr) int {
		switch {
		case a.IsLoopback():
			return 3
		case a.IsLinkLocalUnicast():
			return 2
		case a.Is4():
			return 0
		}
		return 1
	}
	slices.SortStableFunc(out, func(a, b netip.Addr) int { return rank(a) - rank(b) })
	return out
}

// mainAddress is the address to tell people.
func (r *Receiver) mainAddress() string {
	if a := r.addresses(); len(a) > 0 {
		return a[0].String()
	}
	return ""
}

// interfaceAddr returns the address to listen on for one interface: any that
// is not of a link alone, else the link-local one with its zone.
func interfaceAddr(name string) (string, error) {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return "", err
	}
	addrs, err := i.Addrs()
	if err != nil {
		return "", err
	}
	linkLocal := ""
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		switch {
		case err != nil:
		case p.Addr().IsLinkLocalUnicast() && p.Addr().Is6():
			linkLocal = p.Addr().WithZone(name).String()
		case !p.Addr().IsLinkLocalUnicast():
			return p.Addr().String(), nil
		}
	}
	if linkLocal == "" {
		return "", fmt.Errorf("network interface %q has no address", name)
	}
	return linkLocal, nil
}
