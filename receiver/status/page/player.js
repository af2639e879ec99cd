// The Player plays picture and sound of the session.

import {Lowest, ReceiverClock} from "./times.js"
import {Track} from "./track.js"

export class Player {
  need = {video: 20, audio: 120}
  clock = new ReceiverClock()
  log = []

  constructor(picture, sound) {
    this.picture = picture
    this.sound = sound
    this.baseline = {video: new Lowest(5000), audio: new Lowest(5000)}
    this.video = new Track(picture, "live/video", {
      state: () => {},
      open: () => { this.baseline.video = new Lowest(5000); picture.play().catch(() => {}); this.#watch() },
      arrived: s => this.baseline.video.add(s.received - s.pts, s.received),
    })
    this.audio = new Track(sound, "live/audio", {
      state: () => {},
      open: () => { sound.preservesPitch = false; sound.play().catch(() => {}) },
      arrived: s => this.baseline.audio.add(s.received - s.pts, s.received),
    })
    this.audible = false
  }

  start() {
    this.video.start()
    this.clock.measure(8)
    setInterval(() => this.clock.measure(2), 5000)
    setInterval(() => { this.steerVideo(); this.steerAudio() }, 50)
  }

  due(now) {
    let offset = this.baseline.video.value + this.need.video
    if (this.audible) offset = Math.max(offset, this.baseline.audio.value + this.need.audio)
    return now - offset
  }

  steerVideo() {
    const v = this.picture
    if (v.paused || this.video.catching || v.readyState < 1 || this.fixed) return
    const target = this.video.times.stream(this.due(performance.now()))
    const off = v.currentTime * 1000 - target
    this.off = off
    let rate = 1
    if (Math.abs(off) > 4) rate = off < 0 ? Math.min(1 - off / 200, 16) : Math.max(1 - off / 400, 0.5)
    if (v.playbackRate !== rate) v.playbackRate = rate
  }

  steerAudio() {
    const a = this.sound
    if (a.paused || !this.audible || a.readyState < 1) return
    const target = this.audio.times.stream(this.due(performance.now()))
    const off = a.currentTime * 1000 - target
    this.audioOff = off
    if (Math.abs(off) > 200) { a.currentTime = target / 1000; return }
    let rate = 1
    if (Math.abs(off) > 3) rate = 1 - Math.max(-0.02, Math.min(0.02, off / 2000))
    if (a.playbackRate !== rate) a.playbackRate = rate
  }

  #watch() {
    const v = this.picture
    const shown = (now, m) => {
      v.requestVideoFrameCallback(shown)
      const s = this.video.times.sample(m.mediaTime * 1000)
      if (!s) return
      this.log.push({now, expected: m.expectedDisplayTime, presented: m.presentedFrames, pts: s.pts, latency: m.expectedDisplayTime + this.clock.receiver - s.at, received: s.received, off: this.off, rate: v.playbackRate})
      if (this.log.length > 2000) this.log.splice(0, 1000)
    }
    v.requestVideoFrameCallback(shown)
  }
}
