package receiver

import (
	"context"
	"sync"
	"time"

	"aerie/receiver/clock"
	"aerie/receiver/codec"
	"aerie/receiver/mp4"
)

// containerRate and containerBits are of the AAC in a recording or a page.
const (
	containerRate    = 44100
	containerBitRate = 160_000
)

// encodedSound encodes the sound of a session for a container, on the sender's
// time: sample n of it is what the sender wants to be heard n/44100 s after
// the first. It begins when the sender first plays something and goes on
// without a gap from there.
type encodedSound struct {
	s       *streams
	encoder *codec.AudioEncoder
	// volume tells whether the sender's volume is applied: for ears, not for
	// a file.
	volume bool
	write  func(frame []byte, at clock.Remote)
	cancel context.CancelFunc
	done   sync.WaitGroup

	started bool
	at      clock.Remote // of the next block
	first   clock.Remote // of the first block that the encoder has, and
	units   int64        // how many units it gave
	pcm     [codec.EncoderFrame * soundChannels]float32
	unit    [codec.MaxAccessUnit]byte
}

const (
	encodePoll = 5 * time.Millisecond
	// An estimate of the sender's clock that moves by more than this is
	// another clock, not a better look at the same.
	encodeLeap = 500 * time.Millisecond
	encodeUnit = codec.EncoderFrame * time.Second / containerRate
)

func newEncodedSound(s *streams, volume bool) (*encodedSound, error) {
	encoder, err := codec.NewAudioEncoder(containerRate, containerBitRate)
	if err != nil {
		return nil, err
	}
	return &encodedSound{s: s, encoder: encoder, volume: volume}, nil
}

// start begins to encode; write is called with each frame and the instant at
// which its first sample is to be heard. It borrows the frame.
func (e *encodedSound) start(write func(frame []byte, at clock.Remote)) {
	e.write = write
	var ctx context.Context
	ctx, e.cancel = context.WithCancel(e.s.ctx)
	e.done.Go(func() { e.run(ctx) })
}

// config describes the frames to a container.
func (e *encodedSound) config() mp4.Audio { return mp4.Audio{Config: e.encoder.Config()} }

func (e *encodedSound) rate() int           { return containerRate }
func (e *encodedSound) lead() time.Duration { return 0 }

func (e *encodedSound) close() {
	e.cancel()
	e.done.Wait()
	e.encoder.Close()
}

func (e *encodedSound) run(ctx context.Context) {
	t := time.NewTicker(encodePoll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			e.catchUp()
		}
	}
}

// catchUp encodes what is due by now.
func (e *encodedSound) catchUp() {
	e.s.followGroup()
	est := e.s.clock.Estimate()
	if est.Source == clock.None {
		return
	}
	due := est.ToRemote(e.s.r.now().Add(-e.s.soundDelay.Value()))
	if behind := due.Sub(e.at); !e.started || behind > encodeLeap || behind < -encodeLeap {
		e.at = due.Add(-encodeUnit)
		e.first, e.units = e.at, -1
	}
	for ; due.Add(-encodeUnit) >= e.at; e.at = e.at.Add(encodeUnit) {
		// Before the sender plays something there is nothing to encode.
		if ok := e.s.mixer.fill(e.pcm[:], e.s.soundInstant(&est, e.at)); !ok && !e.started {
			return
		}
		e.started = true
		e.encode()
	}
}

func (e *encodedSound) encode() {
	if e.volume {
		e.s.r.volume.Apply(e.pcm[:], soundChannels)
	}
	n, err := e.encoder.Encode(e.pcm[:], e.unit[:])
	e.units++
	if err != nil || n == 0 {
		return
	}
	// The unit that comes now is that of the block before.
	before := (e.units-1)*codec.EncoderFrame - int64(e.encoder.Delay())
	e.write(e.unit[:n], e.first.Add(time.Duration(before)*time.Second/containerRate))
}

type recordSound struct {
	*encodedSound
	t *tape
}

func (r *recordSound) close() {
	r.encodedSound.close()
	r.t.done()
}

// recordingSound is the audioOutput of a recording.
type recordingSound struct {
	*recording
	why string
}

func (o recordingSound) open(s *streams) (soundSession, error) {
	t := s.tape(o.recording)
	e, err := newEncodedSound(s, false)
	if err != nil {
		t.done()
		return nil, err
	}
	t.describeSound(e.config())
	e.start(t.sound)
	return &recordSound{e, t}, nil
}

func (o recordingSound) describe() (string, string) { return "with the picture", o.why }
func (o recordingSound) close()                     {}
