package intra

import (
	"fmt"

	"aerie/receiver/codec/h264"
)

// Config is what the parameter sets say.
type Config struct {
	Width, Height int // even, 16 to 8192; what exceeds whole macroblocks is cropped
	FPS           int // frames per second, 1 to 240, as the VUI states it
	FullRange     bool
}

const (
	qp             = 14 // quantiser of key frames: no loss that an eye sees
	frameNumBits   = 8
	orderCountBits = 9
)

func (c Config) macroblocks() (columns, rows int) { return (c.Width + 15) / 16, (c.Height + 15) / 16 }

func (c Config) check() error {
	if c.Width < 16 || c.Height < 16 || c.Width > 8192 || c.Height > 8192 || c.Width%2 != 0 || c.Height%2 != 0 {
		return fmt.Errorf("intra: picture of %dx%d: sides must be even, 16 to 8192", c.Width, c.Height)
	}
	if c.FPS < 1 || c.FPS > 240 {
		return fmt.Errorf("intra: %d frames per second: 1 to 240 are supported", c.FPS)
	}
	if c.level() == 0 {
		return fmt.Errorf("intra: %dx%d at %d frames per second exceeds the highest level", c.Width, c.Height, c.FPS)
	}
	return nil
}

// levels holds the limits of ITU-T H.264, table A-1, from the level that
// 4:2:0 decoders commonly begin with. I_PCM needs bit rates that the lower
// ones exclude.
var levels = []struct {
	level     byte
	perSecond int // macroblocks
	perFrame  int
}{
	{30, 40500, 1620},
	{31, 108000, 3600},
	{32, 216000, 5120},
	{40, 245760, 8192},
	{42, 522240, 8704},
	{50, 589824, 22080},
	{51, 983040, 36864},
	{52, 2073600, 36864},
	{60, 4177920, 139264},
	{61, 8355840, 139264},
	{62, 16711680, 139264},
}

// level returns the lowest level_idc that admits size and rate, 0 if none
// does.
func (c Config) level() byte {
	columns, rows := c.macroblocks()
	n := columns * rows
	for _, l := range levels {
		// A side is limited to the square root of eight times the area.
		if n <= l.perFrame && n*c.FPS <= l.perSecond && max(columns, rows)*max(columns, rows) <= 8*l.perFrame {
			return l.level
		}
	}
	return 0
}

// sps returns the sequence parameter set (section 7.3.2.1.1).
func (c Config) sps() []byte {
	columns, rows := c.macroblocks()
	var w h264.BitWriter
	w.U(8, 100) // profile_idc: High
	w.U(8, 0)   // constraint flags
	w.U(8, uint32(c.level()))
	w.UE(0)   // seq_parameter_set_id
	w.UE(1)   // chroma_format_idc: 4:2:0
	w.UE(0)   // bit_depth_luma_minus8
	w.UE(0)   // bit_depth_chroma_minus8
	w.U(2, 0) // qpprime_y_zero_transform_bypass_flag, seq_scaling_matrix_present_flag
	w.UE(frameNumBits - 4)
	w.UE(0) // pic_order_cnt_type
	w.UE(orderCountBits - 4)
	w.UE(1)   // max_num_ref_frames
	w.U(1, 0) // gaps_in_frame_num_value_allowed_flag
	w.UE(uint32(columns - 1))
	w.UE(uint32(rows - 1))
	w.U(2, 3) // frame_mbs_only_flag, direct_8x8_inference_flag
	right, bottom := (16*columns-c.Width)/2, (16*rows-c.Height)/2
	w.Flag(right+bottom > 0)
	if right+bottom > 0 {
		w.UE(0) // left
		w.UE(uint32(right))
		w.UE(0) // top
		w.UE(uint32(bottom))
	}
	w.U(1, 1) // vui_parameters_present_flag
	c.writeVUI(&w)
	w.TrailingBits()
	return h264.AppendNAL(nil, 3<<5|7, w.RBSP())
}

// writeVUI writes vui_parameters (section E.1.1).
func (c Config) writeVUI(w *h264.BitWriter) {
	const bt709 = 1
	w.U(2, 0) // aspect_ratio_info_present_flag, overscan_info_present_flag
	w.U(1, 1) // video_signal_type_present_flag
	w.U(3, 5) // video_format: unspecified
	w.Flag(c.FullRange)
	w.U(1, 1) // colour_description_present_flag
	w.U(8, bt709)
	w.U(8, bt709)
	w.U(8, bt709)
	w.U(1, 0)  // chroma_loc_info_present_flag
	w.U(1, 1)  // timing_info_present_flag
	w.U(32, 1) // num_units_in_tick: of a field
	w.U(32, uint32(2*c.FPS))
	w.U(1, 0) // fixed_frame_rate_flag
	w.U(2, 0) // nal_hrd, vcl_hrd
	w.U(2, 0) // pic_struct_present_flag, bitstream_restriction_flag
}

// pps returns the picture parameter set (section 7.3.2.2).
func pps() []byte {
	var w h264.BitWriter
	w.UE(0)       // pic_parameter_set_id
	w.UE(0)       // seq_parameter_set_id
	w.U(2, 0)     // entropy_coding_mode_flag: CAVLC, bottom_field_pic_order_in_frame_present_flag
	w.UE(0)       // num_slice_groups_minus1
	w.UE(0)       // num_ref_idx_l0_default_active_minus1
	w.UE(0)       // num_ref_idx_l1_default_active_minus1
	w.U(3, 0)     // weighted_pred_flag, weighted_bipred_idc
	w.SE(qp - 26) // pic_init_qp_minus26
	w.SE(0)       // pic_init_qs_minus26
	w.SE(0)       // chroma_qp_index_offset
	w.U(3, 4)     // deblocking_filter_control_present_flag, constrained_intra_pred_flag, redundant_pic_cnt_present_flag
	w.TrailingBits()
	return h264.AppendNAL(nil, 3<<5|8, w.RBSP())
}
