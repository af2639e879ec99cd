package stateless

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"unsafe"

	"aerie/hw/v4l2/uapi"
)

// Controls are what the device must know of the next picture. They keep their
// values from picture to picture.
type Controls struct {
	SPS     SPS
	PPS     PPS
	Scaling ScalingMatrix
	Decode  DecodeParams
	// Slices are the slices of the picture: fill in and set the length, up to
	// the capacity, which is what the device takes.
	Slices []SliceParams
	// Starts are where the NAL units of the slices begin in the access unit,
	// behind their start codes. There are as many as slices.
	Starts []uint32
	// EntryPoints are the entry points of all slices, in their order. A device
	// that does not ask for them is not told.
	EntryPoints []uint32
}

// control is one control of the device as a request carries it.
type control struct {
	id     uint32
	size   uintptr // of one element
	most   int     // elements that we have memory for; 1 for a plain control
	needed bool
	memory unsafe.Pointer
	taken  int // elements that the device takes, 0 if it has no such control
}

// controlSet is the device's controls with the memory that the kernel reads
// them from, which stays where it is.
type controlSet struct {
	Controls
	all    []control
	list   [6]uapi.ExtControl
	call   uapi.ExtControls
	pins   runtime.Pinner
	slices []SliceParams // the memory of Slices
	points []uint32
	annexB bool // the device takes start codes
}

// newControlSet asks an open device for its controls.
func newControlSet(f *uapi.File) (*controlSet, error) {
	s := &controlSet{slices: make([]SliceParams, MaxSlices), points: make([]uint32, maxEntryPoints)}
	s.all = []control{
		{id: cidSPS, size: unsafe.Sizeof(SPS{}), most: 1, needed: true, memory: unsafe.Pointer(&s.SPS)},
		{id: cidPPS, size: unsafe.Sizeof(PPS{}), most: 1, needed: true, memory: unsafe.Pointer(&s.PPS)},
		{id: cidDecodeParams, size: unsafe.Sizeof(DecodeParams{}), most: 1, needed: true, memory: unsafe.Pointer(&s.Decode)},
		{id: cidScalingMatrix, size: unsafe.Sizeof(ScalingMatrix{}), most: 1, memory: unsafe.Pointer(&s.Scaling)},
		{id: cidSliceParams, size: unsafe.Sizeof(SliceParams{}), most: MaxSlices, memory: unsafe.Pointer(&s.slices[0])},
		{id: cidEntryPoints, size: 4, most: maxEntryPoints, memory: unsafe.Pointer(&s.points[0])},
	}
	for i := range s.all {
		if err := s.all[i].query(f); err != nil {
			return nil, err
		}
	}
	slices := s.all[4].taken
	frames, err := s.choose(f, cidDecodeMode, modeFrame)
	if err != nil {
		return nil, err
	}
	switch {
	case !frames:
		slices = 1 // such a picture is the same in either mode
	case slices == 0:
		slices = MaxSlices // the device does not ask for them
	}
	if s.annexB, err = s.choose(f, cidStartCode, startCodeAnnexB); err != nil {
		return nil, err
	}
	s.Slices, s.Starts, s.EntryPoints = s.slices[:0:slices], make([]uint32, 0, slices), s.points[:0]
	s.pins.Pin(s)
	s.pins.Pin(&s.slices[0])
	s.pins.Pin(&s.points[0])
	return s, nil
}

// query asks whether the device has a control, and of how many elements. Other
// structures than ours are those of an old kernel, before the interface was
// fixed.
func (c *control) query(f *uapi.File) error {
	q := &queryExtCtrl{ID: c.id}
	err := f.Try(&callQueryCtrl, unsafe.Pointer(q))
	if uapi.Is(err, einval) && !c.needed {
		return nil
	}
	if err == nil && uintptr(q.ElemSize) != c.size {
		err = fmt.Errorf("%w: control %#x has %d bytes, not %d: the kernel is too old", ErrUnsuitable, c.id, q.ElemSize, c.size)
	}
	if err != nil {
		return &uapi.Error{Device: f.Name, Call: fmt.Sprintf("%s %#x", callQueryCtrl.Name, c.id), Err: err}
	}
	c.taken = 1
	if q.Flags&flagDynamicArray != 0 {
		c.taken = min(c.most, int(q.Dims[0]))
	}
	return nil
}

// choose sets a menu control, and tells whether the device has what was
// wanted.
func (s *controlSet) choose(f *uapi.File, id uint32, value int32) (bool, error) {
	q := &queryExtCtrl{ID: id}
	if err := f.Try(&callQueryCtrl, unsafe.Pointer(q)); err != nil {
		if uapi.Is(err, einval) {
			return false, nil
		}
		return false, &uapi.Error{Device: f.Name, Call: fmt.Sprintf("%s %#x", callQueryCtrl.Name, id), Err: err}
	}
	if int64(value) < q.Minimum || int64(value) > q.Maximum {
		return false, nil
	}
	c := &uapi.Control{ID: id, Value: value}
	return true, f.Call(&uapi.SCtrl, unsafe.Pointer(c))
}

// setSPS tells the device of the stream before its formats are asked for.
func (s *controlSet) setSPS(f *uapi.File, sps *SPS) error {
	s.SPS = *sps
	s.put(0, &s.all[0], 1)
	s.call = uapi.ExtControls{Which: uapi.CtrlWhichCurrent, Count: 1, Controls: uintptr(unsafe.Pointer(&s.list))}
	return f.Call(&uapi.SExtCtrls, unsafe.Pointer(&s.call))
}

// set puts the controls into a request.
func (s *controlSet) set(f *uapi.File, request int) error {
	n := 0
	for i := range s.all {
		c := &s.all[i]
		elements := 1
		switch c.id {
		case cidSliceParams:
			elements = len(s.Slices)
		case cidEntryPoints:
			elements = len(s.EntryPoints)
		}
		if c.taken > 0 && elements > 0 {
			s.put(n, c, elements)
			n++
		}
	}
	s.call = uapi.ExtControls{Which: uapi.CtrlWhichRequest, Count: uint32(n), RequestFD: int32(request), Controls: uintptr(unsafe.Pointer(&s.list))}
	return f.Try(&uapi.SExtCtrls, unsafe.Pointer(&s.call))
}

// put writes an entry of the list.
func (s *controlSet) put(at int, c *control, elements int) {
	s.list[at] = uapi.ExtControl{ID: c.id, Size: uint32(c.size) * uint32(elements)}
	binary.NativeEndian.PutUint64(s.list[at].Value[:], uint64(uintptr(c.memory)))
}

// check holds the parameters of a picture to what the kernel's memory, and the
// access unit, have room for.
func (s *controlSet) check(size int) error {
	points := 0
	for _, l := range s.Slices {
		if int64(l.DataByteOffset) >= int64(l.BitSize)/8 || int64(l.BitSize)/8 > int64(size) {
			return fmt.Errorf("%w: slice data from byte %d to bit %d of %d bytes", ErrRefused, l.DataByteOffset, l.BitSize, size)
		}
		points += int(l.NumEntryPointOffsets)
	}
	switch {
	case len(s.Slices) == 0 || cap(s.Slices) > len(s.slices) || unsafe.SliceData(s.Slices) != &s.slices[0]:
		return fmt.Errorf("%w: %d slices, at most %d are possible", ErrRefused, len(s.Slices), cap(s.Slices))
	case len(s.Starts) != len(s.Slices):
		return fmt.Errorf("%w: %d slices begin in %d places", ErrRefused, len(s.Slices), len(s.Starts))
	case s.all[5].taken > 0 && (points != len(s.EntryPoints) || points > s.all[5].taken || unsafe.SliceData(s.EntryPoints) != &s.points[0]):
		return fmt.Errorf("%w: %d entry points of %d, at most %d are possible", ErrRefused, len(s.EntryPoints), points, s.all[5].taken)
	}
	return nil
}

// pack moves the slices together at the beginning of an access unit, without
// start codes, for a device that takes none. It returns how many bytes they
// are.
func (s *controlSet) pack(mem []byte) (used int, err error) {
	for i := range s.Slices {
		l, start := &s.Slices[i], s.Starts[i]
		end := l.BitSize / 8
		if start >= l.DataByteOffset || int(start) < used {
			return 0, fmt.Errorf("%w: slice %d begins at byte %d", ErrRefused, i, start)
		}
		copy(mem[used:], mem[start:end])
		moved := start - uint32(used)
		l.DataByteOffset -= moved
		l.BitSize -= 8 * moved
		used += int(end - start)
	}
	return used, nil
}
