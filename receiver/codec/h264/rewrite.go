package h264

// RewriteZeroReorder returns a copy of a sequence parameter set that promises
// that pictures are shown in the order of decoding, so that a decoder that
// goes by the promise releases each one at once (hardware reference section
// 1.5). It sets bitstream_restriction_flag, with a VUI around it if there is
// none, max_num_reorder_frames to 0 and max_dec_frame_buffering to
// max_num_ref_frames, below which it must not be. All other syntax elements
// stay bit for bit; bytes behind them, which mean nothing, do not. A set that
// says so already comes out unchanged.
//
// The promise is true only of streams without B pictures, which is what
// AirPlay senders send.
func RewriteZeroReorder(nal []byte) ([]byte, error) {
	s, err := ParseSPS(nal)
	if err != nil {
		return nil, err
	}
	var w BitWriter
	r := NewBitReader(nal[1:])
	if s.VUI.Present {
		copyBits(&w, &r, s.restrictionPos)
	} else {
		copyBits(&w, &r, s.vuiFlagPos)
		w.Flag(true) // vui_parameters_present_flag
		w.U(8, 0)    // everything before bitstream_restriction_flag is absent
	}
	s.writeRestriction(&w)
	w.TrailingBits()
	return AppendNAL(make([]byte, 0, len(nal)+8), nal[0], w.RBSP()), nil
}

func copyBits(w *BitWriter, r *BitReader, n int) {
	for ; n > 32; n -= 32 {
		w.U(32, r.U(32))
	}
	w.U(n, r.U(n))
}

// writeRestriction writes the bitstream restriction with the values of the
// set, or with those that section E.2.1 infers in their absence.
func (s *SPS) writeRestriction(w *BitWriter) {
	v := s.VUI
	if !v.Restriction {
		v.MVsOverPicBoundaries = true
		v.MaxBytesPerPicDenom = 2
		v.MaxBitsPerMBDenom = 1
		v.Log2MaxMVHorizontal = 15
		v.Log2MaxMVVertical = 15
	}
	w.Flag(true) // bitstream_restriction_flag
	w.Flag(v.MVsOverPicBoundaries)
	w.UE(uint32(v.MaxBytesPerPicDenom))
	w.UE(uint32(v.MaxBitsPerMBDenom))
	w.UE(uint32(v.Log2MaxMVHorizontal))
	w.UE(uint32(v.Log2MaxMVVertical))
	w.UE(0)                      // max_num_reorder_frames
	w.UE(uint32(s.MaxRefFrames)) // max_dec_frame_buffering
}
