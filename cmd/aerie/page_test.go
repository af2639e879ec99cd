package main

import (
	"testing"

	"aerie/cmd/aerie-sender/phone"
	"aerie/receiver/audio"
	"aerie/receiver/config"
	"aerie/receiver/status/chromium"
)

// TestPageOfTheReceiver mirrors to the whole receiver and looks at its page in
// headless Chromium: idle, the present picture in a screenshot, its sound, and
// idle again.
func TestPageOfTheReceiver(t *testing.T) {
	b := chromium.Start(t)
	g := newRig(t, func(c *config.Config) {
		c.Video.Output, c.Audio.Output, c.Network.HTTP = "browser", "auto", "127.0.0.1:0"
	})
	page := b.Open(g.r.About().Page, 1280, 800)
	view := func() string { return chromium.Ask[string](page, "document.body.dataset.view") }
	page.Eventually("the idle view", func() bool { return view() == "idle" })

	hangUp := g.mirrorOn(phone.Options{Picture: testPattern(t, 1280, 720, 30, 0), Sound: tone(t, audio.AACELD)})
	defer hangUp()
	var first uint32
	page.Eventually("a picture in a screenshot", func() (ok bool) {
		first, ok = page.Frame()
		return ok
	})
	page.Eventually("a picture a second later", func() bool {
		n, ok := page.Frame()
		return ok && n >= first+30
	})
	page.Eventually("sound in step with the picture", func() bool {
		return chromium.Ask[bool](page, "player.sound.playing && Math.abs(player.skew) < 40")
	})
	page.Eventually("latency by the stamp, told to the receiver", func() bool {
		return chromium.Ask[float64](page, "figures.stamp.count") > 10 && g.latency()["pattern to presented by the browser"].Count > 0
	})
	for _, line := range page.Console() {
		t.Errorf("console: %s", line)
	}
	hangUp()
	page.Eventually("the idle view again", func() bool { return view() == "idle" })
}
