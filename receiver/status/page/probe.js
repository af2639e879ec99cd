// Measures what the test pattern's stamp tells: how long it took from the
// sender's stamp to the screen of this page. What was measured goes to the
// receiver once a second.

import {place, read} from "./stamp.js"

const cell = 4 // pixels, of the copy that is read
const columns = 28, rows = 6
const searchInterval = 1000 // while there is no stamp
const reportInterval = 1000
const mostReported = 200

export class Probe {
  stamp = null // the last one: {frame, time, latency}
  #canvas = document.createElement("canvas")
  #context
  #clock
  #searched = 0
  #latencies = []
  #unanswered = false

  constructor(clock) {
    this.#clock = clock
    this.#canvas.width = columns * cell
    this.#canvas.height = rows * cell
    this.#context = this.#canvas.getContext("2d", {willReadFrequently: true, alpha: false})
    setInterval(() => this.#report(), reportInterval)
  }

  // look reads the stamp of the picture that is shown at a time of the page's
  // clock; undefined if there is none or the sender's clock is not known.
  look(video, at) {
    const now = performance.now()
    if (!this.stamp && now - this.#searched < searchInterval) return
    this.#searched = now
    const from = place(video.videoWidth, video.videoHeight)
    this.stamp = from && this.#read(video, from)
    if (!this.stamp || Number.isNaN(this.#clock.sender)) return
    // The canvas may have got a later picture than the one that was announced.
    const latency = Math.max(at, now) + this.#clock.sender - this.stamp.time / 1000
    if (latency < 0 || latency > 10_000) return // another clock's stamp
    this.stamp.latency = latency
    this.#latencies.push(latency)
    return latency
  }

  #read(video, from) {
    this.#context.drawImage(video, from.x, from.y, columns * from.width, rows * from.height,
      0, 0, this.#canvas.width, this.#canvas.height)
    const pixels = this.#context.getImageData(0, 0, this.#canvas.width, this.#canvas.height)
    return read(pixels, {x: 0, y: 0, width: cell, height: cell})
  }

  async #report() {
    const measured = this.#latencies.splice(0, mostReported)
    if (measured.length === 0 || this.#unanswered) return
    this.#unanswered = true
    await fetch("presented", {
      method: "POST",
      headers: {"Content-Type": "application/json", "Aerie-Page": "1"},
      body: JSON.stringify({latencies: measured.map(l => Math.round(l * 1000))}),
    }).catch(() => {}) // the receiver is away
    this.#unanswered = false
  }
}
