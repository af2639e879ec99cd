package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"aerie/cmd/aerie-fleet/authority"
	"aerie/cmd/aerie-fleet/broker"
	"aerie/receiver/fleet/wire"
)

const id = "11111111-1111-4111-8111-111111111111"

// bench is a broker on an address that stays the same when it starts again.
type bench struct {
	t       *testing.T
	address string
	file    string
	broker  *broker.Broker
}

func start(t *testing.T, b *bench) *bench {
	t.Helper()
	if b == nil {
		b = &bench{t: t, address: "127.0.0.1:0", file: t.TempDir() + "/documents"}
	}
	a, err := authority.Open(t.TempDir(), nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	b.broker, err = broker.New(broker.Options{Authority: a, File: b.file, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", b.address)
	if err != nil {
		t.Fatal(err)
	}
	b.address = ln.Addr().String()
	go b.broker.ListenPlain(ln)
	t.Cleanup(func() { b.broker.Close() })
	return b
}

// ear is a handler that remembers.
type ear struct {
	mu        sync.Mutex
	sender    Sender
	got       map[string]string
	connected int
	lost      []error
	hold      chan struct{}
}

func (e *ear) Connected(s Sender) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sender, e.got = s, map[string]string{}
	e.connected++
}

func (e *ear) Message(topic string, payload []byte, _ bool) {
	e.mu.Lock()
	e.got[topic] = string(payload)
	hold := e.hold
	e.mu.Unlock()
	if hold != nil {
		<-hold
	}
}

func (e *ear) Lost(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lost = append(e.lost, err)
}

func (e *ear) value(topic string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.got[topic]
}

func (b *bench) link(e *ear, change func(*Options)) (stop func()) {
	o := Options{Broker: "mqtt://" + b.address, User: authority.RoleService, ClientID: id, Subscriptions: []string{"aerie/+/twin/desired/+"}, Log: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Run(ctx, o, e)
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	b.t.Cleanup(stop)
	return stop
}

func eventually(t *testing.T, what string, happens func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if happens() {
			return
		}
	}
	t.Fatalf("not: %s", what)
}

func (e *ear) times() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.connected
}

func topic(device string) string {
	return wire.Topic{Kind: wire.TopicDesired, Device: device, Service: id}.String()
}

func document(device, text string) wire.Message {
	return wire.Message{Topic: topic(device), Payload: []byte(text), QoS: 1, Retain: true}
}

func (e *ear) send(m wire.Message) <-chan error {
	done := make(chan error, 1)
	e.mu.Lock()
	s := e.sender
	e.mu.Unlock()
	s.Send(m, func(err error) { done <- err })
	return done
}

func TestLink(t *testing.T) {
	b := start(t, nil)
	e := &ear{}
	stop := b.link(e, nil)
	eventually(t, "connected", func() bool { return e.times() == 1 })
	if err := <-e.send(document("tv", "one")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it comes back", func() bool { return e.value(topic("tv")) == "one" })

	// The broker goes, and what is said meanwhile is told to be lost.
	b.broker.Close()
	eventually(t, "the loss is told", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.lost) == 1 })
	if err := <-e.send(document("tv", "into the wind")); !errors.Is(err, ErrLost) {
		t.Errorf("without a connection: %v", err)
	}
	start(t, b)
	eventually(t, "connected again, with what the broker keeps", func() bool { return e.times() == 2 && e.value(topic("tv")) == "one" })

	// What was said last arrives before the end.
	e.send(document("tv", "last"))
	stop()
	if v, _ := b.broker.Document(topic("tv")); string(v) != "last" {
		t.Errorf("after the end it is %q", v)
	}
}

// Of a document that waits to be sent only the newest version is, and all that
// wait for it are told.
func TestNewestVersion(t *testing.T) {
	b := start(t, nil)
	e := &ear{}
	b.link(e, nil)
	eventually(t, "connected", func() bool { return e.times() == 1 })
	const versions = 2000
	var all sync.WaitGroup
	before := b.broker.Received.Value()
	for i := range versions {
		all.Add(1)
		e.mu.Lock()
		s := e.sender
		e.mu.Unlock()
		s.Send(document("tv", fmt.Sprint(i)), func(err error) {
			if err != nil {
				t.Error(err)
			}
			all.Done()
		})
	}
	all.Wait()
	if v, _ := b.broker.Document(topic("tv")); string(v) != fmt.Sprint(versions-1) {
		t.Errorf("the last version is %s", v)
	}
	t.Logf("%d of %d versions were sent", b.broker.Received.Value()-before, versions)
}

// A service that does not read does not stand still, and neither does its broker.
func TestSlowHandler(t *testing.T) {
	b := start(t, nil)
	e := &ear{hold: make(chan struct{})}
	b.link(e, nil)
	eventually(t, "connected", func() bool { return e.times() == 1 })
	var last <-chan error
	for i := range 3000 {
		last = e.send(document(fmt.Sprint("tv", i), "x"))
	}
	close(e.hold)
	if err := <-last; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all came back", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return len(e.got) == 3000 })
}

// A broker that does not let the service in, or does not let it read, is tried
// again, and the reason is told.
func TestRefused(t *testing.T) {
	b := start(t, nil)
	for name, change := range map[string]func(*Options){
		"no name":         func(o *Options) { o.ClientID = "a/b" },
		"foreign filter":  func(o *Options) { o.Subscriptions = []string{"#"} },
		"nobody listens":  func(o *Options) { o.Broker = "mqtt://127.0.0.1:1" },
		"dial that fails": func(o *Options) { o.Dial = func() (net.Conn, error) { return nil, errors.New("no") } },
	} {
		o := Options{Broker: "mqtt://" + b.address, User: authority.RoleService, ClientID: id, Log: slog.New(slog.DiscardHandler)}
		change(&o)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if _, err := converse(ctx, o, &ear{}); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestCheckBroker(t *testing.T) {
	for broker, ok := range map[string]bool{"mqtts://host:8883": true, "mqtt://[::1]:1883": true, "mqtts://host:8883/x": false, "https://host": false, "host:8883": false, "mqtts://": false, "": false} {
		if err := CheckBroker(broker); (err == nil) != ok {
			t.Errorf("%q: %v", broker, err)
		}
	}
}
