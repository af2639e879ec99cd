package audio

import "aerie/receiver/metric"

// Decoder turns packets into sound: interleaved float32 in [-1, 1).
type Decoder interface {
	// Decode appends nothing: it fills pcm from its beginning and returns the
	// number of samples (frames times channels).
	Decode(packet []byte, pcm []float32) (samples int, err error)
	// Reset forgets what was decoded before, after a flush.
	Reset()
}

// trackFrames is how much decoded sound is kept: what a resampler looks back
// and ahead, and a few packets more. A power of two.
const trackFrames = 1 << 14

// Track is a stream as sound: decoded, concealed, and found by frame number.
// It is not safe for concurrent use; its Stream is.
type Track struct {
	// Changed is asked for another decoder when the sender goes on in another
	// format. Where it gives none the track ends there: it is silent, and the
	// rest is for another track. It may give none where the rate or the number
	// of channels is another, and must not otherwise. Nil gives none.
	Changed func(Format) Decoder

	Decoded   metric.Counter // packets
	Concealed metric.Counter // frames that were made up
	Broken    metric.Counter // packets that the decoder refused

	feed      Feed
	format    Format
	decoder   Decoder
	concealer *Concealer
	channels  int
	ring      []float32 // frame f stands at place(f)
	begin     int64     // frames before this one are gone
	end       int64     // one behind the newest frame
	started   bool
	epoch     int
	over      bool // what follows is for another track
	mute      int  // packets still to be muted after a start
	packet    []byte
	pcm       []float32
}

// Feed is where a track gets its packets: a Stream or a Buffered.
type Feed interface {
	Anchor() (Anchor, bool)
	// Next copies the next packet in its turn into buf.
	Next(buf []byte) (Packet, State)
	// Skip gives up the missing packet that Next found.
	Skip()
	// Upcoming returns the format of the next packet, Accept switches to it,
	// when Next found that it has changed.
	Upcoming() Format
	Accept()
}

// NewTrack makes a track of packets of one format.
func NewTrack(feed Feed, f Format, d Decoder) *Track {
	return &Track{
		feed: feed, format: f, decoder: d, concealer: NewConcealer(f.Rate, f.Channels), channels: f.Channels,
		// What a stream carries may grow when its format changes.
		packet: make([]byte, max(MaxBuffered, f.MaxPayload())),
		ring:   make([]float32, trackFrames*f.Channels),
		pcm:    make([]float32, MaxFrames*f.Channels),
	}
}

// Format returns the format of the packets that are decoded now.
func (t *Track) Format() Format { return t.format }

// Anchor returns when a frame is to be heard.
func (t *Track) Anchor() (Anchor, bool) { return t.feed.Anchor() }

// Read fills dst with the frames from the given one on. It takes packets from
// the stream only as far as it must, so that missing ones have all the time
// there is; what is not there by now is concealed. Frames that are long gone
// are silence.
func (t *Track) Read(from int64, dst []float32) {
	n := int64(len(dst) / t.channels)
	t.advance(from + n)
	for i := range n {
		out := dst[i*int64(t.channels):][:t.channels]
		if f := from + i; f >= t.begin && f < t.end && f >= t.end-trackFrames {
			copy(out, t.ring[place(f)*t.channels:])
		} else {
			clear(out)
		}
	}
}

// advance decodes until frame to is there.
func (t *Track) advance(to int64) {
	if t.started && to > t.end+trackFrames {
		// The reader leapt; what lies between will not be heard.
		t.started = false
	}
	for !t.started || t.end < to {
		p, state := t.feed.Next(t.packet)
		if p.Epoch != t.epoch {
			t.restart(p.Epoch)
		}
		switch {
		case state == Ready:
			t.take(p, to)
		case state == Changed && t.change():
		case !t.started:
			return
		case state == Missing:
			t.feed.Skip()
			t.conceal(t.end + int64(t.format.Frames))
		case to > t.end+trackFrames:
			t.started = false // nothing is near what is asked for
			return
		default:
			t.conceal(to)
		}
	}
}

// change goes on in the format of the next packet, with another decoder.
func (t *Track) change() bool {
	if t.Changed == nil || t.over {
		return false
	}
	f := t.feed.Upcoming()
	d := t.Changed(f)
	if d == nil {
		t.over = true
		return false
	}
	t.feed.Accept()
	t.decoder, t.format = d, f
	t.warm()
	return true
}

// restart begins a new epoch: after a flush nothing continues what was.
func (t *Track) restart(epoch int) {
	t.epoch, t.started = epoch, false
	t.decoder.Reset()
	t.concealer.Reset()
	t.warm()
}

// warm mutes what a new decoder makes of the first packet: a transform codec
// needs the one before to make sense of it.
func (t *Track) warm() {
	t.mute = 0
	if c := t.format.Codec; c == AACLC || c == AACELD {
		t.mute = 1
	}
}

// take decodes a packet and appends what the track does not have yet.
func (t *Track) take(p Packet, to int64) {
	frames := t.format.Frames
	if !t.started || p.Frame > t.end+trackFrames/2 || p.Frame+trackFrames < t.end {
		// A beginning, or a leap of the time stamps.
		t.started, t.begin, t.end = true, p.Frame, p.Frame
	}
	if p.Frame > t.end {
		t.conceal(p.Frame)
	}
	pcm, sound := t.decode(p, frames)
	if skip := t.end - p.Frame; skip > 0 {
		if skip >= int64(len(pcm)/t.channels) {
			return
		}
		pcm = pcm[skip*int64(t.channels):]
	}
	if sound {
		t.concealer.Heard(pcm)
	}
	t.append(pcm)
}

// decode returns the sound of a packet; sound is false if it had to be made
// up.
func (t *Track) decode(p Packet, frames int) (pcm []float32, sound bool) {
	if p.Silent {
		pcm := t.pcm[:frames*t.channels]
		clear(pcm)
		return pcm, true
	}
	n, err := t.decoder.Decode(p.Payload, t.pcm)
	if err != nil || n <= 0 || n > len(t.pcm) {
		t.Broken.Inc()
		pcm := t.pcm[:frames*t.channels]
		t.concealer.Lost(pcm)
		t.Concealed.Add(uint64(frames))
		return pcm, false
	}
	t.Decoded.Inc()
	pcm = t.pcm[:n-n%t.channels]
	if t.mute > 0 {
		t.mute--
		clear(pcm)
	}
	return pcm, true
}

// conceal makes up sound as far as frame to.
func (t *Track) conceal(to int64) {
	for t.end < to {
		n := min(to-t.end, MaxFrames)
		pcm := t.pcm[:n*int64(t.channels)]
		t.concealer.Lost(pcm)
		t.Concealed.Add(uint64(n))
		t.append(pcm)
	}
}

// place is where a frame stands in the ring. A sender's time stamps may run back
// behind zero.
func place(frame int64) int { return int(frame & (trackFrames - 1)) }

func (t *Track) append(pcm []float32) {
	at := place(t.end) * t.channels
	n := copy(t.ring[at:], pcm)
	copy(t.ring, pcm[n:])
	t.end += int64(len(pcm) / t.channels)
}
