package rtsp

import (
	"net"
	"time"
)

// Timeouts bound how long a peer may keep a connection waiting.
type Timeouts struct {
	Idle    time.Duration // from one message to the first byte of the next
	Message time.Duration // from the first byte of a message to its last
	Write   time.Duration // for the peer to take one message of ours
}

// DefaultTimeouts suit a sender, which speaks every two seconds while it
// streams and may be silent for long before that.
var DefaultTimeouts = Timeouts{Idle: 60 * time.Second, Message: 10 * time.Second, Write: 5 * time.Second}

// Conn reads and writes messages on a network connection under limits of size
// and time. One goroutine may read while another writes.
type Conn struct {
	net.Conn
	*Reader
	timeouts Timeouts
	out      []byte
	records  *records // nil in the clear
}

// NewConn wraps c.
func NewConn(c net.Conn, limits Limits, timeouts Timeouts) *Conn {
	return &Conn{Conn: c, Reader: NewReader(c, limits), timeouts: timeouts}
}

// SetIdle changes how long the peer may be silent between messages; 0 is for
// ever.
func (c *Conn) SetIdle(d time.Duration) { c.timeouts.Idle = d }

// ReadRequest is Reader.ReadRequest under the time limits; it fails with an
// error that matches os.ErrDeadlineExceeded when one passes.
func (c *Conn) ReadRequest(q *Request) error {
	if err := c.wait(); err != nil {
		return err
	}
	return c.Reader.ReadRequest(q)
}

// ReadResponse is Reader.ReadResponse under the time limits.
func (c *Conn) ReadResponse(p *Response) error {
	if err := c.wait(); err != nil {
		return err
	}
	return c.Reader.ReadResponse(p)
}

func (c *Conn) wait() error {
	if err := c.SetReadDeadline(deadline(c.timeouts.Idle)); err != nil {
		return err
	}
	if err := c.Wait(); err != nil {
		return err
	}
	return c.SetReadDeadline(deadline(c.timeouts.Message))
}

// WriteRequest sends a request with one write.
func (c *Conn) WriteRequest(q *Request) error { return c.send(q.Append(c.out[:0])) }

// WriteResponse sends a response with one write.
func (c *Conn) WriteResponse(p *Response) error { return c.send(p.Append(c.out[:0])) }

func (c *Conn) send(b []byte) error {
	if cap(b) <= 64<<10 {
		c.out = b
	}
	if err := c.SetWriteDeadline(deadline(c.timeouts.Write)); err != nil {
		return err
	}
	if c.records != nil {
		_, err := c.records.Write(b)
		return err
	}
	_, err := c.Write(b)
	return err
}

func deadline(d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}
