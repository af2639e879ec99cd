package receiver

// Playing tells whether a sender has a session, which an update must not
// interrupt.
func (r *Receiver) Playing() bool { return r.current.Load() != nil }

// Complete tells whether the receiver has all that it works with: senders
// find it, and a picture would be seen. A version that never gets that far
// has proved less than one that does.
func (r *Receiver) Complete() bool {
	c := r.Condition()
	return c.Announced && c.Display
}
