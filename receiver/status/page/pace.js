// How late pictures and sound are played, and how fast, so that they are where
// they should be. Times are in milliseconds.

// pictureRate is how fast pictures are played that are off by so much;
// negative: behind. Nobody sees a screen hurry.
export function pictureRate(off) {
  if (Math.abs(off) < 4) return 1
  if (off < 0) return Math.min(1 - off / 200, 16)
  return Math.max(1 - off / 400, 0.5)
}

// soundRate is how fast sound is played.
export function soundRate(off) {
  if (Math.abs(off) < 2) return 1
  return 1 - Math.max(-0.05, Math.min(0.05, off / 2000))
}

// hearable tells whether playing so fast would be heard as a change of pitch,
// a tenth of a semitone: then the browser has to cut the sound instead of
// resampling it.
export const hearable = rate => Math.abs(rate - 1) > 0.006

// A Reserve is how long after the earliest possible moment a sample is
// played: as short as goes without interruptions. It has two parts. The jitter
// is by how much samples of the last seconds were late. The margin is
// what the browser itself needs, which only trying tells: it shrinks, below
// what it began with slowly, and grows at once when the element ran dry though
// samples were there.
const hurry = 10

export class Reserve {
  jitter = 0
  #first
  #least
  #most
  #step
  #shrink
  #attack
  #floor

  // The margin begins at first and stays between least and most. It grows by
  // step and shrinks by shrink every second. The jitter follows a late sample
  // by the part attack.
  constructor({first, least, most, step, shrink, attack}) {
    this.margin = this.#first = first
    this.#least = this.#floor = least
    this.#most = most
    this.#step = step
    this.#shrink = shrink
    this.#attack = attack
  }

  get value() { return this.jitter + this.margin }

  // arrived takes by how much a sample was late.
  arrived(late) {
    const more = Math.min(late, this.#most) - this.jitter
    if (more > 0) this.jitter += more * this.#attack
  }

  // interrupted says that the element ran dry: what was too short is not tried
  // again soon.
  interrupted() {
    this.#floor = Math.min(this.margin, this.#first) + this.#step
    this.margin = Math.max(this.margin, this.#floor)
  }

  // adopt takes how late the element plays after it began, to go on from there.
  adopt(late) {
    this.margin = Math.max(this.#floor, Math.min(late - this.jitter, this.#most))
  }

  // passed lets time pass.
  passed(time) {
    this.jitter *= Math.exp(-time / 8000)
    this.#floor = this.#least + (this.#floor - this.#least) * Math.exp(-time / 60_000)
    const pace = this.margin > this.#first ? hurry : 1
    this.margin = Math.max(this.#floor, this.margin - pace * this.#shrink * time / 1000)
  }
}
