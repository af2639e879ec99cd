package live

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/mp4"
)

// A viewer is one response: it reads a track from the ring at its own speed,
// makes fragments of it and writes them to its connection. All of it runs in
// one goroutine.
type viewer struct {
	view   *View
	track  *track
	conn   net.Conn
	woken  chan struct{}
	gone   chan struct{} // closed by hangUp
	hangUp func()        // closes the connection, from any goroutine

	session int
	told    string // the state last told
	pos     int64  // in the ring; -1 if it has not entered the stream
	version int    // of the format
	live    *mp4.Live
	time    streamTime
	current bool // it had everything before the present fetch

	in     []byte
	frames [][]byte
	out    []byte
	newest clock.Time // when the last picture of out reached the receiver, if that is to be measured
}

const (
	// readSize is how much is read from the ring in one go, if a single
	// record is not larger.
	readSize = 256 << 10

	tickInterval = time.Second

	// writeTimeout is how long a connection may take for writeSize bytes.
	writeTimeout = 10 * time.Second
	writeSize    = 256 << 10
)

// A streamTime gives samples the pts from which mp4.Live makes the time of the
// stream: it begins with 0, and while history is decoded all pictures follow
// one another at once.
type streamTime struct {
	history bool
	begun   bool
	last    time.Duration // pts of the last sample on the sender's clock
	given   time.Duration // what it was given
}

// historyStep is so short that days of history stay within a second, and the
// whole resolution of a stream.
const historyStep = time.Microsecond

func (s *streamTime) next(pts time.Duration) time.Duration {
	switch {
	case !s.begun:
		s.begun = true
	case s.history:
		s.given += historyStep
	default:
		s.given += max(pts-s.last, historyStep)
	}
	s.last = pts
	return s.given
}

func (v *viewer) now() clock.Time { return v.view.options.Now() }

// run serves the connection until it or the view is closed, or the page is
// gone or stuck.
func (v *viewer) run() {
	tick := time.NewTimer(tickInterval)
	defer tick.Stop()
	for {
		v.out = v.out[:0]
		if err := v.fetch(); err != nil {
			return // the view was closed
		}
		if len(v.out) == 0 {
			select {
			case <-v.gone:
				return
			case <-v.woken:
				continue
			case <-tick.C:
				v.tick()
			}
		}
		if err := v.write(); err != nil {
			return
		}
		tick.Reset(tickInterval)
	}
}

// fetch puts what is new into out; nothing if there is nothing new.
func (v *viewer) fetch() error {
	t := v.track
	t.mu.Lock()
	v.follow()
	pos, head := v.pos, t.ring.head
	t.mu.Unlock()
	if pos < 0 || pos == head {
		return nil
	}
	n, err := v.read(pos, head)
	if err != nil || n == 0 { // 0: it was overtaken, as follow will see
		return err
	}
	v.pos += n
	behind := v.pos < head
	v.convert(behind)
	if behind || !v.current {
		v.newest = 0
	}
	v.current = !behind
	return nil
}

// follow brings the viewer's position in line with the track's state and says
// so in out. The track is locked.
func (v *viewer) follow() {
	t := v.track
	switch {
	case v.session != t.session || !t.live:
		v.session = t.session
		v.pos, v.live, v.time, v.current = -1, nil, streamTime{}, false
	case v.pos >= 0 && v.pos < t.start && !t.sound:
		v.enter() // a newer key picture makes what is before it useless
	case v.pos >= 0 && v.pos < t.ring.tail:
		v.view.Restarted.Inc()
		v.pos = -1
	}
	switch {
	case !t.live:
		v.tell(State{State: StateIdle})
	case v.pos >= 0:
	case t.start >= 0:
		v.enter()
	case t.lost:
		v.tell(State{State: StateTooLate})
	default:
		v.tell(State{State: StateWaiting})
	}
}

// enter moves to the place where the stream can be entered.
func (v *viewer) enter() {
	t := v.track
	if v.pos >= 0 && v.pos < t.ring.tail {
		v.view.Restarted.Inc()
	}
	v.pos = t.start
	v.time.history = !t.sound
	if v.version != t.version || v.live == nil || v.told != StatePlaying {
		v.adopt(t.format, t.version, t.pictures-1)
	}
}

// adopt begins a format. The time of the stream goes on if there was one.
func (v *viewer) adopt(f format, version, history int) {
	next, err := mp4.NewLive(f.video, f.audio)
	if err != nil {
		return // SetVideo and SetAudio have tried
	}
	fresh := v.live == nil
	if !fresh {
		next.Continue(v.live)
	}
	v.live, v.version, v.told = next, version, ""
	v.tell(State{State: StatePlaying, Type: f.mime, Fresh: fresh, History: max(history, 0)})
	at := len(v.out)
	v.out = beginMessage(v.out, message{kind: KindInit, at: v.now()})
	v.out = next.AppendInit(v.out)
	endMessage(v.out, at)
}

// tell tells a state once.
func (v *viewer) tell(s State) {
	if v.told != s.State {
		v.told = s.State
		v.out = appendState(v.out, s, v.now())
	}
}

// read reads whole records from the ring into in and returns their size, 0 if
// they were overwritten meanwhile.
func (v *viewer) read(pos, head int64) (n int64, err error) {
	size := min(head-pos, readSize)
	if intact, err := v.load(pos, size); !intact {
		return 0, err
	}
	n = wholeRecords(v.in)
	if n == 0 {
		n = recordSize + int64(parseRecord(v.in).size)
		if intact, err := v.load(pos, n); !intact {
			return 0, err
		}
	}
	v.in = v.in[:n]
	return n, nil
}

// wholeRecords returns the size of the records that b holds completely.
func wholeRecords(b []byte) (n int64) {
	for n+recordSize <= int64(len(b)) {
		end := n + recordSize + int64(parseRecord(b[n:]).size)
		if end > int64(len(b)) {
			break
		}
		n = end
	}
	return n
}

// load fills in from the ring; false if that was overwritten meanwhile.
func (v *viewer) load(pos, size int64) (intact bool, err error) {
	if int64(cap(v.in)) < size {
		v.in = make([]byte, size)
	}
	v.in = v.in[:size]
	if err := v.track.ring.read(v.in, pos); err != nil {
		return false, err
	}
	v.track.mu.Lock()
	defer v.track.mu.Unlock()
	return pos >= v.track.ring.tail, nil
}

// convert turns the records of in into messages; behind says that there are
// newer ones.
func (v *viewer) convert(behind bool) {
	for b := v.in; len(b) > 0; {
		r := parseRecord(b)
		body := b[recordSize : recordSize+r.size]
		b = b[recordSize+r.size:]
		if r.version != v.version && !v.change(r.version) {
			continue
		}
		if v.track.sound {
			v.sound(r, body)
		} else {
			v.picture(r, body, behind || len(b) > 0)
		}
	}
}

// change goes over to the track's format if a record is of that.
func (v *viewer) change(version int) bool {
	t := v.track
	t.mu.Lock()
	f, current := t.format, t.version
	t.mu.Unlock()
	if version != current {
		return false // a format that was soon given up
	}
	v.adopt(f, version, 0)
	return true
}

// picture appends the fragment of one picture; behind says that there is a
// newer one.
func (v *viewer) picture(r record, sample []byte, behind bool) {
	m := message{kind: KindFragment, pts: r.pts, at: r.at}
	if r.key {
		m.flags |= FlagKey
	}
	given := v.time.next(r.pts)
	if v.time.history = v.time.history && behind; v.time.history {
		m.flags |= FlagHistory
	}
	at := len(v.out)
	v.out = beginMessage(v.out, m)
	v.out = v.live.AppendVideo(v.out, sample, given, r.key)
	v.endFragment(at, given)
	v.newest = r.at
}

func (v *viewer) sound(r record, body []byte) {
	sizes, data := body[:2*r.frames], body[2*r.frames:]
	v.frames = v.frames[:0]
	for ; len(sizes) > 0; sizes = sizes[2:] {
		n := binary.BigEndian.Uint16(sizes)
		v.frames = append(v.frames, data[:n])
		data = data[n:]
	}
	given := v.time.next(r.pts)
	at := len(v.out)
	v.out = beginMessage(v.out, message{kind: KindFragment, pts: r.pts, at: r.at})
	v.out = v.live.AppendAudio(v.out, given, v.frames...)
	v.endFragment(at, given)
}

// endFragment fills in what is known when the fragment is made.
func (v *viewer) endFragment(at int, given time.Duration) {
	stream := given - v.live.Skipped()
	binary.BigEndian.PutUint64(v.out[at+16:], uint64(stream/time.Microsecond))
	endMessage(v.out, at)
}

func (v *viewer) tick() {
	at := len(v.out)
	v.out = beginMessage(v.out, message{kind: KindTick, at: v.now()})
	endMessage(v.out, at)
}

// write writes out to the connection.
func (v *viewer) write() error {
	for b := v.out; len(b) > 0; {
		n := min(len(b), writeSize)
		// Deadlines of connections are in wall time.
		if err := v.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return err
		}
		if _, err := v.conn.Write(b[:n]); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				v.view.Stuck.Inc()
			}
			return err
		}
		b = b[n:]
	}
	if v.newest != 0 {
		v.view.HandOver.Observe(v.now().Sub(v.newest))
		v.newest = 0
	}
	return nil
}
