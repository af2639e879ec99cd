package receiver

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"aerie/receiver/clock"
)

// wavFile is the output that writes what would be heard to a WAV file: 16 bits,
// stereo, 44.1 kHz, on this machine's clock, from the first sound on. The
// sessions of one run follow one another in it.
type wavFile struct {
	why string

	mu     sync.Mutex
	file   *os.File
	frames int64
	err    error
}

const (
	wavRate   = 44100
	wavHeader = 44
	// wavPoll is how often the file is written. Nobody waits for it, and to wake
	// up is most of what sound costs the processor.
	wavPoll  = 40 * time.Millisecond
	wavBlock = 441
	// The sizes in the header have 32 bits.
	wavMost = (math.MaxUint32 - wavHeader) / 4
)

func newWAVFile(path, why string) (*wavFile, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := &wavFile{why: why, file: file}
	w.writeHeader()
	return w, w.err
}

func (w *wavFile) describe() (string, string) { return "WAV file " + w.file.Name(), w.why }

func (w *wavFile) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader()
	w.keep(w.file.Close())
}

func (w *wavFile) keep(err error) {
	if w.err == nil {
		w.err = err
	}
}

// writeHeader writes the header with the present length, so that the file can
// be read at any time.
func (w *wavFile) writeHeader() {
	h := make([]byte, 0, wavHeader)
	le := binary.LittleEndian
	data := uint32(w.frames * 4)
	h = le.AppendUint32(append(h, "RIFF"...), wavHeader-8+data)
	h = le.AppendUint32(append(h, "WAVEfmt "...), 16)
	h = le.AppendUint16(h, 1) // PCM
	h = le.AppendUint16(h, soundChannels)
	h = le.AppendUint32(h, wavRate)
	h = le.AppendUint32(h, wavRate*4)
	h = le.AppendUint16(h, 4)
	h = le.AppendUint16(h, 16)
	h = le.AppendUint32(append(h, "data"...), data)
	_, err := w.file.WriteAt(h, 0)
	w.keep(err)
}

// append appends sound, rounded to 16 bits.
func (w *wavFile) append(pcm []float32, scratch []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := int64(len(pcm) / soundChannels)
	if w.err != nil || w.frames+n > wavMost {
		return
	}
	b := scratch[:0]
	for _, v := range pcm {
		s := math.RoundToEven(float64(v) * 32768)
		b = binary.LittleEndian.AppendUint16(b, uint16(int16(min(max(s, -32768), 32767))))
	}
	_, err := w.file.WriteAt(b, wavHeader+w.frames*4)
	w.keep(err)
	w.frames += n
}

func (w *wavFile) open(s *streams) (soundSession, error) {
	p := &wavSound{w: w, s: s}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(s.ctx)
	p.done.Go(func() { p.run(ctx) })
	return p, nil
}

// wavSound plays the sound of a session into the file, as a device would.
type wavSound struct {
	w      *wavFile
	s      *streams
	cancel context.CancelFunc
	done   sync.WaitGroup

	began   clock.Time // when frame 0 of this session was heard; 0 before it
	frames  int64
	pcm     [wavBlock * soundChannels]float32
	scratch [wavBlock * soundChannels * 2]byte
}

func (p *wavSound) rate() int           { return wavRate }
func (p *wavSound) lead() time.Duration { return 0 }

func (p *wavSound) close() {
	p.cancel()
	p.done.Wait()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.w.writeHeader()
	if p.w.err != nil {
		p.s.r.log.Error("the WAV file cannot be written", "error", p.w.err)
		p.s.r.warnings.add(fmt.Sprintf("the WAV file cannot be written: %v", p.w.err))
	}
}

func (p *wavSound) run(ctx context.Context) {
	t := time.NewTicker(wavPoll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			p.catchUp(p.s.r.now())
		}
	}
}

// note tells when the next frame of the file was heard, by which recordings of
// several receivers can be laid side by side.
func (p *wavSound) note() {
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	p.s.r.log.Info("sound in the WAV file", "from_frame", p.w.frames, "clock_monotonic_ns", int64(p.began))
}

// catchUp writes what was heard before now.
func (p *wavSound) catchUp(now clock.Time) {
	if p.began == 0 {
		p.began = now.Add(-wavPoll)
	}
	for {
		at := p.began.Add(time.Duration(p.frames) * time.Second / wavRate)
		if at.Add(wavBlock*time.Second/wavRate) > now {
			return
		}
		heard := p.s.fillHeard(p.pcm[:], at)
		if p.frames == 0 {
			if !heard {
				p.began = 0
				return
			}
			p.note()
		}
		p.frames += wavBlock
		p.w.append(p.pcm[:], p.scratch[:])
	}
}
