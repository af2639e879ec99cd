package v4l2

import (
	"slices"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

func (m *model) Ioctl(fd int, r *uapi.Request, arg unsafe.Pointer) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fds[fd] != "device" {
		return unix.EBADF
	}
	d := &m.dev
	switch *r {
	case uapi.QueryCap:
		c := (*uapi.Capability)(arg)
		copy(c.Driver[:], m.driver)
		copy(c.Card[:], m.driver+"-decode")
		c.DeviceCaps = uapi.CapStreaming | uapi.CapM2M
		if m.mplane {
			c.DeviceCaps = uapi.CapStreaming | uapi.CapM2MMplane
		}
		c.Capabilities = c.DeviceCaps | uapi.CapDeviceCaps
	case uapi.EnumFmt:
		return m.enumFmt((*uapi.Fmtdesc)(arg))
	case uapi.EnumFrameSizes:
		f := (*uapi.Frmsizeenum)(arg)
		f.Type, f.Stepwise = 3, uapi.FrmsizeStepwise{MinWidth: 32, MaxWidth: 1920, StepWidth: 2, MinHeight: 32, MaxHeight: 1920, StepHeight: 2}
	case uapi.GFmt, uapi.SFmt:
		return m.fmt((*uapi.Format)(arg), *r == uapi.SFmt)
	case uapi.ReqBufs:
		return m.reqBufs((*uapi.Requestbuffers)(arg))
	case uapi.QueryBuf:
		return m.queryBuf((*uapi.Buffer)(arg))
	case uapi.QBuf:
		return m.qBuf((*uapi.Buffer)(arg))
	case uapi.DQBuf:
		return m.dqBuf((*uapi.Buffer)(arg))
	case uapi.ExpBuf:
		e := (*uapi.Exportbuffer)(arg)
		e.FD = int32(m.add("dmabuf"))
	case uapi.StreamOn, uapi.StreamOff:
		return m.stream(uapi.BufType(*(*uint32)(arg)), *r == uapi.StreamOn)
	case uapi.GCtrl:
		(*uapi.Control)(arg).Value = 1
	case uapi.SubscribeEvent:
		d.subscribed[(*uapi.EventSubscription)(arg).Type] = true
	case uapi.DQEvent:
		if len(d.announced) == 0 {
			return unix.ENOENT
		}
		(*uapi.Event)(arg).Type = d.announced[0]
		d.announced = d.announced[1:]
	case uapi.GSelection:
		s := (*uapi.Selection)(arg)
		s.R = uapi.Rect{Width: uint32(d.width), Height: uint32(d.height)}
		if m.compose != nil {
			s.R = m.compose()
		}
	case uapi.SendDecoderCmd:
		m.command((*uapi.DecoderCmd)(arg).Cmd)
	default:
		return unix.ENOTTY
	}
	return nil
}

// arena is the memory of access units, for all models: one runs at a time.
var arena = func() (a [uapi.MaxFrames][]byte) {
	for i := range a {
		a[i] = make([]byte, InputSize)
	}
	return a
}()

func (m *model) queue(t uapi.BufType) *modelQueue {
	if t.Mplane() != m.mplane {
		return nil
	}
	if t == uapi.Output || t == uapi.OutputMplane {
		return &m.dev.out
	}
	return &m.dev.capture
}

func (m *model) enumFmt(f *uapi.Fmtdesc) error {
	list, flags := m.raw, uint32(0)
	switch m.queue(f.Type) {
	case &m.dev.out:
		list, flags = []uapi.FourCC{uapi.H264}, uapi.FmtFlagCompressed
	case nil:
		return unix.EINVAL
	}
	if int(f.Index) >= len(list) {
		return unix.EINVAL
	}
	f.PixelFormat, f.Flags = list[f.Index], flags
	return nil
}

func align(v, to uint32) uint32 { return (v + to - 1) / to * to }

func (m *model) fmt(f *uapi.Format, set bool) error {
	q := m.queue(f.Type)
	if q == nil {
		return unix.EINVAL
	}
	w, h, format, size := f.Pix().Width, f.Pix().Height, f.Pix().PixelFormat, f.Pix().SizeImage
	if m.mplane {
		p := f.PixMP()
		w, h, format, size = p.Width, p.Height, p.PixelFormat, p.PlaneFmt[0].SizeImage
	}
	if set && len(q.buffers) > 0 {
		return unix.EBUSY
	}
	if q == &m.dev.out {
		if set {
			q.format, q.w, q.h, q.size = uapi.H264, w, h, max(size, 512<<10)
			m.dev.width, m.dev.height = int(w), int(h)
		}
		m.put(f, q.w, q.h, q.format, 0, q.size)
		return nil
	}
	if !set {
		w, h, format = uint32(m.dev.width), uint32(m.dev.height), q.format
	} else if !slices.Contains(m.raw, format) {
		format = m.raw[0]
	}
	var pitch uint32
	h = align(h, 16)
	switch format {
	case uapi.NC12:
		pitch = align(h, 16) * 3 / 2
		size = align(w, 128) * pitch
	case uapi.XBGR:
		pitch = 4 * w
		size = pitch * h
	default:
		pitch = align(w, 32)
		size = pitch * h * 3 / 2
	}
	if set {
		q.format, q.w, q.h, q.size = format, w, h, size
	}
	m.put(f, w, h, format, pitch, size)
	return nil
}

func (m *model) put(f *uapi.Format, w, h uint32, format uapi.FourCC, pitch, size uint32) {
	if m.mplane {
		p := f.PixMP()
		p.Width, p.Height, p.PixelFormat, p.NumPlanes = w, h, format, 1
		p.PlaneFmt[0].SizeImage, p.PlaneFmt[0].BytesPerLine = size, pitch
		return
	}
	p := f.Pix()
	p.Width, p.Height, p.PixelFormat, p.BytesPerLine, p.SizeImage = w, h, format, pitch, size
}

func (m *model) reqBufs(a *uapi.Requestbuffers) error {
	q := m.queue(a.Type)
	if q == nil || a.Memory != uapi.MemoryMmap {
		return unix.EINVAL
	}
	if a.Count == 0 && !m.orphans {
		for _, what := range m.fds {
			if what == "dmabuf" && q == &m.dev.capture {
				return unix.EBUSY
			}
		}
	}
	*q = modelQueue{format: q.format, w: q.w, h: q.h, size: q.size}
	for range a.Count {
		b := modelBuffer{withCPU: true}
		if q == &m.dev.out {
			b.mem = arena[len(q.buffers)][:q.size]
		}
		q.buffers = append(q.buffers, b)
	}
	return nil
}

func (m *model) buffer(a *uapi.Buffer) (*modelQueue, *modelBuffer) {
	q := m.queue(a.Type)
	if q == nil || int(a.Index) >= len(q.buffers) || m.mplane && (a.Length != 1 || a.M == 0) {
		return q, nil
	}
	return q, &q.buffers[a.Index]
}

// plane is the plane array of a multi-planar buffer, which the caller keeps on
// the heap.
func plane(a *uapi.Buffer) *uapi.Plane {
	return *(**uapi.Plane)(unsafe.Pointer(&a.M))
}

func (m *model) queryBuf(a *uapi.Buffer) error {
	q, b := m.buffer(a)
	if b == nil {
		return unix.EINVAL
	}
	if m.mplane {
		p := plane(a)
		p.Length, p.M = q.size, uintptr(a.Index)<<24
		return nil
	}
	a.Length, a.M = q.size, uintptr(a.Index)<<24
	return nil
}

func (m *model) qBuf(a *uapi.Buffer) error {
	q, b := m.buffer(a)
	if b == nil || !b.withCPU {
		return unix.EINVAL
	}
	b.used = a.BytesUsed
	if m.mplane {
		b.used = plane(a).BytesUsed
	}
	b.stamp, b.withCPU = a.Timestamp, false
	q.queued = append(q.queued, int(a.Index))
	m.work()
	return nil
}

func (m *model) dqBuf(a *uapi.Buffer) error {
	q := m.queue(a.Type)
	switch {
	case q == nil || !q.on:
		return unix.EINVAL
	case len(q.done) == 0 && q == &m.dev.capture && m.dev.last:
		return unix.EPIPE
	case len(q.done) == 0:
		return unix.EAGAIN
	}
	i := q.done[0]
	q.done = q.done[1:]
	b := &q.buffers[i]
	b.withCPU = true
	a.Index, a.Flags, a.Timestamp, a.BytesUsed = uint32(i), b.flags, b.stamp, b.used
	if m.mplane {
		plane(a).BytesUsed, a.BytesUsed = b.used, 0
	}
	if b.flags&uapi.BufFlagLast != 0 {
		m.dev.last = true
	}
	return nil
}

func (m *model) stream(t uapi.BufType, on bool) error {
	q := m.queue(t)
	if q == nil || on && len(q.buffers) == 0 {
		return unix.EINVAL
	}
	d := &m.dev
	q.on = on
	if !on {
		q.queued, q.done = nil, nil
		for i := range q.buffers {
			q.buffers[i].withCPU = true
		}
		if q == &d.capture {
			d.last, d.change = false, nil
		} else {
			d.back, d.draining, d.first = nil, false, d.first && m.silent
		}
	} else if q == &d.capture && d.width == int(q.w) && align(uint32(d.height), 16) == q.h {
		d.first = d.first || m.silent
	}
	m.work()
	return nil
}

func (m *model) command(cmd uint32) {
	switch cmd {
	case uapi.DecStop:
		m.dev.draining = m.dev.out.on && m.dev.capture.on
		m.work()
	case uapi.DecStart:
		m.dev.last = false
	}
}
