package codec

//#cgo noescape aerie_slot_lease
//#cgo nocallback aerie_slot_lease
//#include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// InputPool is a fixed number of buffers for bitstreams. A reader leases one,
// fills it and sends it to a decoder, which reads it in place; it is free
// again when the decoder has read it. The memory is C's, grows to what the
// stream needs and no further than the limit, and carries the padding that
// libavcodec reads beyond the end. An InputPool is safe for concurrent use.
type InputPool struct {
	mu     sync.Mutex
	limit  int
	slots  []C.aerie_slot
	inputs []Input
	closed bool
}

// Input is one leased buffer.
type Input struct {
	pool *InputPool
	slot int
	data []byte
}

// maxInput is the largest packet that libavcodec counts in an int, with room
// for its padding.
const maxInput = 1 << 30

// NewInputPool makes a pool of count buffers of at most maxBytes each.
// Nothing is allocated before it is leased. VideoDecoder.Inputs says how many
// buffers a decoder keeps busy.
func NewInputPool(count, maxBytes int) (*InputPool, error) {
	if count < 1 || maxBytes < 1 || maxBytes > maxInput {
		return nil, fmt.Errorf("codec: input pool of %d buffers of %d bytes", count, maxBytes)
	}
	p := &InputPool{
		limit:  maxBytes,
		slots:  make([]C.aerie_slot, count),
		inputs: make([]Input, count),
	}
	for i := range p.inputs {
		p.inputs[i] = Input{pool: p, slot: i}
	}
	return p, nil
}

// Lease returns a free buffer of n bytes, whose content is undefined. The
// errors are ErrNoInput when every buffer is in use and ErrTooLarge when n
// exceeds the pool's limit.
func (p *InputPool) Lease(n int) (*Input, error) {
	if n < 1 {
		return nil, fmt.Errorf("codec: lease of %d bytes", n)
	}
	if n > p.limit {
		return nil, fmt.Errorf("codec: lease of %d bytes where %d are allowed: %w", n, p.limit, ErrTooLarge)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	i := C.aerie_slot_lease(&p.slots[0], C.int(len(p.slots)), C.size_t(n), C.size_t(p.limit))
	switch {
	case i == C.AERIE_ERROR_AGAIN:
		return nil, ErrNoInput
	case i < 0:
		return nil, failure("lease input", i)
	}
	in := &p.inputs[i]
	in.data = unsafe.Slice((*byte)(p.slots[i].buf.data), n)
	return in, nil
}

// Close frees the pool's memory: at once where nobody uses it, else when the
// last user is done.
func (p *InputPool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for i := range p.slots {
		if p.slots[i].leased == 0 {
			C.av_buffer_unref(&p.slots[i].buf)
		}
	}
}

// Bytes returns the buffer. It is valid until the Input is sent or released.
func (in *Input) Bytes() []byte { return in.data }

// Release gives back a buffer that was not sent.
func (in *Input) Release() {
	in.pool.mu.Lock()
	defer in.pool.mu.Unlock()
	in.data = nil
	slot := &in.pool.slots[in.slot]
	slot.leased = 0
	if in.pool.closed {
		C.av_buffer_unref(&slot.buf)
	}
}

// offset returns where data begins in the buffer, or an error when it is not
// a part of it.
func (in *Input) offset(data []byte) (int, error) {
	if len(data) == 0 {
		return 0, errEmpty
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(in.data)))
	at := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	if len(in.data) == 0 || at < start || at-start > uintptr(len(in.data)-len(data)) || len(data) > len(in.data) {
		return 0, errForeign
	}
	return int(at - start), nil
}

var (
	errClosed  = errors.New("codec: use after Close")
	errEmpty   = errors.New("codec: empty input")
	errForeign = errors.New("codec: data lies outside the input it was sent with")
)
