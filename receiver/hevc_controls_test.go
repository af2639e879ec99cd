package receiver

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"aerie/hw/v4l2/stateless"
	"aerie/receiver/codec/hevc"
)

var plainSPS = hevc.SPS{SubLayers: 1, ChromaFormat: 1, CodedWidth: 1920, CodedHeight: 1088, BitDepthLuma: 8, BitDepthChroma: 8, POCBits: 8,
	MaxDecPicBuffering: 5, MinCodingBlockLog2: 3, CodingTreeBlockLog2: 6, MinTransformBlockLog2: 2, MaxTransformBlockLog2: 5}

var plainPPS = hevc.PPS{RefIdxL0: 1, RefIdxL1: 1, InitQP: 26, TileColumns: 1, TileRows: 1, ParallelMergeLevelLog2: 2}

func TestHEVCControlsOfSPS(t *testing.T) {
	got := hevcSPS(&hevc.SPS{ID: 5, VPSID: 6, SubLayers: 4, ChromaFormat: 1, CodedWidth: 3840, CodedHeight: 2160, BitDepthLuma: 10, BitDepthChroma: 9,
		POCBits: 16, MaxDecPicBuffering: 7, MaxNumReorder: 3, MaxLatencyIncreaseOne: 300, MinCodingBlockLog2: 4, CodingTreeBlockLog2: 6,
		MinTransformBlockLog2: 3, MaxTransformBlockLog2: 5, TransformDepthInter: 2, TransformDepthIntra: 1,
		PCM:        &hevc.PCM{BitDepthLuma: 7, BitDepthChroma: 6, MinBlockLog2: 4, MaxBlockLog2: 5, LoopFilterDisabled: true},
		RefPicSets: make([]hevc.RefPicSet, 9), LongTermRefs: make([]hevc.LongTermRef, 2)})
	want := stateless.SPS{VideoParameterSetID: 6, SeqParameterSetID: 5, PicWidthInLumaSamples: 3840, PicHeightInLumaSamples: 2160, BitDepthLumaMinus8: 2,
		BitDepthChromaMinus8: 1, Log2MaxPicOrderCntLsbMinus4: 12, SpsMaxDecPicBufferingMinus1: 6, SpsMaxNumReorderPics: 3, SpsMaxLatencyIncreasePlus1: 255,
		Log2MinLumaCodingBlockSizeMinus3: 1, Log2DiffMaxMinLumaCodingBlockSize: 2, Log2MinLumaTransformBlockSizeMinus2: 1,
		Log2DiffMaxMinLumaTransformBlockSize: 2, MaxTransformHierarchyDepthInter: 2, MaxTransformHierarchyDepthIntra: 1, PcmSampleBitDepthLumaMinus1: 6,
		PcmSampleBitDepthChromaMinus1: 5, Log2MinPcmLumaCodingBlockSizeMinus3: 1, Log2DiffMaxMinPcmLumaCodingBlockSize: 1, NumShortTermRefPicSets: 9,
		NumLongTermRefPicsSps: 2, ChromaFormatIdc: 1, SpsMaxSubLayersMinus1: 3, Flags: stateless.SPSPCMEnabled | stateless.SPSPCMLoopFilterDisabled}
	if got != want {
		t.Errorf("%+v\nwant %+v", got, want)
	}
	flags := map[uint64]func(*hevc.SPS){
		stateless.SPSSeparateColourPlane:    func(s *hevc.SPS) { s.SeparateColourPlanes = true },
		stateless.SPSScalingListEnabled:     func(s *hevc.SPS) { s.ScalingListEnabled = true },
		stateless.SPSAMPEnabled:             func(s *hevc.SPS) { s.AMP = true },
		stateless.SPSSampleAdaptiveOffset:   func(s *hevc.SPS) { s.SAO = true },
		stateless.SPSLongTermRefPicsPresent: func(s *hevc.SPS) { s.LongTermRefPics = true },
		stateless.SPSTemporalMVPEnabled:     func(s *hevc.SPS) { s.TemporalMVP = true },
		stateless.SPSStrongIntraSmoothing:   func(s *hevc.SPS) { s.StrongIntraSmoothing = true },
	}
	for want, set := range flags {
		s := plainSPS
		set(&s)
		if got := hevcSPS(&s).Flags; got != want {
			t.Errorf("flags %#x, want %#x", got, want)
		}
	}
}

func TestHEVCControlsOfPPS(t *testing.T) {
	got, err := hevcPPS(&hevc.PPS{ID: 9, ExtraSliceHeaderBits: 3, RefIdxL0: 4, RefIdxL1: 2, InitQP: 20, DiffCuQPDeltaDepth: 2, CbQPOffset: -5, CrQPOffset: 6,
		BetaOffset: -3, TcOffset: 4, ParallelMergeLevelLog2: 4, TileColumns: 1, TileRows: 1}, &plainSPS)
	want := stateless.PPS{PicParameterSetID: 9, NumExtraSliceHeaderBits: 3, NumRefIdxL0DefaultActiveMinus1: 3, NumRefIdxL1DefaultActiveMinus1: 1,
		InitQpMinus26: -6, DiffCuQpDeltaDepth: 2, PpsCbQpOffset: -5, PpsCrQpOffset: 6, PpsBetaOffsetDiv2: -3, PpsTcOffsetDiv2: 4,
		Log2ParallelMergeLevelMinus2: 2, Flags: stateless.PPSLoopFilterAcrossTiles}
	if err != nil || got != want {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	flags := map[uint64]func(*hevc.PPS){
		stateless.PPSDependentSliceSegment:       func(p *hevc.PPS) { p.DependentSliceSegments = true },
		stateless.PPSOutputFlagPresent:           func(p *hevc.PPS) { p.OutputFlag = true },
		stateless.PPSSignDataHiding:              func(p *hevc.PPS) { p.SignDataHiding = true },
		stateless.PPSCABACInitPresent:            func(p *hevc.PPS) { p.CABACInit = true },
		stateless.PPSConstrainedIntraPred:        func(p *hevc.PPS) { p.ConstrainedIntraPred = true },
		stateless.PPSTransformSkip:               func(p *hevc.PPS) { p.TransformSkip = true },
		stateless.PPSCuQPDelta:                   func(p *hevc.PPS) { p.CuQPDelta = true },
		stateless.PPSSliceChromaQPOffsetsPresent: func(p *hevc.PPS) { p.SliceChromaQPOffsets = true },
		stateless.PPSWeightedPred:                func(p *hevc.PPS) { p.WeightedPred = true },
		stateless.PPSWeightedBipred:              func(p *hevc.PPS) { p.WeightedBipred = true },
		stateless.PPSTransquantBypass:            func(p *hevc.PPS) { p.TransquantBypass = true },
		stateless.PPSEntropyCodingSync:           func(p *hevc.PPS) { p.EntropyCodingSync = true },
		stateless.PPSLoopFilterAcrossSlices:      func(p *hevc.PPS) { p.LoopFilterAcrossSlices = true },
		stateless.PPSDeblockingOverride:          func(p *hevc.PPS) { p.DeblockingOverride = true },
		stateless.PPSDisableDeblocking:           func(p *hevc.PPS) { p.DeblockingDisabled = true },
		stateless.PPSListsModificationPresent:    func(p *hevc.PPS) { p.ListsModification = true },
		stateless.PPSSliceHeaderExtensionPresent: func(p *hevc.PPS) { p.SliceHeaderExtension = true },
		stateless.PPSDeblockingControlPresent:    func(p *hevc.PPS) { p.DeblockingControl = true },
	}
	for want, set := range flags {
		p := plainPPS
		set(&p)
		if got, err := hevcPPS(&p, &plainSPS); err != nil || got.Flags != want|stateless.PPSLoopFilterAcrossTiles {
			t.Errorf("flags %#x, want %#x (%v)", got.Flags, want, err)
		}
	}
}

// 1920x1088 samples are 30x17 blocks of 64.
func TestHEVCTiles(t *testing.T) {
	for _, c := range []struct {
		columns, rows uint8
		widths        []uint16
		heights       []uint16
		want          string
	}{
		{4, 3, nil, nil, "[6 7 6 7] [4 5 5] uniform"}, // the floors of multiples of 7.5 and 17/3
		{3, 2, []uint16{5, 20}, []uint16{16}, "[4 19 4] [15 0]"},
		{2, 1, []uint16{29}, nil, "[28 0] [16]"},
		{3, 1, []uint16{20, 10}, nil, "do not fit"}, // nothing is left
		{2, 2, []uint16{5}, []uint16{17}, "do not fit"},
		{2, 1, []uint16{500}, nil, "do not fit"},
		{20, 22, nil, nil, "do not fit"}, // more rows than blocks
	} {
		p := plainPPS
		p.TileColumns, p.TileRows, p.ColumnWidths, p.RowHeights, p.LoopFilterAcrossTiles = c.columns, c.rows, c.widths, c.heights, true
		k, err := hevcPPS(&p, &plainSPS)
		got := fmt.Sprint(k.ColumnWidthMinus1[:c.columns], " ", k.RowHeightMinus1[:c.rows])
		if k.Flags&stateless.PPSUniformSpacing != 0 {
			got += " uniform"
		}
		if err != nil {
			got = err.Error()
		} else if k.NumTileColumnsMinus1 != c.columns-1 || k.NumTileRowsMinus1 != c.rows-1 || k.Flags&^stateless.PPSUniformSpacing != stateless.PPSTiles|stateless.PPSLoopFilterAcrossTiles {
			t.Errorf("%+v", k)
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%d columns, %d rows: %s, want %s", c.columns, c.rows, got, c.want)
		}
	}
}

// examplePicture uses every kind of reference.
func examplePicture() *hevc.Picture {
	sps, pps := plainSPS, plainPPS
	h := hevc.SliceHeader{Type: 1, TemporalID: 2, SliceType: hevc.SliceB, ColourPlane: 1, RefIdxL0: 3, RefIdxL1: 2, CollocatedRef: 1, MaxMergeCand: 3,
		QPDelta: -4, CbQPOffset: 5, CrQPOffset: -6, BetaOffset: 2, TcOffset: -2, Address: 77, EntryPoints: []uint32{10, 20},
		ShortTermBits: 11, LongTermBits: 12, DeltaPOCsOfRefSet: 4, DataOffset: 9}
	h.Weights.LumaLog2Denom, h.Weights.ChromaLog2Denom = 6, 4
	h.Weights.Lists[0][2] = hevc.PredWeight{LumaDelta: 1, LumaOffset: 2, ChromaDelta: [2]int8{3, 4}, ChromaOffset: [2]int8{5, 6}}
	h.Weights.Lists[1][1] = hevc.PredWeight{LumaDelta: -1, LumaOffset: -2, ChromaDelta: [2]int8{-3, -4}, ChromaOffset: [2]int8{-5, -6}}
	return &hevc.Picture{Token: 9, SPS: &sps, PPS: &pps, Type: 1, POC: 40,
		Slices: []hevc.Slice{{SliceHeader: h, Start: 4, Data: 13, End: 100, Lists: [2][16]uint8{{0, 1, 3}, {2, 0}}}},
		Refs:   []hevc.Ref{{Token: 5, POC: 39}, {Token: 4, POC: 38}, {Token: 7, POC: 44}, {Token: 1, POC: 0, LongTerm: true}},
		Before: []uint8{0, 1}, After: []uint8{2}, LongTerm: []uint8{3}}
}

func TestHEVCControlsOfPicture(t *testing.T) {
	c := &stateless.Controls{Slices: make([]stateless.SliceParams, 0, 4), EntryPoints: make([]uint32, 0, 4)}
	p := examplePicture()
	if err := hevcControls(c, p); err != nil {
		t.Fatal(err)
	}
	want := stateless.SliceParams{BitSize: 800, DataByteOffset: 13, NumEntryPointOffsets: 2, NalUnitType: 1, NuhTemporalIDPlus1: 3, SliceType: 0,
		ColourPlaneID: 1, SlicePicOrderCnt: 40, NumRefIdxL0ActiveMinus1: 2, NumRefIdxL1ActiveMinus1: 1, CollocatedRefIdx: 1, FiveMinusMaxNumMergeCand: 2,
		SliceQpDelta: -4, SliceCbQpOffset: 5, SliceCrQpOffset: -6, SliceBetaOffsetDiv2: 2, SliceTcOffsetDiv2: -2, SliceSegmentAddr: 77,
		RefIdxL0: [16]uint8{0, 1, 3}, RefIdxL1: [16]uint8{2, 0}, ShortTermRefPicSetSize: 11, LongTermRefPicSetSize: 12}
	w := &want.PredWeightTable
	w.LumaLog2WeightDenom, w.DeltaChromaLog2WeightDenom = 6, -2
	w.DeltaLumaWeightL0[2], w.LumaOffsetL0[2], w.DeltaChromaWeightL0[2], w.ChromaOffsetL0[2] = 1, 2, [2]int8{3, 4}, [2]int8{5, 6}
	w.DeltaLumaWeightL1[1], w.LumaOffsetL1[1], w.DeltaChromaWeightL1[1], w.ChromaOffsetL1[1] = -1, -2, [2]int8{-3, -4}, [2]int8{-5, -6}
	if len(c.Slices) != 1 || c.Slices[0] != want {
		t.Errorf("%+v\nwant %+v", c.Slices, want)
	}
	decode := stateless.DecodeParams{PicOrderCntVal: 40, ShortTermRefPicSetSize: 11, LongTermRefPicSetSize: 12, NumActiveDpbEntries: 4,
		NumPocStCurrBefore: 2, NumPocStCurrAfter: 1, NumPocLtCurr: 1, PocStCurrBefore: [16]uint8{0, 1}, PocStCurrAfter: [16]uint8{2},
		PocLtCurr: [16]uint8{3}, NumDeltaPocsOfRefRpsIdx: 4}
	decode.DPB[0] = stateless.DPBEntry{Timestamp: 5000, PicOrderCntVal: 39}
	decode.DPB[1] = stateless.DPBEntry{Timestamp: 4000, PicOrderCntVal: 38}
	decode.DPB[2] = stateless.DPBEntry{Timestamp: 7000, PicOrderCntVal: 44}
	decode.DPB[3] = stateless.DPBEntry{Timestamp: 1000, Flags: stateless.DPBLongTerm}
	if c.Decode != decode {
		t.Errorf("%+v\nwant %+v", c.Decode, decode)
	}
	if !reflect.DeepEqual(c.EntryPoints, []uint32{10, 20}) || !reflect.DeepEqual(c.Starts, []uint32{4}) {
		t.Errorf("%v, %v", c.EntryPoints, c.Starts)
	}
	flags := map[uint64]func(*hevc.SliceHeader){
		stateless.SliceSAOLuma:            func(h *hevc.SliceHeader) { h.SAOLuma = true },
		stateless.SliceSAOChroma:          func(h *hevc.SliceHeader) { h.SAOChroma = true },
		stateless.SliceTemporalMVP:        func(h *hevc.SliceHeader) { h.TemporalMVP = true },
		stateless.SliceMVDL1Zero:          func(h *hevc.SliceHeader) { h.MVDL1Zero = true },
		stateless.SliceCABACInit:          func(h *hevc.SliceHeader) { h.CABACInit = true },
		stateless.SliceCollocatedFromL0:   func(h *hevc.SliceHeader) { h.CollocatedL0 = true },
		stateless.SliceDeblockingDisabled: func(h *hevc.SliceHeader) { h.DeblockingOff = true },
		stateless.SliceLoopFilterAcross:   func(h *hevc.SliceHeader) { h.FilterAcross = true },
		stateless.SliceDependent:          func(h *hevc.SliceHeader) { h.Dependent = true },
	}
	for want, set := range flags {
		s := hevc.Slice{}
		s.SliceType = hevc.SliceI
		set(&s.SliceHeader)
		if got := hevcSlice(&s, 0); got.Flags != want || got.SliceType != 2 {
			t.Errorf("flags %#x, want %#x", got.Flags, want)
		}
	}
	for typ, want := range map[hevc.Type]uint64{hevc.TypeIDR: stateless.DecodeIRAP | stateless.DecodeIDR, hevc.TypeCRA: stateless.DecodeIRAP, 1: 0} {
		p.Type = typ
		if got := hevcDecode(p).Flags; got != want {
			t.Errorf("type %d: flags %#x, want %#x", typ, got, want)
		}
	}
}

func TestHEVCControlsRefuse(t *testing.T) {
	for want, change := range map[string]func(*hevc.Picture){
		"extensions 0x80 of a picture": func(p *hevc.Picture) { p.PPS.Extensions = 0x80 },
		"extensions 0x40 beyond":       func(p *hevc.Picture) { p.SPS.Extensions = 0x40 },
		"not 4:2:0":                    func(p *hevc.Picture) { p.SPS.ChromaFormat = 2 },
		"tiles do not fit":             func(p *hevc.Picture) { p.PPS.TileRows = 20 },
		"5 slices, the device takes 4": func(p *hevc.Picture) { p.Slices = make([]hevc.Slice, 5) },
		"entry points":                 func(p *hevc.Picture) { p.Slices[0].EntryPoints = make([]uint32, 9) },
	} {
		p := examplePicture()
		change(p)
		c := &stateless.Controls{Slices: make([]stateless.SliceParams, 0, 4), EntryPoints: make([]uint32, 0, 4)}
		if err := hevcControls(c, p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestHEVCScalingLists(t *testing.T) {
	p := examplePicture()
	p.Scaling = hevc.DefaultScalingLists
	c := &stateless.Controls{Slices: make([]stateless.SliceParams, 0, 4), EntryPoints: make([]uint32, 0, 4)}
	if err := hevcControls(c, p); err != nil {
		t.Fatal(err)
	}
	m := &c.Scaling
	if m.ScalingList4x4[5][15] != 16 || m.ScalingList8x8[0][63] != 115 || m.ScalingList16x16[3][63] != 91 || m.ScalingList32x32[1][63] != 91 ||
		m.ScalingListDcCoef16x16[5] != 16 || m.ScalingListDcCoef32x32[1] != 16 {
		t.Errorf("%+v", m)
	}
}
