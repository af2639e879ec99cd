// Reads the stamp of Aerie's test pattern, a frame number and a time, out of
// the pixels of a <video>.
//
//     const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight)
//     const context = canvas.getContext("2d", {willReadFrequently: true})
//     const here = place(canvas.width, canvas.height)
//     video.requestVideoFrameCallback(function shown() {
//       context.drawImage(video, 0, 0)
//       const stamp = read(context.getImageData(0, 0, canvas.width, canvas.height), here)
//       ...
//     })
//
// The grid: 28 by 6 cells on black. Its outer ring is a checkerboard, white
// where row + column is even. The 4 by 26 cells within hold 104 bits, row by
// row, the most significant first, white for 1: frame number (32), time in
// microseconds (48), CRC-24 of these ten bytes.
//
// An image is an ImageData or anything with its width, height and RGBA data.
// A place is {x, y, width, height}: the top left corner of the first cell and
// the size of a cell, in pixels. A stamp is {frame, time}, both numbers.

const columns = 28
const rows = 6
const dataColumns = columns - 2
const minCell = 2
const minContrast = 24
// The differences of level that count as an edge: a high one is not misled by
// noise, a low one finds a dimmed picture.
const contrasts = [96, 48, minContrast]

// place returns where the pattern has its stamp in a picture of that size,
// or null if the picture is too small for one.
export function place(width, height) {
  if (width < 160 || height < 120) return null
  let cell = Math.min(Math.floor(4 * width / (5 * 29)), Math.floor(6 * height / (25 * 7)))
  const unit = cell < 16 ? 4 : 16
  cell -= cell % unit
  const x = Math.floor((width - columns * cell) / 2)
  const y = height - (rows + 1) * cell
  return {x: x - x % unit, y: y - y % unit, width: cell, height: cell}
}

// read returns the stamp at a place, or null if there is none.
export function read(image, at) {
  if (at.width < minCell || at.height < minCell || at.x < 0 || at.y < 0 ||
      at.x + columns * at.width > image.width || at.y + rows * at.height > image.height) return null
  const levels = new Float64Array(rows * columns)
  const sum = [0, 0], count = [0, 0] // of the ring's black and white cells
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const level = sample(image, at, row, column)
      levels[row * columns + column] = level
      if (inRing(row, column)) {
        const white = 1 - (row + column) % 2
        sum[white] += level
        count[white]++
      }
    }
  }
  const black = sum[0] / count[0], white = sum[1] / count[1]
  if (!(white - black >= minContrast)) return null
  return parse(levels, (black + white) / 2)
}

// find searches an image for a stamp of any size and returns {stamp, at}, or
// null. It takes much longer than read, which serves once the place is known.
export function find(image) {
  for (const contrast of contrasts) {
    const found = findAt(image, contrast)
    if (found) return found
  }
  return null
}

function findAt(image, contrast) {
  const edges = []
  for (let y = 0; y < image.height; y += minCell) {
    findEdges(image, 4 * y * image.width, 4, image.width, contrast, edges)
    for (let first = 0; first + columns <= edges.length; first += 2) {
      const last = edges[first + columns - 1]
      const pitch = (last - edges[first]) / (columns - 1)
      // Behind the row there is black for one and a half cells.
      if (edges[first + columns] - last < 1.3 * pitch || !even(edges, first, columns)) continue
      const at = measure(image, edges[first], pitch, y, contrast)
      const stamp = at && read(image, at)
      if (stamp) return {stamp, at}
    }
  }
  return null
}

function inRing(row, column) {
  return row === 0 || row === rows - 1 || column === 0 || column === columns - 1
}

// sample returns the level of a cell: the mean of its centre and four pixels
// around it. The cells are grey, so the green samples are enough.
function sample(image, at, row, column) {
  const x = at.x + (column + 0.5) * at.width, dx = at.width / 6
  const y = at.y + (row + 0.5) * at.height, dy = at.height / 6
  const green = (x, y) => image.data[4 * (Math.floor(y) * image.width + Math.floor(x)) + 1]
  return (green(x, y) + green(x - dx, y - dy) + green(x + dx, y - dy) +
    green(x - dx, y + dy) + green(x + dx, y + dy)) / 5
}

function parse(levels, threshold) {
  const bytes = new Uint8Array(13)
  let bit = 0
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const white = levels[row * columns + column] > threshold
      if (inRing(row, column)) {
        if (white !== ((row + column) % 2 === 0)) return null
      } else {
        if (white) bytes[bit >> 3] |= 0x80 >> (bit & 7)
        bit++
      }
    }
  }
  const view = new DataView(bytes.buffer)
  const crc = bytes[10] << 16 | bytes[11] << 8 | bytes[12]
  if (crc !== crc24(bytes.subarray(0, 10))) return null
  return {frame: view.getUint32(0), time: view.getUint16(4) * 2 ** 32 + view.getUint32(6)}
}

function crc24(bytes) {
  let crc = 0xb704ce
  for (const byte of bytes) {
    crc ^= byte << 16
    for (let i = 0; i < 8; i++) {
      crc <<= 1
      if (crc & 0x1000000) crc ^= 0x1864cfb
    }
  }
  return crc
}

// measure completes a place whose left edge and pitch are known and whose top
// row covers line y: the left column shows the rows as six edges.
function measure(image, x, pitch, y, contrast) {
  const column = Math.min(Math.floor(x + pitch / 2), image.width - 1)
  const edges = []
  findEdges(image, 4 * column, 4 * image.width, image.height, contrast, edges)
  for (let first = 0; first + rows <= edges.length; first += 2) {
    if (edges[first] <= y + 0.5 && y + 0.5 < edges[first + 1] && even(edges, first, rows)) {
      const height = (edges[first + rows - 1] - edges[first]) / (rows - 1)
      return {x, y: edges[first], width: pitch, height}
    }
  }
  return null
}

// even tells whether n edges have about the same distance.
function even(edges, first, n) {
  const pitch = (edges[first + n - 1] - edges[first]) / (n - 1)
  if (pitch < minCell) return false
  for (let i = first + 1; i < first + n; i++) {
    if (Math.abs(edges[i] - edges[i - 1] - pitch) > 0.3 * pitch + 0.5) return false
  }
  return true
}

// findEdges fills edges with the positions where the level of a row or a
// column crosses the middle between a low and a high that differ by contrast
// or more, rising and falling in turn, the first one rising.
function findEdges(image, start, step, n, contrast, edges) {
  const level = i => image.data[start + i * step + 1]
  const crossing = (from, to) => {
    const a = level(from), b = level(to), middle = (a + b) / 2
    let i = from + 1
    while (i < to && (b > a ? level(i) <= middle : level(i) >= middle)) i++
    return i - 0.5 + (middle - level(i - 1)) / (level(i) - level(i - 1))
  }
  edges.length = 0
  let low = 0, high = 0, up = false // up: the level has left low, high is the highest since
  for (let i = 1; i < n; i++) {
    const v = level(i)
    if (up && v > level(high)) high = i
    else if (up && level(high) - v >= contrast) {
      edges.push(crossing(low, high))
      up = false
      low = i
    } else if (!up && v < level(low)) low = i
    else if (!up && v - level(low) >= contrast) {
      if (edges.length > 0) edges.push(crossing(high, low))
      up = true
      high = i
    }
  }
  if (up) edges.push(crossing(low, high))
  else if (edges.length > 0) edges.push(crossing(high, low))
}
