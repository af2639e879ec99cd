package live

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/mp4"
)

// A format is how the samples of a track are coded; neither video nor audio
// if they cannot be played.
type format struct {
	video *mp4.Video
	audio *mp4.Audio
	mime  string
}

func (f *format) playable() bool { return f.video != nil || f.audio != nil }

func (f *format) equal(g *format) bool {
	switch {
	case f.video != nil && g.video != nil:
		return f.video.Codec == g.video.Codec && f.video.AnnexB == g.video.AnnexB && string(f.video.Config) == string(g.video.Config)
	case f.audio != nil && g.audio != nil:
		return string(f.audio.Config) == string(g.audio.Config)
	}
	return f.playable() == g.playable()
}

// A track is the picture or the sound of the session: records in a ring, and
// the viewers to be woken.
type track struct {
	mu      sync.Mutex
	ring    *ring
	sound   bool
	session int // counts Start and End
	live    bool
	format  format
	version int // counts changes of format

	// start is where the stream can be entered, -1 if nowhere: the last key
	// picture, or some sound of a moment ago.
	start    int64
	lost     bool // the key picture has left the ring
	pictures int  // since start
	recent   [16]int64
	n        int // of recent, ever

	header  [recordSize]byte
	packed  []byte
	viewers []*viewer
}

// A record of the ring is one access unit or some frames of sound.
type record struct {
	size    int // of the body
	key     bool
	frames  int // of sound: the body begins with the size of each in 2 bytes
	version int // of the format
	pts     time.Duration
	at      clock.Time
}

const (
	recordSize = 32

	// backlog is how much a slow viewer may be behind when there is no key
	// picture to be kept.
	backlog = 16 << 20
)

func (r *record) put(b *[recordSize]byte) {
	be := binary.BigEndian
	be.PutUint32(b[0:], uint32(r.size))
	b[4] = 0
	if r.key {
		b[4] = 1
	}
	be.PutUint16(b[6:], uint16(r.frames))
	be.PutUint64(b[8:], uint64(r.version))
	be.PutUint64(b[16:], uint64(r.pts))
	be.PutUint64(b[24:], uint64(r.at))
}

func parseRecord(b []byte) record {
	be := binary.BigEndian
	return record{
		size:    int(be.Uint32(b)),
		key:     b[4] == 1,
		frames:  int(be.Uint16(b[6:])),
		version: int(be.Uint64(b[8:])),
		pts:     time.Duration(be.Uint64(b[16:])),
		at:      clock.Time(be.Uint64(b[24:])),
	}
}

func (t *track) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reset(true)
}

func (t *track) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reset(false)
}

func (t *track) reset(live bool) {
	t.session++
	t.live = live
	t.format, t.version = format{}, t.version+1
	t.shut()
	t.ring.forget(t.ring.head)
	t.ring.release(t.ring.size)
	t.wake()
}

// shut closes the way into the stream until the next key picture or sound.
func (t *track) shut() { t.start, t.lost, t.pictures, t.n = -1, false, 0, 0 }

func (t *track) describe(f format) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.format.equal(&f) {
		t.format, t.version = f, t.version+1
		t.shut()
		t.wake()
	}
}

// picture appends an access unit; false if it cannot be used.
func (t *track) picture(sample []byte, pts time.Duration, key bool, at clock.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.live || !t.format.playable() || !key && t.start < 0 && !t.lost || !t.room(len(sample)) {
		return false
	}
	if key {
		t.start, t.lost, t.pictures = t.ring.head, false, 0
		t.ring.forget(t.start)
	}
	t.pictures++
	return t.append(record{size: len(sample), key: key, pts: pts, at: at}, sample)
}

// frames appends frames of sound.
func (t *track) frames(frames [][]byte, pts time.Duration, at clock.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.packed = t.packed[:0]
	for _, f := range frames {
		if len(f) > math.MaxUint16 {
			return false
		}
		t.packed = binary.BigEndian.AppendUint16(t.packed, uint16(len(f)))
	}
	for _, f := range frames {
		t.packed = append(t.packed, f...)
	}
	if !t.live || !t.format.playable() || len(frames) == 0 || len(frames) > math.MaxUint16 || !t.room(len(t.packed)) {
		return false
	}
	t.recent[t.n%len(t.recent)] = t.ring.head
	t.n++
	t.start = t.ring.head
	for i := max(t.n-len(t.recent), 0); i < t.n; i++ {
		if at := t.recent[i%len(t.recent)]; at >= t.ring.tail {
			t.start = at
			break
		}
	}
	return t.append(record{size: len(t.packed), frames: len(frames), pts: pts, at: at}, t.packed)
}

// room makes room for a record with a body of n bytes. A picture that is too
// large for that makes those after it useless, up to the next key picture.
func (t *track) room(n int) bool {
	if n == 0 || int64(n) > t.ring.size/2-recordSize {
		t.shut()
		return false
	}
	t.ring.reserve(int64(n) + recordSize)
	if t.lost {
		t.ring.forget(t.ring.head - backlog)
	}
	if t.start >= 0 && t.start < t.ring.tail {
		t.start, t.lost = -1, !t.sound
	}
	return true
}

func (t *track) append(r record, body []byte) bool {
	r.version = t.version
	r.put(&t.header)
	err := t.ring.append(t.header[:])
	if err == nil {
		err = t.ring.append(body)
	}
	if err != nil { // the system has no memory left
		t.shut()
		t.ring.forget(t.ring.head)
		return false
	}
	t.ring.release(releaseStep)
	t.wake()
	return true
}

// wake tells all viewers that something has changed.
func (t *track) wake() {
	for _, v := range t.viewers {
		select {
		case v.woken <- struct{}{}:
		default:
		}
	}
}
