// The Player plays picture and sound of the session in two media elements, at
// the lowest latency at which the browser plays them smoothly, and together.
//
// Both elements follow one clock: what the sender showed and played at pts is
// due on this page at pts + delay. The delay is that of the slower of the two:
// of the pictures alone while nobody listens, for the sound needs a longer
// reserve. An element that is not where it should be plays faster or slower,
// the sound so little that nobody hears it.
//
// Times are in milliseconds; only media elements have seconds.

import {Reserve, SoundPace, pictureRate} from "./pace.js"
import {Lowest, ReceiverClock} from "./times.js"
import {Track} from "./track.js"

const steerInterval = 50
const flowing = 100 // samples come, unless the last is older
const settling = 500 // after a beginning or a pause nothing is learnt
const farOff = 400 // sound that is off by more jumps
const fallenBehind = 80 // pictures wait for sound that is later than due by more
const skewLimit = 100 // by which pictures may be later than due for the sound to follow

// What a browser needs, as measured in Chromium: pictures play smoothly from
// some 20 ms on; sound wants a fifth of a second to start, and goes on with
// half of that.
const pictureReserve = {first: 20, least: 10, most: 120, step: 15, shrink: 1.5, attack: 0.2}
const soundReserve = {first: 220, least: 110, most: 300, step: 30, shrink: 2, attack: 1}

// A Part is one of the two elements with its track.
class Part {
  baseline = new Lowest(5000) // the earliest samples, from the sender's clock to the page's
  off = NaN // where the element is, against where it should be
  #last // sample
  #disturbed = 0 // when it last began, jumped or had no samples

  constructor(element, url, reserve, events) {
    this.element = element
    this.reserve = new Reserve(reserve)
    this.track = new Track(element, url, {
      state: events.state,
      open: () => {
        this.baseline = new Lowest(5000)
        this.#last = undefined
        this.disturb()
        events.open()
      },
      live: sample => {
        this.disturb()
        events.live(sample)
      },
      arrived: sample => this.#arrived(sample),
    })
    element.addEventListener("waiting", () => this.#ranDry())
  }

  // delay is from the sender's clock to the page's at which this part plays
  // without interruptions.
  get delay() { return this.baseline.value + this.reserve.value }

  get position() { return this.element.currentTime * 1000 }

  // lag is how much later than on the sender's clock the element plays.
  get lag() { return performance.now() - this.track.times.pts(this.position) }

  get playing() {
    return this.track.state === "playing" && this.track.catching === 0 && this.#last !== undefined &&
      this.element.readyState > 0 && !this.element.paused && !this.element.seeking
  }

  get flows() { return this.#last !== undefined && performance.now() - this.#last.received < flowing }

  disturb() { this.#disturbed = performance.now() }

  jump(stream) {
    this.disturb()
    this.element.currentTime = Math.max(stream, 0) / 1000
  }

  // aim measures how far the element is from where it should be at a delay.
  aim(delay) {
    this.off = this.position - this.track.times.stream(performance.now() - delay)
    return this.off
  }

  set rate(rate) {
    if (this.element.playbackRate !== rate) this.element.playbackRate = rate
  }

  #arrived(sample) {
    const late = sample.received - sample.pts
    this.baseline.add(late, sample.received)
    if (this.#last && sample.pts - this.#last.pts > flowing) this.disturb()
    if (sample.received - this.#disturbed > settling) this.reserve.arrived(late - this.baseline.value)
    this.#last = sample
  }

  // #ranDry tells an element that cannot keep up from one that has played all
  // there is.
  #ranDry() {
    if (this.flows && performance.now() - this.#disturbed > settling) this.reserve.interrupted()
    this.disturb()
  }
}

export class Player {
  clock = new ReceiverClock()
  listening = true // the user wants to hear
  blocked = false // the browser wants the user to ask for it
  lag = NaN // of pictures behind the sender's clock, smoothed
  #lastPicture = 0
  #placed = false // sound is where it should be, or near
  #pace = new SoundPace()

  // changed is called when a stream's state changes, shown with every picture
  // when it is: (sample, presentation time, metadata).
  constructor(picture, sound, {changed, shown}) {
    this.picture = new Part(picture, "live/video", pictureReserve, {
      state: changed,
      open: () => { this.lag = NaN },
      live: sample => {
        this.picture.jump(sample.stream)
        picture.play().catch(() => {}) // the next picture tries again
      },
    })
    this.sound = new Part(sound, "live/audio", soundReserve, {
      state: changed,
      open: () => {
        this.#placed = false
        this.#play()
      },
      live: () => {},
    })
    this.changed = changed
    this.shown = shown
    picture.muted = true // and so may play without being asked
  }

  start() {
    this.picture.track.start()
    if (this.listening) this.sound.track.start()
    this.#keepTime()
    this.#watch()
    let before = performance.now()
    setInterval(() => {
      const now = performance.now()
      this.#steer(now - before)
      before = now
    }, steerInterval)
  }

  // listen turns the sound on or off; in answer to a click or a key it is on
  // even if the browser had blocked it.
  listen(on) {
    this.listening = on
    this.blocked = false
    if (on) {
      this.sound.track.start()
      this.#play()
    } else {
      this.sound.track.stop()
      this.sound.element.pause()
    }
    this.changed()
  }

  // skew is by how much the sound is behind the picture.
  get skew() { return this.sound.playing ? this.sound.lag - this.lag : NaN }

  // delay is from the sender's clock to the page's.
  get delay() {
    const sound = this.sound.playing ? this.sound.delay : -Infinity
    return Math.max(this.picture.playing ? this.picture.delay : -Infinity, sound)
  }

  async #play() {
    try {
      await this.sound.element.play()
    } catch (error) {
      if (error.name !== "NotAllowedError") return // it was stopped again
      this.sound.track.stop()
      this.blocked = true
      this.changed()
    }
  }

  async #keepTime() {
    for (let n = 8; ; n = 2) {
      await this.clock.measure(n).catch(() => {}) // the receiver is away
      await new Promise(resume => setTimeout(resume, 5000))
    }
  }

  #steer(passed) {
    this.picture.reserve.passed(passed)
    this.sound.reserve.passed(passed)
    this.#steerPicture()
    this.#steerSound()
  }

  #steerPicture() {
    const p = this.picture
    if (!p.playing) return
    const off = p.aim(this.delay)
    p.rate = pictureRate(off || 0)
  }

  #steerSound() {
    const s = this.sound
    if (!s.playing) return
    let delay = this.delay
    if (this.picture.flows && this.lag > delay) delay = Math.min(this.lag, delay + skewLimit)
    const off = s.aim(delay)
    if (Number.isNaN(off)) return
    if (!this.#placed || Math.abs(off) > farOff) {
      this.#placed = true
      s.jump(s.position - off)
      return
    }
    // Sound begins when the browser has enough of it: the pictures wait, rather
    // than that the ear waits for the sound to come back.
    if (off < -fallenBehind) s.reserve.adopt(s.lag - s.baseline.value)
    this.#pace.aim(off, s.reserve.pace)
    s.element.preservesPitch = this.#pace.cutting
    s.rate = this.#pace.rate
  }

  #watch() {
    const element = this.picture.element
    const next = (now, metadata) => {
      element.requestVideoFrameCallback(next)
      const sample = this.picture.track.times.sample(metadata.mediaTime * 1000)
      if (sample) this.#seen(sample, metadata)
    }
    element.requestVideoFrameCallback(next)
  }

  #seen(sample, metadata) {
    const at = metadata.expectedDisplayTime
    if (at - this.#lastPicture > flowing) this.lag = NaN
    this.#lastPicture = at
    const lag = at - sample.pts
    this.lag = Number.isNaN(this.lag) ? lag : this.lag + (lag - this.lag) / 16
    this.shown(sample, at, metadata)
  }
}
