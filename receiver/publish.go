package receiver

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"aerie/receiver/mqtt"
)

// publishing tells an MQTT broker what the receiver does, if one is set.
type publishing struct {
	*mqtt.Publisher
	updates *updates
}

// openPublishing prepares to publish; nil where nothing is to be.
func (r *Receiver) openPublishing() *publishing {
	c := &r.cfg.MQTT
	if c.Broker == "" {
		return nil
	}
	p := &publishing{Publisher: mqtt.New(mqtt.Options{
		Address: c.Broker, User: c.User, Password: c.Password, Base: c.Topic, Log: r.log,
		ClientID: "aerie-" + strings.ToLower(strings.ReplaceAll(r.identity.deviceID, ":", "")),
	})}
	p.updates = newUpdates(func() { r.publish(p.Publisher) })
	r.defer_(p.updates.stop)
	return p
}

// run publishes until the context ends.
func (p *publishing) run(ctx context.Context, wg *sync.WaitGroup) {
	if p == nil {
		return
	}
	p.updates.ask()
	wg.Go(func() { p.Run(ctx) })
}

// ask has what is published brought up to date.
func (p *publishing) ask() {
	if p != nil {
		p.updates.ask()
	}
}

// publish sets all topics; those that are as before are not sent again.
func (r *Receiver) publish(p *mqtt.Publisher) {
	sender, active := "", "false"
	if s := r.current.Load(); s != nil {
		sender, active = s.opening.Sender.Name, "true"
	}
	n := &r.playing
	n.mu.Lock()
	what, artwork := n.what, n.artwork
	_, length := n.position(0)
	n.mu.Unlock()
	if length == 0 {
		length = what.Length
	}
	for name, value := range map[string]string{
		"active": active, "sender": sender, "volume": strconv.FormatFloat(r.Volume(), 'f', 1, 64),
		"title": what.Title, "artist": what.Artist, "album": what.Album, "genre": what.Genre, "composer": what.Composer,
		"length": fmt.Sprintf("%.0f", length.Seconds()),
	} {
		p.Set(name, []byte(value))
	}
	p.Set("artwork", artwork)
}

// nowPlaying is told that what is playing has changed.
func (r *Receiver) nowPlaying() {
	r.redrawIdle()
	r.publishing.ask()
}
