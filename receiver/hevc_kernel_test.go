package receiver

import (
	"encoding/binary"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"aerie/hw/v4l2/stateless"
	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// hevcKernel plays a kernel with a stateless decoder that completes every
// request at once: enough to see what a stream makes of its pictures. The rules
// of the interface are held by the model of package stateless.
type hevcKernel struct {
	t testing.TB

	mu      sync.Mutex
	stalled bool
	refuse  int // requests to refuse
	fds     int
	sizes   map[uapi.BufType]uint32
	queued  map[uapi.BufType]uint32
	time    int64           // of what is queued, µs
	holds   map[uint64]bool // time stamps, ns, of pictures that are there
	at      [uapi.MaxFrames]uint64
	params  stateless.DecodeParams
	slices  []stateless.SliceParams
	memory  [16][]byte
	mapped  int
	runs    int
	missing int // references that were not there
}

const (
	cidHEVC         = 0xa40a90 // of the sequence parameter set; those of others follow
	cidHEVCSlices   = cidHEVC + 2
	cidHEVCDecode   = cidHEVC + 4
	cidHEVCEntries  = cidHEVC + 7
	callQueryCtrl   = 0xc0e85667
	callAllocate    = 0x80047c05
	callRequestInit = 0x7c81
)

func newHEVCKernel(t testing.TB) *hevcKernel {
	return &hevcKernel{t: t, sizes: map[uapi.BufType]uint32{}, queued: map[uapi.BufType]uint32{}, holds: map[uint64]bool{}}
}

func (k *hevcKernel) Glob(string) []string { return nil }

func (k *hevcKernel) Open(string) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fds++
	return 100 + k.fds, nil
}

func (k *hevcKernel) Close(int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fds--
	return nil
}

func (k *hevcKernel) Mmap(_ int, offset int64, n int) ([]byte, error) {
	k.mapped++
	if k.memory[offset] == nil {
		k.memory[offset] = make([]byte, n)
	}
	return k.memory[offset], nil
}

func (k *hevcKernel) Munmap([]byte) error { k.mapped--; return nil }

func (k *hevcKernel) Poll(fds []unix.PollFd, _ time.Duration) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stalled {
		return 0, nil
	}
	fds[0].Revents = unix.POLLPRI
	return 1, nil
}

func (k *hevcKernel) Event() (int, error) { return -1, unix.ENOSYS }
func (k *hevcKernel) Signal(int)          {}
func (k *hevcKernel) Clear(int)           {}
func (k *hevcKernel) Now() time.Duration  { return 0 }

// pointer makes one of a number that the caller passed.
func pointer(u uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&u)) }

func (k *hevcKernel) Ioctl(_ int, r *uapi.Request, arg unsafe.Pointer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch r.Number {
	case callAllocate:
		k.fds++
		*(*int32)(arg) = int32(1000 + k.fds)
	case callQueryCtrl:
		return k.query(arg)
	case uapi.EnumFmt.Number:
		d := (*uapi.Fmtdesc)(arg)
		if d.Index > 0 {
			return unix.EINVAL
		}
		d.PixelFormat = uapi.NV12
	case uapi.SFmt.Number:
		f := (*uapi.Format)(arg)
		mp := f.PixMP()
		if f.Type == uapi.CaptureMplane {
			mp.PlaneFmt[0] = uapi.PlanePixFormat{BytesPerLine: mp.Width, SizeImage: mp.Width * mp.Height * 3 / 2}
		}
		k.sizes[f.Type] = mp.PlaneFmt[0].SizeImage
	case uapi.ReqBufs.Number:
		(*uapi.Requestbuffers)(arg).Capabilities = uapi.BufCapRequests
	case uapi.QueryBuf.Number:
		b := (*uapi.Buffer)(arg)
		p := (*uapi.Plane)(pointer(b.M))
		p.Length, p.M = k.sizes[b.Type], uintptr(b.Index)
	case uapi.ExpBuf.Number:
		k.fds++
		(*uapi.Exportbuffer)(arg).FD = int32(1000 + k.fds)
	case uapi.SExtCtrls.Number:
		return k.controls((*uapi.ExtControls)(arg))
	case uapi.QBuf.Number:
		k.queue((*uapi.Buffer)(arg))
	case uapi.DQBuf.Number:
		b := (*uapi.Buffer)(arg)
		b.Index = k.queued[b.Type]
	}
	return nil
}

func (k *hevcKernel) query(arg unsafe.Pointer) error {
	q := unsafe.Slice((*uint32)(arg), 58)
	const maximum, flags, size, dims = 12, 18, 19, 22
	sizes := map[uint32]uint32{cidHEVC: 40, cidHEVC + 1: 64, cidHEVCSlices: 280, cidHEVC + 3: 1000, cidHEVCDecode: 328, cidHEVC + 5: 4, cidHEVC + 6: 4}
	n, ok := sizes[q[0]]
	if !ok {
		return unix.EINVAL
	}
	q[maximum], q[size] = 1, n
	if q[0] == cidHEVCSlices {
		q[flags], q[dims] = 0x800, 600
	}
	return nil
}

func (k *hevcKernel) controls(c *uapi.ExtControls) error {
	if c.Which != uapi.CtrlWhichRequest {
		return nil
	}
	if k.refuse > 0 && c.Count > 1 {
		k.refuse--
		return unix.EINVAL
	}
	for _, e := range unsafe.Slice((*uapi.ExtControl)(pointer(c.Controls)), c.Count) {
		p := pointer(uintptr(binary.NativeEndian.Uint64(e.Value[:])))
		switch e.ID {
		case cidHEVCDecode:
			k.params = *(*stateless.DecodeParams)(p)
		case cidHEVCSlices:
			k.slices = append(k.slices[:0], unsafe.Slice((*stateless.SliceParams)(p), e.Size/280)...)
		}
	}
	return nil
}

// queue takes a buffer; with that of the picture everything is there to decode.
func (k *hevcKernel) queue(b *uapi.Buffer) {
	k.queued[b.Type] = b.Index
	if b.Type == uapi.OutputMplane {
		k.time = b.Timestamp.Sec*1e6 + b.Timestamp.Usec
		return
	}
	delete(k.holds, k.at[b.Index]) // what was there is overwritten
	for _, e := range k.params.DPB[:k.params.NumActiveDpbEntries] {
		if !k.holds[e.Timestamp] {
			k.missing++
		}
	}
	k.at[b.Index] = uint64(k.time) * 1000
	k.holds[k.at[b.Index]] = true
	k.runs++
}

// hevcUnits cuts a clip into access units.
func hevcUnits(t testing.TB, clip []byte) (units [][]byte) {
	t.Helper()
	starts := []int{}
	slice := true
	for i := 0; i+5 < len(clip); i++ {
		if clip[i] != 0 || clip[i+1] != 0 || clip[i+2] != 1 {
			continue
		}
		isSlice := clip[i+3]>>1 < 32
		if slice && (!isSlice || clip[i+5]&0x80 != 0) || isSlice && clip[i+5]&0x80 != 0 && len(starts) == 0 {
			starts = append(starts, max(i-1, 0))
		}
		slice = isSlice
	}
	for i, at := range starts {
		end := len(clip)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		units = append(units, slices.Clone(clip[at:end]))
	}
	return units
}
