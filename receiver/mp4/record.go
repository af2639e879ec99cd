package mp4

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// File is where a recording goes: an *os.File, or what a test puts in its
// place.
type File interface {
	io.WriterAt
	Truncate(size int64) error
	Sync() error
	Close() error
}

// Options say how to record.
type Options struct {
	Video *Video // nil: SetVideo will say
	Audio *Audio // nil: SetAudio will say, or there is none

	// QueueBytes bounds the memory for samples that are not written yet; 0
	// stands for DefaultQueueBytes. A fragment in the making counts.
	QueueBytes int

	// Tick makes a fragment end that has become a tick old, so that the last
	// picture before a long pause reaches the disk. nil stands for a ticker of
	// one second.
	Tick <-chan time.Time
}

// DefaultQueueBytes is about ten seconds of 1080p60.
const DefaultQueueBytes = 16 << 20

// When a fragment ends: by media time, by size, before a key picture.
const (
	fragmentDuration = time.Second
	fragmentBytes    = 4 << 20
)

// resyncAfter is how long a recording waits for a key picture, at the start
// or behind a loss, before it goes on without one: most AirPlay senders send
// none but the first, and a picture that heals by and by is better than none.
const resyncAfter = 2 * time.Second

var (
	// ErrEmpty means that a recording ended without a sample; the file is
	// empty.
	ErrEmpty = errors.New("mp4: nothing was recorded")

	// ErrNewFile means that the change needs another file: a track keeps its
	// codec, and the front of a file has room for some 60 picture sizes.
	ErrNewFile = errors.New("mp4: the recording cannot go on in this file")
)

// Recorder writes one recording. While it goes on, the file is a fragmented
// movie: after a crash or a power cut at any byte, all but the last one or two
// seconds can be played. Close makes it an ordinary movie in which every
// player can seek.
//
// All methods but Close return at once and may be called from several
// goroutines: a goroutine of the Recorder does the writing. Samples that it
// cannot write in time wait in memory, up to Options.QueueBytes; above that a
// frame of sound is dropped alone, a picture together with all that follow up
// to the next key picture (or for 2 s, if there is none and there is room).
// Stats counts them.
//
// The first error of the disk ends the recording: what is complete is made
// an ordinary movie as by Close, if need be without the last seconds to make
// room for its tables; Done is closed and Err tells the error.
type Recorder struct {
	maxQueue int
	wake     chan struct{}
	done     chan struct{}

	mu      sync.Mutex
	configs []*videoTrack // all there were; append-only
	config  int           // the present one; -1 before the first
	audio   *audioTrack
	video   timeline
	sound   timeline
	key     keyWait
	current *fragment
	ready   []*fragment
	free    []*fragment
	queued  int // cost of current, ready and the one being written
	closing bool
	ended   bool // samples are no longer taken
	err     error
	stats   Stats
}

// Stats says what became of the samples so far.
type Stats struct {
	Video, Audio               uint64        // samples in the file
	DroppedVideo, DroppedAudio uint64        // for want of memory, of a key picture, or of a place in time
	Bytes                      int64         // size of the file
	Queued                     int           // bytes in memory
	Duration                   time.Duration // of the file
}

// Create creates a file, which must not exist, and records into it.
func Create(path string, o Options) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("mp4: %w", err)
	}
	r, err := NewRecorder(f, o)
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return r, nil
}

// NewRecorder records into f, which is empty and will be closed.
func NewRecorder(f File, o Options) (*Recorder, error) {
	r := &Recorder{
		maxQueue: o.QueueBytes,
		wake:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		config:   -1,
		video:    timeline{scale: recordTimescale},
		current:  new(fragment),
	}
	if r.maxQueue <= 0 {
		r.maxQueue = DefaultQueueBytes
	}
	r.key.begin()
	if o.Video != nil {
		if err := r.SetVideo(*o.Video); err != nil {
			return nil, err
		}
	}
	if o.Audio != nil {
		if err := r.SetAudio(*o.Audio); err != nil {
			return nil, err
		}
	}
	go r.run(f, o.Tick)
	return r, nil
}

// SetVideo describes the pictures from now on; the next one must be a key
// picture. A change of size or of any parameter set gets its own sample
// description. Another codec, or too many changes, is ErrNewFile, and nothing
// changes.
func (r *Recorder) SetVideo(v Video) error {
	t, err := newVideoTrack(v)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, old := range r.configs {
		if old.codec != t.codec {
			return fmt.Errorf("%w: %v follows %v", ErrNewFile, t.codec, old.codec)
		}
		if string(old.config) == string(t.config) && old.annexB == t.annexB {
			r.use(i)
			return nil
		}
	}
	// Room for a sound track that is not known yet is kept.
	configs := append(r.configs, t)
	audio := r.audio
	if audio == nil {
		audio = &audioTrack{config: make([]byte, maxAudioConfig), rate: 48000}
	}
	if !fitsFront(configs, audio) {
		return fmt.Errorf("%w: %d picture sizes", ErrNewFile, len(configs))
	}
	r.configs = configs
	r.use(len(configs) - 1)
	return nil
}

// use makes a description the present one. To repeat it, as a sender does
// after a pause, changes nothing.
func (r *Recorder) use(config int) {
	if config == r.config {
		return
	}
	r.cut()
	r.config, r.current.config = config, config
	r.key.begin()
}

// SetAudio describes the frames of sound. They cannot change within a file:
// another description is ErrNewFile.
func (r *Recorder) SetAudio(a Audio) error {
	t, err := newAudioTrack(a)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.audio != nil {
		if string(r.audio.config) != string(t.config) {
			return fmt.Errorf("%w: sound of %d Hz follows %d Hz, or differs otherwise", ErrNewFile, t.rate, r.audio.rate)
		}
		return nil
	}
	r.audio = t
	r.sound = timeline{scale: uint32(t.rate), frame: int64(t.frameLength)}
	return nil
}

// Done is closed when the file is, by Close or because of an error.
func (r *Recorder) Done() <-chan struct{} { return r.done }

// Err returns the error that ended the recording.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Stats returns a snapshot of the counters.
func (r *Recorder) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Queued = r.queued
	return s
}

// Close writes what is queued, makes the file an ordinary movie, closes it
// and returns the error that ended the recording, if one did.
func (r *Recorder) Close() error {
	r.mu.Lock()
	r.cut()
	r.closing, r.ended = true, true
	r.mu.Unlock()
	r.signal()
	<-r.done
	return r.Err()
}
