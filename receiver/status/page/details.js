// The drawer: everything the receiver tells and this page measures.

import {bits, count, duration, known, ms, ppm} from "./figures.js"

// make makes an element with children; text is a child too.
function make(name, attributes, ...children) {
  const e = document.createElement(name)
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v)
  e.append(...children)
  return e
}

const svgSpace = "http://www.w3.org/2000/svg"

function draw(name, attributes, ...children) {
  const e = document.createElementNS(svgSpace, name)
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v)
  e.append(...children)
  return e
}

// section makes a titled list of [name, value, remark], without those whose
// value is not known.
function section(title, rows) {
  rows = rows.filter(([, value]) => known(value))
  if (rows.length === 0) return []
  const list = make("dl", {})
  for (const [name, value, remark] of rows) {
    list.append(make("dt", {}, name), make("dd", {}, String(value), ...(remark ? [make("small", {}, remark)] : [])))
  }
  return [make("section", {}, make("h2", {}, title), list)]
}

// bars draws the buckets of a latency: each doubling from 16 µs to a second.
function bars(buckets) {
  const width = 4, height = 20
  const most = Math.max(...buckets, 1)
  const all = buckets.map((n, i) => {
    const h = n === 0 ? 1 : Math.max(2, height * Math.sqrt(n / most))
    return draw("rect", {x: i * width, y: height - h, width: width - 1, height: h, ...(n === 0 && {class: "ground"})})
  })
  return draw("svg", {viewBox: `0 0 ${buckets.length * width} ${height}`, "aria-hidden": "true"}, ...all)
}

function latencies(stages) {
  if (!stages?.length) return []
  const head = make("tr", {}, ...["", "median", "99 %", "max", ""].map(t => make("th", {}, t)))
  const rows = stages.map(s => make("tr", {},
    make("td", {}, s.name), ...[s.median_ms, s.p99_ms, s.max_ms].map(v => make("td", {}, v.toFixed(v < 10 ? 2 : 0))),
    make("td", {class: "bars"}, bars(s.buckets))))
  return [make("section", {}, make("h2", {}, "Latency, in milliseconds"), make("table", {}, head, ...rows))]
}

function warnings(list) {
  if (!list?.length) return []
  return [make("section", {}, make("h2", {}, "Warnings"), make("ul", {class: "warnings"}, ...list.map(w => make("li", {}, w))))]
}

// troubles are warnings that follow from other parts of a snapshot.
function troubles({update, health, board}) {
  const list = []
  if (update?.went_back) list.push(updateNews(update))
  if (health) list.push(`Stuck: ${health}`)
  if (board?.trouble_since_boot?.includes("under-voltage")) list.push("The power supply is too weak: pictures may stutter and Wi-Fi may drop")
  if (board?.trouble_now?.includes("limit")) list.push("The board is too hot, and works more slowly")
  return list
}

function picture(p) {
  return section("Picture", [
    ["Codec", p.codec],
    ["Size", `${p.width} × ${p.height}`],
    ["Rate", p.paused ? "paused" : p.fps.toFixed(0) + " fps"],
    ["Bit rate", bits(p.bit_rate)],
    ["Received", count(p.received) + " pictures"],
    ["Late, not shown", count(p.late)],
    ["Dropped", count(p.dropped)],
    ...(p.decoder ? [["Decoder", p.decoder]] : []),
    ...(p.path ? [["Way to the display", p.path]] : []),
  ])
}

function sound(s) {
  return section("Sound", [
    ["Codec", s.codec],
    ["Format", `${s.sample_rate / 1000} kHz, ${s.channels === 2 ? "stereo" : s.channels + " channels"}`],
    ["Received", count(s.received) + " packets"],
    ["Waiting", count(s.waiting) + " packets"],
    ["Asked for again, recovered", `${count(s.requested)}, ${count(s.recovered)}`],
    ["Late, lost", `${count(s.late)}, ${count(s.lost)}`],
    ["Concealed", count(s.concealed)],
    ["Drift", ppm(s.drift_ppm)],
    ["Behind the picture", ms(s.sync_error_ms, 1)],
    ["In its place within", ms(s.sync_99_ms, 2), "99 % of the time"],
    ["Resampled, leapt", `${s.resampled_s.toFixed(1)} s, ${count(s.leaps)} times`],
    ["Volume", known(s.volume_db) ? s.volume_db.toFixed(0).replace("-", "−") + " dB" : "muted"],
  ])
}

function clockSection(c) {
  const sources = {ntp: "asked by NTP", arrival: "from arrival times", none: "not known"}
  return section("Sender's clock", [
    ["Source", sources[c.source] ?? c.source],
    ["Error at most", c.source === "ntp" ? ms(c.offset_error_ms, 2) : undefined],
    ["Drift", c.source === "none" ? undefined : ppm(c.drift_ppm)],
    ["Unanswered", count(c.unanswered)],
  ])
}

// thisPage shows what the player measures.
function thisPage(page) {
  return section("This page", [
    ["Sender to screen", page.stamp, "by the stamp of the test pattern"],
    ["Arrival to screen", page.arrival],
    ["Sound behind the picture", page.skew],
    ["Reserve", page.reserve],
    ["Pictures shown", page.shown],
  ])
}

// updateNews is what people should know of an update, "" for nothing.
export function updateNews(u) {
  if (u?.went_back) return sentence(u.went_back)
  if (u?.doing) return sentence(u.doing) + (u.available ? ` (version ${u.available})` : "")
  if (u && !u.proven && u.slot !== "factory") return `Trying version ${u.version}; if it does not work, the one before comes back`
  if (u?.available) return `Version ${u.available} is ready; it is installed when nobody is watching`
  return ""
}

const sentence = text => text.charAt(0).toUpperCase() + text.slice(1)

const slots = {a: "A", b: "B", factory: "factory, which is never changed"}

function version(r, u, health) {
  return section("Version", [
    ["Aerie", r.version],
    ["Slot", u?.slot ? slots[u.slot] ?? u.slot : undefined],
    ["Update", u ? updateNews(u) || "none" : undefined, u?.problem],
    ["Health", health || "everything makes progress"],
  ])
}

function board(b) {
  const trouble = [b.trouble_now, b.trouble_since_boot === b.trouble_now ? undefined : `since start: ${b.trouble_since_boot}`]
  return section("Board", [
    ["Model", b.model || undefined],
    ["Memory", b.memory_bytes > 0 ? (b.memory_bytes / 2 ** 30).toFixed(1) + " GiB" : undefined],
    ["Temperature", known(b.temperature_celsius) ? b.temperature_celsius.toFixed(0) + " °C" : undefined],
    ["Clock", b.clock_mhz > 0 ? b.clock_mhz.toFixed(0) + " MHz" : undefined],
    ["Trouble of power or heat", b.trouble_now ? trouble[0] : undefined, b.trouble_now ? trouble[1] : undefined],
  ])
}

function receiver(r, viewers) {
  return section("Receiver", [
    ["Name", r.name],
    ["Running for", duration(r.uptime_seconds)],
    ["Address", r.addresses?.join(", ")],
    ["Picture goes to", r.video.name, r.video.reason],
    ["Sound goes to", r.audio.name, r.audio.reason],
    ["Pages watching", viewers],
  ])
}

function sender(s) {
  return section("Sender", [
    ["Name", s.name],
    ["Model", s.model],
    ["System", s.os],
    ["Address", s.address],
    ["Connected for", duration((Date.now() - Date.parse(s.since)) / 1000)],
  ])
}

// show fills the drawer's body with a snapshot of the receiver and the page's
// own figures.
export function show(into, snapshot, page) {
  into.replaceChildren(
    ...warnings([...troubles(snapshot), ...(snapshot.warnings ?? [])]),
    ...(snapshot.picture ? thisPage(page) : []),
    ...latencies(snapshot.latency),
    ...(snapshot.picture ? picture(snapshot.picture) : []),
    ...(snapshot.sound ? sound(snapshot.sound) : []),
    ...(snapshot.clock ? clockSection(snapshot.clock) : []),
    ...(snapshot.sender ? sender(snapshot.sender) : []),
    ...receiver(snapshot.receiver, snapshot.viewers),
    ...version(snapshot.receiver, snapshot.update, snapshot.health),
    ...(snapshot.board ? board(snapshot.board) : []),
  )
}
