package receiver

import (
	"context"
	"errors"
	"sync"
	"time"

	"aerie/drm"
	"aerie/hw/v4l2"
	"aerie/hw/v4l2/uapi"
	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
	"aerie/receiver/mirror"
)

// hardwareSession shows the picture of one session, decoded by the hardware
// where that can be, else in software. The stream is read and decrypted in the
// decoder's memory, and the display shows the memory that it decodes into.
//
// When the hardware fails, software takes over without the session noticing:
// from the last key picture on or, where that is long ago, from the newest
// picture of the hardware. At a later key picture the hardware is tried again.
// The sender cannot be asked for one: it sends one at the start, and after a
// change or a pause (reference section 9.3).
type hardwareSession struct {
	*kmsSession
	hardware *Hardware
	ctx      context.Context
	tasks    sync.WaitGroup // takeovers, and decoders that are being closed

	// mu is held while an access unit is passed on, and while software takes
	// over.
	mu      sync.Mutex
	stream  *hardwareStream // nil: software
	sets    *hardwareSets   // of the present stream, nil: software must do
	backlog *backlog
	lost    bool          // software has not seen the last key picture
	retry   clock.Time    // when the hardware may be tried again
	pause   time.Duration // before that
	lent    hardwareBuffer
}

// hardwareBuffer is memory of the hardware, lent to the stream; there is one at
// a time.
type hardwareBuffer struct {
	stream *hardwareStream
	in     HardwareInput
}

// lead is room in front of an access unit for its parameter sets. Without them
// it is zeros, which mean nothing before a start code (ITU-T H.264 annex B).
const lead = 256

func (b *hardwareBuffer) Bytes() []byte { return b.in.Bytes()[lead:] }
func (b *hardwareBuffer) Release()      { b.in.Release() }

const (
	// Between two attempts with the hardware.
	firstRetry = 2 * time.Second
	lastRetry  = 5 * time.Minute
)

func newHardwareSession(ctx context.Context, k *kmsSession, hardware *Hardware) *hardwareSession {
	return &hardwareSession{kmsSession: k, hardware: hardware, ctx: ctx, backlog: newBacklog(), pause: firstRetry}
}

// Buffer lends memory of the decoder in use, as soon as there is some.
func (h *hardwareSession) Buffer(n int) (mirror.Buffer, error) {
	h.mu.Lock()
	stream := h.stream
	h.mu.Unlock()
	if stream == nil || lead+n > v4l2.InputSize {
		return h.kmsSession.Buffer(n)
	}
	in, err := stream.decoder.Lease(h.ctx)
	if err != nil {
		if h.ctx.Err() != nil {
			return nil, errEnded
		}
		h.takeOver(stream, err)
		return h.kmsSession.Buffer(n)
	}
	h.lent = hardwareBuffer{stream, in}
	return &h.lent, nil
}

// Picture passes an access unit to the decoder in use.
func (h *hardwareSession) Picture(mb mirror.Buffer, au *mirror.AccessUnit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if au.New {
		mb = h.change(mb, au)
	} else if au.IDR && h.stream == nil && h.sets != nil && h.s.r.now() >= h.retry {
		h.start(au.Parameters)
	}
	if h.stream == nil {
		h.toSoftware(mb, au)
		return
	}
	if h.backlog.full(au) {
		h.backlog.trim(h.stream.outstanding())
	}
	h.backlog.add(au)
	if !h.sets.hide(au.Data) || !h.toHardware(mb, au) {
		h.s.r.log.Warn("access unit that is not for the hardware decoder", "bytes", len(au.Data))
		mb.Release()
		h.retry = h.s.r.now().Add(h.pause)
		s := h.stream
		s.save()
		h.stop()
		h.replay(s, s.outstanding()+1) // of this one as well
	}
}

// change prepares for a stream of other parameters. The access unit moves to
// memory of the software decoder, for that of the hardware goes.
func (h *hardwareSession) change(mb mirror.Buffer, au *mirror.AccessUnit) mirror.Buffer {
	mb = h.toHeap(mb, au)
	if s := h.stream; s != nil {
		// At once, for two would not fit into the memory that decoders share.
		h.stream = nil
		h.closed(s.decoder.Close())
	}
	h.backlog.clear()
	h.lost = false
	by := "software"
	h.s.decoder.Store(&by)
	var err error
	if h.sets, err = h.hardware.suit(au.Parameters); err != nil {
		h.s.r.log.Info("picture is decoded in software", "because", err)
		return mb
	}
	h.start(au.Parameters)
	return mb
}

// start opens the hardware for the present stream. Without it software goes on.
func (h *hardwareSession) start(p *mirror.Parameters) {
	s := &hardwareStream{h: h, colour: p.Colour, sets: h.sets}
	c := v4l2.Config{
		Device: h.hardware.Device, Codec: uapi.H264, Width: h.sets.width, Height: h.sets.height,
		Visible:    h.sets.visible(p),
		References: h.sets.references, Held: kmsHeld, Formats: h.formats(), Stall: h.hardware.Stall,
		Setup: s.setup, Retire: s.retire, Picture: s.picture, Failed: s.fail,
	}
	decoder, device, err := h.open(c)
	if err != nil {
		h.failed(err)
		return
	}
	s.decoder, h.stream = decoder, s
	how := "hardware: " + device
	h.s.decoder.Store(&how)
	h.s.r.log.Info("picture is decoded in hardware", "device", device)
}

// kmsHeld is how many pictures of the hardware wait or are shown: on the
// screen, on their way there, next in turn, and those that are not yet due.
const kmsHeld = 7

// formats are the layouts that the display can show, the best first.
func (h *hardwareSession) formats() []uapi.FourCC {
	d := h.o.display
	var list []uapi.FourCC
	for _, f := range []struct {
		code     uapi.FourCC
		format   drm.Format
		modifier drm.Modifier
	}{{uapi.NV12, drm.NV12, drm.Linear}, {uapi.NC12, drm.NV12, drm.SAND128(0)}, {uapi.YUV, drm.YUV420, drm.Linear}, {uapi.XBGR, drm.XRGB8888, drm.Linear},
		{uapi.NC30, drm.P030, drm.SAND128(0)}} { // which of them a device gives depends on the stream's depth
		if d.Supports(f.format, f.modifier) {
			list = append(list, f.code)
		}
	}
	return list
}

// toHardware gives an access unit to the hardware; false if that cannot be, and
// then mb is still the caller's.
func (h *hardwareSession) toHardware(mb mirror.Buffer, au *mirror.AccessUnit) bool {
	n := lead + len(au.Data)
	if n+len(h.sets.annexB) > v4l2.InputSize {
		return false
	}
	in, err := h.input(mb, au)
	if err != nil {
		return false
	}
	memory := in.Bytes()
	_ = h264.ToAnnexB(memory[lead:n]) // the stream has checked the lengths
	clear(memory[:lead])
	if au.IDR || au.New {
		sets := h.sets.annexB
		if more := len(sets) - lead; more > 0 {
			copy(memory[len(sets):], memory[lead:n])
			n += more
		}
		copy(memory[max(lead-len(sets), 0):], sets)
	}
	h.stream.sent(in, n, au)
	return true
}

// input returns memory of the hardware with the access unit behind the lead:
// that which it came in, or other memory.
func (h *hardwareSession) input(mb mirror.Buffer, au *mirror.AccessUnit) (HardwareInput, error) {
	if b, mine := mb.(*hardwareBuffer); mine && b.stream == h.stream {
		return b.in, nil
	}
	in, err := h.stream.decoder.Lease(h.ctx)
	if err != nil {
		return nil, err
	}
	copy(in.Bytes()[lead:], au.Data)
	mb.Release()
	return in, nil
}

// toSoftware gives an access unit to the software decoder.
func (h *hardwareSession) toSoftware(mb mirror.Buffer, au *mirror.AccessUnit) {
	if mb = h.toHeap(mb, au); mb == nil {
		return
	}
	if h.lost && !au.IDR {
		h.s.r.meters.skipped.Inc()
		mb.Release()
		return
	}
	au.New, h.lost = au.New || h.lost, false
	h.kmsSession.Picture(mb, au)
}

// toHeap moves an access unit from memory of the hardware to memory of the
// software decoder; nil when the session ends.
func (h *hardwareSession) toHeap(mb mirror.Buffer, au *mirror.AccessUnit) mirror.Buffer {
	b, mine := mb.(*hardwareBuffer)
	if !mine {
		return mb
	}
	other, err := h.kmsSession.Buffer(len(au.Data) + mirror.HeaderSize)
	if err == nil {
		au.Data = other.Bytes()[:copy(other.Bytes(), au.Data)]
	}
	b.Release()
	if err != nil {
		return nil
	}
	return other
}

// close ends the session. The stream must have ended.
func (h *hardwareSession) close() {
	h.mu.Lock()
	if h.stream != nil {
		h.stop()
	}
	h.mu.Unlock()
	h.tasks.Wait()
	h.kmsSession.close()
}

// failed notes why there is no hardware, and when to try again.
func (h *hardwareSession) failed(err error) {
	h.s.r.meters.hardwareFailed.Inc()
	h.s.r.log.Warn("hardware decoder", "error", err, "retry", h.pause)
	h.s.r.meters.lastError(err)
	if errors.Is(err, v4l2.ErrUnsuitable) || errors.Is(err, drm.ErrUnsupported) {
		h.sets = nil // until the stream changes
		return
	}
	h.retry = h.s.r.now().Add(h.pause)
	h.pause = min(2*h.pause, lastRetry)
}
