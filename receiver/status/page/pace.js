// How late pictures and sound are played, and how fast, so that they are where
// they should be. Times are in milliseconds.

// pictureRate is how fast pictures are played that are off by so much;
// negative: behind. Nobody sees a screen hurry.
export function pictureRate(off) {
  if (Math.abs(off) < 4) return 1
  if (off < 0) return Math.min(1 - off / 200, 16)
  return Math.max(1 - off / 400, 0.5)
}

// A SoundPace is how fast sound is played. Usually the browser resamples it,
// and the pitch changes by less than anyone hears. Where more is needed it cuts
// the sound and keeps the pitch; that costs some milliseconds each time it
// begins, so it does not come and go.
export class SoundPace {
  cutting = false
  rate = 1

  // aim takes how far the sound is off, and by how much it is to come nearer to
  // the present every second.
  aim(off, pace) {
    this.cutting = pace > 5 || Math.abs(off) > (this.cutting ? 5 : 40)
    const most = this.cutting ? 0.06 : 0.006
    if (Math.abs(off) < 1.5) off = 0
    this.rate = 1 + Math.max(-most, Math.min(most, (pace - off) / 1000))
  }
}

// A Reserve is how long after the earliest possible moment a sample is
// played: as short as goes without interruptions. Two things make it longer:
// samples that come late, for some seconds, and what the browser itself needs,
// which only trying tells. So it shrinks, slowly below what it began with, and
// grows at once when the element ran dry though samples were there.
export class Reserve {
  #limits
  #jitter = 0 // by how much samples of the last seconds were late
  #margin // what is being tried
  #floor // what was too short is not tried again soon

  // The reserve begins at first and is never less than least. Interruptions
  // let it grow by step, up to most; it shrinks by shrink every second. A late
  // sample counts by the part attack.
  constructor({first, least, most, step, shrink, attack}) {
    this.#limits = {first, least, most, step, shrink, attack}
    this.#margin = first
    this.#floor = least
  }

  get value() { return Math.max(this.#margin, this.#limits.least + this.#jitter) }

  // pace is by how much it shrinks every second.
  get pace() {
    const {first, shrink} = this.#limits
    if (this.#margin > Math.max(first, this.#floor)) return hurry * shrink
    return this.#margin > this.#floor ? shrink : 0
  }

  // arrived takes by how much a sample was late.
  arrived(late) {
    const {attack} = this.#limits
    const more = Math.min(late, longest) - this.#jitter
    if (more > 0) this.#jitter += more * attack
  }

  // interrupted says that the element ran dry.
  interrupted() {
    const {most, step} = this.#limits
    this.#floor = Math.min(this.value + step, most)
    this.#margin = Math.max(this.#margin, this.#floor)
  }

  // adopt takes how late the element plays, to go on from there.
  adopt(late) { this.#margin = Math.max(this.#floor, Math.min(late, longest)) }

  // passed lets time pass.
  passed(time) {
    const {least} = this.#limits
    this.#jitter *= Math.exp(-time / jitterSpan)
    this.#floor = least + (this.#floor - least) * Math.exp(-time / floorSpan)
    this.#margin = Math.max(this.#floor, this.#margin - this.pace * time / 1000)
  }
}

const longest = 500
const jitterSpan = 15_000
const floorSpan = 60_000
const hurry = 20
