package stateless

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/v4l2/uapi"
)

// stream1080 is the sequence parameter set of the tests.
var stream1080 = SPS{PicWidthInLumaSamples: 1920, PicHeightInLumaSamples: 1080, ChromaFormatIdc: 1, SpsMaxDecPicBufferingMinus1: 1}

func config(m uapi.System) Config {
	return Config{Device: Device{Path: "/dev/video19", Driver: "rpi-hevc-dec", Media: []string{"/dev/media1"}}, SPS: stream1080,
		Formats: []uapi.FourCC{uapi.NC12, uapi.NV12}, Pictures: 4, InputSize: 1 << 16, System: m}
}

func open(t testing.TB, m uapi.System, change func(*Config)) *Decoder {
	t.Helper()
	c := config(m)
	if change != nil {
		change(&c)
	}
	d, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

// access units of one slice: start code, header of 2 bytes, data from byte 8.
func unit(n byte) []byte { return []byte{0, 0, 0, 1, 2, 1, 0xd0, n, n, n, 0x80} }

// decode gives an access unit of one slice to the decoder and waits for its
// picture. refs are the tokens that it refers to.
func decode(d *Decoder, au []byte, token uint64, refs ...uint64) (Picture, error) {
	in, err := d.Lease(context.Background(), time.Minute)
	if err != nil {
		return Picture{}, err
	}
	copy(in.Bytes(), au)
	c := d.Controls()
	c.SPS, c.Decode = stream1080, DecodeParams{PicOrderCntVal: int32(token), NumActiveDpbEntries: uint8(len(refs))}
	for i, r := range refs {
		c.Decode.DPB[i] = DPBEntry{Timestamp: Timestamp(r), PicOrderCntVal: int32(r)}
	}
	c.Slices = append(c.Slices[:0], SliceParams{BitSize: uint32(8 * len(au)), DataByteOffset: 8, SlicePicOrderCnt: int32(token), NumEntryPointOffsets: 2})
	c.Starts = append(c.Starts[:0], 4)
	c.EntryPoints = append(c.EntryPoints[:0], 1, 2)
	if err := d.Decode(in, len(au), token); err != nil {
		return Picture{}, err
	}
	return d.Receive(time.Second)
}

func TestDecode(t *testing.T) {
	m := newModel(t)
	m.entries = true
	d := open(t, m, nil)
	if l := d.Layout(); l.Format != uapi.NC12 || len(l.Buffers) != 4 || l.Modifier != 0x0700000000000004|1620<<8 {
		t.Errorf("layout %+v", l)
	}
	last := -1
	for n := range uint64(100) {
		refs := []uint64{n - 1}
		if n == 0 {
			refs = nil
		}
		p, err := decode(d, unit(byte(n)), n, refs...)
		if err != nil || p.Token != n || p.Corrupt {
			t.Fatalf("picture %d: %+v, %v", n, p, err)
		}
		r := m.runs[n]
		if r.picture != p.Index || p.Index == last || r.time != int64(n)*1000 || !bytes.Equal(r.data, unit(byte(n))) {
			t.Fatalf("picture %d, after %d: %+v", n, last, r)
		}
		if n > 0 {
			if len(r.refs) != 1 || r.refs[0] != last {
				t.Fatalf("picture %d refers to %v, want %d", n, r.refs, last)
			}
			d.Release(last)
		}
		last = p.Index
	}
	checkControls(t, m.runs[99].controls)
	d.Close()
	if h := m.held(); h != nothing {
		t.Errorf("held after Close: %s", h)
	}
	if _, err := d.Receive(0); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	d.Close()
}

// checkControls looks at what the kernel read of our memory.
func checkControls(t *testing.T, got map[uint32][]byte) {
	t.Helper()
	slice := (*SliceParams)(unsafe.Pointer(&got[cidSliceParams][0]))
	sps := (*SPS)(unsafe.Pointer(&got[cidSPS][0]))
	params := (*DecodeParams)(unsafe.Pointer(&got[cidDecodeParams][0]))
	if len(got) != 6 || len(got[cidSliceParams]) != 280 || slice.SlicePicOrderCnt != 99 || slice.DataByteOffset != 8 {
		t.Errorf("%d controls, slice %+v", len(got), slice)
	}
	if *sps != stream1080 || params.PicOrderCntVal != 99 || params.DPB[0].Timestamp != 98000 {
		t.Errorf("SPS %+v, parameters %+v", sps, params)
	}
	if !bytes.Equal(got[cidEntryPoints], []byte{1, 0, 0, 0, 2, 0, 0, 0}) {
		t.Errorf("entry points % x", got[cidEntryPoints])
	}
}

// A picture that somebody holds is not decoded into.
func TestHolds(t *testing.T) {
	d := open(t, newModel(t), func(c *Config) { c.Pictures = 2 })
	a, err := decode(d, unit(1), 1)
	if err != nil {
		t.Fatal(err)
	}
	b, err := decode(d, unit(2), 2, 1)
	if err != nil || a.Index == b.Index {
		t.Fatal(a, b, err)
	}
	d.Retain(a.Index) // for a display
	d.Release(a.Index)
	if _, err := decode(d, unit(3), 3, 2); !errors.Is(err, ErrNoPicture) {
		t.Fatal(err)
	}
	d.Release(a.Index)
	d.Release(a.Index) // once too often
	d.Retain(a.Index)  // without a hold
	d.Release(99)
	if c, err := decode(d, unit(4), 4, 2); err != nil || c.Index != a.Index {
		t.Error(c, err)
	}
}

// Several pictures may be with the device.
func TestPipeline(t *testing.T) {
	m := newModel(t)
	d := open(t, m, nil)
	for n := range uint64(3) {
		in, _ := d.Lease(context.Background(), time.Minute)
		copy(in.Bytes(), unit(byte(n)))
		c := d.Controls()
		c.Slices = append(c.Slices[:0], SliceParams{BitSize: 88, DataByteOffset: 8})
		c.Starts = append(c.Starts[:0], 4)
		if err := d.Decode(in, 11, n); err != nil {
			t.Fatal(err)
		}
	}
	for n := range uint64(3) {
		if p, err := d.Receive(time.Second); err != nil || p.Token != n {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if _, err := d.Receive(time.Second); err == nil || !strings.Contains(err.Error(), "nothing was given") {
		t.Error(err)
	}
}

// A device without start codes gets the slices alone, one behind the other.
func TestSlicesArePacked(t *testing.T) {
	m := newModel(t)
	m.annexB = false
	d := open(t, m, nil)
	au := []byte{0, 0, 0, 1, 78, 1, 5, 0x80, 0, 0, 0, 1, 2, 1, 0xd0, 7, 7, 0, 0, 1, 2, 1, 0x40, 9, 9}
	in, _ := d.Lease(context.Background(), time.Minute)
	copy(in.Bytes(), au)
	c := d.Controls()
	c.Slices = append(c.Slices[:0], SliceParams{BitSize: 17 * 8, DataByteOffset: 15}, SliceParams{BitSize: 25 * 8, DataByteOffset: 23})
	c.Starts = append(c.Starts[:0], 12, 20)
	if err := d.Decode(in, len(au), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Receive(time.Second); err != nil {
		t.Fatal(err)
	}
	r := m.runs[0]
	if want := []byte{2, 1, 0xd0, 7, 7, 2, 1, 0x40, 9, 9}; !bytes.Equal(r.data, want) {
		t.Errorf("% x, want % x", r.data, want)
	}
	s := unsafe.Slice((*SliceParams)(unsafe.Pointer(&r.controls[cidSliceParams][0])), 2)
	if s[0].DataByteOffset != 3 || s[0].BitSize != 40 || s[1].DataByteOffset != 8 || s[1].BitSize != 80 {
		t.Errorf("%+v", s)
	}
}

func TestWhatTheDeviceCannotDo(t *testing.T) {
	for _, c := range []struct {
		name   string
		model  func(*model)
		config func(*Config)
		want   string
	}{
		{"an old kernel", func(m *model) { m.elemSize = map[uint32]uint32{cidSliceParams: 272} }, nil, "control 0xa40a92 has 272 bytes, not 280"},
		{"formats", func(m *model) { m.formats = []uapi.FourCC{uapi.Code("RGB3")} }, nil, "it gives [RGB3], wanted is one of [NC12 NV12]"},
		{"media node of another", func(*model) {}, func(c *Config) { c.Device.Media = []string{"/dev/media0"} }, "VIDIOC_S_EXT_CTRLS"},
		{"no media node", func(*model) {}, func(c *Config) { c.Device.Media = nil }, "no media node"},
		{"no node", func(*model) {}, func(c *Config) { c.Device.Path = "/dev/video7" }, "/dev/video7: open"},
		{"one picture", func(*model) {}, func(c *Config) { c.Pictures = 1 }, "1 pictures"},
		{"sequence refused", func(m *model) { m.refuse = cidSPS }, nil, "VIDIOC_S_EXT_CTRLS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel(t)
			c.model(m)
			cfg := config(m)
			if c.config != nil {
				c.config(&cfg)
			}
			d, err := Open(cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "/dev/") {
				t.Errorf("%v, %v, want %q", d, err, c.want)
			}
			if h := m.held(); h != nothing {
				t.Errorf("held: %s", h)
			}
		})
	}
}

func TestSliceBasedDeviceTakesOneSlice(t *testing.T) {
	m := newModel(t)
	m.frames = false
	d := open(t, m, nil)
	if n := cap(d.Controls().Slices); n != 1 {
		t.Errorf("%d slices", n)
	}
	if _, err := decode(d, unit(1), 1); err != nil {
		t.Error(err)
	}
}

func TestRefusedParameters(t *testing.T) {
	m := newModel(t)
	m.entries = true
	d := open(t, m, nil)
	m.refuse = cidPPS
	if _, err := decode(d, unit(1), 1); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "control 1") {
		t.Error(err)
	}
	m.refuse = 0
	for name, spoil := range map[string]func(c *Controls){
		"no slices":         func(c *Controls) { c.Slices = c.Slices[:0] },
		"foreign memory":    func(c *Controls) { c.Slices = []SliceParams{{BitSize: 80}} },
		"beyond the unit":   func(c *Controls) { c.Slices[0].BitSize = 8 * 12 },
		"no data":           func(c *Controls) { c.Slices[0].DataByteOffset = 11 },
		"starts missing":    func(c *Controls) { c.Starts = c.Starts[:0] },
		"entry points lost": func(c *Controls) { c.EntryPoints = c.EntryPoints[:1] },
	} {
		in, _ := d.Lease(context.Background(), time.Minute)
		c := d.Controls()
		c.Slices = append(d.set.slices[:0], SliceParams{BitSize: 88, DataByteOffset: 8, NumEntryPointOffsets: 2})
		c.Starts = append(c.Starts[:0], 4)
		c.EntryPoints = append(d.set.points[:0], 1, 2)
		spoil(c)
		if err := d.Decode(in, 11, 2); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		c.Slices = d.set.slices[:0]
	}
	for range 3 { // nothing was lost on the way
		if p, err := decode(d, unit(3), 3); err != nil {
			t.Error(err)
		} else {
			d.Release(p.Index)
		}
	}
}

func TestStalledAndCorrupt(t *testing.T) {
	m := newModel(t)
	d := open(t, m, nil)
	m.corrupt = true
	if p, err := decode(d, unit(1), 1); err != nil || !p.Corrupt {
		t.Error(p, err)
	}
	m.stalled = true
	begin := m.now
	_, err := decode(d, unit(2), 2)
	if !errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "/dev/video19 (rpi-hevc-dec): poll") || m.now-begin != time.Second {
		t.Errorf("%v after %v", err, m.now-begin)
	}
	if _, again := decode(d, unit(3), 3); !errors.Is(again, ErrStalled) {
		t.Error(again)
	}
	d.Close()
	if h := m.held(); h != nothing {
		t.Errorf("held: %s", h)
	}
}

func TestFind(t *testing.T) {
	m := newModel(t)
	d, err := find(m)
	if err != nil || d.Path != "/dev/video19" || d.Driver != "rpi-hevc-dec" || len(d.Media) != 1 || d.Media[0] != "/dev/media1" {
		t.Errorf("%+v, %v", d, err)
	}
	// Where sysfs does not say, the media nodes are tried.
	m.noSysfs = true
	if d, err = find(m); err != nil || len(d.Media) != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
	x := open(t, m, func(c *Config) { c.Device = d })
	if x.media.Name != "/dev/media1" {
		t.Error(x.media.Name)
	}
	x.Close()
	if h := m.held(); h != nothing {
		t.Errorf("held: %s", h)
	}
}

func TestLeaseEnds(t *testing.T) {
	d := open(t, newModel(t), func(c *Config) { c.Inputs = 1 })
	in, err := d.Lease(context.Background(), time.Minute)
	if err != nil || len(in.Bytes()) != 1<<16 {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.Lease(ctx, time.Minute); err != context.Canceled {
		t.Error(err)
	}
	in.Release()
	if _, err := d.Lease(context.Background(), time.Minute); err != nil {
		t.Error(err)
	}
	// All are lent out, or with a driver that does not return.
	if _, err := d.Lease(context.Background(), time.Millisecond); !errors.Is(err, ErrStalled) || !strings.Contains(err.Error(), "/dev/video19") {
		t.Error(err)
	}
	d = open(t, newModel(t), func(c *Config) { c.Inputs = 1 })
	if _, err := d.Lease(context.Background(), time.Minute); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error)
	go func() {
		_, err := d.Lease(context.Background(), time.Minute)
		waiting <- err
	}()
	d.Close()
	if err := <-waiting; err != ErrClosed {
		t.Error(err)
	}
}
