package receiver

import (
	"context"
	"fmt"

	"aerie/receiver/clock"
	"aerie/receiver/mirror"
)

// pageOutput is the output that hands the picture, as it comes, to the pages
// that watch.
type pageOutput struct {
	r   *Receiver
	why string
}

func newPageOutput(r *Receiver, why string) *pageOutput { return &pageOutput{r, why} }

func (o *pageOutput) close() {}

func (o *pageOutput) describe() (string, string) {
	if o.r.cfg.Network.HTTP == "" {
		return "nowhere", o.why + ", and there is no page (--http)"
	}
	return "the status page", o.why
}

// begin tells the pages that a session begins, and end that it is over.
// Between the two come its pictures and its sound. The methods of a nil
// pageOutput do nothing: the pages get neither.
func (o *pageOutput) begin() {
	if o != nil {
		o.r.web.view.Start()
	}
}

func (o *pageOutput) end() {
	if o != nil {
		o.r.web.view.End()
	}
}

func (o *pageOutput) open(_ context.Context, s *streams) (videoSession, error) {
	return &pagePicture{s: s}, nil
}

// pagePicture is the picture of one session on the pages.
type pagePicture struct {
	heapBuffer
	s *streams
}

func (p *pagePicture) Buffer(n int) (mirror.Buffer, error) { return p.lend(n) }

func (p *pagePicture) Picture(_ mirror.Buffer, au *mirror.AccessUnit) {
	view := p.s.r.web.view
	if au.New {
		if err := view.SetVideo(track(au.Parameters)); err != nil {
			p.s.r.log.Error("the picture cannot be shown in a page", "error", err)
			p.s.r.warnings.add(fmt.Sprintf("the picture cannot be shown in a page: %v", err))
		}
	}
	view.Picture(au.Data, p.s.time.at(au.Time), au.IDR, au.Arrived)
	p.s.handedOver(au)
}

func (p *pagePicture) Pause(bool) {}
func (p *pagePicture) End()       {}
func (p *pagePicture) close()     {}

// pageSound is the output that hands the sound to the same pages.
type pageSound struct {
	o   *pageOutput
	why string
}

func (o pageSound) describe() (string, string) {
	where, _ := o.o.describe()
	return where, o.why
}
func (o pageSound) close() {}

func (o pageSound) open(s *streams) (soundSession, error) {
	view := s.r.web.view
	e, err := newEncodedSound(s, true)
	if err != nil {
		return nil, err
	}
	if err := view.SetAudio(e.config()); err != nil {
		e.encoder.Close()
		return nil, err
	}
	e.start(func(frame []byte, at clock.Remote) { view.Sound(s.time.at(at), s.r.now(), frame) })
	return e, nil
}
