package h264

import "fmt"

// Planes are the samples of a picture in 4:2:0 with 8 bits, without padding:
// the luma of a row behind that of the row above, and so the two of chroma. The
// size is that of whole macroblocks.
type Planes struct {
	Width, Height int // multiples of 16
	Y, Cb, Cr     []byte
}

// stillPPS is the number of the picture parameter set of a still. Streams count
// theirs from 0; the largest number is free in all that were seen.
const stillPPS = 255

// AppendStill appends a picture parameter set and an IDR picture, with start
// codes, that a decoder shows as exactly the samples given (all macroblocks are
// I_PCM). It belongs to the stream of a sequence parameter set: a decoder that
// joins in the middle of a stream is given the picture that the next one refers
// to in this way, and goes on from there.
//
// The stream is to be one of Check8Bit420 that is not interlaced.
func AppendStill(dst []byte, s *SPS, p *Planes) ([]byte, error) {
	if err := s.Check8Bit420(); err != nil {
		return nil, err
	}
	width, height := s.CodedSize()
	n := width * height
	if !s.FrameMBsOnly || p.Width != width || p.Height != height || len(p.Y) < n || len(p.Cb) < n/4 || len(p.Cr) < n/4 {
		return nil, fmt.Errorf("h264: a still of %dx%d for a stream of %dx%d", p.Width, p.Height, width, height)
	}
	dst = appendStillPPS(dst, s)
	var w BitWriter
	writeStillHeader(&w, s)
	for y := 0; y < height; y += 16 {
		for x := 0; x < width; x += 16 {
			w.UE(25) // mb_type: I_PCM
			w.AlignZero()
			writeBlock(&w, p.Y, width, x, y, 16)
			writeBlock(&w, p.Cb, width/2, x/2, y/2, 8)
			writeBlock(&w, p.Cr, width/2, x/2, y/2, 8)
		}
	}
	w.TrailingBits()
	return AppendNAL(append(dst, startCode...), 3<<5|byte(TypeIDR), w.RBSP()), nil
}

// appendStillPPS appends a parameter set (section 7.3.2.2) that takes CAVLC,
// whatever the stream takes.
func appendStillPPS(dst []byte, s *SPS) []byte {
	var w BitWriter
	w.UE(stillPPS)     // pic_parameter_set_id
	w.UE(uint32(s.ID)) // seq_parameter_set_id
	w.U(2, 0)          // entropy_coding_mode_flag, bottom_field_pic_order_in_frame_present_flag
	w.UE(0)            // num_slice_groups_minus1
	w.UE(0)            // num_ref_idx_l0_default_active_minus1
	w.UE(0)            // num_ref_idx_l1_default_active_minus1
	w.U(3, 0)          // weighted_pred_flag, weighted_bipred_idc
	w.SE(0)            // pic_init_qp_minus26
	w.SE(0)            // pic_init_qs_minus26
	w.SE(0)            // chroma_qp_index_offset
	w.U(3, 4)          // deblocking_filter_control_present_flag, constrained_intra_pred_flag, redundant_pic_cnt_present_flag
	w.TrailingBits()
	return AppendNAL(append(dst, startCode...), 3<<5|byte(TypePPS), w.RBSP())
}

// writeStillHeader writes the header of the one slice (section 7.3.3).
func writeStillHeader(w *BitWriter, s *SPS) {
	w.UE(0) // first_mb_in_slice
	w.UE(7) // slice_type: I, and so are all others
	w.UE(stillPPS)
	w.U(int(s.FrameNumBits), 0) // frame_num
	w.UE(0)                     // idr_pic_id
	switch {
	case s.POCType == 0:
		w.U(int(s.POCBits), 0) // pic_order_cnt_lsb
	case s.POCType == 1 && !s.DeltaPOCAlwaysZero:
		w.SE(0) // delta_pic_order_cnt[0]
	}
	w.U(2, 0) // no_output_of_prior_pics_flag, long_term_reference_flag
	w.SE(0)   // slice_qp_delta
	w.UE(1)   // disable_deblocking_filter_idc
}

func writeBlock(w *BitWriter, plane []byte, pitch, x, y, size int) {
	for row := range size {
		_, _ = w.Write(plane[(y+row)*pitch+x:][:size]) // never fails
	}
}
