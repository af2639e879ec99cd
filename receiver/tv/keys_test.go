package tv

import (
	"testing"
	"time"
)

// Keys become commands, once unless they are for the volume.
func TestKeys(t *testing.T) {
	g := newRig(t)
	g.Begin(g.clock)
	g.hear(saysOn)
	g.wait(time.Minute)
	g.notes = nil
	hold := func(from string, times int) {
		for range times {
			g.hear(from)
			g.wait(400 * time.Millisecond)
		}
	}
	hold("0>4 44 4b", 5)
	g.did("nextitem")
	g.hear("0>4 45")
	hold("0>4 44 4b", 5)
	g.did("nextitem")
	g.wait(keyHeld) // the release was lost
	hold("0>4 44 4b", 2)
	hold("0>4 44 4c", 2)
	g.did("nextitem", "previtem")
	hold("0>4 44 41", 3)
	hold("5>4 44 42", 2)
	g.did("volumeup", "volumeup", "volumeup", "volumedown", "volumedown")
	for _, k := range []string{"44 44", "44 46", "44 45", "44 43", "44 00", "44 61", "41 24", "41 25", "42 01", "42 03"} {
		g.hear("0>4 " + k)
		g.hear("0>4 45")
		g.wait(time.Second)
	}
	g.did("play", "pause", "stop", "mutetoggle", "playpause", "playpause", "play", "pause", "nextitem", "stop")
	for _, k := range []string{"0>4 44 7f", "8>4 44 44", "0>15 44 44", "0>4 44", "0>4 41 07", "0>4 42 09", "0>4 42 00"} {
		g.hear(k)
	}
	g.did()
}

// Somebody who uses the remote does not want the set switched off.
func TestKeysKeepAwake(t *testing.T) {
	g := newRig(t)
	g.wakes()
	g.End(g.clock)
	for range 10 {
		g.wait(patience - time.Second)
		g.hear("0>4 44 00")
	}
	g.did()
	g.wait(patience + confirmTime)
	g.did(askScreen, sleepTight)
}
