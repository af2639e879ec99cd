package mp4

// The boxes that describe tracks are the same in a live stream, in a file
// that is being written and in a finished one; what differs are durations,
// edit lists and sample tables.

const (
	videoTrackID = 1
	audioTrackID = 2

	flagSync    = 0x02000000 // sample flags: depends on no other sample
	flagNonSync = 0x01010000 // depends on others, not a sync sample
)

// A trackHeader is what a trak box says besides its sample entries. The zero
// durations are those of a fragmented movie.
type trackHeader struct {
	id            uint32
	timescale     uint32
	movieDuration uint64 // in movie units, with the edit list
	mediaDuration uint64 // in units of timescale
	edits         []edit
	video         []*videoTrack // its sample descriptions, in order
	audio         *audioTrack
}

// An edit is one entry of an edit list: a part of the media, or nothing for a
// while if media is negative.
type edit struct {
	duration uint64 // in movie units
	media    int64
}

func (w *boxWriter) ftyp() {
	w.box("ftyp", func() {
		w.str("isom")
		w.u32(0x200)
		w.str("isomiso6mp41mp42")
	})
}

// mvhd has a movie time of timescale units per second. Version 1 throughout:
// 32 bits end after 13 hours.
func (w *boxWriter) mvhd(timescale uint32, duration uint64) {
	w.full("mvhd", 1, 0, func() {
		w.u64(0) // creation and modification time are not told: a receiver may not know
		w.u64(0)
		w.u32(timescale)
		w.u64(duration)
		w.u32(0x00010000) // rate 1
		w.u16(0x0100)     // volume 1
		w.zeros(10)
		w.matrix()
		w.zeros(24)
		w.u32(audioTrackID + 1) // next track
	})
}

func (w *boxWriter) matrix() {
	for _, v := range []uint32{0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000} {
		w.u32(v)
	}
}

// trak writes a track; tables writes its sample tables.
func (w *boxWriter) trak(h *trackHeader, tables func()) {
	w.box("trak", func() {
		w.tkhd(h)
		if len(h.edits) > 0 {
			w.elst(h.edits)
		}
		w.box("mdia", func() {
			w.mdhd(h.timescale, h.mediaDuration)
			w.hdlr(h.audio != nil)
			w.minf(h, tables)
		})
	})
}

func (w *boxWriter) tkhd(h *trackHeader) {
	const enabledInMovie = 3
	w.full("tkhd", 1, enabledInMovie, func() {
		w.u64(0)
		w.u64(0)
		w.u32(h.id)
		w.u32(0)
		w.u64(h.movieDuration)
		w.zeros(8 + 2 + 2)
		if h.audio != nil {
			w.u16(0x0100) // volume
		} else {
			w.u16(0)
		}
		w.u16(0)
		w.matrix()
		width, height := displaySize(h.video)
		w.fixed(width)
		w.fixed(height)
	})
}

// displaySize is the size of the track: the largest picture of any of its
// descriptions, so that a player that takes it for the size of its window
// cuts nothing off. Pixels that are not square widen it.
func displaySize(entries []*videoTrack) (width, height int) {
	for _, v := range entries {
		w := v.width
		if v.sarW > 0 && v.sarH > 0 {
			w = min(w*int(v.sarW)/int(v.sarH), 0xffff)
		}
		width, height = max(width, w), max(height, v.height)
	}
	return width, height
}

func (w *boxWriter) elst(edits []edit) {
	w.box("edts", func() {
		w.full("elst", 1, 0, func() {
			w.u32(uint32(len(edits)))
			for _, e := range edits {
				w.u64(e.duration)
				w.u64(uint64(e.media))
				w.u32(0x00010000) // rate 1
			}
		})
	})
}

func (w *boxWriter) mdhd(timescale uint32, duration uint64) {
	const undetermined = ('u'-0x60)<<10 | ('n'-0x60)<<5 | ('d' - 0x60) // ISO 639-2
	w.full("mdhd", 1, 0, func() {
		w.u64(0)
		w.u64(0)
		w.u32(timescale)
		w.u64(duration)
		w.u16(undetermined)
		w.u16(0)
	})
}

func (w *boxWriter) hdlr(audio bool) {
	w.full("hdlr", 0, 0, func() {
		w.u32(0)
		if audio {
			w.str("soun")
		} else {
			w.str("vide")
		}
		w.zeros(12)
		if audio {
			w.str("Sound\x00")
		} else {
			w.str("Picture\x00")
		}
	})
}

func (w *boxWriter) minf(h *trackHeader, tables func()) {
	w.box("minf", func() {
		if h.audio != nil {
			w.full("smhd", 0, 0, func() { w.u32(0) })
		} else {
			w.full("vmhd", 0, 1, func() { w.zeros(8) })
		}
		w.box("dinf", func() {
			w.list("dref", 1, func() {
				const sameFile = 1
				w.full("url ", 0, sameFile, func() {})
			})
		})
		w.box("stbl", func() {
			w.stsd(h)
			tables()
		})
	})
}

func (w *boxWriter) stsd(h *trackHeader) {
	if h.audio != nil {
		w.list("stsd", 1, func() { w.mp4a(h.audio) })
		return
	}
	w.list("stsd", len(h.video), func() {
		for _, v := range h.video {
			w.visualEntry(v)
		}
	})
}

// emptyTables are the sample tables of a fragmented movie.
func (w *boxWriter) emptyTables() {
	for _, name := range []string{"stts", "stsc", "stco"} {
		w.list(name, 0, func() {})
	}
	w.full("stsz", 0, 0, func() { w.u64(0) })
}

// visualEntry writes avc1 or hvc1: parameter sets stand in the entry (ISO/IEC
// 14496-15 sections 5.4.2 and 8.4.1).
func (w *boxWriter) visualEntry(v *videoTrack) {
	entry, record := "avc1", "avcC"
	if v.codec == HEVC {
		entry, record = "hvc1", "hvcC"
	}
	w.box(entry, func() {
		w.zeros(6)
		w.u16(1) // data reference
		w.zeros(16)
		w.u16(uint16(v.width))
		w.u16(uint16(v.height))
		w.fixed(72) // dots per inch
		w.fixed(72)
		w.u32(0)
		w.u16(1) // frames per sample
		w.name("")
		w.u16(24) // depth
		w.u16(0xffff)
		w.box(record, func() { w.u8(v.config...) })
		if c := v.colour; c.Primaries != 2 || c.FullRange {
			w.box("colr", func() {
				w.str("nclx")
				w.u16(uint16(c.Primaries))
				w.u16(uint16(c.Transfer))
				w.u16(uint16(c.Matrix))
				if c.FullRange {
					w.u8(0x80)
				} else {
					w.u8(0)
				}
			})
		}
		if v.sarW > 0 && v.sarH > 0 {
			w.box("pasp", func() {
				w.u32(uint32(v.sarW))
				w.u32(uint32(v.sarH))
			})
		}
	})
}

// mp4a writes the entry of AAC with its elementary stream descriptor (ISO/IEC
// 14496-1 section 7.2.6, 14496-14 section 5.6).
func (w *boxWriter) mp4a(a *audioTrack) {
	const (
		tagES, tagDecoderConfig, tagDecoderInfo, tagSL = 3, 4, 5, 6

		objectMPEG4Audio = 0x40
		streamAudio      = 5<<2 | 1
	)
	w.box("mp4a", func() {
		w.zeros(6)
		w.u16(1) // data reference
		w.zeros(8)
		w.u16(uint16(a.channels))
		w.u16(16) // bits per sample, by convention
		w.u32(0)
		w.u32(uint32(a.rate&0xffff) << 16) // 88200 and 96000 do not fit; players read the configuration
		w.full("esds", 0, 0, func() {
			n := len(a.config)
			w.u8(tagES, byte(3+2+13+2+n+3), 0, 0, 0)
			w.u8(tagDecoderConfig, byte(13+2+n), objectMPEG4Audio, streamAudio)
			w.zeros(3 + 4 + 4) // buffer size and bit rates are not told
			w.u8(tagDecoderInfo, byte(n))
			w.u8(a.config...)
			w.u8(tagSL, 1, 2)
		})
	})
}

// mvex announces fragments.
func (w *boxWriter) mvex(ids ...uint32) {
	w.box("mvex", func() {
		for _, id := range ids {
			w.full("trex", 0, 0, func() {
				w.u32(id)
				w.u32(1) // sample description
				w.zeros(4 + 4 + 4)
			})
		}
	})
}
