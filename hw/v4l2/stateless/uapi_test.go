package stateless

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"aerie/hw/lab/headers"
	"aerie/hw/v4l2/uapi"
)

// structs are the kernel's structures under the kernel's names, in the order of
// testdata/uapi.c.
var structs = []struct {
	name string
	typ  reflect.Type
}{
	{"v4l2_ctrl_hevc_sps", reflect.TypeFor[SPS]()},
	{"v4l2_ctrl_hevc_pps", reflect.TypeFor[PPS]()},
	{"v4l2_hevc_pred_weight_table", reflect.TypeFor[PredWeightTable]()},
	{"v4l2_ctrl_hevc_slice_params", reflect.TypeFor[SliceParams]()},
	{"v4l2_hevc_dpb_entry", reflect.TypeFor[DPBEntry]()},
	{"v4l2_ctrl_hevc_decode_params", reflect.TypeFor[DecodeParams]()},
	{"v4l2_ctrl_hevc_scaling_matrix", reflect.TypeFor[ScalingMatrix]()},
	{"v4l2_query_ext_ctrl", reflect.TypeFor[queryExtCtrl]()},
}

var calls = []uapi.Request{callQueryCtrl, callRequestAlloc, callRequestQueue, callRequestInit}

// constants stand in the order of testdata/uapi.c.
var constants = [][]uint64{
	{cidSPS, cidPPS, cidSliceParams, cidScalingMatrix, cidDecodeParams, cidDecodeMode, cidStartCode, cidEntryPoints,
		modeFrame, startCodeAnnexB, flagDynamicArray, MaxRefs, DPBLongTerm},
	{SPSSeparateColourPlane, SPSScalingListEnabled, SPSAMPEnabled, SPSSampleAdaptiveOffset, SPSPCMEnabled,
		SPSPCMLoopFilterDisabled, SPSLongTermRefPicsPresent, SPSTemporalMVPEnabled, SPSStrongIntraSmoothing},
	{PPSDependentSliceSegment, PPSOutputFlagPresent, PPSSignDataHiding, PPSCABACInitPresent, PPSConstrainedIntraPred, PPSTransformSkip,
		PPSCuQPDelta, PPSSliceChromaQPOffsetsPresent, PPSWeightedPred, PPSWeightedBipred, PPSTransquantBypass, PPSTiles,
		PPSEntropyCodingSync, PPSLoopFilterAcrossTiles, PPSLoopFilterAcrossSlices, PPSDeblockingOverride, PPSDisableDeblocking,
		PPSListsModificationPresent, PPSSliceHeaderExtensionPresent, PPSDeblockingControlPresent, PPSUniformSpacing},
	{SliceSAOLuma, SliceSAOChroma, SliceTemporalMVP, SliceMVDL1Zero, SliceCABACInit, SliceCollocatedFromL0, SliceUseIntegerMV,
		SliceDeblockingDisabled, SliceLoopFilterAcross, SliceDependent},
	{DecodeIRAP, DecodeIDR, DecodeNoOutputOfPrior},
	{0, 1, 2}, // slice types, as SliceParams says
}

// flat makes a name of either language comparable.
func flat(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// describe says of the Go types what testdata/uapi.c says of the C ones, but
// for the names of constants.
func describe() string {
	var b strings.Builder
	for _, s := range structs {
		fmt.Fprintf(&b, "struct %s %d\n", s.name, s.typ.Size())
		for i := range s.typ.NumField() {
			if f := s.typ.Field(i); f.Name != "_" {
				fmt.Fprintf(&b, "\t%s %d %d\n", flat(f.Name), f.Offset, f.Type.Size())
			}
		}
	}
	for _, c := range calls {
		fmt.Fprintf(&b, "ioctl %s 0x%08x\n", c.Name, c.Number)
	}
	for _, group := range constants {
		for _, v := range group {
			fmt.Fprintf(&b, "const 0x%x\n", v)
		}
	}
	return b.String()
}

// TestUAPI compares every structure, ioctl number and constant with the golden
// texts: they are the same on every architecture.
func TestUAPI(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64", "arm"} {
		golden, err := os.ReadFile(filepath.Join("testdata", "uapi-"+arch+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(string(golden), "\n")
		for i, line := range want {
			if name, ok := strings.CutPrefix(line, "\t"); ok {
				name, numbers, _ := strings.Cut(name, " ")
				want[i] = "\t" + flat(name) + " " + numbers
			}
			if _, value, ok := strings.Cut(line, "const "); ok {
				_, value, _ = strings.Cut(value, " ")
				want[i] = "const " + value
			}
		}
		got := strings.Split(describe(), "\n")
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("%s: line %d: %q, C has %q", arch, i+1, got[i], want[i])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d lines here, %d from C", arch, len(got), len(want))
		}
	}
}

// TestUAPIGolden holds the golden texts against the kernel's headers.
func TestUAPIGolden(t *testing.T) { headers.Golden(t, headers.Each) }
