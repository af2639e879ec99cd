package hevc

import (
	"reflect"
	"testing"

	"aerie/receiver/codec/h264"
)

func TestParsePPSReal(t *testing.T) {
	// x265's defaults for a portrait clip, as ffmpeg's trace_headers prints
	// them.
	p, err := ParsePPS(unhex("4401c172b46240"))
	want := &PPS{SignDataHiding: true, RefIdxL0: 1, RefIdxL1: 1, InitQP: 26, CuQPDelta: true, DiffCuQPDeltaDepth: 1, WeightedPred: true,
		EntropyCodingSync: true, TileColumns: 1, TileRows: 1, LoopFilterAcrossSlices: true, ParallelMergeLevelLog2: 2}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestParsePPSTiles(t *testing.T) {
	var w h264.BitWriter
	w.UE(63)
	w.UE(15)
	w.U(7, 0b1010011) // dependent slices, 4 extra bits, sign hiding, CABAC init
	w.UE(2)
	w.UE(14)
	w.SE(-30)
	w.U(3, 0b010) // transform skip
	w.SE(-12)
	w.SE(12)
	w.U(4, 0b1011)
	w.U(2, 0b10) // tiles
	w.UE(2)
	w.UE(1)
	w.Flag(false) // not uniform
	w.UE(4)
	w.UE(5)
	w.UE(6)
	w.U(2, 0b10) // filter across tiles, not across slices
	w.U(3, 0b110)
	w.SE(-6)
	w.SE(6)
	w.U(2, 0b01) // no lists, modification
	w.UE(4)
	w.U(2, 0b11) // slice header extension, extensions
	w.U(8, 0x80)
	w.TrailingBits()
	p, err := ParsePPS(h264.AppendEscaped([]byte{0x44, 1}, w.RBSP()))
	want := &PPS{ID: 63, SPSID: 15, DependentSliceSegments: true, ExtraSliceHeaderBits: 4, SignDataHiding: true, CABACInit: true,
		RefIdxL0: 3, RefIdxL1: 15, InitQP: -4, TransformSkip: true, CbQPOffset: -12, CrQPOffset: 12, SliceChromaQPOffsets: true,
		WeightedBipred: true, TransquantBypass: true, TileColumns: 3, TileRows: 2, ColumnWidths: []uint16{5, 6}, RowHeights: []uint16{7},
		LoopFilterAcrossTiles: true, DeblockingControl: true, DeblockingOverride: true, BetaOffset: -6, TcOffset: 6,
		ListsModification: true, ParallelMergeLevelLog2: 6, SliceHeaderExtension: true, Extensions: 0x80}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzPPS(f *testing.F) {
	for _, c := range realSets {
		f.Add(unhex(c.pps))
	}
	f.Fuzz(func(t *testing.T, nal []byte) {
		p, err := ParsePPS(nal)
		if err == nil && (p.RefIdxL0 > 15 || p.TileColumns > maxTileColumns || len(p.ColumnWidths) >= maxTileColumns) {
			t.Errorf("%+v", p)
		}
	})
}

func FuzzVPS(f *testing.F) {
	for _, c := range realSets {
		f.Add(unhex(c.vps))
	}
	f.Fuzz(func(t *testing.T, nal []byte) {
		if v, err := ParseVPS(nal); err == nil && (v.SubLayers > 7 || v.Layers > 63) {
			t.Errorf("%+v", v)
		}
	})
}
