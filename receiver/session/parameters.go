package session

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"aerie/receiver/message"
	"aerie/receiver/playout"
	"aerie/receiver/rtsp"
)

// maxArtwork is the largest picture that is kept; bodies are limited above it.
const maxArtwork = 4 << 20

// getParameter answers GET_PARAMETER: the volume is all that senders ask for;
// without a question it is a sign of life.
func (c *conn) getParameter(q *rtsp.Request) *rtsp.Response {
	var out strings.Builder
	for _, name := range strings.Fields(string(q.Body)) {
		if name == "volume" {
			fmt.Fprintf(&out, "volume: %f\r\n", c.server.Media.Volume())
		} else if c.server.seen.first("GET_PARAMETER " + cut(name)) {
			c.log.Info("session: a parameter that is not known here", "name", cut(name))
		}
	}
	if out.Len() == 0 {
		return status(200)
	}
	return body(rtsp.TypeParameters, []byte(out.String()))
}

// setParameter answers SET_PARAMETER by its content type (reference sections
// 12.2, 12.7).
func (c *conn) setParameter(q *rtsp.Request) *rtsp.Response {
	switch t := q.ContentType(); {
	case t == rtsp.TypeParameters:
		return c.setText(q)
	case t == rtsp.TypeDMAP:
		n, err := message.ParseNowPlaying(q.Body)
		if err != nil {
			return c.bad(q, 400, err)
		}
		c.act.with(func(s Streams) { s.NowPlaying(n) })
	case t == "image/none":
		c.act.with(func(s Streams) { s.Artwork("", nil) })
	case strings.HasPrefix(t, "image/"):
		if len(q.Body) > maxArtwork {
			return c.bad(q, 413, fmt.Errorf("artwork of %d bytes", len(q.Body)))
		}
		// The body belongs to the next request; whoever keeps it copies it.
		c.act.with(func(s Streams) { s.Artwork(cut(t), q.Body) })
	case len(q.Body) == 0:
	default:
		if c.server.seen.first("SET_PARAMETER " + cut(t)) {
			c.log.Info("session: a kind of parameter that is not known here", "type", cut(t))
		}
	}
	return status(200)
}

// setText sets text parameters, one a line.
func (c *conn) setText(q *rtsp.Request) *rtsp.Response {
	for line := range strings.Lines(string(q.Body)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch name {
		case "":
		case "volume":
			db, err := parseVolume(value)
			if err != nil {
				return c.bad(q, 451, err)
			}
			c.setVolume(db)
		case "progress":
			p, err := message.ParseProgress(value)
			if err != nil {
				return c.bad(q, 451, err)
			}
			c.act.with(func(s Streams) { s.Progress(p) })
		default:
			if c.server.seen.first("parameter " + cut(name)) {
				c.log.Info("session: a parameter that is not known here", "name", cut(name))
			}
		}
	}
	return status(200)
}

// setVolume sets the receiver's volume, if the sender is the one that is
// heard.
func (c *conn) setVolume(db float64) {
	if c.act.with(func(Streams) {}) {
		c.server.Media.SetVolume(db)
	}
}

// parseVolume parses dB: -30 to 0, -144 for silence. Senders are known to send
// more than 0 (reference section 12.2); what lies between the two ends is
// silence.
func parseVolume(value string) (float64, error) {
	db, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	switch {
	case err != nil || math.IsNaN(db):
		return 0, fmt.Errorf("volume %.40q", value)
	case db > 0:
		return 0, nil
	case db < -30:
		return playout.MuteDB, nil
	}
	return db, nil
}

// parseRTPInfo parses "seq=58942;rtptime=1147914212"; given is false for a
// header that is not there.
func parseRTPInfo(value string) (seq uint16, rtp uint32, given bool, err error) {
	if value == "" {
		return 0, 0, false, nil
	}
	for field := range strings.SplitSeq(value, ";") {
		name, number, _ := strings.Cut(strings.TrimSpace(field), "=")
		bits := map[string]int{"seq": 16, "rtptime": 32}[name]
		if bits == 0 {
			continue
		}
		n, err := strconv.ParseUint(number, 10, bits)
		if err != nil {
			return 0, 0, false, fmt.Errorf("RTP-Info %.60q", value)
		}
		if name == "seq" {
			seq, given = uint16(n), true
		} else {
			rtp = uint32(n)
		}
	}
	return seq, rtp, given, nil
}
