package fleet

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/fleet/enrol"
	"aerie/receiver/fleet/pairing"
	"aerie/receiver/fleet/wire"
	"aerie/receiver/mqtt"
)

const (
	// refusedWait is how long a refused device waits before it tries to enrol
	// again, unless its owner asks.
	refusedWait = 10 * time.Minute
	// renewEvery is how often it looks whether its certificate is to be
	// renewed.
	renewEvery = time.Hour
	// maxInbox bounds what has arrived and was not looked at.
	maxInbox = 64
)

// Run is the agent's life, until the context ends.
func (a *Agent) Run(ctx context.Context) {
	run, err := pairing.NewID(rand.Reader)
	if err != nil {
		a.o.Log.Error("fleet: no run can be named", "error", err)
		return
	}
	if a.o.Azure != "" {
		a.runAzure(ctx, run)
		return
	}
	// One core serves all connections, so a new certificate makes nobody look
	// for another partner.
	c := newCore(a.o, wire.NewPortable(a.o.ID, run), run)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.methods.run(ctx) })
	for ctx.Err() == nil {
		identity, err := a.identity(ctx)
		if err != nil {
			if ctx.Err() == nil {
				a.fail(ctx, err)
			}
			continue
		}
		a.converse(ctx, c, identity.Broker, a.o.ID, identity.TLS(identity.Broker), nil, func(ctx context.Context) { a.renew(ctx, identity) })
	}
}

// runAzure is a life at an IoT Hub, which knows its devices by itself.
func (a *Agent) runAzure(ctx context.Context, run string) {
	hub, err := wire.ParseHub(a.o.Azure)
	if err != nil {
		a.o.Log.Error("fleet: fleet.azure", "error", err)
		return
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: hub.Host, RootCAs: a.o.Roots}
	if hub.Key == nil {
		// The owner puts certificate and key where the device keeps its own.
		pair, err := tls.LoadX509KeyPair(filepath.Join(a.o.State, "azure.pem"), filepath.Join(a.o.State, "azure.key"))
		if err != nil {
			a.o.Log.Error("fleet: the certificate for the IoT Hub", "error", err)
			return
		}
		config.Certificates = []tls.Certificate{pair}
	}
	c := newCore(a.o, wire.NewAzure(hub.Device), run)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { c.methods.run(ctx) })
	a.converse(ctx, c, hub.Address(), hub.Device, config, func() (string, string, time.Time) {
		token, renew := hub.Password(time.Now())
		return hub.User(), token, renew
	}, func(ctx context.Context) { <-ctx.Done() })
}

// fail waits after a failure to enrol, until there is reason to try again.
func (a *Agent) fail(ctx context.Context, err error) {
	a.o.Log.Error("fleet: not enrolled", "server", a.o.Server, "error", err)
	a.update(func(s *Status) { s.Phase, s.Error = Refused, err.Error() })
	select {
	case <-ctx.Done():
	case <-a.afresh:
	case <-time.After(refusedWait):
	}
}

// identity returns the device's membership, and enrols it where there is none
// or its settings have another code.
func (a *Agent) identity(ctx context.Context) (*enrol.Identity, error) {
	store := enrol.Store{Dir: a.o.State}
	i, err := store.Load()
	switch {
	case err == nil && i.Device == a.o.ID && i.Server == a.o.Server && i.Pool == a.o.Pool && (a.o.Code == "" || i.Code == enrol.Digest(a.o.Code)):
		return i, nil
	case err == nil:
		a.o.Log.Info("fleet: the settings name another fleet, or have a new code")
	case !errors.Is(err, fs.ErrNotExist):
		a.o.Log.Error("fleet: the membership cannot be read", "error", err)
	}
	a.update(func(s *Status) { s.Phase, s.Partner = Enrolling, "" })
	i, err = enrol.Enrol(ctx, enrol.Options{
		Server: a.o.Server, Device: a.o.ID, Name: a.o.Name, Pool: a.o.Pool, Code: a.o.Code, Dial: a.o.Dial, Log: a.o.Log,
		Show: func(code string) {
			a.update(func(s *Status) { s.Code = code })
			if a.o.Device.ShowCode != nil {
				a.o.Device.ShowCode(code)
			}
			if code != "" {
				a.o.Log.Info("fleet: the owner lets this device in with the code "+code, "server", a.o.Server)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if err := store.Save(i); err != nil {
		a.o.Log.Error("fleet: the membership cannot be kept, it ends with the program", "error", err)
	}
	a.o.Log.Info("fleet: enrolled", "server", a.o.Server, "broker", i.Broker, "device", i.Device)
	return i, nil
}

// renew returns when the identity was replaced.
func (a *Agent) renew(ctx context.Context, i *enrol.Identity) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.renewEvery):
		}
		if time.Now().Before(i.RenewAt()) {
			continue
		}
		next, err := enrol.Renew(ctx, i, a.o.Dial)
		if err == nil {
			err = enrol.Store{Dir: a.o.State}.Save(next)
		}
		if err == nil {
			a.o.Log.Info("fleet: the certificate is renewed", "until", next.Certificate.NotAfter)
			return
		}
		a.o.Log.Warn("fleet: the certificate cannot be renewed", "until", i.Certificate.NotAfter, "error", err)
	}
}

// arrival is what the goroutines of a client hand to that of the agent.
type arrival struct {
	message mqtt.Message
	up      bool
	down    error
}

// converse keeps a connection to a broker until the context ends, the identity
// was replaced, or is to be made anew.
func (a *Agent) converse(ctx context.Context, c *core, address, id string, config *tls.Config, signIn func() (string, string, time.Time), renew func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	inbox := make(chan arrival, maxInbox)
	hand := func(x arrival) {
		select {
		case inbox <- x:
		case <-ctx.Done():
		}
	}
	o := mqtt.ClientOptions{
		Address: address, ClientID: id, SignIn: signIn, Subscriptions: c.encoding.Subscriptions(),
		Up:      func() { hand(arrival{up: true}) },
		Down:    func(err error) { hand(arrival{down: err}) },
		Receive: func(m mqtt.Message) { hand(arrival{message: m}) },
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialTLS(ctx, a.o.Dial, network, address, config)
		},
	}
	if will, ok := c.encoding.Will(); ok {
		m := mqtt.Message(will)
		o.Will = &m
	}
	client := mqtt.NewClient(o)
	a.update(func(s *Status) { s.Phase = Connecting })
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		client.Run(ctx, func() (all []mqtt.Message) {
			for _, m := range c.encoding.Farewell() {
				all = append(all, mqtt.Message(m))
			}
			return all
		})
	})
	wg.Go(func() { renew(ctx); cancel() })
	a.live(ctx, c, client, inbox)
}

// dialTLS connects, and encrypts where there is a configuration for that.
func dialTLS(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, address string, config *tls.Config) (net.Conn, error) {
	plain, err := dial(ctx, network, address)
	if err != nil || config == nil {
		return plain, err
	}
	conn := tls.Client(plain, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		plain.Close()
		return nil, err
	}
	return conn, nil
}

// live is the goroutine to which the core belongs while there is a client.
func (a *Agent) live(ctx context.Context, c *core, client *mqtt.Client, inbox <-chan arrival) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	up := false
	for {
		now := func() clock.Time { return a.o.Now() }
		select {
		case <-ctx.Done():
			return
		case <-a.afresh:
			if a.o.Azure != "" {
				continue
			}
			if err := (enrol.Store{Dir: a.o.State}).Forget(); err != nil {
				a.o.Log.Error("fleet: the membership cannot be ended", "error", err)
			}
			return
		case <-tick.C:
			c.tick(now())
		case <-a.poke:
			c.tick(now())
		case r := <-c.methods.results:
			c.finished(now(), r)
		case x := <-inbox:
			switch {
			case x.up:
				up = true
				a.o.Log.Info("fleet: connected")
				a.update(func(s *Status) { s.Error = "" })
				c.connected(now())
			case x.down != nil:
				up = false
				a.down(x.down)
			default:
				c.receive(now(), x.message.Topic, x.message.Payload)
			}
		}
		a.send(c, client)
		if up {
			a.update(func(s *Status) {
				if s.Phase, s.Partner = Looking, c.pairing.Partner(); s.Partner != "" {
					s.Phase = Paired
				}
			})
		}
	}
}

// send sends what the core has to say. What cannot be sent is said again on
// the next connection, if it is still true.
func (a *Agent) send(c *core, client *mqtt.Client) {
	for _, m := range c.take() {
		if client.Send(mqtt.Message(m)) != nil {
			return
		}
	}
}

// down notes that there is no connection.
func (a *Agent) down(err error) {
	refused := errors.Is(err, mqtt.ErrRefused) || enrol.Alerted(err)
	if refused {
		err = fmt.Errorf("the fleet does not want this device; enrol it again if that is a mistake: %w", err)
	}
	news := false
	a.update(func(s *Status) {
		if s.Phase = Connecting; refused {
			s.Phase = Refused
		}
		news = s.Error != err.Error()
		s.Error = err.Error()
	})
	level := slog.LevelDebug // once is enough
	if news {
		level = slog.LevelWarn
	}
	a.o.Log.Log(context.Background(), level, "fleet: not connected", "error", err)
}
