package mp4

import (
	"encoding/binary"
	"time"
)

// A fragment is what a recording writes in one go: about a second of both
// tracks, in file order.
type fragment struct {
	config int           // sample description of the pictures, counted from 0
	begun  time.Duration // pts of the first sample
	video  run
	audio  run
	cost   int  // of memory: the data and a little for each sample
	aged   bool // a tick has passed since it was begun
}

// What a fragment and a sample cost beside their data.
const (
	fragmentCost = 256
	sampleCost   = 32
)

// A run is some samples of one track that stand together.
type run struct {
	data    []byte
	samples []sample
}

// A sample of a run.
type sample struct {
	at   int64 // its place in the timeline
	size uint32
	key  bool // decoding can begin with the picture; not said of sound, where it always can
}

func (f *fragment) size() int { return len(f.video.data) + len(f.audio.data) }

func (f *fragment) empty() bool { return len(f.video.samples)+len(f.audio.samples) == 0 }

func (f *fragment) reset() {
	f.video.data, f.video.samples = f.video.data[:0], f.video.samples[:0]
	f.audio.data, f.audio.samples = f.audio.data[:0], f.audio.samples[:0]
	f.cost, f.aged = 0, false
}

// drop removes the first n samples.
func (r *run) drop(n int) {
	size := 0
	for _, s := range r.samples[:n] {
		size += int(s.size)
	}
	r.data, r.samples = r.data[size:], r.samples[n:]
}

// duration returns how long sample i lasts, in units of the track: to the
// next, and the last one as long as the one before it, or for the given time
// if it is alone. The next fragment says where it really ends.
func (r *run) duration(i int, alone int64) int64 {
	if i+1 == len(r.samples) {
		if i == 0 {
			return alone
		}
		i--
	}
	return r.samples[i+1].at - r.samples[i].at
}

// appendHeader appends moof and the header of mdat.
func (f *fragment) appendHeader(dst []byte, sequence uint32, frameLength int64) []byte {
	start := len(dst)
	w := boxWriter{b: dst}
	var offsets []int // of the fields that say where a run stands
	w.box("moof", func() {
		w.full("mfhd", 0, 0, func() { w.u32(sequence) })
		if len(f.video.samples) > 0 {
			offsets = append(offsets, w.traf(videoTrackID, f.config, &f.video, flagNonSync, recordTimescale/30))
		}
		if len(f.audio.samples) > 0 {
			offsets = append(offsets, w.traf(audioTrackID, 0, &f.audio, flagSync, frameLength))
		}
	})
	at := uint32(len(w.b)-start) + boxHeader
	if len(f.video.samples) > 0 {
		binary.BigEndian.PutUint32(w.b[offsets[0]:], at)
		offsets = offsets[1:]
		at += uint32(len(f.video.data))
	}
	if len(offsets) > 0 {
		binary.BigEndian.PutUint32(w.b[offsets[0]:], at)
	}
	w.u32(uint32(f.size()) + boxHeader)
	w.str("mdat")
	return w.b
}

// traf writes the part of one track and returns where its data offset is to
// be filled in.
func (w *boxWriter) traf(id uint32, config int, r *run, flags uint32, alone int64) (offset int) {
	const tfhdDescription = 0x02
	w.box("traf", func() {
		w.full("tfhd", 0, tfhdBaseIsMoof|tfhdDescription|tfhdFlags, func() {
			w.u32(id)
			w.u32(uint32(config) + 1)
			w.u32(flags)
		})
		w.full("tfdt", 1, 0, func() { w.u64(uint64(r.samples[0].at)) })
		trunFlags := uint32(trunDataOffset | trunDuration | trunSizes)
		if r.samples[0].key {
			trunFlags |= trunFirstFlags
		}
		w.full("trun", 0, trunFlags, func() {
			w.u32(uint32(len(r.samples)))
			offset = len(w.b)
			w.u32(0)
			if r.samples[0].key {
				w.u32(flagSync)
			}
			for i, s := range r.samples {
				w.u32(uint32(r.duration(i, alone)))
				w.u32(s.size)
			}
		})
	})
	return offset
}
