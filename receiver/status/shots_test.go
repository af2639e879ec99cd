package status

import (
	"os"
	"testing"
	"time"

	"aerie/receiver/live"
	"aerie/receiver/metric"
)

func TestShots(t *testing.T) {
	b := startBench(t, "", live.Options{})
	f := &feed{t: t, view: b.view, fps: 30}
	c := startChromium(t)
	shot := func(p *tab, name string) { os.WriteFile("/tmp/live/"+name+".png", p.screenshot(), 0o644) }
	p := c.open(b.url(), 1280, 800)
	time.Sleep(2500 * time.Millisecond)
	shot(p, "idle")
	p.resize(390, 844, 2, true)
	time.Sleep(1000 * time.Millisecond)
	shot(p, "idle-phone")
	p.resize(1280, 800, 1, false)
	b.set(func(s *Snapshot) { s.PIN = "4821" })
	time.Sleep(2000 * time.Millisecond)
	shot(p, "pin")
	b.set(func(s *Snapshot) { s.PIN = ""; mirroring(1280, 720, 30, nil)(s); s.Picture = nil
		s.NowPlaying = &NowPlaying{Title: "Northern Lights", Artist: "The Aurora Ensemble", Album: "Winter Evenings", Position: 83, Length: 241} })
	time.Sleep(2000 * time.Millisecond)
	shot(p, "music")
	p.resize(390, 844, 2, true)
	time.Sleep(1000 * time.Millisecond)
	shot(p, "music-phone")
	p.resize(1280, 800, 1, false)
	b.set(func(s *Snapshot) { s.NowPlaying = nil })
	b.view.Start()
	var h [6]metric.Histogram
	for i := range h { for k := range 500 { h[i].Observe(time.Duration((i+1)*(k%37+8)*(k%11+4)) * 9 * time.Microsecond) } }
	b.set(mirroring(1280, 720, 30, nil))
	b.set(func(s *Snapshot) { s.Latency = []Stage{NewStage("Network", &h[4]), NewStage("Decrypt", &h[0]), NewStage("Hand-over", &h[1]), NewStage("Page", &h[5])} })
	f.start(1280, 720, makeAAC(t))
	time.Sleep(6 * time.Second)
	p.eval(`document.body.classList.remove("still")`, nil)
	shot(p, "live")
	p.eval(`document.getElementById("more").click()`, nil)
	time.Sleep(2 * time.Second)
	shot(p, "details")
	p.resize(390, 844, 2, true)
	time.Sleep(2 * time.Second)
	p.eval(`document.body.classList.remove("still")`, nil)
	shot(p, "details-phone")
	p.eval(`document.getElementById("close").click()`, nil)
	time.Sleep(1 * time.Second)
	p.eval(`document.body.classList.remove("still")`, nil)
	shot(p, "live-phone")
	for _, l := range c.console { t.Log(l) }
}
