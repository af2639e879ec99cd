// Package live shows the picture and the sound of the present session to web
// pages, as it comes from the sender: nothing is decoded.
//
// A View is fed access units and AAC frames and serves them as two endless
// responses, one for the picture and one for the sound, from which a page
// feeds two media elements through Media Source Extensions (see package mp4,
// Live, for why two). Feeding never waits for a viewer.
//
// A sender begins with one key picture and then sends none for hours, so a
// page that is opened in mid-session needs every picture since. They are kept
// in a memory file of limited size, from which each viewer reads at its own
// speed. When the key picture has left it, a newcomer is told so and waits
// for the next.
//
// # The stream
//
// A response is a sequence of messages, each a header of 32 bytes and a body.
// All numbers are in network byte order, times are signed microseconds:
//
//	 0  4  length of the body
//	 4  1  kind: 'S' state, 'I' initialisation segment, 'M' movie fragment, 'T' tick
//	 5  1  flags: 1 key picture, 2 history: the picture is to be decoded, not shown
//	 6  2  zero
//	 8  8  M: the sender's time (the pts) of the first sample
//	16  8  M: the same in the time of the stream, which begins with 0 and leaves pauses out
//	24  8  when it reached the receiver, or was sent, on the receiver's clock
//
// The body of 'S' is a JSON object (see State). The stream begins with one.
// 'T' comes after a second without anything else. The history is everything
// from the key picture to the moment the viewer has caught up; it is packed
// into a few milliseconds of the stream's time, so that a player decodes it as
// fast as it can. The first picture after it is the one to show.
//
// The package knows neither AirPlay nor who may watch: the HTTP server around
// it decides that.
//
// Proof: live_test.go follows viewers byte by byte through late joins,
// changes, lost key pictures and slow networks; http_test.go does so over
// real sockets with stuck, slow and too many readers; ring_test.go checks the
// memory file against a model; alloc_test.go counts allocations. Package
// status plays the streams in Chromium.
package live

import (
	"slices"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/metric"
	"aerie/receiver/mp4"
)

// Options of a View. The zero value has the defaults.
type Options struct {
	// MaxHistory is how many bytes of pictures are kept at most, 96 MiB if it
	// is 0. Memory is taken only while a key picture is that far back.
	MaxHistory int64

	// MaxViewers limits the responses of each kind at a time, 8 if it is 0.
	MaxViewers int

	// Now is the clock, clock.Now if it is nil.
	Now func() clock.Time
}

const (
	defaultHistory = 96 << 20
	defaultViewers = 8

	// soundHistory bounds what a slow listener may be behind: half a minute.
	soundHistory = 512 << 10
)

// View is the present session for pages that watch. Its methods are safe for
// concurrent use; those that feed it do not block.
type View struct {
	// HandOver is how long after it reached the receiver a picture was handed
	// to the socket of a viewer who had all before it.
	HandOver metric.Histogram
	// Restarted counts viewers that fell so far behind that they were moved on
	// to a key picture, or had to wait for one; Stuck counts those whose
	// connection took nothing for too long; Refused those above the limit.
	Restarted, Stuck, Refused metric.Counter
	// Unusable counts pictures that came before a key picture or were too
	// large.
	Unusable metric.Counter

	options Options
	video   track
	sound   track

	mu      sync.Mutex
	viewers map[*viewer]bool
	closed  bool
}

// New returns a View without a session. It must be closed.
func New(o Options) (*View, error) {
	if o.MaxHistory <= 0 {
		o.MaxHistory = defaultHistory
	}
	if o.MaxViewers <= 0 {
		o.MaxViewers = defaultViewers
	}
	if o.Now == nil {
		o.Now = clock.Now
	}
	v := &View{options: o, viewers: make(map[*viewer]bool)}
	var err error
	if v.video.ring, err = newRing("aerie-picture", o.MaxHistory); err != nil {
		return nil, err
	}
	if v.sound.ring, err = newRing("aerie-sound", soundHistory); err != nil {
		v.video.ring.close()
		return nil, err
	}
	v.video.start, v.sound.start = -1, -1
	v.sound.sound = true
	return v, nil
}

// Start begins a session: pages get ready for it.
func (v *View) Start() {
	v.video.begin()
	v.sound.begin()
}

// SetVideo says how the next pictures are coded. If that is a change, the
// next one must be a key picture. An error means that it cannot be shown;
// pictures are ignored then until the next SetVideo.
func (v *View) SetVideo(video mp4.Video) error {
	l, err := mp4.NewLive(&video, nil)
	if err != nil {
		v.video.describe(format{})
		return err
	}
	video.Config = slices.Clone(video.Config)
	v.video.describe(format{video: &video, mime: l.MIMEType()})
	return nil
}

// Picture shows one access unit, which is copied. The pts counts on a clock
// that pictures and sound share; key says that decoding can begin here; at is
// when the receiver had all of it.
func (v *View) Picture(sample []byte, pts time.Duration, key bool, at clock.Time) {
	if !v.video.picture(sample, pts, key, at) {
		v.Unusable.Inc()
	}
}

// SetAudio says how the next sound is coded. An error means that it cannot be
// played.
func (v *View) SetAudio(audio mp4.Audio) error {
	l, err := mp4.NewLive(nil, &audio)
	if err != nil {
		v.sound.describe(format{})
		return err
	}
	audio.Config = slices.Clone(audio.Config)
	v.sound.describe(format{audio: &audio, mime: l.MIMEType()})
	return nil
}

// Sound plays frames that follow one another without a gap; they are copied.
// The first is heard at pts; at is when the receiver had them.
func (v *View) Sound(pts time.Duration, at clock.Time, frames ...[]byte) {
	v.sound.frames(frames, pts, at)
}

// End ends the session: pages show that nobody mirrors any more.
func (v *View) End() {
	v.video.end()
	v.sound.end()
}

// Viewers returns how many pages are connected to the picture.
func (v *View) Viewers() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.count(&v.video)
}

func (v *View) count(t *track) (n int) {
	for w := range v.viewers {
		if w.track == t {
			n++
		}
	}
	return n
}

// Close disconnects all viewers and frees the memory. The View must not be
// fed any more.
func (v *View) Close() {
	v.mu.Lock()
	v.closed = true
	for w := range v.viewers {
		if w.hangUp != nil {
			w.hangUp()
		}
	}
	v.mu.Unlock()
	v.video.ring.close()
	v.sound.ring.close()
}
