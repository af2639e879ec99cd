package broker

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/storage"
	"github.com/mochi-mqtt/server/v2/packets"

	"aerie/cmd/aerie-fleet/authority"
)

// hook is what mochi-mqtt asks and tells.
type hook struct {
	mqtt.HookBase
	b *Broker

	mu      sync.RWMutex
	clients map[*mqtt.Client]*client

	deciding sync.Mutex
	decided  map[string]int64 // the newest version of each document that a pool shares
}

// client is what is known of a connected client. Its fields belong to the
// goroutine that reads from it, but for those of flow.
type client struct {
	*conn
	tokens float64
	filled time.Time
	over   time.Time // since when it sends too much
	said   bool      // that it broke a rule: once is enough
	ack    uint16    // of the message that is being looked at, 0 for none
	flow   flow
	acks   acks
}

func (h *hook) ID() string { return "aerie" }

func (h *hook) Provides(b byte) bool {
	return bytes.IndexByte([]byte{
		mqtt.OnConnectAuthenticate, mqtt.OnDisconnect, mqtt.OnACLCheck, mqtt.OnPacketRead, mqtt.OnPublish,
		mqtt.OnPacketProcessed, mqtt.OnSubscribe, mqtt.OnSubscribed, mqtt.OnPublishDropped, mqtt.OnPacketSent, mqtt.OnRetainMessage, mqtt.StoredRetainedMessages,
	}, b) >= 0
}

// Limits of the CONNECT packet.
const (
	maxName      = 128
	maxFilters   = 16
	maxKeepAlive = 20 * 60 // seconds
)

// OnConnectAuthenticate lets a client in whose name is the one of its
// certificate, and whose will is one that it could publish itself.
func (h *hook) OnConnectAuthenticate(cl *mqtt.Client, pk packets.Packet) bool {
	c, ok := cl.Net.Conn.(*conn)
	if !ok {
		return false
	}
	if c.trusted {
		c.name, c.role = cl.ID, authority.RoleDevice
		if string(pk.Connect.Username) == authority.RoleService {
			c.role = authority.RoleService
		}
	}
	will := cl.Properties.Will
	switch {
	case !validName(cl.ID) || cl.ID != c.name:
		h.b.refuse(c, "the client identifier is not the name in its certificate", "identifier", clip(cl.ID))
	case will.Flag != 0 && (!mqtt.IsValidFilter(will.TopicName, true) || !allowed(c.role, c.name, will.TopicName, true)):
		h.b.refuse(c, "its will is on a topic that is not its own", "topic", clip(will.TopicName))
	case pk.Connect.Keepalive > maxKeepAlive:
		h.b.refuse(c, "it wants to be silent for too long", "seconds", pk.Connect.Keepalive)
	default:
		h.b.takeOver(c)
		// Nothing is kept for those that are away.
		cl.Properties.Clean = true
		cl.Properties.Props.SessionExpiryInterval = 0
		h.mu.Lock()
		h.clients[cl] = &client{conn: c, tokens: float64(h.b.o.Limits.Burst), filled: time.Now()}
		h.mu.Unlock()
		return true
	}
	return false
}

// validName tells whether a name can be a level of a topic.
func validName(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsAny(name, "/+#\x00") && name[0] != '$'
}

// clip shortens what strangers say, for the log.
func clip(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

func (h *hook) client(cl *mqtt.Client) *client {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.clients[cl]
}

func (h *hook) OnDisconnect(cl *mqtt.Client, err error, _ bool) {
	h.mu.Lock()
	delete(h.clients, cl)
	h.mu.Unlock()
}

// OnPacketRead takes over the acknowledgement, see ack.go, and slows down
// devices that send too much.
func (h *hook) OnPacketRead(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	h.b.Received.Inc()
	c := h.client(cl)
	if c == nil {
		return pk, nil
	}
	if pk.FixedHeader.Type == packets.Publish && pk.FixedHeader.Qos == 1 {
		c.ack, pk.PacketID, pk.FixedHeader.Qos = pk.PacketID, 0, 0
	}
	if c.role == authority.RoleDevice {
		return pk, h.slow(c)
	}
	return pk, nil
}

// slow has a device that sends too much wait for its turn: meanwhile it is not
// read from. One that does not heed that is cut off.
func (h *hook) slow(c *client) error {
	now, l := time.Now(), h.b.o.Limits
	c.tokens = min(c.tokens+now.Sub(c.filled).Seconds()*l.Rate, float64(l.Burst)) - 1
	c.filled = now
	if c.tokens >= float64(l.Burst)/2 {
		c.over = time.Time{}
	}
	if c.tokens >= 0 {
		return nil
	}
	if c.over.IsZero() {
		c.over = now
		h.b.o.Log.Warn("broker: a device sends too much and is slowed down", "client", c.name, "from", c.from())
	}
	if now.Sub(c.over) > l.Patience {
		h.b.refuse(c.conn, "it went on sending too much")
		return errNo
	}
	h.b.Slowed.Inc()
	select {
	case <-time.After(time.Duration(-c.tokens / l.Rate * float64(time.Second))):
	case <-h.b.ctx.Done():
	}
	return nil
}

// OnACLCheck is asked about topics to write, filters to subscribe to, and
// topics to deliver.
func (h *hook) OnACLCheck(cl *mqtt.Client, topic string, write bool) bool {
	if cl.Net.Inline {
		return true
	}
	c := h.client(cl)
	if c == nil || !allowed(c.role, c.name, topic, write) {
		if c != nil && !c.said {
			c.said = true
			h.b.refuse(c.conn, "a topic that is not its own", "topic", clip(topic), "write", write)
		}
		if write {
			cl.Stop(errNo) // MQTT 3.1.1 has no other way to say no
		}
		return false
	}
	return true
}

// OnPublish bounds how many documents a device keeps here. What a pool has
// decided is on the disk before anybody hears of it.
func (h *hook) OnPublish(cl *mqtt.Client, pk packets.Packet) (packets.Packet, error) {
	c := h.client(cl)
	if pk.FixedHeader.Retain && ofPool(pk.TopicName) && h.late(pk) {
		h.b.o.Log.Warn("broker: a version of a pool's document came too late", "topic", clip(pk.TopicName), "client", cl.ID)
		return pk, packets.CodeSuccessIgnore // its sender need not send it again
	}
	if pk.FixedHeader.Retain && h.b.store != nil && ofPool(pk.TopicName) {
		if err := h.b.store.keep(pk.TopicName, orNil(pk.Payload)); err != nil {
			h.b.o.Log.Error("broker: a document could not be kept", "topic", clip(pk.TopicName), "error", err)
			cl.Stop(err)
			return pk, errNo
		}
		return pk, nil
	}
	if c == nil || !pk.FixedHeader.Retain || c.role != authority.RoleDevice {
		return pk, nil
	}
	if _, known := h.b.server.Topics.Retained.Get(pk.TopicName); known || len(pk.Payload) == 0 {
		return pk, nil
	}
	// A new document is rare, so they are counted when one comes.
	if len(h.b.server.Topics.Messages(owner(pk.TopicName)+"/#")) >= h.b.o.Limits.Topics {
		h.b.refuse(c.conn, "it keeps too many documents", "topic", clip(pk.TopicName))
		cl.Stop(errNo)
		return pk, errNo
	}
	return pk, nil
}

// late tells whether a document of a pool, which several services may write, is
// not newer than what is there. They write one after another; but what one of
// them wrote may have been held up until another had its turn.
func (h *hook) late(pk packets.Packet) bool {
	if !strings.HasSuffix(pk.TopicName, shared) {
		return false
	}
	version := func(b []byte) (v int64) {
		var document struct{ Version int64 }
		if json.Unmarshal(b, &document) == nil {
			v = document.Version
		}
		return v
	}
	h.deciding.Lock()
	defer h.deciding.Unlock()
	if v := version(pk.Payload); v > h.decided[pk.TopicName] {
		before, there := h.b.server.Topics.Retained.Get(pk.TopicName)
		if there && v <= version(before.Payload) {
			return true
		}
		h.decided[pk.TopicName] = v
		return false
	}
	return true
}

// OnSubscribe grants what is kept here: there are no sessions, so nothing is
// sent twice, and documents come from flow instead of at once.
func (h *hook) OnSubscribe(cl *mqtt.Client, pk packets.Packet) packets.Packet {
	many := cl.State.Subscriptions != nil && len(cl.State.Subscriptions.GetAll())+len(pk.Filters) > maxFilters
	pk.Filters = slices.Clone(pk.Filters)
	for i := range pk.Filters {
		pk.Filters[i].Qos = 0
		pk.Filters[i].RetainHandling = 2
		if many && !cl.Net.Inline {
			pk.Filters[i].Filter = "" // which is refused as no filter at all
		}
	}
	return pk
}

// StoredRetainedMessages returns the documents of the last time.
func (h *hook) StoredRetainedMessages() (all []storage.Message, err error) {
	if h.b.store == nil {
		return nil, nil
	}
	err = h.b.store.each(func(topic string, b []byte) {
		all = append(all, storage.Message{TopicName: topic, Payload: b, FixedHeader: packets.FixedHeader{Type: packets.Publish, Retain: true}})
	})
	return all, err
}
