package receiver

import (
	"context"
	"sync"
	"time"

	"aerie/hw/button"
	"aerie/hw/led"
	"aerie/receiver/light"
	"aerie/receiver/press"
)

// panel is the light and the button on the case. Both are a comfort: what fails
// here is logged, and no more.
type panel struct {
	light light.Light
	press press.Button // belongs to the goroutine of the button
	stuck bool         // that was said
}

// panelEvery is how often the light learns how the receiver is. Nobody looks at
// it for longer before wondering.
const panelEvery = 2 * time.Second

// run serves the panel until ctx ends.
func (p *panel) run(ctx context.Context, r *Receiver, wg *sync.WaitGroup) {
	if name := r.cfg.Panel.LED; name != "" {
		p.runLight(ctx, r, name, wg)
	}
	if name := r.cfg.Panel.Button; name != "" {
		p.runButton(ctx, r, name, wg)
	}
}

func (p *panel) runLight(ctx context.Context, r *Receiver, name string, wg *sync.WaitGroup) {
	l, err := led.Open(name)
	if err != nil {
		r.log.Warn("there is no light", "error", err)
		return
	}
	p.light.Set(light.Booting, true)
	wg.Go(func() {
		every(ctx, panelEvery, func() { p.tell(r) })
	})
	wg.Go(func() {
		p.light.Run(ctx, l.Set, func(err error) {
			if err != nil {
				r.log.Warn("the light cannot be switched", "error", err)
			}
		})
		if err := l.Close(); err != nil {
			r.log.Warn("the light is not as it was", "error", err)
		}
	})
}

// tell has the light say how the receiver is.
func (p *panel) tell(r *Receiver) {
	if r.up() {
		p.light.Set(light.Booting, false)
	}
	p.light.Set(light.NoNetwork, !r.Condition().Network)
	p.light.Set(light.Playing, r.Playing())
	p.light.Set(light.Failed, r.Healthy() != nil)
}

func (p *panel) runButton(ctx context.Context, r *Receiver, name string, wg *sync.WaitGroup) {
	b, err := button.Open(name)
	if err != nil {
		r.log.Warn("there is no button", "error", err)
		return
	}
	changes := make(chan bool)
	wg.Go(func() {
		defer b.Close()
		err := b.Run(ctx, func(down bool) {
			select {
			case changes <- down:
			case <-ctx.Done():
			}
		})
		if err != nil {
			r.log.Warn("the button is gone", "error", err)
		}
	})
	wg.Go(func() { p.follow(ctx, r, changes) })
}

// follow does what presses of the button mean.
func (p *panel) follow(ctx context.Context, r *Receiver, changes <-chan bool) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		event := press.None
		select {
		case <-ctx.Done():
			return
		case down := <-changes:
			event = p.press.Change(r.now(), down)
		case <-t.C:
			p.press.Tick(r.now())
		}
		p.show(r)
		switch event {
		case press.Short:
			r.pressed()
		case press.Reset:
			if err := r.FactoryReset(); err != nil {
				r.log.Error("not everything could be forgotten", "error", err)
			}
		}
		wait := time.Hour
		if at, ok := p.press.Due(); ok {
			wait = max(at.Sub(r.now()), time.Millisecond)
		}
		t.Reset(wait)
	}
}

// show has the light say how far a press is.
func (p *panel) show(r *Receiver) {
	stage := p.press.Stage()
	p.light.Set(light.Holding, stage == press.Warned)
	p.light.Set(light.Releasing, stage == press.Armed)
	if stage == press.Stuck && !p.stuck {
		p.stuck = true
		r.log.Warn("the button is stuck: it is ignored until it comes up")
		r.warnings.add("the button is stuck")
	}
}

// pressed is what a short press does.
func (r *Receiver) pressed() {
	if r.dismiss() {
		r.log.Info("button: the sender was sent away")
		return
	}
	r.log.Info("button: the next PIN")
	r.NextPIN()
}
