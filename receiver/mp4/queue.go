package mp4

import "time"

// The side of a Recorder that takes samples. It holds r.mu for the time of a
// copy at most.

// keyWait is whether pictures wait for a key picture.
type keyWait struct {
	waiting bool
	started bool
	since   time.Duration // pts of the first picture that waited
}

func (k *keyWait) begin() { *k = keyWait{waiting: true} }

// over tells whether a picture that is no key picture has waited for long
// enough.
func (k *keyWait) over(pts time.Duration) bool {
	if !k.started {
		k.started, k.since = true, pts
	}
	return pts-k.since >= resyncAfter || pts < k.since
}

// WriteVideo takes a copy of one access unit, shown at pts in time of the
// sender; key says that decoding can begin with it. It allocates nothing in
// the long run.
func (r *Recorder) WriteVideo(sample []byte, pts time.Duration, key bool) {
	r.mu.Lock()
	ripe := r.writeVideo(sample, pts, key)
	r.mu.Unlock()
	if ripe {
		r.signal()
	}
}

func (r *Recorder) writeVideo(sample []byte, pts time.Duration, key bool) (ripe bool) {
	if r.ended || r.config < 0 || len(sample) == 0 {
		r.stats.DroppedVideo++
		return false
	}
	room := r.maxQueue - r.queued
	repair := false
	if r.key.waiting && !key {
		if !r.key.over(pts) || room < r.maxQueue/2 {
			r.stats.DroppedVideo++
			return false
		}
		repair = true
	}
	v := r.configs[r.config]
	if len(sample)+len(v.sets)+2*MaxOverhead > room {
		r.key.begin()
		r.stats.DroppedVideo++
		return false
	}
	at, _ := r.video.place(pts)
	r.key = keyWait{}
	ripe = r.ripe(pts, key || repair)
	f := r.begin(pts)
	start := len(f.video.data)
	dst := f.video.data
	if _, sets := v.opening(sample); key && !sets {
		// Not every player follows a change of the sample description, and
		// Chromium loses its way when it goes back over one.
		dst, sample = v.insert(dst, sample, v.sets)
	}
	if repair && v.codec == H264 {
		dst, sample = v.insert(dst, sample, recoverySEI)
	}
	f.video.data = v.appendSample(dst, sample)
	r.add(&f.video, at, len(f.video.data)-start, key || repair)
	return ripe
}

// WriteAudio takes a copy of one frame of sound, heard from pts on in time of
// the sender.
func (r *Recorder) WriteAudio(frame []byte, pts time.Duration) {
	r.mu.Lock()
	ripe := r.writeAudio(frame, pts)
	r.mu.Unlock()
	if ripe {
		r.signal()
	}
}

func (r *Recorder) writeAudio(frame []byte, pts time.Duration) (ripe bool) {
	if r.ended || r.audio == nil || len(frame) == 0 || len(frame) > r.maxQueue-r.queued {
		r.stats.DroppedAudio++
		return false
	}
	at, ok := r.sound.place(pts)
	if !ok {
		r.stats.DroppedAudio++
		return false
	}
	ripe = r.ripe(pts, false)
	f := r.begin(pts)
	f.audio.data = append(f.audio.data, frame...)
	r.add(&f.audio, at, len(frame), false)
	return ripe
}

func (r *Recorder) add(to *run, at int64, size int, key bool) {
	to.samples = append(to.samples, sample{at, uint32(size), key})
	r.current.cost += size + sampleCost
	r.queued += size + sampleCost
}

// ripe ends the current fragment where the next sample begins another. The
// tracks may be a little out of step; a clock set back ends it too.
func (r *Recorder) ripe(pts time.Duration, key bool) bool {
	f := r.current
	age := (pts - f.begun).Abs()
	if f.empty() || age < fragmentDuration && f.size() < fragmentBytes && !(key && len(f.video.samples) > 0) {
		return false
	}
	r.cut()
	return true
}

// begin returns the current fragment for a sample.
func (r *Recorder) begin(pts time.Duration) *fragment {
	if r.current.empty() {
		r.current.begun = pts
	}
	return r.current
}

// cut ends the current fragment.
func (r *Recorder) cut() {
	if r.current.empty() {
		return
	}
	r.current.cost += fragmentCost
	r.queued += fragmentCost
	r.ready = append(r.ready, r.current)
	if n := len(r.free); n > 0 {
		r.current, r.free = r.free[n-1], r.free[:n-1]
	} else {
		r.current = new(fragment)
	}
	r.current.config = r.config
}

// tick ends a fragment that has been current for a whole tick.
func (r *Recorder) tick() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current.aged {
		r.cut()
	}
	r.current.aged = !r.current.empty()
}

// take returns the next fragment to write, and the tracks it may refer to;
// none is left if it is nil.
func (r *Recorder) take() (f *fragment, configs []*videoTrack, audio *audioTrack) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ready) == 0 {
		return nil, nil, nil
	}
	f = r.ready[0]
	r.ready = append(r.ready[:0], r.ready[1:]...)
	return f, r.configs, r.audio
}

// written counts a fragment and keeps its memory for another, unless it is
// unusually much.
func (r *Recorder) written(f *fragment, w *fileWriter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queued -= f.cost
	r.count(w)
	const spare = 3
	if len(r.free) < spare && cap(f.video.data)+cap(f.audio.data) <= 2*fragmentBytes {
		f.reset()
		r.free = append(r.free, f)
	}
}

// count takes over what the writer has counted.
func (r *Recorder) count(w *fileWriter) {
	r.stats.Video, r.stats.Audio = uint64(w.video.samples), uint64(w.sound.samples)
	r.stats.DroppedAudio += uint64(w.early)
	w.early = 0
	r.stats.Bytes, r.stats.Duration = w.end, w.duration()
}

// stop ends the recording on the side that takes samples.
func (r *Recorder) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	r.ready, r.free, r.queued = nil, nil, 0
	r.current = new(fragment)
}

// closed tells whether Close was called and all is written.
func (r *Recorder) closed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closing && len(r.ready) == 0
}

// signal wakes the writer.
func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
