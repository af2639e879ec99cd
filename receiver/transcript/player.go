package transcript

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"aerie/receiver/fairplay/replay"
	"aerie/receiver/message"
	"aerie/receiver/pairing"
	"aerie/receiver/pairing/keystore"
	"aerie/receiver/rtsp"
)

// Player holds a recorded conversation with a receiver again.
type Player struct {
	// Dial connects to the receiver.
	Dial func() (net.Conn, error)
	// Identity is the key pair with which the player pairs.
	Identity ed25519.PrivateKey
	// Receiver is the receiver's long-term key, from its TXT records or its
	// /info; a sender that knows it goes straight to pair-verify.
	Receiver keystore.Key

	// Differences tells, after Play, where answers were other than recorded.
	Differences []string
	// Requests counts what was asked.
	Requests int

	conns map[int]*played
}

// played is one connection of the conversation.
type played struct {
	conn     *rtsp.Conn
	pairing  *pairing.Initiator
	verify   []byte // the second message, from the answer to the first
	exchange replay.Exchange
	last     *rtsp.Response // the answer to the request before
	what     string         // and that request, for the report
}

// Play holds the conversation. An error means that it could not be held to
// its end; where answers differ it goes on.
func (p *Player) Play(entries []Entry) error {
	p.conns = map[int]*played{}
	defer func() {
		for _, c := range p.conns {
			c.conn.Close()
		}
	}()
	for i := range entries {
		e := &entries[i]
		var err error
		switch e.Kind {
		case Request:
			err = p.request(e)
		case Response:
			p.compare(e)
		case Closed:
			if c := p.conns[e.Conn]; c != nil {
				c.conn.Close()
				delete(p.conns, e.Conn)
			}
		}
		if err != nil {
			return fmt.Errorf("transcript: line %d: %w", i+1, err)
		}
	}
	return nil
}

func (p *Player) connection(id int) (*played, error) {
	if c := p.conns[id]; c != nil {
		return c, nil
	}
	nc, err := p.Dial()
	if err != nil {
		return nil, err
	}
	c := &played{
		conn:     rtsp.NewConn(nc, rtsp.DefaultLimits, rtsp.DefaultTimeouts),
		pairing:  pairing.NewInitiator(p.Identity, "02:00:00:00:00:01"),
		exchange: replay.All()[0],
	}
	c.pairing.Trust(p.Receiver)
	p.conns[id] = c
	return c, nil
}

// request sends what was recorded and reads the answer.
func (p *Player) request(e *Entry) error {
	c, err := p.connection(e.Conn)
	if err != nil {
		return err
	}
	q := rtsp.Request{Method: e.Method, Target: strings.Replace(e.Target, "://receiver", "://"+c.conn.RemoteAddr().String(), 1), Proto: e.Proto}
	for _, f := range e.Header {
		if !strings.EqualFold(f[0], "Content-Length") {
			q.Header.Add(f[0], f[1])
		}
	}
	if q.Body, err = c.body(&q, e.Body); err != nil {
		return err
	}
	p.Requests++
	c.what = fmt.Sprintf("%s %s (CSeq %s)", q.Method, q.Path(), q.CSeq())
	if err := c.conn.WriteRequest(&q); err != nil {
		return err
	}
	c.last = &rtsp.Response{}
	if err := c.conn.ReadResponse(c.last); err != nil {
		return fmt.Errorf("no answer to %s: %w", c.what, err)
	}
	return c.learn(&q)
}

// body makes the body of a request: as it was recorded, with secrets of the
// player's own where they were taken out.
func (c *played) body(q *rtsp.Request, b *Body) ([]byte, error) {
	switch q.Path() {
	case "/pair-setup":
		return c.pairing.Setup(), nil
	case "/pair-verify":
		if c.verify != nil {
			return c.verify, nil
		}
		return c.pairing.Verify()
	case "/fp-setup":
		return c.fairplay(b)
	}
	switch {
	case b == nil:
		return nil, nil
	case b.Plist != nil:
		m, err := dictFromJSON(b.Plist)
		if err != nil {
			return nil, err
		}
		if _, ok := m["ekey"]; ok {
			m["ekey"] = c.exchange.EKey[:]
		}
		return message.Encode(m), nil
	case b.Text != "":
		return []byte(b.Text), nil
	}
	head, err := hex.DecodeString(b.Head)
	if err != nil || b.Size < len(head) || b.Size > 1<<20 {
		return nil, fmt.Errorf("a body of %d bytes that begins with %q", b.Size, b.Head)
	}
	return append(head, make([]byte, b.Size-len(head))...), nil
}

// fairplay answers for the sender with a recorded exchange of the same mode.
func (c *played) fairplay(b *Body) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	head, err := hex.DecodeString(b.Head)
	if err != nil || len(head) != headBytes {
		return nil, fmt.Errorf("an fp-setup that begins with %q", b.Head)
	}
	if b.Size == headBytes {
		for _, x := range replay.All() {
			if x.Mode == head[14] {
				c.exchange = x
				break
			}
		}
		return head, nil
	}
	return c.exchange.M3[:], nil
}

// learn takes from an answer what the next request is made of.
func (c *played) learn(q *rtsp.Request) (err error) {
	if c.last.Status != 200 {
		return nil
	}
	switch q.Path() {
	case "/pair-setup":
		err = c.pairing.SetupReply(c.last.Body)
	case "/pair-verify":
		if c.verify != nil {
			c.verify = nil
			return nil
		}
		c.verify, err = c.pairing.VerifyReply(c.last.Body)
	}
	return err
}

// compare notes where an answer differs from the recorded one: in its status,
// in whether there is a body, in keys that are missing.
func (p *Player) compare(e *Entry) {
	c := p.conns[e.Conn]
	if c == nil || c.last == nil {
		return
	}
	got := c.last
	c.last = nil
	if got.Status != e.Status {
		p.differ(c, "status %d, recorded %d", got.Status, e.Status)
		return
	}
	if (e.Body != nil) != (len(got.Body) > 0) {
		p.differ(c, "a body of %d bytes, recorded %v", len(got.Body), e.Body != nil)
		return
	}
	if e.Body == nil || e.Body.Plist == nil {
		return
	}
	m, err := message.Decode(got.Body)
	if err != nil {
		p.differ(c, "%v", err)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(e.Body.Plist)) {
		if _, ok := m[k]; !ok {
			p.differ(c, "the answer lacks %q", k)
		}
	}
}

func (p *Player) differ(c *played, format string, args ...any) {
	p.Differences = append(p.Differences, c.what+": "+fmt.Sprintf(format, args...))
}
