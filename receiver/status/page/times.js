// Time keeping of the player. All times are in milliseconds.

// Times knows for the samples of a stream which time of the sender belongs to
// a time of the stream: the stream leaves pauses out.
export class Times {
  #entries = []

  // push adds a sample {stream, pts, ...}, not before the one before.
  push(sample) {
    this.#entries.push(sample)
    if (this.#entries.length > 4096) this.#entries.splice(0, 2048)
  }

  get newest() { return this.#entries.at(-1) }

  // sample returns the last sample not after a time of the stream. Media
  // elements round their times.
  sample(stream) { return this.#last("stream", stream + 0.5) }

  // pts returns what the sender's clock showed at a time of the stream.
  pts(stream) {
    const s = this.sample(stream)
    return s ? s.pts + stream - s.stream : NaN
  }

  // stream returns the time of the stream at which a time of the sender is
  // due. In a pause the stream stands still.
  stream(pts) {
    const i = this.#index("pts", pts)
    if (i < 0) return NaN
    const s = this.#entries[i], next = this.#entries[i + 1]
    const at = s.stream + pts - s.pts
    return next ? Math.min(at, next.stream) : at
  }

  #last(key, value) { return this.#entries[this.#index(key, value)] }

  #index(key, value) {
    let low = 0, high = this.#entries.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#entries[middle][key] <= value) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

// Lowest is the lowest of the values of the last span to two spans.
export class Lowest {
  constructor(span) {
    this.span = span
    this.began = -Infinity
    this.older = this.current = Infinity
  }

  add(value, now) {
    if (now - this.began > 2 * this.span) this.older = this.current = value
    else if (now - this.began > this.span) [this.older, this.current] = [this.current, value]
    else {
      this.current = Math.min(this.current, value)
      return
    }
    this.began = now
  }

  get value() { return Math.min(this.older, this.current) }
}

// ReceiverClock maps the page's clock (performance.now) to the receiver's and
// the sender's, by the round trip of the last minute that took the least time.
export class ReceiverClock {
  #best = []

  async measure(n) {
    for (let i = 0; i < n; i++) {
      const before = performance.now()
      const response = await fetch("clock", {cache: "no-store"})
      const {now, sender} = await response.json()
      const after = performance.now()
      const middle = (before + after) / 2
      this.#best.push({
        round: after - before,
        made: after,
        receiver: now / 1000 - middle,
        sender: sender === undefined ? NaN : sender / 1000 - middle,
      })
    }
    this.#best = this.#best.filter(m => m.made > performance.now() - 60_000)
    this.#best.sort((a, b) => a.round - b.round)
  }

  // offset is what to add to a time of the page; NaN if it is not known.
  get receiver() { return this.#best[0]?.receiver ?? NaN }
  get sender() { return this.#best[0]?.sender ?? NaN }
}
