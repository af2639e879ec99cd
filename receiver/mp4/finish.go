package mp4

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"syscall"
)

// finish makes the file an ordinary movie and closes it. Where even the
// tables find no room, the file stays the fragmented movie that it was.
func (w *fileWriter) finish() error {
	err := w.finalise()
	if e := w.file.Close(); err == nil {
		err = e
	}
	switch {
	case errors.Is(err, ErrEmpty):
		return err
	case err != nil:
		return fmt.Errorf("mp4: finish recording: %w", err)
	}
	return nil
}

// finalise appends the sample tables and then hides the fragments. If there
// is no room it gives up fragments at the end until there is.
func (w *fileWriter) finalise() error {
	if w.video.samples+w.sound.samples == 0 {
		return ErrEmpty
	}
	const attempts = 5
	var err error
	for i := range attempts {
		// Whatever a failed write left behind is in the way.
		if err = w.file.Truncate(w.end); err != nil {
			break
		}
		var size int64
		if size, err = w.writeMoov(); err == nil {
			// From here on the file can be played, hidden or not.
			err = w.hideFragments()
			w.end += size
			return err
		}
		if !noRoom(err) || !w.giveUp(size<<i) {
			break
		}
	}
	return errors.Join(err, w.file.Truncate(w.end))
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// giveUp moves the end back by at least n bytes, and a little for the file
// system, to the beginning of a fragment. The first fragment stays.
func (w *fileWriter) giveUp(n int64) bool {
	const slack = 64 << 10
	last, at := int64(0), int64(0)
	for r := w.fragments.reader(); r.more(); {
		at += int64(r.next())
		if at <= w.end-n-slack {
			last = at
		}
	}
	if last <= mediaAt || last >= w.end {
		return false
	}
	w.end = last
	return true
}

// hideFragments turns the placeholder into the header of an mdat that reaches
// up to the tables: first the size, which nothing reads yet, then the header.
func (w *fileWriter) hideFragments() error {
	size, header := boxWriter{}, boxWriter{}
	size.u64(uint64(w.end - placeholderAt))
	header.u32(1) // the size has 64 bits
	header.str("mdat")
	return w.front.steps(patch{size.b, placeholderAt + boxHeader}, patch{header.b, placeholderAt})
}

// writeMoov writes moov at the end of the fragments, down to the disk, and
// returns its size.
func (w *fileWriter) writeMoov() (size int64, err error) {
	tracks := w.tracks()
	var b boxWriter
	write := func() { b.moov(tracks) }
	size = b.measure(&tail{w.file, w.end}, write)
	if size > math.MaxUint32 {
		return size, fmt.Errorf("tables of %d bytes", size)
	}
	write()
	if err := b.flush(); err != nil {
		return size, err
	}
	return size, w.file.Sync()
}

// A tail writes behind the end of a file.
type tail struct {
	file File
	at   int64
}

func (t *tail) Write(b []byte) (int, error) {
	n, err := t.file.WriteAt(b, t.at)
	t.at += int64(n)
	return n, err
}

// A finishedTrack is one track of the finished movie: the samples that begin
// before an offset of the file.
type finishedTrack struct {
	trackHeader
	*table
	end     int64 // offset
	n       int   // samples
	entries int   // chunks
	last    int64 // duration of the last sample
}

func (w *fileWriter) tracks() (tracks []*finishedTrack) {
	if t := w.finished(&w.video); t.n > 0 {
		t.id, t.timescale, t.video = videoTrackID, recordTimescale, w.configs
		tracks = append(tracks, t)
	}
	if t := w.finished(&w.sound); t.n > 0 {
		t.id, t.timescale, t.audio = audioTrackID, uint32(w.audio.rate), w.audio
		t.last = int64(w.audio.frameLength)
		tracks = append(tracks, t)
	}
	if len(tracks) == 2 {
		// The last picture stands until the sound is over.
		v, a := tracks[0], tracks[1]
		v.last = min(max(v.last, a.movieTime(a.timeAt(a.n)+a.last)-v.timeAt(v.n)), math.MaxUint32)
	}
	for _, t := range tracks {
		t.describe()
	}
	return tracks
}

// finished limits a table to what is before the end.
func (w *fileWriter) finished(from *table) *finishedTrack {
	t := &finishedTrack{table: from, end: w.end, last: recordTimescale / 30}
	for c := range from.allChunks(w.end) {
		t.n += c.samples
		t.entries++
	}
	switch {
	case t.n > 0 && t.n < from.samples:
		t.last = from.timeAt(t.n+1) - from.timeAt(t.n)
	case t.n > 1:
		t.last = from.last - from.timeAt(t.n-1)
	}
	return t
}

// describe sets durations and the edit list: a track that begins later than
// the movie begins with nothing.
func (t *finishedTrack) describe() {
	t.mediaDuration = uint64(t.timeAt(t.n) + t.last - t.first)
	start := uint64(t.movieTime(t.first))
	length := uint64(t.movieTime(int64(t.mediaDuration)))
	t.movieDuration = start + length
	if start > 0 {
		t.edits = []edit{{duration: start, media: -1}, {duration: length}}
	}
}

// movieTime converts units of the track to units of the movie, to the nearest.
func (t *finishedTrack) movieTime(v int64) int64 {
	scale := int64(t.timescale)
	return v/scale*recordTimescale + (v%scale*recordTimescale+scale/2)/scale
}

func (w *boxWriter) moov(tracks []*finishedTrack) {
	w.box("moov", func() {
		var duration uint64
		for _, t := range tracks {
			duration = max(duration, t.movieDuration)
		}
		w.mvhd(recordTimescale, duration)
		for _, t := range tracks {
			w.trak(&t.trackHeader, func() { w.tables(t) })
		}
	})
}

// tables writes the boxes that say where every sample is and when it is due
// (ISO/IEC 14496-12 section 8.6 and 8.7).
func (w *boxWriter) tables(t *finishedTrack) {
	runs := 0
	for range t.runs(t.n, t.last) {
		runs++
	}
	w.list("stts", runs, func() {
		for n, d := range t.runs(t.n, t.last) {
			w.u32(uint32(n))
			w.u32(uint32(d))
			w.spill()
		}
	})
	if t.audio == nil {
		w.stss(t)
	}
	entries := 0
	for range t.chunkRuns() {
		entries++
	}
	w.list("stsc", entries, func() {
		for first, c := range t.chunkRuns() {
			w.u32(uint32(first))
			w.u32(uint32(c.samples))
			w.u32(uint32(c.description) + 1)
			w.spill()
		}
	})
	w.full("stsz", 0, 0, func() {
		w.u32(0)
		w.u32(uint32(t.n))
		r := t.sizes.reader()
		for range t.n {
			w.u32(uint32(r.next()))
			w.spill()
		}
	})
	w.chunkOffsets(t)
}

// stss lists the sync samples, unless all are.
func (w *boxWriter) stss(t *finishedTrack) {
	n := 0
	for range t.syncSamples() {
		n++
	}
	if n == t.n {
		return
	}
	w.list("stss", n, func() {
		for number := range t.syncSamples() {
			w.u32(uint32(number))
			w.spill()
		}
	})
}

// syncSamples iterates over the numbers of sync samples, counted from 1.
func (t *finishedTrack) syncSamples() iter.Seq[int] {
	return func(yield func(int) bool) {
		number := 0
		for r := t.syncs.reader(); r.more(); {
			if number += int(r.next()); number > t.n || !yield(number) {
				return
			}
		}
	}
}

// chunkRuns iterates over runs of chunks with the same number of samples and
// the same description, by the number of the first, counted from 1.
func (t *finishedTrack) chunkRuns() iter.Seq2[int, chunk] {
	return func(yield func(int, chunk) bool) {
		number, last := 0, chunk{}
		for c := range t.allChunks(t.end) {
			number++
			if c.samples == last.samples && c.description == last.description {
				continue
			}
			if last = c; !yield(number, c) {
				return
			}
		}
	}
}

// chunkOffsets writes 32-bit offsets where they suffice.
func (w *boxWriter) chunkOffsets(t *finishedTrack) {
	name, put := "stco", func(v int64) { w.u32(uint32(v)) }
	if t.end > math.MaxUint32 {
		name, put = "co64", func(v int64) { w.u64(uint64(v)) }
	}
	w.list(name, t.entries, func() {
		for c := range t.allChunks(t.end) {
			put(c.offset)
			w.spill()
		}
	})
}
