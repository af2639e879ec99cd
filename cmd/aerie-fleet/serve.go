package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	_ "net/http/pprof" // for --debug only, which is on the loopback
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/broker"
	"aerie/cmd/aerie-fleet/enrolment"
	"aerie/cmd/aerie-fleet/link"
	"aerie/cmd/aerie-fleet/page"
	"aerie/cmd/aerie-fleet/service"
	"aerie/receiver/metric"
)

// settings are the flags of serve.
type settings struct {
	state, pool, root    string
	broker, listen, name string
	https, http, plain   string
	rate                 float64
	level                slog.Level
	beat                 time.Duration
	debug                string
}

func parseServe(args []string) (s settings, err error) {
	f, state := flags("serve")
	f.StringVar(&s.pool, "pool", "aerie", "pool of services that devices ask for")
	f.StringVar(&s.root, "root", "thief", "property of the twin below which everything is")
	f.StringVar(&s.broker, "broker", "", "use this broker, mqtts://HOST:PORT, instead of running one")
	f.StringVar(&s.listen, "listen", ":8883", "address of the broker that it runs")
	f.StringVar(&s.name, "name", publicName(), "host name or address by which devices call this machine")
	f.StringVar(&s.https, "https", ":8443", "address of page and enrolment")
	f.StringVar(&s.http, "http", "", "loopback address of the page without encryption, for a proxy")
	f.StringVar(&s.plain, "plain", "", "loopback address of the broker without certificates, for measurements")
	f.Float64Var(&s.rate, "rate", 0, "packets a second that a device may send (0: 20)")
	f.TextVar(&s.level, "log", slog.LevelInfo, "debug, info, warn or error")
	f.DurationVar(&s.beat, "beat", 5*time.Second, "how often instances say that they are there; the same in the whole pool")
	f.StringVar(&s.debug, "debug", "", "loopback address of Go's profiles")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	s.state = *state
	if f.NArg() > 0 {
		return s, usageError("serve takes flags only, not %q", f.Arg(0))
	}
	if s.broker != "" {
		return s, link.CheckBroker(s.broker)
	}
	return s, nil
}

// serve runs the service until it is told to end.
func serve(args []string, out io.Writer) error {
	s, err := parseServe(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	raiseFiles()
	if os.Getenv("GOGC") == "" {
		// A third less memory for a tenth more work: it is many small things
		// that stay.
		debug.SetGCPercent(50)
	}
	u := &unit{settings: s, log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: s.level})), failed: make(chan error, 8)}
	defer u.close()
	if err := u.open(); err != nil {
		return err
	}
	if err := u.listen(ctx); err != nil {
		return err
	}
	u.banner(out)
	done := make(chan struct{})
	go func() {
		defer close(done)
		u.service.Run(ctx)
	}()
	select {
	case <-ctx.Done():
	case err = <-u.failed:
		stop()
	}
	<-done
	return err
}

// raiseFiles allows for as many connections as the machine lets it have.
func raiseFiles() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil && l.Cur < l.Max {
		l.Cur = l.Max
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l) // what it has must do
	}
}

// unit is the running parts of a service.
type unit struct {
	settings
	log       *slog.Logger
	token, id string
	authority *authority.Authority // nil on one more instance
	broker    *broker.Broker       // nil with one that is there already
	enrolment *enrolment.Enrolment // nil without an authority
	service   *service.Service
	page      *page.Server
	failed    chan error
}

// open makes all parts, which do nothing yet.
func (u *unit) open() (err error) {
	if u.token, err = keep(u.state, "token", newToken); err != nil {
		return err
	}
	if u.id, err = keep(u.state, "id", newID); err != nil {
		return err
	}
	run, err := newID()
	if err != nil {
		return err
	}
	l := link.Options{Broker: u.settings.broker}
	l.TLS, err = instanceTLS(u.state)
	switch {
	case err == nil && l.Broker == "":
		return errors.New("this is the folder of one more instance; name its broker with --broker")
	case err == nil:
	case errors.Is(err, fs.ErrNotExist):
		if err := u.openAuthority(&l); err != nil {
			return err
		}
	default:
		return err
	}
	u.service, err = service.New(service.Options{ID: u.id, Run: run, Pool: u.pool, Root: u.root, Link: l, Log: u.log, Lease: service.Lease{Beat: u.beat}})
	if err != nil {
		return err
	}
	u.page = page.New(page.Options{Fleet: u.service, Enrolment: u.enrolment, Metrics: u.metrics(), Token: u.token, Log: u.log, NewID: func() string {
		return time.Now().UTC().Format("20060102-150405")
	}})
	return nil
}

// openAuthority makes what one instance of a pool has: the authority, and the
// broker unless there is one.
func (u *unit) openAuthority(l *link.Options) (err error) {
	names := ownNames(u.name)
	if u.authority, err = authority.Open(filepath.Join(u.state, "authority"), names, time.Now); err != nil {
		return err
	}
	told := u.settings.broker
	if told == "" {
		if u.broker, err = broker.New(broker.Options{Authority: u.authority, File: filepath.Join(u.state, "documents.db"), Limits: broker.Limits{Rate: u.rate}, Log: u.log}); err != nil {
			return err
		}
		l.Dial = func() (net.Conn, error) { return u.broker.Dial(u.id) }
		_, port, err := net.SplitHostPort(u.settings.listen)
		if err != nil {
			return fmt.Errorf("--listen: %w", err)
		}
		told = "mqtts://" + net.JoinHostPort(u.name, port)
	} else {
		c, err := u.authority.Issue(u.id)
		if err != nil {
			return err
		}
		l.TLS = u.authority.Client(c, "")
	}
	u.enrolment, err = enrolment.Open(enrolment.Options{Authority: u.authority, File: filepath.Join(u.state, "members.db"), Pool: u.pool, Broker: told, Log: u.log, Revoked: u.revoked})
	return err
}

// revoked cuts a device off that was revoked. What it has reported goes with it.
func (u *unit) revoked(device string) {
	if u.broker == nil {
		return // the other program reads the list of revoked certificates
	}
	u.broker.Cut(device)
	if err := u.broker.Forget("aerie/" + device); err != nil {
		u.log.Error("aerie-fleet: a revoked device is not forgotten", "device", device, "error", err)
	}
}

// listen opens all ports, so that what is in use is known at once.
func (u *unit) listen(ctx context.Context) error {
	serve := func(network, address string, f func(net.Listener) error) error {
		if address == "" {
			return nil
		}
		ln, err := net.Listen(network, address)
		if err != nil {
			return err
		}
		go func() {
			if err := f(ln); err != nil && ctx.Err() == nil {
				u.failed <- err
			}
		}()
		return nil
	}
	onPage := func(ln net.Listener) error { return u.page.Serve(ctx, ln) }
	var err error
	if u.broker != nil {
		err = errors.Join(serve("tcp", u.settings.listen, u.broker.Listen), serve("tcp", u.plain, u.broker.ListenPlain))
	}
	if u.authority != nil {
		config := u.authority.Server()
		config.ClientAuth, config.ClientCAs = tls.VerifyClientCertIfGiven, u.authority.Pool() // devices renew with theirs
		err = errors.Join(err, serve("tcp", u.https, func(ln net.Listener) error { return onPage(tls.NewListener(ln, config)) }))
	}
	if u.http != "" && !loopback(u.http) || u.debug != "" && !loopback(u.debug) {
		return errors.New("--http and --debug take an address of the loopback: what they say is not encrypted")
	}
	err = errors.Join(err, serve("tcp", u.http, onPage), serve("tcp", u.debug, func(ln net.Listener) error { return http.Serve(ln, nil) }))
	socket := filepath.Join(u.state, "control")
	os.Remove(socket) // of a service that was killed; one that runs holds the documents
	mask := syscall.Umask(0o177)
	defer syscall.Umask(mask)
	return errors.Join(err, serve("unix", socket, onPage))
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

func (u *unit) metrics() *metric.Set {
	m := &metric.Set{}
	m.Counter("aerie_fleet_messages_total", "Messages of devices and services.", &u.service.Messages)
	m.Counter("aerie_fleet_sent_total", "Messages to devices and services.", &u.service.Sent)
	m.Counter("aerie_fleet_ignored_total", "Messages that were refused.", &u.service.Ignored)
	if b := u.broker; b != nil {
		m.Counter("aerie_fleet_broker_received_total", "Packets that clients have sent to the broker.", &b.Received)
		m.Counter("aerie_fleet_broker_refused_total", "Clients and packets that the broker refused.", &b.Refused)
		m.Counter("aerie_fleet_broker_slowed_total", "Packets of clients that sent too much.", &b.Slowed)
		m.Counter("aerie_fleet_broker_conflated_total", "Versions of documents that a slow client did not see.", &b.Conflated)
	}
	return m
}

// banner says what people want to know.
func (u *unit) banner(out io.Writer) {
	fmt.Fprintf(out, "\naerie-fleet %s looks after the pool %q.\n\n", version, u.pool)
	switch {
	case u.http != "":
		fmt.Fprintf(out, "  Page     http://%s/\n", u.http)
	case u.authority != nil:
		_, port, _ := net.SplitHostPort(u.https)
		fmt.Fprintf(out, "  Page     https://%s/\n", net.JoinHostPort(u.name, port))
	}
	fmt.Fprintf(out, "  Token    aerie-fleet token --state %s\n", u.state)
	if u.broker != nil {
		fmt.Fprintf(out, "  Broker   %s\n", u.settings.listen)
	} else {
		fmt.Fprintf(out, "  Broker   %s\n", u.settings.broker)
	}
	fmt.Fprintln(out)
}

func (u *unit) close() {
	var err error
	if u.broker != nil {
		err = u.broker.Close()
	}
	if u.enrolment != nil {
		err = errors.Join(err, u.enrolment.Close())
	}
	if err != nil {
		u.log.Error("aerie-fleet: at the end", "error", err)
	}
}
