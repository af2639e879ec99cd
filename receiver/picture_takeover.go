package receiver

import (
	"sync"
	"time"

	"aerie/hw/v4l2"
	"aerie/receiver/clock"
	"aerie/receiver/codec/h264"
	"aerie/receiver/mirror"
)

// hardwareStream is one opened hardware decoder, and what is in it.
type hardwareStream struct {
	h       *hardwareSession
	decoder HardwareDecoder // known before the first access unit
	colour  h264.Colour
	memory  *scanout // the decoder's goroutine's

	mu    sync.Mutex
	metas [64]decoded
	next  uint64     // token
	first clock.Time // when the first picture came
}

// sent notes an access unit and gives it to the decoder.
func (s *hardwareStream) sent(in HardwareInput, n int, au *mirror.AccessUnit) {
	m := &s.h.s.r.meters
	now := s.h.s.r.now()
	s.mu.Lock()
	token := s.next
	s.next++
	s.metas[token%uint64(len(s.metas))] = decoded{stamp: au.Time, arrived: au.Arrived, sent: now, colour: s.colour}
	s.mu.Unlock()
	m.handover.Observe(now.Sub(au.Arrived))
	in.Submit(n, token)
}

// setup takes memory for pictures.
func (s *hardwareStream) setup(l *v4l2.Layout) error {
	k := s.h.kmsSession
	memory, err := newScanout(k.o.display, s, l)
	if err != nil {
		return err
	}
	s.memory = memory
	k.said(true, "shown from the decoder's memory: "+l.String())
	return nil
}

// retire lets memory for pictures go. The display keeps the one on the screen.
func (s *hardwareStream) retire(*v4l2.Layout) {
	o, k := s.memory, s.h.kmsSession
	if o == nil {
		return
	}
	k.mu.Lock()
	o.retired = true
	k.mu.Unlock()
	o.close()
}

// picture takes a picture and notes when it is due.
func (s *hardwareStream) picture(p v4l2.Picture) {
	k := s.h.kmsSession
	r := k.s.r
	s.mu.Lock()
	meta := s.metas[p.Token%uint64(len(s.metas))]
	meta.ready = r.now()
	if s.first == 0 {
		s.first = meta.ready
	}
	s.mu.Unlock()
	r.meters.decode.Observe(meta.ready.Sub(meta.sent))
	r.meters.hardwareDecoded.Inc()
	if p.Corrupt {
		r.meters.corrupt.Inc()
	}
	est := k.s.clock.Estimate()
	k.s.pictureDelay.Ready(est.ToLocal(meta.stamp), meta.ready)
	k.mu.Lock()
	defer k.mu.Unlock()
	slot := k.slot()
	if slot == nil {
		s.decoder.Release(p)
		return
	}
	slot.hard = hardwarePicture{s.memory, p}
	slot.meta = meta
	k.wait(slot)
}

// fail has software take over. It returns at once.
func (s *hardwareStream) fail(err error) {
	s.h.tasks.Go(func() { s.h.takeOver(s, err) })
}

// takeOver has software go on where the hardware stopped.
func (h *hardwareSession) takeOver(s *hardwareStream, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stream != s {
		return // done already
	}
	if n := s.worked(); n > time.Minute {
		h.pause = firstRetry
	}
	h.failed(err)
	h.stop()
	h.replay()
}

// worked is how long the decoder has given pictures.
func (s *hardwareStream) worked() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == 0 {
		return 0
	}
	return s.h.s.r.now().Sub(s.first)
}

// stop closes the hardware, which may take a while; h.mu is held.
func (h *hardwareSession) stop() {
	s := h.stream
	h.stream = nil
	how := "software"
	h.s.decoder.Store(&how)
	h.tasks.Go(func() { h.closed(s.decoder.Close()) })
}

func (h *hardwareSession) closed(err error) {
	if err != nil {
		h.s.r.log.Warn("hardware decoder", "error", err)
	}
}

// replay gives the software decoder all since the last key picture. What has
// been shown is not shown again.
func (h *hardwareSession) replay() {
	b := h.backlog
	if !b.whole {
		h.lost = true
		h.s.r.log.Warn("picture stands still until the sender's next key picture (lock and unlock it, or turn it round)")
		return
	}
	var au mirror.AccessUnit
	for i := range b.units {
		b.unit(i, &au)
		mb, err := h.kmsSession.Buffer(len(au.Data) + mirror.HeaderSize)
		if err != nil {
			return // the session ends
		}
		au.Data = mb.Bytes()[:copy(mb.Bytes(), au.Data)]
		h.kmsSession.feed(mb, &au, i < len(b.units)-1)
	}
	b.clear()
}
