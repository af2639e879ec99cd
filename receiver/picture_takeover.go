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
	sets    *hardwareSets

	mu         sync.Mutex
	memory     *scanout
	metas      [64]decoded
	next       uint64       // token
	first      clock.Time   // when the first picture came
	newest     v4l2.Picture // the last that came
	newestHeld bool         // nobody writes into its memory
	failed     bool
	saved      *h264.Planes // its samples, when the hardware has failed
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
	s.mu.Lock()
	s.memory = memory
	s.mu.Unlock()
	k.said(true, "shown from the decoder's memory: "+l.String())
	return nil
}

// retire lets memory for pictures go. The display keeps the one on the screen.
func (s *hardwareStream) retire(*v4l2.Layout) {
	k := s.h.kmsSession
	s.mu.Lock()
	o := s.memory
	if o != nil {
		o.gone = true
	}
	s.mu.Unlock()
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
	s.newest, s.newestHeld = p, true
	memory := s.memory
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
		s.release(p)
		return
	}
	slot.hard = hardwarePicture{memory, p}
	slot.meta = meta
	k.wait(slot)
}

// release gives a picture's memory back to the decoder.
func (s *hardwareStream) release(p v4l2.Picture) {
	s.mu.Lock()
	if p == s.newest {
		s.newestHeld = false
	}
	s.mu.Unlock()
	s.decoder.Release(p)
}

// outstanding is how many access units have given no picture yet.
func (s *hardwareStream) outstanding() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == 0 {
		return int(s.next)
	}
	return int(s.next - 1 - s.newest.Token)
}

// save keeps the newest picture for whoever takes over.
func (s *hardwareStream) save() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.failed {
		s.failed, s.saved = true, s.rescue()
	}
}

// fail has software take over. What it waits for is a copy of one picture.
func (s *hardwareStream) fail(err error) {
	s.save()
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
	h.replay(s, s.outstanding())
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
// been shown is not shown again. Where that is too much, it is given the newest
// picture of the hardware as a key picture, and what has come behind that: the
// last so many access units.
func (h *hardwareSession) replay(s *hardwareStream, outstanding int) {
	b := h.backlog
	defer b.clear()
	first := 0
	if !b.whole {
		first = len(b.units) - outstanding
		if first < 0 || !h.replayStill(s) {
			h.lost = true
			h.s.r.log.Warn("picture stands still until the sender's next key picture (lock and unlock it, or turn it round)")
			return
		}
	}
	for i := first; i < len(b.units); i++ {
		var au mirror.AccessUnit
		b.unit(i, &au)
		if !h.refeed(&au, i < len(b.units)-1) {
			return // the session ends
		}
	}
}

// replayStill gives the software decoder the picture that was saved, with
// parameter sets that promise the order of pictures: their numbers jump.
func (h *hardwareSession) replayStill(s *hardwareStream) bool {
	if s.saved == nil || h.backlog.parameters == nil {
		return false
	}
	still, err := h264.AppendStill(nil, s.sets.sps, s.saved)
	if err == nil {
		err = h264.ToLengths(still)
	}
	if err != nil {
		h.s.r.log.Warn("picture cannot be carried over", "error", err)
		return false
	}
	p := *h.backlog.parameters
	p.AnnexB = s.sets.annexB
	now := h.s.r.now()
	return h.refeed(&mirror.AccessUnit{Data: still, Parameters: &p, New: true, IDR: true, Begun: now, Arrived: now}, true)
}

// refeed gives the software decoder an access unit from elsewhere; false when
// the session ends.
func (h *hardwareSession) refeed(au *mirror.AccessUnit, hidden bool) bool {
	mb, err := h.kmsSession.Buffer(len(au.Data) + mirror.HeaderSize)
	if err != nil {
		return false
	}
	au.Data = mb.Bytes()[:copy(mb.Bytes(), au.Data)]
	h.kmsSession.feed(mb, au, hidden)
	return true
}
