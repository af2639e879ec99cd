package stateless

import (
	"encoding/binary"
	"slices"
	"unsafe"

	"aerie/hw/v4l2/uapi"
	"golang.org/x/sys/unix"
)

// Ioctl is every call on every kind of descriptor.
func (m *model) Ioctl(fd int, r *uapi.Request, arg unsafe.Pointer) error {
	switch v := m.fds[fd].(type) {
	case *modelVideo:
		return m.videoCall(v, r, arg)
	case *modelMedia:
		if r.Number != callRequestAlloc.Number {
			return unix.ENOTTY
		}
		*(*int32)(arg) = int32(m.add(&modelRequest{right: v.right, controls: map[uint32][]byte{}}))
		return nil
	case *modelRequest:
		return m.requestCall(v, r)
	case string: // another decoder
		switch *r {
		case uapi.QueryCap:
			*(*uapi.Capability)(arg) = uapi.Capability{Capabilities: uapi.CapM2MMplane | uapi.CapStreaming}
			return nil
		case uapi.EnumFmt:
			if d := (*uapi.Fmtdesc)(arg); d.Index == 0 {
				d.PixelFormat = uapi.H264
				return nil
			}
			return unix.EINVAL
		}
	}
	m.t.Errorf("%s on descriptor %d", r.Name, fd)
	return unix.EBADF
}

func (m *model) videoCall(v *modelVideo, r *uapi.Request, arg unsafe.Pointer) error {
	switch *r {
	case uapi.QueryCap:
		c := (*uapi.Capability)(arg)
		*c = uapi.Capability{Capabilities: uapi.CapDeviceCaps, DeviceCaps: uapi.CapM2MMplane | uapi.CapStreaming}
		copy(c.Driver[:], "rpi-hevc-dec")
		return nil
	case uapi.EnumFmt:
		return m.enumerate(v, (*uapi.Fmtdesc)(arg))
	case uapi.SFmt:
		return m.format(v, (*uapi.Format)(arg))
	case callQueryCtrl:
		return m.query((*queryExtCtrl)(arg))
	case uapi.SCtrl:
		return nil
	case uapi.SExtCtrls:
		return m.setControls(v, (*uapi.ExtControls)(arg))
	case uapi.ReqBufs:
		return m.request(v, (*uapi.Requestbuffers)(arg))
	case uapi.QueryBuf:
		b := (*uapi.Buffer)(arg)
		p := (*uapi.Plane)(at(b.M))
		all := v.buffers(b.Type)
		p.Length, p.M = all[b.Index].size, uintptr(b.Index)<<16
		return nil
	case uapi.ExpBuf:
		(*uapi.Exportbuffer)(arg).FD = int32(m.add(&modelDMABuf{}))
		return nil
	case uapi.QBuf:
		return m.queue(v, (*uapi.Buffer)(arg))
	case uapi.DQBuf:
		return m.dequeue(v, (*uapi.Buffer)(arg))
	case uapi.StreamOn, uapi.StreamOff:
		v.on[*(*uapi.BufType)(arg)] = *r == uapi.StreamOn
		return nil
	}
	return unix.ENOTTY
}

func (v *modelVideo) buffers(t uapi.BufType) []*modelBuffer {
	if t == uapi.OutputMplane {
		return v.out
	}
	return v.capture
}

func (m *model) enumerate(v *modelVideo, d *uapi.Fmtdesc) error {
	list := []uapi.FourCC{uapi.S265}
	if d.Type == uapi.CaptureMplane {
		if list = m.formats; !v.sps {
			list = nil // before the stream is known
		}
	}
	if int(d.Index) >= len(list) {
		return unix.EINVAL
	}
	d.PixelFormat = list[d.Index]
	return nil
}

func (m *model) format(v *modelVideo, f *uapi.Format) error {
	mp := f.PixMP()
	if f.Type == uapi.OutputMplane {
		v.outFmt = *mp
		return nil
	}
	mp.Height = (mp.Height + 7) &^ 7
	switch mp.PixelFormat {
	case uapi.NC12:
		mp.Width = (mp.Width + 127) &^ 127
		mp.PlaneFmt[0].BytesPerLine = mp.Height * 3 / 2
		mp.PlaneFmt[0].SizeImage = mp.Width * mp.Height * 3 / 2
	case uapi.NV12:
		mp.PlaneFmt[0].BytesPerLine = mp.Width
		mp.PlaneFmt[0].SizeImage = mp.Width * mp.Height * 3 / 2
	}
	v.capFmt = *mp
	return nil
}

func (m *model) query(q *queryExtCtrl) error {
	// The sizes that the golden texts have.
	sizes := map[uint32]uint32{cidSPS: 40, cidPPS: 64, cidDecodeParams: 328, cidScalingMatrix: 1000, cidSliceParams: 280, cidEntryPoints: 4}
	q.ElemSize = sizes[q.ID]
	if n, ok := m.elemSize[q.ID]; ok {
		q.ElemSize = n
	}
	switch q.ID {
	case cidSliceParams:
		q.Flags, q.Dims[0] = flagDynamicArray, 600
	case cidEntryPoints:
		q.Flags, q.Dims[0] = flagDynamicArray, 256
		if !m.entries {
			return unix.EINVAL
		}
	case cidDecodeMode:
		if m.frames {
			q.Maximum = modeFrame
		}
	case cidStartCode:
		if m.annexB {
			q.Maximum = startCodeAnnexB
		}
	}
	return nil
}

func (m *model) setControls(v *modelVideo, c *uapi.ExtControls) error {
	list := unsafe.Slice((*uapi.ExtControl)(at(c.Controls)), c.Count)
	var target *modelRequest
	if c.Which == uapi.CtrlWhichRequest {
		r, ok := m.fds[int(c.RequestFD)].(*modelRequest)
		if !ok || !r.right || r.queued {
			return unix.EINVAL
		}
		target = r
	}
	for i, e := range list {
		if e.ID == m.refuse {
			c.ErrorIdx = uint32(i)
			return unix.EINVAL
		}
		value := unsafe.Slice((*byte)(at(uintptr(binary.NativeEndian.Uint64(e.Value[:])))), e.Size)
		v.sps = v.sps || e.ID == cidSPS
		if target != nil {
			target.controls[e.ID] = slices.Clone(value)
		}
	}
	return nil
}

func (m *model) request(v *modelVideo, r *uapi.Requestbuffers) error {
	if v.on[r.Type] {
		return unix.EBUSY
	}
	var all []*modelBuffer
	size := v.capFmt.PlaneFmt[0].SizeImage
	if r.Type == uapi.OutputMplane {
		size = v.outFmt.PlaneFmt[0].SizeImage
		r.Capabilities = uapi.BufCapRequests
	}
	for i := range r.Count {
		b := &modelBuffer{index: i, size: size, time: -1}
		if r.Type == uapi.OutputMplane {
			b.mem = make([]byte, size)
		}
		all = append(all, b)
	}
	if r.Type == uapi.OutputMplane {
		v.out = all
	} else {
		v.capture = all
	}
	return nil
}

func (m *model) queue(v *modelVideo, b *uapi.Buffer) error {
	buf := v.buffers(b.Type)[b.Index]
	if buf.queued {
		return unix.EINVAL
	}
	p := (*uapi.Plane)(at(b.M))
	if b.Type == uapi.CaptureMplane {
		buf.time = -1 // its content is lost
		buf.queued = true
		v.queued = append(v.queued, buf)
		return nil
	}
	r, ok := m.fds[int(b.RequestFD)].(*modelRequest)
	if !ok || b.Flags&uapi.BufFlagRequestFD == 0 || r.queued || r.buffer != nil || p.BytesUsed == 0 || int(p.BytesUsed) > len(buf.mem) {
		m.t.Errorf("OUTPUT buffer %d: flags %#x, request %+v, %d bytes", b.Index, b.Flags, r, p.BytesUsed)
		return unix.EBADR
	}
	buf.queued, buf.used, buf.time, r.buffer = true, p.BytesUsed, b.Timestamp.Sec*1e9+b.Timestamp.Usec*1000, buf
	return nil
}

func (m *model) dequeue(v *modelVideo, b *uapi.Buffer) error {
	m.work()
	list := v.done[b.Type]
	if len(list) == 0 {
		return unix.EAGAIN
	}
	v.done[b.Type] = list[1:]
	b.Index, b.Flags = list[0].index, list[0].flags
	b.Timestamp = uapi.Timeval{Sec: list[0].time / 1e9, Usec: list[0].time % 1e9 / 1000}
	return nil
}

func (m *model) requestCall(r *modelRequest, call *uapi.Request) error {
	switch *call {
	case callRequestQueue:
		if r.queued || r.buffer == nil || r.controls[cidDecodeParams] == nil {
			m.t.Errorf("request queued with %d controls and buffer %v", len(r.controls), r.buffer)
			return unix.ENOENT
		}
		r.queued = true
		m.video.jobs = append(m.video.jobs, r)
		return nil
	case callRequestInit:
		if r.queued && !r.complete {
			return unix.EBUSY
		}
		*r = modelRequest{right: r.right, controls: map[uint32][]byte{}}
		return nil
	}
	return unix.ENOTTY
}
