// Numbers for people: what was measured lately, and how it is written.

// Recent keeps the values of the last seconds.
export class Recent {
  #values = []

  constructor(span) { this.span = span }

  add(value) { this.#values.push({value, at: performance.now()}) }

  get count() {
    const since = performance.now() - this.span
    const first = this.#values.findIndex(v => v.at >= since)
    this.#values = first < 0 ? [] : this.#values.slice(first)
    return this.#values.length
  }

  // quantile returns the value that the part q of all do not exceed, or NaN.
  quantile(q) {
    if (this.count === 0) return NaN
    const sorted = this.#values.map(v => v.value).sort((a, b) => a - b)
    return sorted[Math.min(Math.floor(q * sorted.length), sorted.length - 1)]
  }
}

export const known = v => v !== undefined && v !== null && !Number.isNaN(v) && v !== ""

const minus = text => text.replace("-", "−")

export function ms(v, digits = v < 10 ? 1 : 0) {
  return known(v) ? minus(v.toFixed(digits)) + " ms" : "–"
}

export const ppm = v => minus(v.toFixed(1)) + " ppm"

export const count = v => v.toLocaleString("en")

export function bits(v) {
  if (v >= 1e6) return (v / 1e6).toFixed(1) + " Mbit/s"
  return Math.round(v / 1e3) + " kbit/s"
}

// clock writes seconds as 3:07 or 1:02:45.
export function clock(seconds) {
  const s = Math.max(Math.floor(seconds), 0)
  const two = v => String(v).padStart(2, "0")
  const hours = Math.floor(s / 3600), minutes = Math.floor(s / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(s % 60)}` : `${minutes}:${two(s % 60)}`
}

export function duration(seconds) {
  if (seconds < 60) return Math.floor(seconds) + " s"
  if (seconds < 3600) return Math.floor(seconds / 60) + " min"
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds / 60) % 60} min`
  return `${Math.floor(seconds / 86400)} d ${Math.floor(seconds / 3600) % 24} h`
}
