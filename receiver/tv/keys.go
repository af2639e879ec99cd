package tv

import (
	"aerie/receiver/clock"
	"aerie/receiver/remote"
)

// Keys of a remote (CEC table 30).
const (
	keySelect       = 0x00
	keyRight        = 0x03
	keyLeft         = 0x04
	keyVolumeUp     = 0x41
	keyVolumeDown   = 0x42
	keyMute         = 0x43
	keyPlay         = 0x44
	keyStop         = 0x45
	keyPause        = 0x46
	keyRewind       = 0x48
	keyFastForward  = 0x49
	keyForward      = 0x4b
	keyBackward     = 0x4c
	keyPlayFunction = 0x60
	keyPauseToggle  = 0x61
	keyStopFunction = 0x64
	keyMuteFunction = 0x65
)

// wanted is what a key stands for.
type wanted struct {
	command remote.Command
	repeats bool // while the key is held
}

// keys are those that mean something. A remote often has only one pair of the
// keys for winding and for going from piece to piece, so both stand for the
// latter, and so do the arrows.
var keys = map[byte]wanted{
	keySelect:       {remote.PlayPause, false},
	keyRight:        {remote.Next, false},
	keyLeft:         {remote.Previous, false},
	keyVolumeUp:     {remote.VolumeUp, true},
	keyVolumeDown:   {remote.VolumeDown, true},
	keyMute:         {remote.Mute, false},
	keyPlay:         {remote.Play, false},
	keyStop:         {remote.Stop, false},
	keyPause:        {remote.Pause, false},
	keyRewind:       {remote.Previous, false},
	keyFastForward:  {remote.Next, false},
	keyForward:      {remote.Next, false},
	keyBackward:     {remote.Previous, false},
	keyPlayFunction: {remote.Play, false},
	keyPauseToggle:  {remote.PlayPause, false},
	keyStopFunction: {remote.Stop, false},
	keyMuteFunction: {remote.Mute, false},
}

// key is the key that is down.
type key struct {
	down bool
	code byte
	last clock.Time // when it was said to be
}

// press reads that a key is down. While it is held that is said again and
// again; it is up when that was not said for a while, for the message that it
// is may be lost (CEC 13.13.2).
func (t *TV) press(m *received) {
	if m.from != television && m.from != audioSystem {
		t.Counts.Ignored.Inc()
		return
	}
	if t.standbyAt != 0 || t.confirmed != 0 {
		t.rest(m.at) // somebody is there
	}
	code := m.data[0]
	held := t.key.down && t.key.code == code && m.at.Sub(t.key.last) < keyHeld
	t.key = key{true, code, m.at}
	w, known := keys[code]
	switch {
	case !known:
		t.Counts.Ignored.Inc()
	case !held || w.repeats:
		t.order(m.at, w.command)
	}
}

// release reads that no key is down.
func (t *TV) release(*received) { t.key = key{} }

// pressPlay reads what some televisions send instead of a key: that a player is
// to play, or to stand still.
func (t *TV) pressPlay(m *received) {
	const forward, still = 0x24, 0x25
	switch m.data[0] {
	case forward:
		t.order(m.at, remote.Play)
	case still:
		t.order(m.at, remote.Pause)
	default:
		t.Counts.Ignored.Inc()
	}
}

// pressDeck reads the same for a tape.
func (t *TV) pressDeck(m *received) {
	commands := [...]remote.Command{1: remote.Next, 2: remote.Previous, 3: remote.Stop}
	if n := int(m.data[0]); n < 1 || n >= len(commands) {
		t.Counts.Ignored.Inc()
	} else {
		t.order(m.at, commands[n])
	}
}
