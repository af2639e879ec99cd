// The page: asks the receiver for its status, shows the view that fits, and
// obeys clicks and keys.

import {show as showDetails, updateNews} from "./details.js"
import {download} from "./diagnostics.js"
import {Recent, clock, known, ms} from "./figures.js"
import {Player} from "./player.js"
import {Probe} from "./probe.js"

const pollInterval = 1000
const stillAfter = 3000
const figuresSpan = 5000

const $ = id => document.getElementById(id)
const page = document.body

let status = null // what the receiver said last
let away = true // it does not answer
let polls = 0

export const player = new Player($("picture"), $("sound"), {changed: () => { render(); poll() }, shown})
export const probe = new Probe(player.clock)
export const figures = {
  pictures: new Recent(1000),
  arrival: new Recent(figuresSpan), // to screen
  stamp: new Recent(figuresSpan), // sender to screen
  skew: new Recent(figuresSpan),
}

function shown(sample, at) {
  figures.pictures.add(at)
  const arrival = at + player.clock.receiver - sample.at
  if (!Number.isNaN(arrival)) figures.arrival.add(arrival)
  if (!Number.isNaN(player.skew)) figures.skew.add(player.skew)
  const stamp = probe.look(player.picture.element, at)
  if (stamp !== undefined) figures.stamp.add(stamp)
}

// poll asks for the status. A later answer wins over an earlier one.
async function poll() {
  const number = ++polls
  let answer = null
  try {
    const response = await fetch("status", {cache: "no-store", signal: AbortSignal.timeout(3000)})
    if (response.ok) answer = await response.json()
  } catch {
    // The receiver is away.
  }
  if (number !== polls) return
  if (answer && status && answer.receiver.version !== status.receiver.version) location.reload()
  away = !answer && player.picture.track.state === "connecting"
  status = answer ?? status
  render()
}

// view tells which view fits, and what a notice says.
function view() {
  const track = player.picture.track
  if (away || !status) return ["away", "Looking for the receiver", "This page comes back by itself."]
  if (track.state === "playing" && track.catching === 0) return ["picture"]
  if (track.state === "playing") return ["notice", "Catching up", `${track.catching} pictures lie behind the present one.`]
  const {sender, picture, receiver} = status
  if (sender && picture) {
    const name = sender.name || "The sender"
    switch (track.state) {
    case "too-late":
      return ["notice", "The picture needs a fresh start", `${name} sends a whole picture only now and then. Lock and ` +
        "unlock it, turn it sideways and back, or stop mirroring and start again: the picture then appears here by itself."]
    case "unsupported":
      return ["notice", "This browser cannot play the picture", `It has no decoder for ${track.reason}. Another browser may have.`]
    case "refused":
      if (track.reason === "too-many-viewers") return ["notice", "Enough pages are watching", "Close one of them; this page then goes on by itself."]
      return ["notice", `${name} is mirroring`, `The picture is on ${receiver.video.name}.`]
    case "waiting":
      return ["notice", `${name} is connected`, "The first picture is on its way."]
    case "connecting":
      return ["notice", "Connecting", ""]
    }
    return ["notice", `${name} is mirroring`, `The picture is on ${receiver.video.name}.`]
  }
  return [sender && (status.now_playing || status.sound) ? "music" : "idle"]
}

function render() {
  const [name, title = "", text = ""] = view()
  page.dataset.view = name
  page.dataset.sound = player.listening && !player.blocked ? "on" : "off"
  if (title) {
    put($("notice-title"), title)
    put($("notice-text"), text)
  }
  const hears = player.blocked && (name === "picture" || name === "music")
  $("hear").hidden = !hears
  $("mute").setAttribute("aria-pressed", player.listening && !player.blocked)
  if (!status) return
  renderIdle(status)
  renderMusic(status)
  renderBar(status, name)
  if (!$("details").hidden) renderDetails()
}

// put sets an element's text, if that is a change.
function put(element, text) {
  if (element.textContent !== text) element.textContent = text
}

function renderIdle({receiver, sender, pin, update}) {
  const news = updateNews(update)
  $("update").hidden = !news
  $("update").classList.toggle("warm", Boolean(update?.went_back))
  put($("update"), news)
  document.title = sender?.name ? `${sender.name} on ${receiver.name}` : receiver.name
  put($("name"), receiver.name)
  for (const e of document.querySelectorAll(".name")) put(e, receiver.name)
  for (const e of document.querySelectorAll(".screens")) e.hidden = Boolean(receiver.loudspeaker)
  for (const e of document.querySelectorAll(".loudspeaker")) e.hidden = !receiver.loudspeaker
  put($("ready"), sender ? `${sender.name || "A sender"} is connected` : receiver.loudspeaker ? "Ready for your music" : "Ready for your screen")
  $("pin").hidden = !pin
  $("steps").hidden = Boolean(pin)
  put($("pin-digits"), pin ?? "")
  $("settings").hidden = !receiver.settings
}

function renderMusic({sender, now_playing: playing}) {
  put($("title"), playing?.title || (sender?.name ?? ""))
  put($("artist"), playing?.artist ?? "")
  put($("album"), playing?.album ?? "")
  const image = $("artwork")
  const source = playing?.artwork ? "artwork?" + encodeURIComponent(playing.artwork) : ""
  if (image.getAttribute("src") !== source && source) image.src = source
  image.hidden = !source
  $("remote").hidden = !sender?.remote
  $("progress").hidden = !(playing?.length_seconds > 0)
  if (!(playing?.length_seconds > 0)) return
  $("progress").firstElementChild.value = playing.position_seconds / playing.length_seconds
  put($("position"), clock(playing.position_seconds))
  put($("length"), clock(playing.length_seconds))
}

function renderBar({receiver, sender, picture}, name) {
  const parts = []
  if (name === "picture") {
    const {videoWidth, videoHeight} = player.picture.element
    if (videoWidth) parts.push(`${videoWidth} × ${videoHeight}`)
    parts.push(picture?.paused ? "paused" : figures.pictures.count + " fps")
    const late = figures.stamp.count > 0 ? figures.stamp : figures.arrival
    if (late.count > 0) parts.push(ms(late.quantile(0.5), 0))
  } else if (receiver.addresses?.length) {
    parts.push(receiver.addresses[0])
  }
  put($("who"), sender?.name || (name === "idle" ? "Aerie " + receiver.version : receiver.name))
  put($("numbers"), parts.join("  ·  "))
}

function renderDetails() {
  const range = (recent, digits) => recent.count > 0
    ? `${ms(recent.quantile(0.5), digits)}, 95 %: ${ms(recent.quantile(0.95), digits)}` : undefined
  const quality = player.picture.element.getVideoPlaybackQuality?.()
  const reserve = [ms(player.picture.reserve.value, 0)]
  if (player.sound.playing) reserve.push(ms(player.sound.reserve.value, 0))
  showDetails($("details").querySelector("div"), status, {
    stamp: range(figures.stamp),
    arrival: range(figures.arrival),
    skew: known(player.skew) ? ms(figures.skew.quantile(0.5), 1) : undefined,
    reserve: `${reserve.join(" for the picture, ")}${reserve.length > 1 ? " for the sound" : ""}`,
    shown: quality && `${quality.totalVideoFrames - quality.droppedVideoFrames} of ${quality.totalVideoFrames}`,
  })
}

// Commands

function toggleDetails(open = $("details").hidden) {
  $("details").hidden = !open
  page.dataset.details = open ? "open" : "closed"
  $("more").setAttribute("aria-pressed", open)
  render()
}

const toggleSound = () => player.listen(player.blocked || !player.listening)

function toggleFullscreen() {
  const video = $("picture")
  if (document.fullscreenElement) document.exitFullscreen()
  else if (document.documentElement.requestFullscreen) document.documentElement.requestFullscreen().catch(() => {})
  else video.webkitEnterFullscreen?.() // iPhone: only a video can
}

// tell tells the sender what a button stands for, by the receiver.
async function tell(command) {
  try {
    await fetch("control", {method: "POST", headers: {"Aerie-Page": "1"}, body: JSON.stringify({command}), signal: AbortSignal.timeout(5000)})
  } catch {
    // The sender is away; the status will tell.
  }
  poll()
}

for (const button of document.querySelectorAll("#remote button")) button.onclick = () => tell(button.dataset.command)

const keys = {
  f: toggleFullscreen,
  m: toggleSound,
  d: () => toggleDetails(),
  Escape: () => toggleDetails(false),
}

addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return
  const command = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key]
  if (!command) return
  event.preventDefault()
  command()
})

$("hear").addEventListener("click", () => player.listen(true))
$("mute").addEventListener("click", toggleSound)
$("more").addEventListener("click", () => toggleDetails())
$("close").addEventListener("click", () => toggleDetails(false))
$("full").addEventListener("click", toggleFullscreen)
$("diagnose").addEventListener("click", () => download($("diagnose"), $("diagnose-text"), status?.receiver.name))
$("stage").addEventListener("dblclick", event => {
  if (page.dataset.view === "picture" && !event.target.closest("button")) toggleFullscreen()
})

// The bar goes when nobody moves.
let still
function moved() {
  page.classList.remove("still")
  clearTimeout(still)
  still = setTimeout(() => page.classList.add("still"), stillAfter)
}
for (const event of ["pointermove", "pointerdown", "keydown", "focusin"]) addEventListener(event, moved)

player.start()
moved()
poll()
setInterval(poll, pollInterval)
