package broker

import (
	"bytes"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// queueLength is how many packets wait for a client that reads slowly. It costs
// eight bytes each, for every client.
const queueLength = 128

// flow sends a client documents that did not fit into its queue. It waits for
// the client, so it holds names, never documents: what is sent is what the
// topic is by then. A client can thus miss versions, but not the last one.
type flow struct {
	mu      sync.Mutex
	order   []string
	behind  map[string]bool
	past    map[string]bool // topics of which the queue may hold older versions
	running bool
}

// add notes topics, and tells whether somebody has to begin to send them.
func (f *flow) add(topics ...string) (begin bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.behind == nil {
		f.behind = map[string]bool{}
	}
	if f.past == nil {
		f.past = map[string]bool{}
	}
	for _, t := range topics {
		if !f.behind[t] {
			f.behind[t], f.past[t] = true, true
			f.order = append(f.order, t)
		}
	}
	begin = !f.running && len(f.order) > 0
	f.running = f.running || begin
	return begin
}

// overtake notes that a document is sent outside of the queue.
func (f *flow) overtake(topic string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.past == nil {
		f.past = map[string]bool{}
	}
	f.past[topic] = true
}

// next takes the topic that has waited the longest.
func (f *flow) next() (topic string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.order) == 0 {
		f.running, f.order, f.behind = false, nil, nil
		return "", false
	}
	topic = f.order[0]
	f.order = f.order[1:]
	delete(f.behind, topic)
	return topic, true
}

// OnSubscribed sends the documents that there are, before anything else of the
// client is looked at: what it publishes afterwards comes back to it after them.
// A client that does not read waits for itself.
func (h *hook) OnSubscribed(cl *mqtt.Client, pk packets.Packet, codes []byte) {
	c := h.client(cl)
	if c == nil {
		return
	}
	for i, sub := range pk.Filters {
		if codes[i] >= packets.ErrUnspecifiedError.Code {
			continue
		}
		for _, m := range h.b.server.Topics.Messages(sub.Filter) {
			c.flow.overtake(m.TopicName)
			if c.SetDeadline(time.Now().Add(patience)) != nil || !h.write(cl, m.TopicName, true) {
				return
			}
		}
	}
}

// OnPublishDropped notes a document that did not fit into the client's queue.
func (h *hook) OnPublishDropped(cl *mqtt.Client, pk packets.Packet) {
	h.b.Conflated.Inc()
	if _, document := h.b.server.Topics.Retained.Get(pk.TopicName); document {
		h.send(cl, pk.TopicName)
	}
}

func (h *hook) send(cl *mqtt.Client, topics ...string) {
	c := h.client(cl)
	if c == nil || !c.flow.add(topics...) {
		return
	}
	h.b.wg.Go(func() {
		for topic, ok := c.flow.next(); ok; topic, ok = c.flow.next() {
			if !h.write(cl, topic, false) {
				return
			}
		}
	})
}

// write sends a document as it is now; old tells that it is one from before the
// subscription. The deadline of the connection ends this for a client that is
// dead.
func (h *hook) write(cl *mqtt.Client, topic string, old bool) bool {
	m, there := h.b.server.Topics.Retained.Get(topic)
	if !there {
		// It was removed, which is said with an empty one.
		m = packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish}, TopicName: topic}
	}
	m = m.Copy(false)
	m.FixedHeader.Retain, m.FixedHeader.Qos = there && old, 0
	return cl.WritePacket(m) == nil
}

// OnPacketSent sees to it that the last that a client is sent of a document is
// the newest: what flow sends overtakes older versions in the queue.
func (h *hook) OnPacketSent(cl *mqtt.Client, pk packets.Packet, _ []byte) {
	if pk.FixedHeader.Type != packets.Publish {
		return
	}
	c := h.client(cl)
	if c == nil || !c.flow.overtook(pk.TopicName) {
		return
	}
	if now, _ := h.b.server.Topics.Retained.Get(pk.TopicName); !bytes.Equal(now.Payload, pk.Payload) {
		h.send(cl, pk.TopicName)
	}
}

func (f *flow) overtook(topic string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.past[topic]
}
