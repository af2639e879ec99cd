package hevc

import (
	"fmt"

	"aerie/receiver/codec/h264"
)

// VPS is a video parameter set (ITU-T H.265 section 7.3.2.1). A decoder of
// one layer needs nothing of it; it is parsed to tell a sound one.
type VPS struct {
	ID        uint8
	Layers    uint8 // 1 to 63
	SubLayers uint8 // 1 to 7
	General   ProfileTierLevel
}

// ParseVPS parses a video parameter set, a NAL unit of type 32 with its
// header, up to its layer sets.
func ParseVPS(nal []byte) (*VPS, error) {
	if TypeOf(nal) != TypeVPS {
		return nil, fmt.Errorf("hevc: VPS: NAL unit of %d bytes has type %d", len(nal), TypeOf(nal))
	}
	r := h264.NewBitReader(nal[headerSize:])
	v := new(VPS)
	v.ID = uint8(r.U(4))
	r.Skip(2) // vps_base_layer_internal_flag, vps_base_layer_available_flag
	v.Layers = uint8(1 + r.U(6))
	v.SubLayers = uint8(1 + r.U(3))
	if v.Layers > 63 || v.SubLayers > 7 {
		r.Fail(fmt.Errorf("%d layers and %d sub-layers, at most 63 and 7 are possible", v.Layers, v.SubLayers))
	}
	r.Skip(1 + 16) // vps_temporal_id_nesting_flag, vps_reserved_0xffff_16bits
	v.General = readProfileTierLevel(&r, int(v.SubLayers))
	n := 1
	if r.Flag() {
		n = int(v.SubLayers)
	}
	for range n {
		r.UEMax("vps_max_dec_pic_buffering_minus1", maxPictures-1)
		r.UEMax("vps_max_num_reorder_pics", maxPictures-1)
		r.UE() // vps_max_latency_increase_plus1
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("hevc: VPS: %w", err)
	}
	return v, nil
}
