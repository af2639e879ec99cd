package receiver

import (
	"context"
	"errors"
	"sync"

	"aerie/receiver/clock"
	"aerie/receiver/codec"
	"aerie/receiver/codec/h264"
	"aerie/receiver/health"
	"aerie/receiver/mirror"
)

// decoding decodes the pictures of a session in software, on a goroutine of
// its own. It never drops an access unit, for all after it depend on it: when
// its buffers are full the stream waits, the sender's connection fills and the
// sender slows down. While it is behind, it leaves out the deblocking filter.
type decoding struct {
	s       *streams
	ctx     context.Context
	show    func(f *codec.Frame, m *decoded) // takes the picture out of f, or not
	into    codec.PictureMemory              // that it decodes into; nil: its own
	threads int

	pool  *codec.InputPool
	free  chan *inputBuffer
	queue chan job
	done  sync.WaitGroup
	work  health.Work
	metas [64]decoded
	next  int64

	decoder *codec.VideoDecoder
	hevc    bool
	frame   *codec.Frame
	now     decoded // the picture that is delivered
	sets    []byte  // parameter sets to send in front of the next access unit
	relief  int     // pictures since the decoder was last behind
	filter  codec.LoopFilter
	failed  bool
}

// decoded is what is known of a picture beside its pixels.
type decoded struct {
	stamp   clock.Remote
	arrived clock.Time
	sent    clock.Time // to the decoder
	ready   clock.Time
	behind  bool // newer pictures wait to be decoded
	hidden  bool // not to be shown
	colour  h264.Colour
}

// job is one access unit for the decoder.
type job struct {
	b    *inputBuffer
	au   []byte // within b, with start codes
	sets []byte // parameter sets that are new
	hevc bool
	meta decoded
}

const (
	// decodeBuffers is how many access units wait for the decoder at most.
	decodeBuffers = 4
	// headroom is left in front of an access unit for its parameter sets.
	headroom = 4096
	// filterRelief is how many pictures the decoder must keep up before the
	// filter is put back.
	filterRelief = 120
)

// inputBuffer is memory that the decoder reads, lent to the stream.
type inputBuffer struct {
	d  *decoding
	in *codec.Input
}

func (b *inputBuffer) Bytes() []byte { return b.in.Bytes()[headroom:] }

func (b *inputBuffer) Release() {
	b.in.Release()
	b.d.free <- b
}

func newDecoding(ctx context.Context, s *streams, into codec.PictureMemory, show func(*codec.Frame, *decoded)) (*decoding, error) {
	d := &decoding{s: s, ctx: ctx, show: show, into: into, threads: s.r.limits().Threads, free: make(chan *inputBuffer, decodeBuffers), queue: make(chan job, decodeBuffers)}
	var err error
	if d.frame, err = codec.NewFrame(); err != nil {
		return nil, err
	}
	// The decoder keeps buffers beside those that wait.
	if d.pool, err = codec.NewInputPool(decodeBuffers+d.threads+2, mirror.MaxPicture+headroom+mirror.HeaderSize); err != nil {
		d.frame.Free()
		return nil, err
	}
	for range decodeBuffers {
		d.free <- &inputBuffer{d: d}
	}
	d.done.Go(d.run)
	return d, nil
}

// Buffer lends memory, as soon as there is some.
func (d *decoding) Buffer(n int) (mirror.Buffer, error) {
	var b *inputBuffer
	select {
	case b = <-d.free:
	case <-d.ctx.Done():
		return nil, errEnded
	}
	in, err := d.pool.Lease(headroom + n)
	if err != nil {
		d.free <- b
		return nil, err
	}
	b.in = in
	return b, nil
}

// Picture gives an access unit to the decoder.
func (d *decoding) Picture(mb mirror.Buffer, au *mirror.AccessUnit) { d.feed(mb, au, false) }

// feed is Picture for what another decoder has shown already, if hidden.
func (d *decoding) feed(mb mirror.Buffer, au *mirror.AccessUnit, hidden bool) {
	b, ok := mb.(*inputBuffer)
	if !ok || h264.ToAnnexB(au.Data) != nil {
		mb.Release() // the stream has checked the lengths
		return
	}
	j := job{b: b, au: au.Data, hevc: au.Parameters.HEVC, meta: decoded{stamp: au.Time, arrived: au.Arrived, colour: au.Parameters.Colour, hidden: hidden}}
	if au.New {
		j.sets = au.Parameters.AnnexB
	}
	d.queue <- j // as many places as buffers: it never waits
}

// close ends the decoding. The stream must have ended.
func (d *decoding) close() {
	close(d.queue)
	d.done.Wait()
	if d.decoder != nil {
		d.decoder.Close()
	}
	d.frame.Free()
	d.pool.Close()
}

func (d *decoding) run() {
	defer d.s.r.vitals.monitor.Watch("decoder", decoderLimit, d.work.Progress)()
	for j := range d.queue {
		d.work.Begin()
		d.decode(&j)
		d.work.End()
	}
}

func (d *decoding) decode(j *job) {
	b := j.b
	if j.sets != nil {
		d.sets = j.sets
	}
	if err := d.prepare(j.hevc); err != nil {
		d.report(err)
		b.Release()
		return
	}
	d.lighten()
	data := j.au
	if n := len(d.sets); n > 0 && n <= headroom {
		memory := b.in.Bytes()
		copy(memory[headroom-n:], d.sets)
		data = memory[headroom-n : headroom+len(j.au)]
		d.sets = nil
	}
	j.meta.sent = d.s.r.now()
	d.s.r.meters.handover.Observe(j.meta.sent.Sub(j.meta.arrived))
	token := d.next
	d.next++
	d.metas[token%int64(len(d.metas))] = j.meta
	err := d.decoder.Send(b.in, data, token)
	d.free <- b
	if err != nil {
		d.report(err)
	}
	for {
		err := d.decoder.Receive(d.frame)
		if err != nil {
			if !errors.Is(err, codec.ErrAgain) {
				d.report(err)
			}
			return
		}
		d.deliver()
	}
}

// deliver hands the decoded picture on.
func (d *decoding) deliver() {
	m := &d.now // on the heap once, not for every picture
	*m = d.metas[uint64(d.frame.Token)%uint64(len(d.metas))]
	m.ready = d.s.r.now()
	m.behind = len(d.queue) > 0
	d.s.r.meters.decode.Observe(m.ready.Sub(m.sent))
	d.s.r.meters.decoded.Inc()
	if d.frame.Corrupt {
		d.s.r.meters.corrupt.Inc()
	}
	d.failed = false
	d.show(d.frame, m)
	d.frame.Release()
}

// prepare opens the decoder for the codec of the stream.
func (d *decoding) prepare(hevc bool) error {
	if d.decoder != nil && d.hevc == hevc {
		return nil
	}
	if d.decoder != nil {
		d.decoder.Close()
		d.decoder = nil
	}
	c := codec.H264
	if hevc {
		c = codec.HEVC
	}
	decoder, err := codec.NewVideoDecoder(c, codec.VideoOptions{Threads: d.threads, Memory: d.into})
	if err != nil {
		return err
	}
	d.decoder, d.hevc = decoder, hevc
	return nil
}

// lighten makes the decoder faster while it is behind, and good again when it
// has kept up for a while.
func (d *decoding) lighten() {
	want := d.filter
	switch waiting := len(d.queue); {
	case waiting >= decodeBuffers-1:
		want, d.relief = codec.FilterNone, 0
	case waiting > 0:
		want, d.relief = max(want, codec.FilterRefs), 0
	default:
		if d.relief++; d.relief > filterRelief {
			want = codec.FilterAll
		}
	}
	if want != d.filter {
		d.filter = want
		d.decoder.SkipLoopFilter(want)
	}
}

// report logs the first of a run of errors of the decoder.
func (d *decoding) report(err error) {
	d.s.r.meters.undecodable.Inc()
	if !d.failed {
		d.failed = true
		d.s.r.log.Warn("picture cannot be decoded", "error", err)
		d.s.r.meters.lastError(err)
	}
}
