package mp4

import (
	"errors"
	"time"
)

// What a live stream does about time. Each rule was found in Chromium and
// Firefox; chromium_test.go shows what happens without it.
const (
	// liveTimescale counts microseconds, as browsers do inside: a time stamp
	// is not rounded twice.
	liveTimescale = 1_000_000

	// liveDuration is the duration written for every picture of a stream that
	// has video alone. The true one is unknown: it ends with the next picture,
	// and waiting for that would delay every picture by one.
	//
	// It must not be short. Where the next picture comes later than twice the
	// duration, Media Source Extensions see a discontinuity and throw
	// everything away up to the next sync sample, which an AirPlay sender may
	// never send. It must not be long either: Firefox shows a picture for as
	// long as its duration says, and looks ahead ten pictures at most. Where
	// the next picture comes earlier, it simply ends this one.
	liveDuration = 100 * time.Millisecond

	// maxLiveGap is the longest time between two pictures in the stream: the
	// media time of a longer pause is left out. On a screen that does not
	// change the sender sends nothing; the player comes to the end of the last
	// picture, holds it and stops its clock. A picture that came with its own
	// time would be shown only after the clock had made up for the whole
	// pause.
	maxLiveGap = liveDuration

	// sharedDuration is written instead if there is an audio track: the two
	// share one time, so no pause can be left out, and a pause of up to twice
	// as long is bridged. Chromium copes with that; Firefox does not.
	sharedDuration = time.Hour
	maxSharedGap   = 2 * sharedDuration

	// recoveryInterval is how often a picture of H.264 is declared a place to
	// start from. Without one, a browser keeps the whole stream since the last
	// IDR picture, and refuses to take more after some 150 MB.
	recoveryInterval = time.Second
)

// ErrNoTrack means that neither video nor audio was described.
var ErrNoTrack = errors.New("mp4: neither video nor audio")

// Live writes a stream for the Media Source Extensions of a browser: an
// initialisation segment and then one movie fragment per picture or per few
// frames of sound, each ready to be sent the moment its sample is there.
//
// A page plays picture and sound best as two streams, each a Live of its own
// in a media element of its own: a browser stops the sound after a few
// seconds without a new picture if both are in one element, and a screen that
// does not change gives none. A stream of one track leaves pauses out of its
// time; Skipped tells how much, so that a page can compare the two.
//
// When codec or size change, make a new Live, let it Continue the old one and
// send its initialisation segment into the same SourceBuffer, after
// changeType if MIMEType differs. The next picture must be a key picture.
//
// A Live is not safe for concurrent use.
type Live struct {
	video    *videoTrack
	audio    *audioTrack
	sequence uint32

	clock    liveClock
	recovery time.Duration // when the last sync sample was, in the stream
}

// NewLive returns a Live with a video track, an audio track or both.
func NewLive(v *Video, a *Audio) (*Live, error) {
	l := new(Live)
	var err error
	if v == nil && a == nil {
		return nil, ErrNoTrack
	}
	if v != nil {
		if l.video, err = newVideoTrack(*v); err != nil {
			return nil, err
		}
	}
	if a != nil {
		if l.audio, err = newAudioTrack(*a); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Continue makes l go on with the time and the numbering of old, which is not
// used any more.
func (l *Live) Continue(old *Live) {
	l.sequence, l.clock, l.recovery = old.sequence, old.clock, old.recovery
	if l.audio != nil && old.audio != nil {
		l.clock.samples = l.clock.samples * int64(l.audio.rate) / int64(old.audio.rate)
	}
}

// Skipped returns how much of the sender's time has been left out up to the
// last sample: its time in the stream is its pts minus this.
func (l *Live) Skipped() time.Duration { return l.clock.last - l.clock.at }

// MIMEType returns the type for MediaSource.addSourceBuffer, with the codecs
// parameter of RFC 6381.
func (l *Live) MIMEType() string {
	switch {
	case l.video == nil:
		return `audio/mp4; codecs="` + l.audio.mime() + `"`
	case l.audio == nil:
		return `video/mp4; codecs="` + l.video.mime + `"`
	}
	return `video/mp4; codecs="` + l.video.mime + `, ` + l.audio.mime() + `"`
}

// AppendInit appends the initialisation segment, which goes in front of the
// first fragment.
func (l *Live) AppendInit(dst []byte) []byte {
	w := boxWriter{b: dst}
	w.ftyp()
	w.box("moov", func() {
		w.mvhd(liveTimescale, 0)
		var ids []uint32
		if l.video != nil {
			w.trak(&trackHeader{id: videoTrackID, timescale: liveTimescale, video: []*videoTrack{l.video}}, w.emptyTables)
			ids = append(ids, videoTrackID)
		}
		if l.audio != nil {
			w.trak(&trackHeader{id: audioTrackID, timescale: uint32(l.audio.rate), audio: l.audio}, w.emptyTables)
			ids = append(ids, audioTrackID)
		}
		w.mvex(ids...)
	})
	return w.b
}
