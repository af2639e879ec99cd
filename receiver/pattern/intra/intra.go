// Package intra encodes pictures that are drawn, not filmed, as H.264: few
// colours, sharp edges, and from one frame to the next nothing changes but
// some small places, which the painter names. That allows an encoder of a
// few hundred lines that takes a fraction of a millisecond a frame and
// searches for nothing:
//
//   - A key frame codes every macroblock by Intra_16x16 prediction and a
//     transformed residual at a constant quantiser.
//   - Any other frame skips the macroblocks that did not change (P_Skip),
//     codes flat ones by DC prediction, and gives the samples of all others
//     as they are (I_PCM). What changed is exact.
//
// The stream is shaped like that of a phone: High profile, 4:2:0 with 8 bits,
// one slice a frame, one reference frame, no B frames, picture order count
// type 0 and no bitstream_restriction in the VUI, so that a receiver meets
// what it meets in real life. There is neither motion nor rate control, no
// CABAC and no loop filter.
//
// Proof: ffmpeg_test.go compares every sample that libavcodec decodes with
// the picture the encoder says a decoder has, for random pictures, changes
// and sizes; parameter_test.go reads the parameter sets with ffprobe;
// intra_test.go checks that exact means exact and that a frame allocates
// nothing.
package intra

import (
	"encoding/binary"
	"math/bits"

	"aerie/receiver/codec/h264"
)

// Picture is a picture in 4:2:0 whose size is that of whole macroblocks.
type Picture struct {
	Width, Height int    // multiples of 16
	Y             []byte // Width samples a row
	Cb, Cr        []byte // Width/2 samples a row
}

func newPicture(columns, rows int) *Picture {
	n := columns * rows
	return &Picture{16 * columns, 16 * rows, make([]byte, 256*n), make([]byte, 64*n), make([]byte, 64*n)}
}

// Encoder encodes a sequence of pictures. It is not safe for concurrent use.
type Encoder struct {
	// Picture is what the next frame will show. The caller paints it and
	// calls Touch for each place it paints.
	Picture *Picture
	// Decoded is what a decoder shows after the last frame. It equals Picture
	// wherever the samples were touched since the last key frame, and differs
	// elsewhere by the loss of coding. The part outside the cropping is coded
	// too. The caller must not change it.
	Decoded *Picture

	sps, pps      []byte
	columns, rows int // macroblocks
	touched       []uint64
	words         int // of touched, per row
	coded         []counts
	w             h264.BitWriter
	qp            quantiser
	slice         slice
	predictor     predictor
	crPredictor   predictor // chroma has two planes at a time
	residual      residual
}

// counts holds the number of coefficients of each block of a macroblock, in
// raster order, which choose the codes of its neighbours.
type counts struct {
	luma   [16]uint8
	chroma [2][4]uint8
}

// slice is the state of the slice header and of the slice being written.
type slice struct {
	key      bool
	frameNum uint32 // frames since the last IDR frame
	idr      uint32 // IDR frames so far
}

// New returns an encoder whose picture is black.
func New(c Config) (*Encoder, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	columns, rows := c.macroblocks()
	e := &Encoder{
		Picture: newPicture(columns, rows),
		Decoded: newPicture(columns, rows),
		columns: columns,
		rows:    rows,
		words:   (columns + 63) / 64,
		coded:   make([]counts, columns*rows),
		qp:      newQuantiser(qp),
		slice:   slice{key: true},
	}
	e.touched = make([]uint64, e.words*rows)
	e.sps, e.pps = c.sps(), pps()
	fill(e.Picture.Y, 16)
	fill(e.Picture.Cb, 128)
	fill(e.Picture.Cr, 128)
	return e, nil
}

// SPS returns the sequence parameter set: a NAL unit without start code or
// length.
func (e *Encoder) SPS() []byte { return e.sps }

// PPS returns the picture parameter set.
func (e *Encoder) PPS() []byte { return e.pps }

// Touch says that samples may have changed in the rectangle from x0, y0 up to
// but without x1, y1, in luma samples. What lies outside the picture is
// ignored. Touching what did not change costs time but no bits, except once
// after a key frame.
func (e *Encoder) Touch(x0, y0, x1, y1 int) {
	first, last := max(x0, 0)>>4, min(x1-1, e.Picture.Width-1)>>4
	for y := max(y0, 0) >> 4; y <= min(y1-1, e.Picture.Height-1)>>4; y++ {
		for x := first; x <= last; x++ {
			e.touched[y*e.words+x>>6] |= 1 << (x & 63)
		}
	}
}

// AppendFrame encodes Picture and appends the access unit to dst, a NAL unit
// behind its length in 4 bytes. The first frame is always a key frame, an IDR
// access unit; later ones are if key is set.
func (e *Encoder) AppendFrame(dst []byte, key bool) []byte {
	s := &e.slice
	s.key = s.key || key
	if s.key {
		s.frameNum = 0
		s.idr++
	}
	e.w.Reset()
	clear(e.coded)
	e.writeSliceHeader()
	if s.key {
		e.encodeAll()
	} else {
		e.encodeTouched()
	}
	e.w.TrailingBits()
	clear(e.touched)

	header := byte(2<<5 | 1) // nal_ref_idc, nal_unit_type: slice
	if s.key {
		header = 3<<5 | 5 // IDR slice
	}
	s.key = false
	s.frameNum++
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = h264.AppendNAL(dst, header, e.w.RBSP())
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// writeSliceHeader writes slice_header (ITU-T H.264, section 7.3.3).
func (e *Encoder) writeSliceHeader() {
	w, s := &e.w, &e.slice
	w.UE(0) // first_mb_in_slice
	if s.key {
		w.UE(7) // slice_type: I, all slices of the picture
	} else {
		w.UE(5) // P
	}
	w.UE(0) // pic_parameter_set_id
	w.U(frameNumBits, s.frameNum&(1<<frameNumBits-1))
	if s.key {
		w.UE(s.idr & 1) // idr_pic_id: differs from the one before
	}
	w.U(orderCountBits, 2*s.frameNum&(1<<orderCountBits-1))
	if s.key {
		w.U(2, 0) // no_output_of_prior_pics_flag, long_term_reference_flag
	} else {
		w.U(3, 0) // num_ref_idx_active_override_flag, ref_pic_list_modification_flag_l0, adaptive_ref_pic_marking_mode_flag
	}
	w.SE(0) // slice_qp_delta
	w.UE(1) // disable_deblocking_filter_idc
}

// encodeAll codes all macroblocks of an I slice.
func (e *Encoder) encodeAll() {
	for y := range e.rows {
		for x := range e.columns {
			e.encodeIntra(x, y)
		}
	}
}

// encodeTouched codes the macroblocks of a P slice that were touched and
// differ from what a decoder has.
func (e *Encoder) encodeTouched() {
	next := 0 // first macroblock neither coded nor counted as skipped
	for y := range e.rows {
		for i, word := range e.touched[y*e.words : (y+1)*e.words] {
			for ; word != 0; word &= word - 1 {
				x := i<<6 + bits.TrailingZeros64(word)
				if e.unchanged(x, y) {
					continue
				}
				at := y*e.columns + x
				e.w.UE(uint32(at - next)) // mb_skip_run
				next = at + 1
				if !e.encodeFlat(x, y) {
					e.encodePCM(x, y)
				}
			}
		}
	}
	if rest := e.rows*e.columns - next; rest > 0 {
		e.w.UE(uint32(rest))
	}
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}
