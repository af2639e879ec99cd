package mp4

import (
	"encoding/binary"
	"io"
)

// boxWriter writes boxes (ISO/IEC 14496-12 section 4.2). A box is written by
// a function that writes its body, so that the code nests as the boxes do.
//
// Without a sink everything is appended to b, and the size of a box is filled
// in behind it. The tables of a long recording are too large for that: with a
// sink the same code runs twice, first to measure the boxes, then to write
// them.
type boxWriter struct {
	b []byte

	sink      io.Writer
	measuring bool
	sizes     []uint32 // of all boxes, in the order in which they begin
	begun     int      // how many have begun
	spilled   int64    // bytes that have left b
	err       error    // of sink
}

// spillSize is how much a boxWriter with a sink holds back.
const spillSize = 64 << 10

// measure runs write without a sink and returns how long its output is. The
// next run goes to sink.
func (w *boxWriter) measure(sink io.Writer, write func()) int64 {
	*w = boxWriter{b: w.b[:0], measuring: true, sink: io.Discard}
	write()
	n := w.spilled + int64(len(w.b))
	*w = boxWriter{b: w.b[:0], sink: sink, sizes: w.sizes}
	return n
}

// flush hands everything to the sink and returns its first error.
func (w *boxWriter) flush() error {
	if w.err == nil {
		_, w.err = w.sink.Write(w.b)
	}
	w.spilled += int64(len(w.b))
	w.b = w.b[:0]
	return w.err
}

// spill keeps b short where there is a sink; writers of tables call it for
// every entry.
func (w *boxWriter) spill() {
	if w.sink != nil && len(w.b) >= spillSize {
		w.flush()
	}
}

// box writes a box of at most 4 GB.
func (w *boxWriter) box(name string, body func()) {
	if w.sink == nil {
		at := len(w.b)
		w.u32(0)
		w.str(name)
		body()
		binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
		return
	}
	i, at := w.begun, w.spilled+int64(len(w.b))
	w.begun++
	if w.measuring {
		w.sizes = append(w.sizes, 0)
	}
	w.u32(w.sizes[i])
	w.str(name)
	body()
	if w.measuring {
		w.sizes[i] = uint32(w.spilled + int64(len(w.b)) - at)
	}
}

// full writes a full box, which has a version and flags.
func (w *boxWriter) full(name string, version byte, flags uint32, body func()) {
	w.box(name, func() {
		w.u32(uint32(version)<<24 | flags)
		body()
	})
}

// list writes a full box that holds a number of entries and nothing else in
// front of them.
func (w *boxWriter) list(name string, n int, body func()) {
	w.full(name, 0, 0, func() {
		w.u32(uint32(n))
		body()
	})
}

func (w *boxWriter) u8(v ...byte) { w.b = append(w.b, v...) }
func (w *boxWriter) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *boxWriter) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *boxWriter) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *boxWriter) str(s string) { w.b = append(w.b, s...) }
func (w *boxWriter) zeros(n int)  { w.b = append(w.b, make([]byte, n)...) }

// fixed writes v as a 16.16 fixed-point number.
func (w *boxWriter) fixed(v int) { w.u32(uint32(v) << 16) }

// name writes a string of at most 31 bytes in a field of 32 with its length.
func (w *boxWriter) name(s string) {
	w.u8(byte(len(s)))
	w.str(s)
	w.zeros(31 - len(s))
}
