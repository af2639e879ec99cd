package mirror

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"aerie/receiver/clock"
)

// malformedLimit is how many pictures in a row may have lengths that do not
// add up before the key is given up as wrong.
const malformedLimit = 3

// Stream reads one connection.
type Stream struct {
	Conn   net.Conn
	Cipher Cipher
	Sink   Sink
	Stats  *Stats
	Now    func() clock.Time
	// Allow decides about a codec packet, nil about none: an error ends the
	// stream with it. A sender may send HEVC only if it was offered.
	Allow func(*Parameters) error

	header  [HeaderSize]byte
	ahead   [HeaderSize]byte // of the next header, what came with a payload
	have    int              // bytes of it
	h       Header
	au      AccessUnit
	params  *Parameters
	fresh   bool // params were not handed over yet
	paused  bool
	bad     int        // malformed pictures in a row
	seen    clock.Time // the last instant that Now told
	armed   clock.Time // until then the deadline need not be set anew
	scratch []byte
}

// Run reads packets until the connection ends, which is io.EOF between two
// packets. It closes nothing.
func (s *Stream) Run() error {
	defer s.Sink.End()
	for {
		if err := s.next(); err != nil {
			return err
		}
	}
}

// next reads one packet.
func (s *Stream) next() error {
	s.header = s.ahead
	have := s.have
	s.have = 0
	if _, err := s.read(s.header[:], have, HeaderSize, true); err != nil {
		return err
	}
	s.h.Parse(&s.header)
	s.au.Begun = s.now()
	return s.packet()
}

func (s *Stream) packet() error {
	switch s.h.Type {
	case Video, VideoIDR:
		return s.picture()
	case Codec:
		return s.codec()
	case Heartbeat:
		s.Stats.Heartbeats.Inc()
	case Report:
		s.Stats.Reports.Inc()
	default:
		s.Stats.Unknown.Inc()
	}
	return s.skip()
}

// picture reads an access unit into memory of the decoder.
func (s *Stream) picture() error {
	n := int(s.h.Size)
	if s.h.Size > MaxPicture {
		return streamError("picture of %d bytes, limit %d", s.h.Size, MaxPicture)
	}
	if n == 0 {
		s.Stats.Malformed.Inc()
		return nil
	}
	// The next header may come with the payload, for the price of one read.
	b, err := s.Sink.Buffer(n + HeaderSize)
	if err != nil {
		return err
	}
	memory := b.Bytes()[:n+HeaderSize]
	have, err := s.read(memory, 0, n, false)
	if err != nil {
		b.Release()
		return err
	}
	s.au.Arrived = s.now()
	s.have = copy(s.ahead[:], memory[n:have])
	payload := memory[:n]
	plain, err := s.Cipher.Open(&s.header, payload)
	if err != nil {
		b.Release()
		return err
	}
	idr, err := s.inspect(plain)
	if err != nil {
		b.Release()
		return s.malformed(err)
	}
	s.bad = 0
	s.setPaused(s.h.Paused())
	s.Stats.Pictures.Inc()
	s.Stats.Bytes.Add(uint64(n))
	s.Stats.Receive.Observe(s.au.Arrived.Sub(s.au.Begun))
	s.au.Data = plain
	s.au.Parameters = s.params
	s.au.New = s.fresh
	s.au.IDR = idr
	s.au.Time = s.h.Time
	s.Sink.Picture(b, &s.au)
	s.fresh = false
	s.au.Number++
	return nil
}

// malformed skips a picture that cannot be one. Parameter sets that are
// missing, or lengths that do not add up, mean a wrong key when they persist.
func (s *Stream) malformed(err error) error {
	s.Stats.Malformed.Inc()
	if errors.Is(err, errNoParameters) {
		return nil
	}
	if s.bad++; s.bad < malformedLimit {
		return nil
	}
	return streamError("%d pictures in a row are noise: the key is not the sender's (%v)", s.bad, err)
}

// codec reads parameter sets. They come at the start, after a rotation or a
// change of size, and after a pause.
func (s *Stream) codec() error {
	if s.h.Size > maxCodec {
		return streamError("codec packet of %d bytes, limit %d", s.h.Size, maxCodec)
	}
	s.Stats.Codec.Inc()
	if s.h.Size == 0 {
		return streamError("the sender wants a codec that was not offered")
	}
	// Kept by Parameters, so not in the scratch memory; it is rare.
	payload := make([]byte, s.h.Size)
	if _, err := s.read(payload, 0, len(payload), false); err != nil {
		return err
	}
	p, err := ParseParameters(payload)
	if err != nil {
		return err
	}
	if s.Allow != nil {
		if err := s.Allow(p); err != nil {
			return err
		}
	}
	s.setPaused(s.h.Paused())
	if s.params != nil && s.params.Same(p) {
		return nil
	}
	p.SourceWidth, p.SourceHeight = float64(s.h.SourceWidth), float64(s.h.SourceHeight)
	s.params, s.fresh = p, true
	return nil
}

func (s *Stream) setPaused(paused bool) {
	if s.paused != paused {
		s.paused = paused
		s.Sink.Pause(paused)
	}
}

// skip reads a payload that nobody needs.
func (s *Stream) skip() error {
	if s.h.Size > maxIgnored {
		return streamError("packet of type %d with %d bytes, limit %d", s.h.Type, s.h.Size, maxIgnored)
	}
	if s.scratch == nil {
		s.scratch = make([]byte, 4096)
	}
	for left := int(s.h.Size); left > 0; {
		n := min(left, len(s.scratch))
		if _, err := s.read(s.scratch[:n], 0, n, false); err != nil {
			return err
		}
		left -= n
	}
	return nil
}

// read reads into b behind the bytes it has, until there are at least want,
// and returns how many there are. Between packets a sender may be silent for
// as long as it likes (the session has its own watch on it); within one it may
// not.
func (s *Stream) read(b []byte, have, want int, boundary bool) (int, error) {
	for have < want {
		if err := s.arm(); err != nil {
			return have, err
		}
		n, err := s.Conn.Read(b[have:])
		have += n
		idle := boundary && have == 0
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.armed = 0
			if !idle && n == 0 {
				return have, streamError("the sender stopped within a packet")
			}
		case err == io.EOF && !idle && have < want:
			return have, io.ErrUnexpectedEOF
		case have < want:
			return have, err
		}
	}
	return have, nil
}

// arm sets the deadline of the connection, not at every read, for that would
// cost as much as a small read itself.
func (s *Stream) arm() error {
	if s.armed != 0 && s.seen < s.armed {
		return nil
	}
	s.seen = s.Now()
	s.armed = s.seen.Add(stallLimit / 3)
	return s.Conn.SetReadDeadline(time.Now().Add(stallLimit))
}

func (s *Stream) now() clock.Time {
	s.seen = s.Now()
	return s.seen
}

var errNoParameters = &StreamError{"a picture without parameter sets before it"}

func (s *Stream) inspect(au []byte) (idr bool, err error) {
	if s.params == nil {
		return false, errNoParameters
	}
	return s.params.inspect(au)
}
