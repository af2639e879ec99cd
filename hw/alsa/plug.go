package alsa

// This file is what an Output does when something is plugged in or pulled
// out, or when a better device may have come back.

// stirred reads the events of the jacks that the last wait found, and reports
// whether a plug or an ELD has changed.
func (o *Output) stirred() bool {
	changed := false
	for i := len(o.watch.controls) - 1; i >= 0; i-- {
		if o.fds[2+i].Revents != 0 && o.watch.drain(i) {
			changed = true
		}
	}
	return changed
}

// plugged moves to the best device some time after a plug has changed: events
// come in bursts, and televisions let go of the plug for a moment when they
// change inputs. It reports whether the device has changed.
func (o *Output) plugged() (moved bool, err error) {
	now := o.sys.now()
	if o.stirred() {
		o.reconsider = now + int64(o.cfg.Settle)
	}
	if o.reconsider == 0 || now < o.reconsider {
		return false, nil
	}
	o.reconsider = 0
	return o.move()
}

// move looks for a better device than the one that plays and takes it if it
// opens.
func (o *Output) move() (moved bool, err error) {
	list, err := o.survey()
	if err != nil {
		return false, nil // what plays, plays
	}
	for i, d := range list {
		if !same(d, o.device) {
			continue
		}
		returned := o.device.Sink.Plug == Unplugged && d.Sink.Plug == Plugged
		o.device.Sink = d.Sink
		if i == 0 && returned {
			// HDMI sound does not survive the loss of its television.
			o.disconnect()
			return true, nil
		}
		list = list[:i]
		break
	}
	if len(list) == 0 {
		return false, nil
	}
	pcm, err := o.openAny(list)
	if err != nil {
		o.reconsider = o.sys.now() + int64(betterTime)
		return false, nil
	}
	return true, o.use(pcm, list[0])
}
