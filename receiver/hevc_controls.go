package receiver

import (
	"fmt"

	"aerie/hw/v4l2/stateless"
	"aerie/receiver/codec/hevc"
)

// The functions in this file say in the kernel's structures what package hevc
// has read of a stream. Both name the elements of ITU-T H.265; the kernel keeps
// the "minus" of the standard.

// bits makes a word of flags.
func bits(flags ...flag) (word uint64) {
	for _, f := range flags {
		if f.set {
			word |= f.bit
		}
	}
	return word
}

type flag struct {
	bit uint64
	set bool
}

func hevcSPS(s *hevc.SPS) stateless.SPS {
	c := stateless.SPS{
		VideoParameterSetID:                  s.VPSID,
		SeqParameterSetID:                    s.ID,
		PicWidthInLumaSamples:                uint16(s.CodedWidth),
		PicHeightInLumaSamples:               uint16(s.CodedHeight),
		BitDepthLumaMinus8:                   s.BitDepthLuma - 8,
		BitDepthChromaMinus8:                 s.BitDepthChroma - 8,
		Log2MaxPicOrderCntLsbMinus4:          s.POCBits - 4,
		SpsMaxDecPicBufferingMinus1:          s.MaxDecPicBuffering - 1,
		SpsMaxNumReorderPics:                 s.MaxNumReorder,
		SpsMaxLatencyIncreasePlus1:           uint8(min(s.MaxLatencyIncreaseOne, 255)),
		Log2MinLumaCodingBlockSizeMinus3:     s.MinCodingBlockLog2 - 3,
		Log2DiffMaxMinLumaCodingBlockSize:    s.CodingTreeBlockLog2 - s.MinCodingBlockLog2,
		Log2MinLumaTransformBlockSizeMinus2:  s.MinTransformBlockLog2 - 2,
		Log2DiffMaxMinLumaTransformBlockSize: s.MaxTransformBlockLog2 - s.MinTransformBlockLog2,
		MaxTransformHierarchyDepthInter:      s.TransformDepthInter,
		MaxTransformHierarchyDepthIntra:      s.TransformDepthIntra,
		NumShortTermRefPicSets:               uint8(len(s.RefPicSets)),
		NumLongTermRefPicsSps:                uint8(len(s.LongTermRefs)),
		ChromaFormatIdc:                      s.ChromaFormat,
		SpsMaxSubLayersMinus1:                s.SubLayers - 1,
		Flags: bits(
			flag{stateless.SPSSeparateColourPlane, s.SeparateColourPlanes},
			flag{stateless.SPSScalingListEnabled, s.ScalingListEnabled},
			flag{stateless.SPSAMPEnabled, s.AMP},
			flag{stateless.SPSSampleAdaptiveOffset, s.SAO},
			flag{stateless.SPSPCMEnabled, s.PCM != nil},
			flag{stateless.SPSPCMLoopFilterDisabled, s.PCM != nil && s.PCM.LoopFilterDisabled},
			flag{stateless.SPSLongTermRefPicsPresent, s.LongTermRefPics},
			flag{stateless.SPSTemporalMVPEnabled, s.TemporalMVP},
			flag{stateless.SPSStrongIntraSmoothing, s.StrongIntraSmoothing}),
	}
	if p := s.PCM; p != nil {
		c.PcmSampleBitDepthLumaMinus1, c.PcmSampleBitDepthChromaMinus1 = p.BitDepthLuma-1, p.BitDepthChroma-1
		c.Log2MinPcmLumaCodingBlockSizeMinus3 = p.MinBlockLog2 - 3
		c.Log2DiffMaxMinPcmLumaCodingBlockSize = p.MaxBlockLog2 - p.MinBlockLog2
	}
	return c
}

// hevcPPS refuses tiles that are not within the picture.
func hevcPPS(p *hevc.PPS, s *hevc.SPS) (stateless.PPS, error) {
	tiles := p.TileColumns > 1 || p.TileRows > 1
	uniform := p.ColumnWidths == nil && p.RowHeights == nil
	c := stateless.PPS{
		PicParameterSetID:              p.ID,
		NumExtraSliceHeaderBits:        p.ExtraSliceHeaderBits,
		NumRefIdxL0DefaultActiveMinus1: p.RefIdxL0 - 1,
		NumRefIdxL1DefaultActiveMinus1: p.RefIdxL1 - 1,
		InitQpMinus26:                  p.InitQP - 26,
		DiffCuQpDeltaDepth:             p.DiffCuQPDeltaDepth,
		PpsCbQpOffset:                  p.CbQPOffset,
		PpsCrQpOffset:                  p.CrQPOffset,
		PpsBetaOffsetDiv2:              p.BetaOffset,
		PpsTcOffsetDiv2:                p.TcOffset,
		Log2ParallelMergeLevelMinus2:   p.ParallelMergeLevelLog2 - 2,
		Flags: bits(
			flag{stateless.PPSDependentSliceSegment, p.DependentSliceSegments},
			flag{stateless.PPSOutputFlagPresent, p.OutputFlag},
			flag{stateless.PPSSignDataHiding, p.SignDataHiding},
			flag{stateless.PPSCABACInitPresent, p.CABACInit},
			flag{stateless.PPSConstrainedIntraPred, p.ConstrainedIntraPred},
			flag{stateless.PPSTransformSkip, p.TransformSkip},
			flag{stateless.PPSCuQPDelta, p.CuQPDelta},
			flag{stateless.PPSSliceChromaQPOffsetsPresent, p.SliceChromaQPOffsets},
			flag{stateless.PPSWeightedPred, p.WeightedPred},
			flag{stateless.PPSWeightedBipred, p.WeightedBipred},
			flag{stateless.PPSTransquantBypass, p.TransquantBypass},
			flag{stateless.PPSTiles, tiles},
			flag{stateless.PPSEntropyCodingSync, p.EntropyCodingSync},
			flag{stateless.PPSLoopFilterAcrossTiles, p.LoopFilterAcrossTiles || !tiles}, // inferred
			flag{stateless.PPSLoopFilterAcrossSlices, p.LoopFilterAcrossSlices},
			flag{stateless.PPSDeblockingOverride, p.DeblockingOverride},
			flag{stateless.PPSDisableDeblocking, p.DeblockingDisabled},
			flag{stateless.PPSListsModificationPresent, p.ListsModification},
			flag{stateless.PPSSliceHeaderExtensionPresent, p.SliceHeaderExtension},
			flag{stateless.PPSDeblockingControlPresent, p.DeblockingControl},
			flag{stateless.PPSUniformSpacing, tiles && uniform}),
	}
	if !tiles {
		return c, nil
	}
	c.NumTileColumnsMinus1, c.NumTileRowsMinus1 = p.TileColumns-1, p.TileRows-1
	w, h := s.TreeBlocks()
	if !tileSizes(c.ColumnWidthMinus1[:], int(p.TileColumns), w, p.ColumnWidths, uniform) ||
		!tileSizes(c.RowHeightMinus1[:], int(p.TileRows), h, p.RowHeights, uniform) {
		return c, fmt.Errorf("%dx%d tiles do not fit into %dx%d coding tree blocks", p.TileColumns, p.TileRows, w, h)
	}
	return c, nil
}

// tileSizes writes the sizes of n tiles along a side of total coding tree
// blocks (ITU-T H.265 equations 6-3 and 6-4). given are all but the last one,
// unless they are uniform.
func tileSizes(minus1 []uint8, n, total int, given []uint16, uniform bool) bool {
	rest := total
	for i := range n {
		size := rest
		switch {
		case uniform:
			size = (i+1)*total/n - i*total/n
		case i < len(given):
			size = int(given[i])
		}
		if size < 1 || size > 256 || size > rest || i >= len(minus1) {
			return false
		}
		minus1[i] = uint8(size - 1)
		rest -= size
	}
	return rest == 0
}

func hevcScaling(l *hevc.ScalingLists) stateless.ScalingMatrix {
	return stateless.ScalingMatrix{ScalingList4x4: l.Size4, ScalingList8x8: l.Size8, ScalingList16x16: l.Size16, ScalingList32x32: l.Size32,
		ScalingListDcCoef16x16: l.DC16, ScalingListDcCoef32x32: l.DC32}
}

// hevcDecode says which pictures a picture refers to. Refs of p carry the
// tokens under which they were decoded.
func hevcDecode(p *hevc.Picture) stateless.DecodeParams {
	first := &p.Slices[0]
	c := stateless.DecodeParams{
		PicOrderCntVal:          p.POC,
		ShortTermRefPicSetSize:  first.ShortTermBits,
		LongTermRefPicSetSize:   first.LongTermBits,
		NumActiveDpbEntries:     uint8(len(p.Refs)),
		NumDeltaPocsOfRefRpsIdx: first.DeltaPOCsOfRefSet,
		Flags: bits(
			flag{stateless.DecodeIRAP, p.Type.IsIRAP()},
			flag{stateless.DecodeIDR, p.Type.IsIDR()},
			flag{stateless.DecodeNoOutputOfPrior, p.NoOutputOfPrior}),
	}
	c.NumPocStCurrBefore = uint8(copy(c.PocStCurrBefore[:], p.Before))
	c.NumPocStCurrAfter = uint8(copy(c.PocStCurrAfter[:], p.After))
	c.NumPocLtCurr = uint8(copy(c.PocLtCurr[:], p.LongTerm))
	for i, r := range p.Refs {
		c.DPB[i] = stateless.DPBEntry{Timestamp: stateless.Timestamp(r.Token), PicOrderCntVal: r.POC,
			Flags: uint8(bits(flag{stateless.DPBLongTerm, r.LongTerm}))}
	}
	return c
}

// hevcSlice says where a slice is in the access unit and how it is coded.
func hevcSlice(s *hevc.Slice, poc int32) stateless.SliceParams {
	c := stateless.SliceParams{
		BitSize:                uint32(s.End) * 8,
		DataByteOffset:         uint32(s.Data),
		NumEntryPointOffsets:   uint32(len(s.EntryPoints)),
		NalUnitType:            uint8(s.Type),
		NuhTemporalIDPlus1:     s.TemporalID + 1,
		SliceType:              uint8(s.SliceType),
		ColourPlaneID:          s.ColourPlane,
		SlicePicOrderCnt:       poc,
		CollocatedRefIdx:       s.CollocatedRef,
		SliceQpDelta:           s.QPDelta,
		SliceCbQpOffset:        s.CbQPOffset,
		SliceCrQpOffset:        s.CrQPOffset,
		SliceBetaOffsetDiv2:    s.BetaOffset,
		SliceTcOffsetDiv2:      s.TcOffset,
		SliceSegmentAddr:       s.Address,
		RefIdxL0:               s.Lists[0],
		RefIdxL1:               s.Lists[1],
		ShortTermRefPicSetSize: s.ShortTermBits,
		LongTermRefPicSetSize:  s.LongTermBits,
		Flags: bits(
			flag{stateless.SliceSAOLuma, s.SAOLuma},
			flag{stateless.SliceSAOChroma, s.SAOChroma},
			flag{stateless.SliceTemporalMVP, s.TemporalMVP},
			flag{stateless.SliceMVDL1Zero, s.MVDL1Zero},
			flag{stateless.SliceCABACInit, s.CABACInit},
			flag{stateless.SliceCollocatedFromL0, s.CollocatedL0},
			flag{stateless.SliceDeblockingDisabled, s.DeblockingOff},
			flag{stateless.SliceLoopFilterAcross, s.FilterAcross},
			flag{stateless.SliceDependent, s.Dependent}),
	}
	if s.SliceType != hevc.SliceI {
		c.NumRefIdxL0ActiveMinus1 = s.RefIdxL0 - 1
		c.FiveMinusMaxNumMergeCand = 5 - s.MaxMergeCand
	}
	if s.SliceType == hevc.SliceB {
		c.NumRefIdxL1ActiveMinus1 = s.RefIdxL1 - 1
	}
	hevcWeights(&c.PredWeightTable, &s.Weights)
	return c
}

func hevcWeights(c *stateless.PredWeightTable, w *hevc.PredWeights) {
	c.LumaLog2WeightDenom = w.LumaLog2Denom
	c.DeltaChromaLog2WeightDenom = int8(w.ChromaLog2Denom) - int8(w.LumaLog2Denom)
	for i := range w.Lists[0] {
		a, b := &w.Lists[0][i], &w.Lists[1][i]
		c.DeltaLumaWeightL0[i], c.LumaOffsetL0[i] = a.LumaDelta, a.LumaOffset
		c.DeltaChromaWeightL0[i], c.ChromaOffsetL0[i] = a.ChromaDelta, a.ChromaOffset
		c.DeltaLumaWeightL1[i], c.LumaOffsetL1[i] = b.LumaDelta, b.LumaOffset
		c.DeltaChromaWeightL1[i], c.ChromaOffsetL1[i] = b.ChromaDelta, b.ChromaOffset
	}
}

// hevcControls fills in what the device must know of a picture. The error says
// why it cannot be told.
func hevcControls(c *stateless.Controls, p *hevc.Picture) error {
	if err := p.SPS.Check420(true); err != nil {
		return err
	}
	if p.PPS.Extensions != 0 {
		return fmt.Errorf("extensions %#02x of a picture parameter set", p.PPS.Extensions)
	}
	pps, err := hevcPPS(p.PPS, p.SPS)
	if err != nil {
		return err
	}
	if len(p.Slices) > cap(c.Slices) {
		return fmt.Errorf("%d slices, the device takes %d", len(p.Slices), cap(c.Slices))
	}
	c.SPS, c.PPS, c.Decode = hevcSPS(p.SPS), pps, hevcDecode(p)
	if p.Scaling != nil {
		c.Scaling = hevcScaling(p.Scaling)
	}
	c.Slices, c.Starts, c.EntryPoints = c.Slices[:0], c.Starts[:0], c.EntryPoints[:0]
	for i := range p.Slices {
		s := &p.Slices[i]
		if len(c.EntryPoints)+len(s.EntryPoints) > cap(c.EntryPoints) {
			return fmt.Errorf("more than %d entry points", cap(c.EntryPoints))
		}
		c.Slices = append(c.Slices, hevcSlice(s, p.POC))
		c.Starts = append(c.Starts, uint32(s.Start))
		c.EntryPoints = append(c.EntryPoints, s.EntryPoints...)
	}
	return nil
}
