package simulate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"
)

// Client is a small MQTT 3.1.1 client: one goroutine and little memory, so that
// thousands fit into a process. Messages that it publishes are of QoS 1.
type Client struct {
	conn net.Conn
	in   *bufio.Reader
	// silence is how long the broker may say nothing: it answers each Ping.
	silence time.Duration

	mu      sync.Mutex
	last    uint16
	waiting map[uint16]chan struct{} // for acknowledgements
	ended   bool
}

// Login says who connects.
type Login struct {
	Name, User string
	WillTopic  string // empty for none; the will is retained
	Will       []byte
	KeepAlive  time.Duration
}

const patience = 30 * time.Second

// Connect says CONNECT on a connection and waits for the answer. It closes the
// connection where that is no.
func Connect(conn net.Conn, l Login) (*Client, error) {
	c := &Client{conn: conn, in: bufio.NewReaderSize(conn, 512), waiting: map[uint16]chan struct{}{}, silence: 2 * l.KeepAlive}
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Connect}, ProtocolVersion: 4}
	pk.Connect = packets.ConnectParams{ProtocolName: []byte("MQTT"), Clean: true, ClientIdentifier: l.Name, Keepalive: uint16(l.KeepAlive / time.Second)}
	if l.User != "" {
		pk.Connect.UsernameFlag, pk.Connect.Username = true, []byte(l.User)
	}
	if l.WillTopic != "" {
		pk.Connect.WillFlag, pk.Connect.WillTopic, pk.Connect.WillPayload, pk.Connect.WillRetain = true, l.WillTopic, l.Will, true
	}
	err := c.conn.SetDeadline(time.Now().Add(patience))
	if err == nil {
		err = c.write(pk)
	}
	if err == nil {
		var answer packets.Packet
		if answer, err = c.read(); err == nil && (answer.FixedHeader.Type != packets.Connack || answer.ReasonCode != 0) {
			err = fmt.Errorf("simulate: refused with code %d", answer.ReasonCode)
		}
	}
	if err == nil {
		err = c.conn.SetDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

// Close ends the connection without a farewell, as a power cut does.
func (c *Client) Close() error { return c.conn.Close() }

// Bye says farewell, so that the will is not published.
func (c *Client) Bye() error {
	return errors.Join(c.write(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Disconnect}}), c.conn.Close())
}

// Ping is a sign of life.
func (c *Client) Ping() error {
	return c.write(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Pingreq}})
}

// Publish sends a message. The channel is closed when the broker has it, or
// when the connection ends before; see Ended.
func (c *Client) Publish(topic string, payload []byte, retain bool) (<-chan struct{}, error) {
	id, done, err := c.ticket()
	if err != nil {
		return nil, err
	}
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Publish, Qos: 1, Retain: retain}, TopicName: topic, Payload: payload, PacketID: id}
	return done, c.write(pk)
}

// Subscribe subscribes. The channel is closed when the broker has answered.
func (c *Client) Subscribe(filters ...string) (<-chan struct{}, error) {
	id, done, err := c.ticket()
	if err != nil {
		return nil, err
	}
	pk := packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Subscribe, Qos: 1}, PacketID: id}
	for _, f := range filters {
		pk.Filters = append(pk.Filters, packets.Subscription{Filter: f, Qos: 1})
	}
	return done, c.write(pk)
}

// maxWaiting bounds the messages that the broker has not acknowledged.
const maxWaiting = 10_000

func (c *Client) ticket() (uint16, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0, nil, net.ErrClosed
	}
	if len(c.waiting) >= maxWaiting {
		return 0, nil, errors.New("simulate: too much is not acknowledged")
	}
	for c.last++; c.last == 0 || c.waiting[c.last] != nil; c.last++ {
	}
	done := make(chan struct{})
	c.waiting[c.last] = done
	return c.last, done, nil
}

// Ended tells whether Run has returned.
func (c *Client) Ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Run calls handle for what the broker sends, until the connection ends.
func (c *Client) Run(handle func(topic string, payload []byte)) error {
	defer func() {
		c.conn.Close()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ended = true
		for id, done := range c.waiting {
			close(done)
			delete(c.waiting, id)
		}
	}()
	for {
		if c.silence > 0 {
			if err := c.conn.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
				return err
			}
		}
		pk, err := c.read()
		if err != nil {
			return err
		}
		switch pk.FixedHeader.Type {
		case packets.Publish:
			if pk.FixedHeader.Qos > 0 {
				if err := c.write(packets.Packet{FixedHeader: packets.FixedHeader{Type: packets.Puback}, PacketID: pk.PacketID}); err != nil {
					return err
				}
			}
			handle(pk.TopicName, pk.Payload)
		case packets.Puback, packets.Suback:
			c.mu.Lock()
			if done := c.waiting[pk.PacketID]; done != nil {
				close(done)
				delete(c.waiting, pk.PacketID)
			}
			c.mu.Unlock()
		}
	}
}

func (c *Client) read() (pk packets.Packet, err error) {
	first, err := c.in.ReadByte()
	if err != nil {
		return pk, err
	}
	pk.ProtocolVersion = 4
	if err := pk.FixedHeader.Decode(first); err != nil {
		return pk, err
	}
	length, _, err := packets.DecodeLength(c.in)
	if err != nil {
		return pk, err
	}
	if length > 1<<20 {
		return pk, fmt.Errorf("simulate: a packet of %d bytes", length)
	}
	pk.FixedHeader.Remaining = length
	b := make([]byte, length)
	if _, err := io.ReadFull(c.in, b); err != nil {
		return pk, err
	}
	switch pk.FixedHeader.Type {
	case packets.Connack:
		err = pk.ConnackDecode(b)
	case packets.Publish:
		err = pk.PublishDecode(b)
	case packets.Puback:
		err = pk.PubackDecode(b)
	case packets.Suback:
		err = pk.SubackDecode(b)
	}
	return pk, err
}

func (c *Client) write(pk packets.Packet) (err error) {
	pk.ProtocolVersion = 4
	var b bytes.Buffer
	switch pk.FixedHeader.Type {
	case packets.Connect:
		err = pk.ConnectEncode(&b)
	case packets.Publish:
		err = pk.PublishEncode(&b)
	case packets.Puback:
		err = pk.PubackEncode(&b)
	case packets.Subscribe:
		err = pk.SubscribeEncode(&b)
	case packets.Pingreq:
		err = pk.PingreqEncode(&b)
	case packets.Disconnect:
		err = pk.DisconnectEncode(&b)
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.conn.Write(b.Bytes())
	return err
}
