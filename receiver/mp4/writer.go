package mp4

import (
	"fmt"
	"time"
)

// run is the goroutine that writes.
func (r *Recorder) run(file File, tick <-chan time.Time) {
	defer close(r.done)
	if tick == nil {
		t := time.NewTicker(fragmentDuration)
		defer t.Stop()
		tick = t.C
	}
	w := &fileWriter{file: file, front: front{file: file}, end: mediaAt}
	err := r.writeAll(w, tick)
	if err != nil {
		err = fmt.Errorf("mp4: recording broke off after %v: %w", w.duration().Round(time.Second), err)
	}
	r.stop()
	if finish := w.finish(); err == nil {
		err = finish
	} else if finish != nil {
		err = fmt.Errorf("%w; then %w", err, finish)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count(w)
	r.err = err
}

// writeAll writes fragments until Close or an error.
func (r *Recorder) writeAll(w *fileWriter, tick <-chan time.Time) error {
	for {
		select {
		case <-r.wake:
		case <-tick:
			r.tick()
		}
		wrote := false
		for f, configs, audio := r.take(); f != nil; f, configs, audio = r.take() {
			if err := w.write(f, configs, audio); err != nil {
				return err
			}
			r.written(f, w)
			wrote = true
		}
		if wrote {
			if err := w.file.Sync(); err != nil {
				return err
			}
		}
		if r.closed() {
			return nil
		}
	}
}

// A fileWriter writes fragments to a file and keeps the tables of all samples
// for its end.
type fileWriter struct {
	file  File
	front front
	end   int64 // of the last complete fragment

	configs   []*videoTrack
	audio     *audioTrack
	origin    time.Duration // the sender's time with which the file begins
	video     table
	sound     table
	fragments packed // distances between the offsets of fragments
	lastStart int64
	sequence  uint32
	early     int // frames of sound from before origin, which have no place
	header    []byte
}

// write appends a fragment; on an error, end still says where the last
// complete one ends.
func (w *fileWriter) write(f *fragment, configs []*videoTrack, audio *audioTrack) error {
	w.configs, w.audio = configs, audio
	if w.sequence == 0 {
		w.origin = w.begin(f)
	}
	w.rebase(f)
	if f.empty() {
		return nil
	}
	if err := w.front.update(configs, audio); err != nil {
		return err
	}
	var frame int64
	if audio != nil {
		frame = int64(audio.frameLength)
	}
	w.sequence++
	w.header = f.appendHeader(w.header[:0], w.sequence, frame)
	at := w.end
	for _, b := range [][]byte{w.header, f.video.data, f.audio.data} {
		if len(b) == 0 {
			continue
		}
		if _, err := w.file.WriteAt(b, at); err != nil {
			return err
		}
		at += int64(len(b))
	}
	video := w.end + int64(len(w.header))
	w.video.addRun(&f.video, video, f.config)
	w.sound.addRun(&f.audio, video+int64(len(f.video.data)), 0)
	w.fragments.put(uint64(w.end - w.lastStart))
	w.lastStart, w.end = w.end, at
	return nil
}

// begin returns the time of the earliest sample of the first fragment.
func (w *fileWriter) begin(f *fragment) time.Duration {
	var times []time.Duration
	if len(f.video.samples) > 0 {
		times = append(times, timeOf(f.video.samples[0].at, recordTimescale))
	}
	if len(f.audio.samples) > 0 {
		times = append(times, timeOf(f.audio.samples[0].at, uint32(w.audio.rate)))
	}
	first := times[0]
	for _, t := range times {
		first = min(first, t)
	}
	return first
}

// rebase turns the times of samples into times of the file. The track that
// joins later may have samples from before its beginning: frames of sound are
// left out, pictures are pressed together, because later ones need them.
func (w *fileWriter) rebase(f *fragment) {
	next := int64(0)
	if w.video.samples > 0 {
		next = w.video.last + 1
	}
	zero := ticks(w.origin, recordTimescale)
	for i := range f.video.samples {
		s := &f.video.samples[i]
		s.at = max(s.at-zero, next)
		next = s.at + 1
	}
	if len(f.audio.samples) == 0 {
		return
	}
	zero = ticks(w.origin, uint32(w.audio.rate))
	early := 0
	for i := range f.audio.samples {
		s := &f.audio.samples[i]
		if s.at -= zero; s.at < 0 {
			early++
		}
	}
	f.audio.drop(early)
	w.early += early
}

// duration returns how much of the file there is.
func (w *fileWriter) duration() time.Duration {
	var d time.Duration
	if w.video.samples > 0 {
		d = timeOf(w.video.last, recordTimescale)
	}
	if w.sound.samples > 0 {
		d = max(d, timeOf(w.sound.last+int64(w.audio.frameLength), uint32(w.audio.rate)))
	}
	return d
}

// addRun adds the samples of a run that stands at an offset of the file.
func (t *table) addRun(r *run, offset int64, description int) {
	if len(r.samples) == 0 {
		return
	}
	for _, s := range r.samples {
		t.add(s.at, s.size, s.key)
	}
	t.chunk(offset, len(r.samples), description)
}
