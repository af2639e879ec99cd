// Reads the streams of package live: messages with a header of 32 bytes.

export const flagHistory = 2
const headerSize = 32

// Refused is thrown when the receiver answers, but not with a stream.
export class Refused extends Error {
  constructor(reason) {
    super(reason)
    this.reason = reason
  }
}

// messages yields {kind, flags, pts, stream, at, body, received}: times in
// milliseconds, pts on the sender's clock, stream in the time of the media
// element, at on the receiver's clock, received on the page's.
export async function* messages(url, signal) {
  const response = await fetch(url, {signal, cache: "no-store"})
  if (!response.ok) throw new Refused(await reasonOf(response))
  const reader = response.body.getReader()
  let held = new Uint8Array(256 << 10), start = 0, end = 0
  for (;;) {
    const {value, done} = await reader.read()
    if (done) return
    const received = performance.now()
    if (end + value.length > held.length) {
      const larger = end - start + value.length > held.length
      const to = larger ? new Uint8Array(2 * (end - start + value.length)) : held
      to.set(held.subarray(start, end))
      held = to
      end -= start
      start = 0
    }
    held.set(value, end)
    end += value.length
    while (end - start >= headerSize) {
      const view = new DataView(held.buffer, start, headerSize)
      const size = headerSize + view.getUint32(0)
      if (end - start < size) break
      yield parse(view, held.slice(start + headerSize, start + size), received)
      start += size
    }
  }
}

function parse(view, body, received) {
  const milliseconds = offset => Number(view.getBigInt64(offset)) / 1000
  return {
    kind: String.fromCharCode(view.getUint8(4)),
    flags: view.getUint8(5),
    pts: milliseconds(8),
    stream: milliseconds(16),
    at: milliseconds(24),
    body,
    received,
  }
}

async function reasonOf(response) {
  try {
    return (await response.json()).error
  } catch {
    return "status " + response.status
  }
}

// isSync tells whether a movie fragment is marked as one to start from: the
// default flags of its tfhd box (ISO/IEC 14496-12, section 8.8.7).
export function isSync(fragment) {
  const view = new DataView(fragment.buffer, fragment.byteOffset, fragment.byteLength)
  const box = (start, end, name) => {
    for (let at = start; at + 8 <= end; at += view.getUint32(at)) {
      if (view.getUint32(at + 4) === name) return at
      if (view.getUint32(at) < 8) break
    }
    return -1
  }
  const moof = box(0, view.byteLength, 0x6d6f6f66)
  const traf = moof < 0 ? -1 : box(moof + 8, moof + view.getUint32(moof), 0x74726166)
  const tfhd = traf < 0 ? -1 : box(traf + 8, traf + view.getUint32(traf), 0x74666864)
  if (tfhd < 0) return false
  const nonSync = 0x10000
  return (view.getUint32(tfhd + view.getUint32(tfhd) - 4) & nonSync) === 0
}
