package hevc

import (
	"fmt"

	"aerie/receiver/codec/h264"
)

// PPS is a picture parameter set (ITU-T H.265 section 7.3.2.3.1): what a
// parser of slice headers needs of it.
type PPS struct {
	ID, SPSID              uint8
	DependentSliceSegments bool
	OutputFlag             bool
	ExtraSliceHeaderBits   uint8
	SignDataHiding         bool
	CABACInit              bool
	RefIdxL0, RefIdxL1     uint8 // num_ref_idx_default_active, 1 to 15
	InitQP                 int8  // plain, not minus 26
	ConstrainedIntraPred   bool
	TransformSkip          bool
	CuQPDelta              bool
	DiffCuQPDeltaDepth     uint8
	CbQPOffset, CrQPOffset int8
	SliceChromaQPOffsets   bool
	WeightedPred           bool
	WeightedBipred         bool
	TransquantBypass       bool
	EntropyCodingSync      bool
	TileColumns, TileRows  uint8    // 1, 1 without tiles
	ColumnWidths           []uint16 // in coding tree blocks, all but the last; nil if uniform
	RowHeights             []uint16
	LoopFilterAcrossTiles  bool
	LoopFilterAcrossSlices bool
	DeblockingControl      bool
	DeblockingOverride     bool
	DeblockingDisabled     bool
	BetaOffset, TcOffset   int8 // div2
	ScalingListData        bool
	Scaling                *ScalingLists // nil without ScalingListData
	ListsModification      bool
	ParallelMergeLevelLog2 uint8
	SliceHeaderExtension   bool
	Extensions             uint8 // range 0x80, multilayer 0x40, 3D 0x20, screen content 0x10
}

// The most tiles that any level allows (table A.8).
const (
	maxTileColumns = 20
	maxTileRows    = 22
)

// ParsePPS parses a picture parameter set, a NAL unit of type 34 with its
// header. The syntax of the extensions, which come last, is not read.
func ParsePPS(nal []byte) (*PPS, error) {
	if TypeOf(nal) != TypePPS {
		return nil, fmt.Errorf("hevc: PPS: NAL unit of %d bytes has type %d", len(nal), TypeOf(nal))
	}
	r := h264.NewBitReader(nal[headerSize:])
	p := &PPS{TileColumns: 1, TileRows: 1}
	p.parse(&r)
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("hevc: PPS: %w", err)
	}
	return p, nil
}

func (p *PPS) parse(r *h264.BitReader) {
	p.ID = uint8(r.UEMax("pps_pic_parameter_set_id", 63))
	p.SPSID = uint8(r.UEMax("pps_seq_parameter_set_id", 15))
	p.DependentSliceSegments = r.Flag()
	p.OutputFlag = r.Flag()
	p.ExtraSliceHeaderBits = uint8(r.U(3))
	p.SignDataHiding = r.Flag()
	p.CABACInit = r.Flag()
	p.RefIdxL0 = uint8(1 + r.UEMax("num_ref_idx_l0_default_active_minus1", 14))
	p.RefIdxL1 = uint8(1 + r.UEMax("num_ref_idx_l1_default_active_minus1", 14))
	p.InitQP = int8(26 + r.SERange("init_qp_minus26", -26-48, 25)) // 48: 16-bit samples
	p.ConstrainedIntraPred = r.Flag()
	p.TransformSkip = r.Flag()
	if p.CuQPDelta = r.Flag(); p.CuQPDelta {
		p.DiffCuQPDeltaDepth = uint8(r.UEMax("diff_cu_qp_delta_depth", 3))
	}
	p.CbQPOffset = int8(r.SERange("pps_cb_qp_offset", -12, 12))
	p.CrQPOffset = int8(r.SERange("pps_cr_qp_offset", -12, 12))
	p.SliceChromaQPOffsets = r.Flag()
	p.WeightedPred = r.Flag()
	p.WeightedBipred = r.Flag()
	p.TransquantBypass = r.Flag()
	tiles := r.Flag()
	p.EntropyCodingSync = r.Flag()
	if tiles {
		p.parseTiles(r)
	}
	p.LoopFilterAcrossSlices = r.Flag()
	p.parseDeblocking(r)
	if p.ScalingListData = r.Flag(); p.ScalingListData {
		p.Scaling = new(ScalingLists)
		p.Scaling.parse(r)
	}
	p.ListsModification = r.Flag()
	p.ParallelMergeLevelLog2 = uint8(2 + r.UEMax("log2_parallel_merge_level_minus2", 4))
	p.SliceHeaderExtension = r.Flag()
	if r.Flag() {
		p.Extensions = uint8(r.U(8))
	}
}

func (p *PPS) parseTiles(r *h264.BitReader) {
	p.TileColumns = uint8(1 + r.UEMax("num_tile_columns_minus1", maxTileColumns-1))
	p.TileRows = uint8(1 + r.UEMax("num_tile_rows_minus1", maxTileRows-1))
	if !r.Flag() { // uniform_spacing_flag
		for range p.TileColumns - 1 {
			p.ColumnWidths = append(p.ColumnWidths, uint16(1+r.UEMax("column_width_minus1", maxSide/8)))
		}
		for range p.TileRows - 1 {
			p.RowHeights = append(p.RowHeights, uint16(1+r.UEMax("row_height_minus1", maxSide/8)))
		}
	}
	p.LoopFilterAcrossTiles = r.Flag()
}

func (p *PPS) parseDeblocking(r *h264.BitReader) {
	if p.DeblockingControl = r.Flag(); !p.DeblockingControl {
		return
	}
	p.DeblockingOverride = r.Flag()
	if p.DeblockingDisabled = r.Flag(); !p.DeblockingDisabled {
		p.BetaOffset = int8(r.SERange("pps_beta_offset_div2", -6, 6))
		p.TcOffset = int8(r.SERange("pps_tc_offset_div2", -6, 6))
	}
}
