package mp4

// The front of a recording:
//
//	0      ftyp
//	32     free: 16 bytes that become the header of a large mdat when the file
//	       is finished, which then hides everything up to the sample tables
//	48     slot A: the moov of the fragmented movie, then free up to its end
//	16432  slot B: free
//	32816  the fragments
//
// A track or a picture size that joins later needs another moov. It is written
// into the other slot behind the 8 bytes of the slot's free header; then those
// 8 bytes become its own header and the old moov becomes free. Whenever the
// power fails, one of the two is whole: 8 bytes do not straddle a sector.
const (
	placeholderAt = 32
	slotsAt       = placeholderAt + 16
	slotSize      = 16 << 10
	mediaAt       = slotsAt + 2*slotSize
)

type front struct {
	file    File
	slot    int // the one in use, 0 or 1
	written bool

	// What moov says.
	configs int
	audio   *audioTrack
}

// update makes the front describe these tracks.
func (f *front) update(configs []*videoTrack, audio *audioTrack) error {
	if f.written && f.configs == len(configs) && f.audio == audio {
		return nil
	}
	moov := appendFrontMoov(nil, configs, audio)
	var err error
	if f.written {
		err = f.replace(moov)
	} else {
		err = f.begin(moov)
	}
	if err != nil {
		return err
	}
	f.written, f.configs, f.audio = true, len(configs), audio
	return nil
}

func (f *front) begin(moov []byte) error {
	w := boxWriter{}
	w.ftyp()
	w.free(slotsAt - placeholderAt)
	w.b = append(w.b, moov...)
	w.free(slotSize - len(moov))
	w.free(slotSize)
	_, err := f.file.WriteAt(w.b, 0)
	return err
}

func (f *front) replace(moov []byte) error {
	from := int64(slotsAt + f.slot*slotSize)
	to := int64(slotsAt + (1-f.slot)*slotSize)
	w := boxWriter{b: moov}
	w.free(slotSize - len(moov))
	freed := boxWriter{}
	freed.u32(slotSize)
	freed.str("free")
	err := f.steps(patch{w.b[boxHeader:], to + boxHeader}, patch{w.b[:boxHeader], to}, patch{freed.b, from})
	if err == nil {
		f.slot = 1 - f.slot
	}
	return err
}

// A patch is a write to a place in the front.
type patch struct {
	b  []byte
	at int64
}

// steps writes patches one by one, each on the disk before the next.
func (f *front) steps(patches ...patch) error {
	for _, p := range patches {
		if _, err := f.file.WriteAt(p.b, p.at); err != nil {
			return err
		}
		if err := f.file.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// free writes an empty box of n bytes.
func (w *boxWriter) free(n int) {
	w.box("free", func() { w.zeros(n - boxHeader) })
}

// appendFrontMoov appends the moov of the movie while it is fragmented.
func appendFrontMoov(dst []byte, configs []*videoTrack, audio *audioTrack) []byte {
	w := boxWriter{b: dst}
	w.box("moov", func() {
		w.mvhd(recordTimescale, 0)
		var ids []uint32
		if len(configs) > 0 {
			w.trak(&trackHeader{id: videoTrackID, timescale: recordTimescale, video: configs}, w.emptyTables)
			ids = append(ids, videoTrackID)
		}
		if audio != nil {
			w.trak(&trackHeader{id: audioTrackID, timescale: uint32(audio.rate), audio: audio}, w.emptyTables)
			ids = append(ids, audioTrackID)
		}
		w.mvex(ids...)
	})
	return w.b
}

// fitsFront tells whether a moov of these tracks fits a slot, with room for
// the free box behind it.
func fitsFront(configs []*videoTrack, audio *audioTrack) bool {
	return len(appendFrontMoov(nil, configs, audio)) <= slotSize-boxHeader
}
