package receiver

import (
	"hash/maphash"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/message"
	"aerie/receiver/metric"
)

// meters is everything that is counted and measured. Stages are measured on
// the local clock; each picture passes them in this order.
type meters struct {
	pictures        metric.Counter
	pictureBytes    metric.Counter
	decoded         metric.Counter
	hardwareDecoded metric.Counter
	hardwareFailed  metric.Counter // times software had to do instead
	undecodable     metric.Counter // errors of the decoder
	corrupt         metric.Counter // pictures with parts made up
	shown           metric.Counter
	late            metric.Counter // shown after they were due
	skipped         metric.Counter // not shown: a newer one was due, or no memory
	PixelsCopied    metric.Counter // bytes of pictures that the CPU copied or converted to show them

	receive  metric.Histogram // from the header to the last byte
	handover metric.Histogram // to the decoder or the output that has it
	decode   metric.Histogram
	commit   metric.Histogram // from decoded to given to the display
	flip     metric.Histogram // to its appearance
	total    metric.Histogram // from the sender's stamp to shown or handed over

	pattern      metric.Histogram // the same, by the stamp in the test pattern
	presented    metric.Histogram // the same, to its presentation by a browser
	patternSeen  metric.Counter   // frames of the pattern whose stamp was read
	patternGaps  metric.Counter   // frames of the pattern that were not seen
	patternFrame metric.Gauge

	fps     metric.Gauge
	bitRate metric.Gauge

	mu   sync.Mutex
	last struct{ pictures, bytes uint64 }
	err  string
}

// stage is one histogram of a picture's way.
type stage struct {
	name string
	h    *metric.Histogram
}

// stages are the histograms in the order of a picture's way.
func (m *meters) stages() []stage {
	return []stage{{"receive", &m.receive}, {"hand over", &m.handover}, {"decode", &m.decode}, {"commit", &m.commit}, {"flip", &m.flip},
		{"stamp to shown", &m.total}, {"pattern to shown", &m.pattern}, {"pattern to presented by the browser", &m.presented}}
}

// second takes the rates of the last second.
func (m *meters) second(*streams) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, b := m.pictures.Value(), m.pictureBytes.Value()
	m.fps.Set(float64(p - m.last.pictures))
	m.bitRate.Set(float64(b-m.last.bytes) * 8)
	m.last.pictures, m.last.bytes = p, b
}

// lastError keeps an error for the status.
func (m *meters) lastError(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.err = err.Error()
	}
}

// playing is what is playing.
type playing struct {
	mu       sync.Mutex
	what     message.NowPlaying
	progress message.Progress
	told     clock.Time // when the sender told its progress
	artwork  []byte     // never written again
	artID    uint64     // tells it from others; 0 for none
	artType  string
	changed  func() // must not block
}

func (p *playing) update(f func()) {
	p.mu.Lock()
	f()
	changed := p.changed
	p.mu.Unlock()
	if changed != nil {
		changed()
	}
}

func (p *playing) clear() {
	p.update(func() {
		p.what, p.progress, p.artwork, p.artID, p.artType = message.NowPlaying{}, message.Progress{}, nil, 0, ""
	})
}

// cover returns the artwork of what is playing, and what tells it from others.
func (p *playing) cover() (id uint64, file []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.artID, p.artwork
}

// NowPlaying notes what is playing.
func (s *streams) NowPlaying(n message.NowPlaying) {
	p := &s.r.playing
	p.update(func() { p.what = n })
}

// artworkSeed makes the ids of artwork those of this run: a page that was open
// before does not take an old image for a new one.
var artworkSeed = maphash.MakeSeed()

// Artwork notes its picture, a copy of it.
func (s *streams) Artwork(mediaType string, image []byte) {
	p := &s.r.playing
	var file []byte
	var id uint64
	if len(image) > 0 {
		file, id = append(file, image...), max(maphash.Bytes(artworkSeed, image), 1)
	}
	p.update(func() { p.artType, p.artwork, p.artID = mediaType, file, id })
}

// progressRate is that of the time stamps in which progress is told (reference
// section 12.7).
const progressRate = 44100

// Progress notes how far it is.
func (s *streams) Progress(progress message.Progress) {
	p := &s.r.playing
	now := s.r.now()
	p.update(func() { p.progress, p.told = progress, now })
}

// position returns how far what is playing is by now, and how long it is; 0 if
// that is not known. Sound last came at the instant active: it stands still
// while the sender pauses.
func (p *playing) position(active clock.Time) (at, length time.Duration) {
	at, length = p.progress.Position(progressRate)
	return min(at+max(active.Sub(p.told), 0), length), length
}
