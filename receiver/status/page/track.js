// A Track plays one stream of the receiver in one media element.

import {Refused, flagHistory, isSync, messages} from "./stream.js"
import {Times} from "./times.js"

const Source = globalThis.ManagedMediaSource ?? globalThis.MediaSource

const appendSize = 1 << 20 // bytes that are handed to the browser in one go
const trimInterval = 5000
const kept = 2000 // behind the playhead
const firstPause = 250, longestPause = 2000 // between attempts to connect

export class Track {
  // What the stream says of itself (see live.State), or "connecting",
  // "refused" with the reason, "unsupported" with the type.
  state = "connecting"
  reason = ""
  times = new Times()
  catching = 0 // how many pictures have to be decoded before one is shown

  #element
  #url
  #events
  #stopped = null // ends everything
  #broken = null // ends the present connection
  #source = null
  #buffer = null
  #type = ""
  #queue = [] // fragments, and types to change to
  #syncs = [] // where decoding can begin, in the stream
  #live = false // the present has been reached
  #trimmed = 0

  // The events are state(); open(): the element begins anew; live(sample): the
  // next picture is the first to be shown; arrived(sample).
  constructor(element, url, events) {
    this.#element = element
    this.#url = url
    this.#events = events
  }

  get running() { return this.#stopped !== null }

  start() {
    if (this.#stopped) return
    this.#stopped = new AbortController()
    this.#run(this.#stopped.signal)
  }

  stop() {
    this.#stopped?.abort()
    this.#stopped = null
  }

  // rebuild throws everything away and connects anew.
  rebuild(why) {
    console.warn(this.#url + ": " + why)
    this.#broken?.abort()
  }

  async #run(stopped) {
    let pause = firstPause
    while (!stopped.aborted) {
      const began = performance.now()
      try {
        this.#broken = new AbortController()
        for await (const m of messages(this.#url, AbortSignal.any([stopped, this.#broken.signal]))) this.#take(m)
        this.#become("connecting")
      } catch (error) {
        if (error instanceof Refused) this.#become("refused", error.reason)
        else if (this.state !== "unsupported") this.#become("connecting")
      }
      this.#close()
      if (stopped.aborted) break
      pause = performance.now() - began > longestPause ? firstPause : Math.min(2 * pause, longestPause)
      await new Promise(resume => setTimeout(resume, pause))
    }
  }

  #become(state, reason = "") {
    if (this.state === state && this.reason === reason) return
    this.state = state
    this.reason = reason
    this.#events.state()
  }

  #take(m) {
    switch (m.kind) {
    case "S":
      this.#follow(JSON.parse(new TextDecoder().decode(m.body)))
      break
    case "I":
      this.#append(m.body)
      break
    case "M":
      this.#fragment(m)
    }
  }

  #follow({state, type, fresh, history = 0}) {
    if (state !== "playing") {
      if (state === "idle") this.#close()
      this.#become(state)
      return
    }
    if (!Source?.isTypeSupported(type)) {
      this.#become("unsupported", type)
      this.#broken.abort()
      return
    }
    if (fresh || !this.#source) this.#open(type)
    else if (type !== this.#type) this.#append(type)
    this.#type = type
    this.catching = history
    this.#become("playing")
  }

  #fragment(m) {
    const sample = {stream: m.stream, pts: m.pts, at: m.at, received: m.received, size: m.body.length}
    this.times.push(sample)
    if (isSync(m.body)) this.#syncs.push(m.stream)
    this.#append(m.body)
    if (m.flags & flagHistory) {
      this.#live = false
      return
    }
    if (!this.#live) {
      this.#live = true
      this.catching = 0
      this.#events.live(sample)
    }
    this.#events.arrived(sample)
  }

  #open(type) {
    this.#close()
    const source = this.#source = new Source()
    this.times = new Times()
    this.#trimmed = performance.now()
    this.#live = false
    source.addEventListener("sourceopen", () => {
      URL.revokeObjectURL(this.#element.src)
      try {
        this.#buffer = source.addSourceBuffer(type)
      } catch (error) {
        this.rebuild(error)
        return
      }
      this.#buffer.addEventListener("updateend", () => this.#pump())
      this.#pump()
    }, {once: true})
    this.#element.onerror = () => this.rebuild(this.#element.error?.message)
    this.#element.disableRemotePlayback = true // or there is no ManagedMediaSource
    this.#element.src = URL.createObjectURL(source)
    this.#events.open()
  }

  #close() {
    this.#queue = []
    this.#syncs = []
    this.#buffer = null
    this.catching = 0
    if (!this.#source) return
    this.#source = null
    this.#element.onerror = null
    this.#element.removeAttribute("src")
    this.#element.load()
  }

  #append(item) {
    this.#queue.push(item)
    this.#pump()
  }

  // pump hands what waits to the browser, which takes one thing at a time.
  #pump() {
    const buffer = this.#buffer
    if (!buffer || buffer.updating) return
    try {
      if (performance.now() - this.#trimmed > trimInterval && this.#trim()) return
      while (typeof this.#queue[0] === "string") buffer.changeType(this.#queue.shift())
      if (this.#queue.length === 0) return
      const {joined, count} = this.#join()
      buffer.appendBuffer(joined)
      this.#queue.splice(0, count)
    } catch (error) {
      if (error.name !== "QuotaExceededError" || !this.#trim()) this.rebuild(error)
    }
  }

  #join() {
    let count = 1, size = this.#queue[0].length
    while (count < this.#queue.length && typeof this.#queue[count] !== "string" && size < appendSize) {
      size += this.#queue[count++].length
    }
    if (count === 1) return {joined: this.#queue[0], count}
    const joined = new Uint8Array(size)
    let at = 0
    for (const part of this.#queue.slice(0, count)) {
      joined.set(part, at)
      at += part.length
    }
    return {joined, count}
  }

  // trim lets the browser forget what was shown, up to a place where decoding
  // can begin: what depends on forgotten pictures would go too.
  #trim() {
    const limit = this.#element.currentTime * 1000 - kept
    const to = this.#syncs.findLast(at => at <= limit)
    this.#trimmed = performance.now()
    if (to === undefined || to <= this.#syncs[0]) return false
    this.#syncs = this.#syncs.filter(at => at >= to)
    this.#buffer.remove(0, to / 1000)
    return true
  }
}
