package stateless

// The structures below are those of include/uapi/linux/v4l2-controls.h, under
// Go names: ITU-T H.265 names every field. A list index is one into
// DecodeParams.DPB.

// SPS is struct v4l2_ctrl_hevc_sps.
type SPS struct {
	VideoParameterSetID                  uint8
	SeqParameterSetID                    uint8
	PicWidthInLumaSamples                uint16
	PicHeightInLumaSamples               uint16
	BitDepthLumaMinus8                   uint8
	BitDepthChromaMinus8                 uint8
	Log2MaxPicOrderCntLsbMinus4          uint8
	SpsMaxDecPicBufferingMinus1          uint8
	SpsMaxNumReorderPics                 uint8
	SpsMaxLatencyIncreasePlus1           uint8
	Log2MinLumaCodingBlockSizeMinus3     uint8
	Log2DiffMaxMinLumaCodingBlockSize    uint8
	Log2MinLumaTransformBlockSizeMinus2  uint8
	Log2DiffMaxMinLumaTransformBlockSize uint8
	MaxTransformHierarchyDepthInter      uint8
	MaxTransformHierarchyDepthIntra      uint8
	PcmSampleBitDepthLumaMinus1          uint8
	PcmSampleBitDepthChromaMinus1        uint8
	Log2MinPcmLumaCodingBlockSizeMinus3  uint8
	Log2DiffMaxMinPcmLumaCodingBlockSize uint8
	NumShortTermRefPicSets               uint8
	NumLongTermRefPicsSps                uint8
	ChromaFormatIdc                      uint8
	SpsMaxSubLayersMinus1                uint8
	_                                    [6]uint8
	Flags                                uint64 // SPSSeparateColourPlane and on
}

// Flags of an SPS.
const (
	SPSSeparateColourPlane = 1 << iota
	SPSScalingListEnabled
	SPSAMPEnabled
	SPSSampleAdaptiveOffset
	SPSPCMEnabled
	SPSPCMLoopFilterDisabled
	SPSLongTermRefPicsPresent
	SPSTemporalMVPEnabled
	SPSStrongIntraSmoothing
)

// PPS is struct v4l2_ctrl_hevc_pps. The sizes of tiles hold for evenly spaced
// ones too: drivers do not work them out.
type PPS struct {
	PicParameterSetID              uint8
	NumExtraSliceHeaderBits        uint8
	NumRefIdxL0DefaultActiveMinus1 uint8
	NumRefIdxL1DefaultActiveMinus1 uint8
	InitQpMinus26                  int8
	DiffCuQpDeltaDepth             uint8
	PpsCbQpOffset                  int8
	PpsCrQpOffset                  int8
	NumTileColumnsMinus1           uint8
	NumTileRowsMinus1              uint8
	ColumnWidthMinus1              [20]uint8
	RowHeightMinus1                [22]uint8
	PpsBetaOffsetDiv2              int8
	PpsTcOffsetDiv2                int8
	Log2ParallelMergeLevelMinus2   uint8
	_                              uint8
	Flags                          uint64 // PPSDependentSliceSegment and on
}

// Flags of a PPS.
const (
	PPSDependentSliceSegment = 1 << iota
	PPSOutputFlagPresent
	PPSSignDataHiding
	PPSCABACInitPresent
	PPSConstrainedIntraPred
	PPSTransformSkip
	PPSCuQPDelta
	PPSSliceChromaQPOffsetsPresent
	PPSWeightedPred
	PPSWeightedBipred
	PPSTransquantBypass
	PPSTiles
	PPSEntropyCodingSync
	PPSLoopFilterAcrossTiles
	PPSLoopFilterAcrossSlices
	PPSDeblockingOverride
	PPSDisableDeblocking
	PPSListsModificationPresent
	PPSSliceHeaderExtensionPresent
	PPSDeblockingControlPresent
	PPSUniformSpacing
)

// MaxRefs is V4L2_HEVC_DPB_ENTRIES_NUM_MAX.
const MaxRefs = 16

// PredWeightTable is struct v4l2_hevc_pred_weight_table. The offsets of chroma
// are the derived ones, ChromaOffsetL0 and L1, as drivers use them.
type PredWeightTable struct {
	DeltaLumaWeightL0          [MaxRefs]int8
	LumaOffsetL0               [MaxRefs]int8
	DeltaChromaWeightL0        [MaxRefs][2]int8
	ChromaOffsetL0             [MaxRefs][2]int8
	DeltaLumaWeightL1          [MaxRefs]int8
	LumaOffsetL1               [MaxRefs]int8
	DeltaChromaWeightL1        [MaxRefs][2]int8
	ChromaOffsetL1             [MaxRefs][2]int8
	LumaLog2WeightDenom        uint8
	DeltaChromaLog2WeightDenom int8
}

// SliceParams is struct v4l2_ctrl_hevc_slice_params. BitSize and
// DataByteOffset count from the beginning of the buffer: BitSize is where the
// slice ends. With one slice at the beginning that is what the kernel's
// document says; with more it is how the driver of the Raspberry Pi reads them
// (hevc_d_h265.c: the data runs from DataByteOffset to BitSize/8).
type SliceParams struct {
	BitSize                  uint32
	DataByteOffset           uint32
	NumEntryPointOffsets     uint32
	NalUnitType              uint8
	NuhTemporalIDPlus1       uint8
	SliceType                uint8 // 0 B, 1 P, 2 I
	ColourPlaneID            uint8
	SlicePicOrderCnt         int32
	NumRefIdxL0ActiveMinus1  uint8
	NumRefIdxL1ActiveMinus1  uint8
	CollocatedRefIdx         uint8
	FiveMinusMaxNumMergeCand uint8
	SliceQpDelta             int8
	SliceCbQpOffset          int8
	SliceCrQpOffset          int8
	SliceActYQpOffset        int8
	SliceActCbQpOffset       int8
	SliceActCrQpOffset       int8
	SliceBetaOffsetDiv2      int8
	SliceTcOffsetDiv2        int8
	PicStruct                uint8
	_                        [3]uint8
	SliceSegmentAddr         uint32
	RefIdxL0                 [MaxRefs]uint8
	RefIdxL1                 [MaxRefs]uint8
	ShortTermRefPicSetSize   uint16 // bits
	LongTermRefPicSetSize    uint16 // bits
	PredWeightTable          PredWeightTable
	_                        [2]uint8
	Flags                    uint64 // SliceSAOLuma and on
}

// Flags of a slice.
const (
	SliceSAOLuma = 1 << iota
	SliceSAOChroma
	SliceTemporalMVP
	SliceMVDL1Zero
	SliceCABACInit
	SliceCollocatedFromL0
	SliceUseIntegerMV
	SliceDeblockingDisabled
	SliceLoopFilterAcross
	SliceDependent
)

// DPBEntry is struct v4l2_hevc_dpb_entry, a reference picture.
type DPBEntry struct {
	Timestamp      uint64 // ns: that of the picture when it was decoded
	Flags          uint8  // DPBLongTerm
	FieldPic       uint8
	_              uint16
	PicOrderCntVal int32
}

// DPBLongTerm marks a long-term reference picture.
const DPBLongTerm = 1

// DecodeParams is struct v4l2_ctrl_hevc_decode_params.
type DecodeParams struct {
	PicOrderCntVal          int32
	ShortTermRefPicSetSize  uint16
	LongTermRefPicSetSize   uint16
	NumActiveDpbEntries     uint8
	NumPocStCurrBefore      uint8
	NumPocStCurrAfter       uint8
	NumPocLtCurr            uint8
	PocStCurrBefore         [MaxRefs]uint8
	PocStCurrAfter          [MaxRefs]uint8
	PocLtCurr               [MaxRefs]uint8
	NumDeltaPocsOfRefRpsIdx uint8
	_                       [3]uint8
	DPB                     [MaxRefs]DPBEntry
	Flags                   uint64 // DecodeIRAP and on
}

// Flags of DecodeParams.
const (
	DecodeIRAP = 1 << iota
	DecodeIDR
	DecodeNoOutputOfPrior
)

// ScalingMatrix is struct v4l2_ctrl_hevc_scaling_matrix, each list in raster
// order.
type ScalingMatrix struct {
	ScalingList4x4         [6][16]uint8
	ScalingList8x8         [6][64]uint8
	ScalingList16x16       [6][64]uint8
	ScalingList32x32       [2][64]uint8
	ScalingListDcCoef16x16 [6]uint8
	ScalingListDcCoef32x32 [2]uint8
}
