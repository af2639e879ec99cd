package message

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// NowPlaying is what a sender says about the sound it sends.
type NowPlaying struct {
	Title, Artist, Album string
	Genre, Composer      string
	Length               time.Duration // 0 if it does not say
}

const (
	dmapDepth  = 4
	dmapString = 1024 // bytes of a text that are kept
)

// ParseNowPlaying parses a DMAP listing (reference section 12.7): elements of
// a tag of four letters, a length of four bytes and a value, in a container.
// Elements that nobody knows are passed over.
func ParseNowPlaying(body []byte) (NowPlaying, error) {
	var n NowPlaying
	err := n.parse(body, 0)
	return n, err
}

func (n *NowPlaying) parse(b []byte, depth int) error {
	if depth > dmapDepth {
		return fmt.Errorf("message: DMAP deeper than %d levels", dmapDepth)
	}
	for len(b) > 0 {
		if len(b) < 8 {
			return fmt.Errorf("message: DMAP element cut off")
		}
		tag, size := string(b[:4]), binary.BigEndian.Uint32(b[4:])
		if uint64(size) > uint64(len(b)-8) {
			return fmt.Errorf("message: DMAP element %q of %d bytes does not fit", tag, size)
		}
		value := b[8 : 8+size]
		b = b[8+size:]
		switch tag {
		case "mlit":
			if err := n.parse(value, depth+1); err != nil {
				return err
			}
		case "astm":
			if len(value) == 4 {
				n.Length = time.Duration(binary.BigEndian.Uint32(value)) * time.Millisecond
			}
		default:
			if p := n.text(tag); p != nil {
				*p = strings.ToValidUTF8(string(value[:min(len(value), dmapString)]), "")
			}
		}
	}
	return nil
}

func (n *NowPlaying) text(tag string) *string {
	switch tag {
	case "minm":
		return &n.Title
	case "asar":
		return &n.Artist
	case "asal":
		return &n.Album
	case "asgn":
		return &n.Genre
	case "ascp":
		return &n.Composer
	}
	return nil
}

// Append appends the listing, for software senders.
func (n *NowPlaying) Append(b []byte) []byte {
	var list []byte
	for _, tag := range []string{"minm", "asar", "asal", "asgn", "ascp"} {
		if v := *n.text(tag); v != "" {
			list = appendElement(list, tag, []byte(v))
		}
	}
	if n.Length > 0 {
		list = appendElement(list, "astm", binary.BigEndian.AppendUint32(nil, uint32(n.Length/time.Millisecond)))
	}
	return appendElement(b, "mlit", list)
}

func appendElement(b []byte, tag string, value []byte) []byte {
	b = append(b, tag...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// Progress is where in its track the sound is, in RTP time stamps.
type Progress struct{ Start, Current, End uint32 }

// ParseProgress parses the value of "progress" (reference section 12.7).
func ParseProgress(value string) (p Progress, err error) {
	parts := strings.Split(strings.TrimSpace(value), "/")
	if len(parts) != 3 {
		return p, fmt.Errorf("message: progress %.40q", value)
	}
	for i, to := range []*uint32{&p.Start, &p.Current, &p.End} {
		v, err := strconv.ParseUint(strings.TrimSpace(parts[i]), 10, 32)
		if err != nil {
			return Progress{}, fmt.Errorf("message: progress %.40q", value)
		}
		*to = uint32(v)
	}
	return p, nil
}

// Position returns how far the track is and how long it is, at a rate of
// frames a second.
func (p Progress) Position(rate int) (at, length time.Duration) {
	frames := func(n uint32) time.Duration { return time.Duration(n) * time.Second / time.Duration(rate) }
	return frames(p.Current - p.Start), frames(p.End - p.Start)
}
