package broker

import (
	"sync"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// A message is acknowledged when it is on the disk, and mochi-mqtt would have
// the sender's next message wait for that. So it is given messages without
// quality of service, and acknowledged from here, in the order in which they
// came (MQTT 3.1.1, 4.6).

// acks are the messages of a client that are not acknowledged yet.
type acks struct {
	mu      sync.Mutex
	order   []*ack
	running bool
}

type ack struct {
	id  uint16
	due bool
	err error
}

// OnRetainMessage keeps a document.
func (h *hook) OnRetainMessage(cl *mqtt.Client, pk packets.Packet, _ int64) {
	if h.b.store == nil || passing(pk.TopicName) || ofPool(pk.TopicName) {
		return
	}
	payload := orNil(pk.Payload)
	c := h.client(cl)
	if c == nil || c.ack == 0 {
		h.b.store.put(pk.TopicName, payload, func(error) {})
		return
	}
	a := c.acks.add(c.ack)
	c.ack = 0
	h.b.store.put(pk.TopicName, payload, func(err error) {
		if err != nil {
			h.b.o.Log.Error("broker: a document could not be kept", "topic", clip(pk.TopicName), "error", err)
		}
		h.acknowledge(cl, c, a, err)
	})
}

// orNil is how a document is removed: with an empty one.
func orNil(payload []byte) []byte {
	if len(payload) == 0 {
		return nil
	}
	return payload
}

// OnPacketProcessed acknowledges what need not be kept.
func (h *hook) OnPacketProcessed(cl *mqtt.Client, pk packets.Packet, err error) {
	if c := h.client(cl); c != nil && c.ack != 0 {
		a := c.acks.add(c.ack)
		c.ack = 0
		if err == nil && !cl.Closed() {
			h.acknowledge(cl, c, a, nil)
		}
	}
}

func (a *acks) add(id uint16) *ack {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := &ack{id: id}
	a.order = append(a.order, one)
	return one
}

// acknowledge notes that a message is safe. It does not wait for the client.
func (h *hook) acknowledge(cl *mqtt.Client, c *client, one *ack, err error) {
	c.acks.mu.Lock()
	defer c.acks.mu.Unlock()
	one.due, one.err = true, err
	if !c.acks.running && c.acks.order[0].due {
		c.acks.running = true
		h.b.wg.Go(func() { c.acks.write(cl) })
	}
}

// write sends what is due.
func (a *acks) write(cl *mqtt.Client) {
	for {
		a.mu.Lock()
		if len(a.order) == 0 || !a.order[0].due {
			a.running = false
			a.mu.Unlock()
			return
		}
		one := a.order[0]
		a.order = a.order[1:]
		a.mu.Unlock()
		if one.err != nil {
			cl.Stop(one.err) // the sender must not believe that it is kept
			continue
		}
		// An error ends the connection, which its reader notices.
		_ = cl.WritePacket(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: one.id})
	}
}
