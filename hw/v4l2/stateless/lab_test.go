package stateless

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/lab/bench"
	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// labDevice loads visl so that it tells in the kernel log and in debugfs what
// it was given.
func labDevice(t *testing.T) Device {
	t.Helper()
	bench.Need(t)
	bench.Load(t, "visl", "visl_debug=1", "visl_dprintk_frame_start=0", "visl_dprintk_nframes=100",
		"bitstream_trace_frame_start=0", "bitstream_trace_nframes=100", "keep_bitstream_buffers=1")
	dev, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	if dev.Driver != "visl" || len(dev.Media) != 1 {
		t.Fatalf("%+v", dev)
	}
	return dev
}

// labStream is a stream of 640x480.
var labStream = SPS{PicWidthInLumaSamples: 640, PicHeightInLumaSamples: 480, ChromaFormatIdc: 1, SpsMaxDecPicBufferingMinus1: 4,
	Log2DiffMaxMinLumaCodingBlockSize: 3, Log2DiffMaxMinLumaTransformBlockSize: 3, Flags: SPSAMPEnabled | SPSSampleAdaptiveOffset | SPSScalingListEnabled}

// shuffle fills a control with numbers, to see that every byte arrives.
func shuffle[T any](rng *rand.Rand, v *T) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
}

// labPicture gives visl a picture of n slices and returns it with what the
// kernel had in the request.
func labPicture(t *testing.T, d *Decoder, token uint64, n int, refs []uint64) (Picture, map[uint32][]byte, []byte) {
	t.Helper()
	rng := rand.New(rand.NewPCG(token, 1))
	in, err := d.Lease(context.Background(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c := d.Controls()
	c.SPS = labStream
	c.PPS = PPS{PicParameterSetID: 3, InitQpMinus26: -4, DiffCuQpDeltaDepth: 1, NumTileColumnsMinus1: 1, PpsBetaOffsetDiv2: -2,
		Flags: PPSCuQPDelta | PPSTiles | PPSWeightedPred}
	c.PPS.ColumnWidthMinus1[0], c.PPS.ColumnWidthMinus1[1] = 4, 4
	shuffle(rng, &c.Scaling)
	c.Decode = DecodeParams{PicOrderCntVal: int32(token), NumActiveDpbEntries: uint8(len(refs)), NumPocStCurrBefore: uint8(len(refs))}
	for i, r := range refs {
		c.Decode.DPB[i] = DPBEntry{Timestamp: Timestamp(r), PicOrderCntVal: int32(r)}
		c.Decode.PocStCurrBefore[i] = uint8(i)
	}
	c.Slices, c.Starts, c.EntryPoints = c.Slices[:0], c.Starts[:0], c.EntryPoints[:0]
	var au []byte
	for i := range n {
		start := len(au) + 4
		au = append(au, 0, 0, 0, 1, 2, 1, byte(i), byte(token), 0x80)
		var s SliceParams
		shuffle(rng, &s.PredWeightTable)
		s.NalUnitType, s.NuhTemporalIDPlus1, s.SliceType, s.SlicePicOrderCnt = 1, 1, 1, int32(token)
		s.SliceQpDelta, s.SliceCbQpOffset, s.SliceTcOffsetDiv2, s.SliceSegmentAddr = -3, 2, -1, uint32(i)
		s.ShortTermRefPicSetSize, s.Flags = 11, SliceSAOLuma|SliceCollocatedFromL0|SliceLoopFilterAcross
		s.BitSize, s.DataByteOffset, s.NumEntryPointOffsets = uint32(8*len(au)), uint32(start+3), 2
		c.Slices = append(c.Slices, s)
		c.Starts = append(c.Starts, uint32(start))
		c.EntryPoints = append(c.EntryPoints, uint32(i), rng.Uint32())
	}
	copy(in.Bytes(), au)
	want := c.bytes()
	got := map[uint32][]byte{}
	d.peek = func(in *Input) {
		for id, w := range want {
			got[id] = readBack(t, d.video, in.request.FD, id, len(w))
			if !bytes.Equal(got[id], w) {
				t.Errorf("picture %d: control %#x is\n% x, sent was\n% x", token, id, got[id], w)
			}
		}
	}
	if err := d.Decode(in, len(au), token); err != nil {
		t.Fatal(err)
	}
	p, err := d.Receive(20 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return p, got, au
}

// bytes are the controls as they are in memory.
func (c *Controls) bytes() map[uint32][]byte {
	raw := func(p unsafe.Pointer, n uintptr) []byte { return bytes.Clone(unsafe.Slice((*byte)(p), n)) }
	return map[uint32][]byte{
		cidSPS:           raw(unsafe.Pointer(&c.SPS), unsafe.Sizeof(c.SPS)),
		cidPPS:           raw(unsafe.Pointer(&c.PPS), unsafe.Sizeof(c.PPS)),
		cidDecodeParams:  raw(unsafe.Pointer(&c.Decode), unsafe.Sizeof(c.Decode)),
		cidScalingMatrix: raw(unsafe.Pointer(&c.Scaling), unsafe.Sizeof(c.Scaling)),
		cidSliceParams:   raw(unsafe.Pointer(&c.Slices[0]), unsafe.Sizeof(c.Slices[0])*uintptr(len(c.Slices))),
		cidEntryPoints:   raw(unsafe.Pointer(&c.EntryPoints[0]), 4*uintptr(len(c.EntryPoints))),
	}
}

// readBack asks the kernel for a control as a completed request has it.
func readBack(t *testing.T, f *uapi.File, request int, id uint32, size int) []byte {
	t.Helper()
	// The kernel refuses room that is too small, and fills no more than there
	// is: a byte more shows that there is none.
	b, e := make([]byte, size+1024), new(uapi.ExtControl)
	e.ID, e.Size = id, uint32(len(b))
	binary.NativeEndian.PutUint64(e.Value[:], uint64(uintptr(unsafe.Pointer(&b[0]))))
	c := &uapi.ExtControls{Which: uapi.CtrlWhichRequest, Count: 1, RequestFD: int32(request), Controls: uintptr(unsafe.Pointer(e))}
	if err := f.Call(&uapi.GExtCtrls, unsafe.Pointer(c)); err != nil {
		t.Fatalf("control %#x: %v", id, err)
	}
	return b[:e.Size]
}

// logged is a reference in the kernel log. Older kernels add which picture it
// is.
var logged = regexp.MustCompile(`dpb\[(\d+)\]:(\d+)(?:, vb2_index: (-?\d+))?`)

// reference is one of them: its place, its time stamp as far as visl prints it,
// and its picture, -1 if that is not said.
type reference struct {
	at      int
	time    uint32
	picture int
}

// What is decoded arrives at the driver: every byte of every control, the data,
// and the references, which the driver finds by their time stamps.
func TestLabDecode(t *testing.T) {
	dev := labDevice(t)
	d, err := Open(Config{Device: dev, SPS: labStream, Formats: []uapi.FourCC{uapi.NC12, uapi.NV12}, Pictures: 6, InputSize: 1 << 16})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if l := d.Layout(); l.Format != uapi.NV12 || l.Width != 640 || l.Height != 480 || l.Size != 460800 || len(l.Buffers) != 6 {
		t.Fatalf("%+v", l)
	}
	_ = exec.Command("dmesg", "-c").Run()
	var last []Picture // the pictures that are referred to
	var want []reference
	var data [][]byte
	for n := range uint64(12) {
		var refs []uint64
		for i, p := range last {
			refs = append(refs, p.Token)
			want = append(want, reference{i, uint32(Timestamp(p.Token)), p.Index})
		}
		token := 1000000*n + n + 1 // seconds and microseconds of the time stamp
		p, _, au := labPicture(t, d, token, 1+int(n)%3, refs)
		if p.Token != token || p.Corrupt {
			t.Fatalf("%+v", p)
		}
		checkDrawn(t, d.Layout(), p.Index)
		data = append(data, au)
		last = append(last, p)
		if len(last) > 3 {
			d.Release(last[0].Index)
			last = last[1:]
		}
	}
	checkReferences(t, want)
	for i, au := range data {
		got, err := os.ReadFile(filepath.Join("/sys/kernel/debug/visl/bitstream", fmt.Sprintf("bitstream%d", i)))
		if err != nil || !bytes.HasPrefix(got, au) {
			t.Errorf("data of picture %d: % x, sent was % x (%v)", i, got[:min(len(got), len(au))], au, err)
		}
	}
}

// checkReferences finds in the kernel log which references visl was told of.
func checkReferences(t *testing.T, want []reference) {
	t.Helper()
	log, err := exec.Command("dmesg").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got []reference
	for _, m := range logged.FindAllStringSubmatch(string(log), -1) {
		r := reference{picture: -1}
		r.at, _ = strconv.Atoi(m[1])
		time, _ := strconv.ParseUint(m[2], 10, 32)
		if r.time = uint32(time); r.time == 0 {
			continue // not in use
		}
		if m[3] != "" {
			r.picture, _ = strconv.Atoi(m[3])
		} else if i := len(got); i < len(want) {
			r.picture = want[i].picture
		}
		got = append(got, r)
	}
	if !slices.Equal(got, want) {
		t.Errorf("references\n%v\nwant\n%v", got, want)
	}
}

// checkDrawn looks for visl's test pattern in a picture's dma-buf.
func checkDrawn(t *testing.T, l *Layout, index int) {
	t.Helper()
	mem, err := unix.Mmap(l.Buffers[index], 0, l.Size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	seen := map[byte]bool{}
	for _, v := range mem[l.Planes[0].Pitch*(l.Height-1):][:l.Width] {
		seen[v] = true
	}
	if len(seen) < 8 {
		t.Errorf("picture %d has %d levels in its last row, colour bars have 8", index, len(seen))
	}
}

// A parameter that the kernel refuses costs its picture only, and a decoder can
// be opened again and again.
func TestLabRefusedAndReopened(t *testing.T) {
	dev := labDevice(t)
	before := descriptors(t)
	for range 5 {
		d, err := Open(Config{Device: dev, SPS: labStream, Formats: []uapi.FourCC{uapi.NV12}, Pictures: 3, InputSize: 1 << 16})
		if err != nil {
			t.Fatal(err)
		}
		p, _, _ := labPicture(t, d, 1, 1, nil)
		in, err := d.Lease(context.Background(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		d.Controls().Decode.NumActiveDpbEntries = MaxRefs + 1
		if err := d.Decode(in, 9, 2); err == nil || !strings.Contains(err.Error(), ErrRefused.Error()) {
			t.Errorf("17 references: %v", err)
		}
		q, _, _ := labPicture(t, d, 3, 1, []uint64{1})
		if q.Index == p.Index {
			t.Error("a picture was decoded into the one it refers to")
		}
		d.Close()
	}
	if n := descriptors(t); n != before {
		t.Errorf("%d descriptors are open, %d before", n, before)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	l, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(l)
}
