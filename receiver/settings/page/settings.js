// The settings page: asks for the PIN, shows what can be set, sends what was
// changed. Names of networks and settings are text and never markup.

const $ = id => document.getElementById(id)
const page = document.body

// What the table of settings says in words of a command line is said here in
// those of an owner; help and values come from the receiver.
const labels = {
  "name": "Name", "time_zone": "Time zone", "access.pin": "PIN for senders", "access.password": "Password for senders",
  "access.takeover": "A second sender takes over", "video.mode": "Resolution of the TV", "video.size": "Largest picture",
  "video.hevc": "4K with HEVC", "video.overscan": "The TV cuts off the edges", "video.rotate": "Turn the picture",
  "audio.output": "Sound output", "audio.offset": "Shift the sound", "updates.mode": "Updates", "updates.window": "Time for updates",
  "wifi.password": "Password of the network", "wifi.ssid": "Name of the network", "wifi.hidden": "It does not tell its name", "wifi.country": "Country",
}
const groups = [
  ["Receiver", ["name", "time_zone", "access.pin", "access.password", "access.takeover"]],
  ["Picture and sound", ["video.mode", "video.size", "video.hevc", "video.overscan", "video.rotate", "audio.output", "audio.offset"]],
  ["Updates", ["updates.mode", "updates.window"]],
]

let token = ""
let network = null
const inputs = new Map() // by key: {field, read, was}
let chosen = null // a network of the list; "" for another one

function view(name) {
  if (page.dataset.view !== name) scrollTo(0, 0)
  page.dataset.view = name
}

// make makes an element.
function make(tag, properties = {}, ...children) {
  const e = Object.assign(document.createElement(tag), properties)
  e.append(...children)
  return e
}

// send posts what the receiver is asked for, and returns its answer.
async function send(what, body) {
  const headers = {"Aerie-Page": "1", "Content-Type": "application/json"}
  if (token) headers["Aerie-Token"] = token
  try {
    const response = await fetch(what, {method: "POST", headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(20000)})
    if (response.ok) return {}
    return {status: response.status, ...await response.json()}
  } catch {
    return {error: "The receiver does not answer."}
  }
}

// load asks how things are, and shows what fits.
async function load() {
  let state
  try {
    const response = await fetch("state", {cache: "no-store", signal: AbortSignal.timeout(5000)})
    if (!response.ok) throw new Error(response.statusText)
    state = await response.json()
  } catch {
    $("away").hidden = false
    setTimeout(load, 2000)
    return
  }
  $("away").hidden = true
  if (state.locked) {
    token = ""
    $("enter").hidden = !state.shown
    $("ask").hidden = state.shown
    view("gate")
    return
  }
  token = state.token
  network = state.network ?? null
  notice($("mistake"), state.mistake)
  notice($("failure"), network?.failure)
  showForm(state.settings)
  view("settings")
}

function notice(element, text) {
  element.textContent = text ?? ""
  element.hidden = !text
}

// The gate

$("ask").addEventListener("click", async () => {
  const answer = await send("pin")
  $("gate-error").textContent = wording(answer)
  if (answer.error) return
  $("ask").hidden = true
  $("enter").hidden = false
  $("pin").focus()
})

$("enter").addEventListener("submit", async event => {
  event.preventDefault()
  const answer = await send("enter", {pin: $("pin").value.trim()})
  $("pin").value = ""
  $("gate-error").textContent = wording(answer)
  if (!answer.error) load()
  else if (answer.wait_seconds || answer.error.includes("another")) {
    $("enter").hidden = true
    $("ask").hidden = false
  }
})

function wording(answer) {
  if (!answer.error) return ""
  return answer.wait_seconds ? `${answer.error} Wait ${answer.wait_seconds} seconds.` : answer.error
}

// The form

function showForm(settings) {
  inputs.clear()
  const fields = new Map(settings.map(f => [f.key, f]))
  const box = $("fields")
  box.replaceChildren()
  for (const [title, keys] of groups) {
    const set = make("fieldset", {}, make("legend", {textContent: title}))
    for (const key of keys) if (fields.has(key)) set.append(...input(fields.get(key)))
    if (set.children.length > 1) box.append(set)
  }
  $("wifi").hidden = !fields.has("wifi.ssid")
  if (fields.has("wifi.ssid")) showWiFi(fields)
  offerZone()
  changed()
}

// offerZone fills in the phone's time zone when the receiver is set up for the
// first time.
function offerZone() {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone
  const field = inputs.get("time_zone")
  if (network?.access_point && field?.was === "" && zone && zone !== "UTC") field.element.value = zone
}

// input makes the elements for one setting.
function input(field) {
  const id = "set-" + field.key.replace(".", "-")
  const name = labels[field.key] ?? field.key
  const help = make("p", {className: "help", id: id + "-help", textContent: field.help})
  let element, read, parts
  if (field.switch) {
    element = make("input", {id, type: "checkbox", checked: field.value === "true"})
    element.setAttribute("role", "switch")
    read = () => String(element.checked)
    parts = [make("label", {htmlFor: id, className: "switch"}, make("span", {textContent: name}), element), help]
  } else {
    if (field.key === "wifi.country") element = countries(id, field.value)
    else if (field.options) element = make("select", {id}, ...field.options.map(o => make("option", {value: o, textContent: o, selected: o === field.value})))
    else element = make("input", {id, value: field.value, placeholder: field.arg ?? "", autocomplete: "off", spellcheck: false, maxLength: 200})
    // What is typed is seen: it is long, typed once, and not one of the visitor's own.
    if (field.secret) Object.assign(element, {placeholder: field.set ? "as it is" : "none"})
    element.setAttribute("autocapitalize", "off")
    read = () => element.value
    parts = [make("label", {htmlFor: id, textContent: name}), element, help]
  }
  element.setAttribute("aria-describedby", help.id)
  element.addEventListener("input", changed)
  inputs.set(field.key, {element, read, was: read(), parts})
  return parts
}

// countries offers all that the browser knows.
function countries(id, value) {
  const names = new Intl.DisplayNames(["en"], {type: "region", fallback: "none"})
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
  const none = ["AC", "BU", "CP", "CQ", "DD", "DG", "EA", "EU", "EZ", "FX", "IC", "NH", "QO", "SU", "TA", "TP", "UK", "UN", "VD", "XA", "XB", "YD", "YU", "ZR", "ZZ"]
  const list = letters.flatMap(a => letters.map(b => a + b)).filter(c => !none.includes(c)).map(c => [c, names.of(c)]).filter(([, n]) => n)
  list.sort((a, b) => a[1].localeCompare(b[1]))
  list.unshift(["", "Not told"])
  if (!list.some(([c]) => c === value)) list.push([value, value])
  return make("select", {id}, ...list.map(([c, n]) => make("option", {value: c, textContent: n, selected: c === value})))
}

// Wi-Fi

const lock = "M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6z"
const waves = ["M12 19h.01", "M8.5 15.5a5 5 0 0 1 7 0", "M5.5 12.5a9.3 9.3 0 0 1 13 0", "M2.5 9.5a13.5 13.5 0 0 1 19 0"]

function drawing(...paths) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg")
  svg.setAttribute("viewBox", "0 0 24 24")
  svg.setAttribute("aria-hidden", "true")
  for (const [d, weak] of paths) {
    const path = document.createElementNS(svg.namespaceURI, "path")
    path.setAttribute("d", d)
    if (weak) path.classList.add("weak")
    svg.append(path)
  }
  return svg
}

function showWiFi(fields) {
  const ssid = fields.get("wifi.ssid").value
  const where = {online: ssid ? `On “${ssid}”.` : "On a network cable.", joining: `Joining “${network?.ssid}” …`}
  $("joined").textContent = where[network?.phase] ?? "Not on a network yet. Choose one:"
  chosen = null
  const list = network?.networks ?? []
  const rows = list.map(n => row(n.ssid, n))
  rows.push(row("", null))
  $("networks").replaceChildren(...rows)
  const set = $("wifi")
  while (set.lastElementChild !== $("networks")) set.lastElementChild.remove()
  for (const key of ["wifi.ssid", "wifi.password", "wifi.hidden", "wifi.country"]) {
    set.append(...input(fields.get(key)))
  }
  choose(null)
}

// row is one network to choose; that without a name is another one.
function row(ssid, found) {
  const button = make("button", {type: "button"}, make("span", {textContent: ssid || "Another network"}))
  button.setAttribute("role", "radio")
  button.dataset.ssid = ssid
  if (found?.secured) button.append(drawing([lock]))
  if (found) button.append(drawing(...waves.map((d, i) => [d, found.signal < i * 25])))
  button.addEventListener("click", () => choose(ssid, found))
  return button
}

// choose shows the fields that a network needs.
function choose(ssid, found) {
  chosen = ssid
  for (const b of $("networks").children) b.setAttribute("aria-checked", String(b.dataset.ssid === ssid))
  const show = (key, yes) => inputs.get(key).parts.forEach(p => p.hidden = !yes)
  show("wifi.ssid", ssid === "")
  show("wifi.hidden", ssid === "")
  show("wifi.password", ssid !== null && (!found || found.secured))
  if (ssid !== null) {
    inputs.get("wifi.ssid").element.value = ssid
    inputs.get("wifi.hidden").element.checked = false
    inputs.get("wifi.password").element.value = ""
    const next = inputs.get(ssid === "" ? "wifi.ssid" : "wifi.password").element
    if (!next.hidden) next.focus()
  }
  changed()
}

// changes are what differs from what the receiver has. A network that is chosen
// comes with its password: an empty one is of an open network.
function changes() {
  const list = []
  for (const [key, i] of inputs) {
    const value = i.read()
    if (value !== i.was || chosen !== null && key === "wifi.password") list.push({key, value})
  }
  return list
}

function changed() {
  $("save").disabled = changes().length === 0
}

$("form").addEventListener("submit", async event => {
  event.preventDefault()
  const list = changes()
  for (const {element} of inputs.values()) element.removeAttribute("aria-invalid")
  $("save").disabled = true
  const answer = await send("save", {changes: list})
  $("save-error").textContent = wording(answer)
  changed()
  if (answer.status === 401) return load()
  if (answer.error) {
    const wrong = inputs.get(answer.key)
    wrong?.element.setAttribute("aria-invalid", "true")
    wrong?.element.focus()
    return
  }
  const joins = list.some(c => c.key.startsWith("wifi.") && c.key !== "wifi.country")
  $("done-title").textContent = joins ? "Joining the network" : "Saved"
  $("done-text").textContent = !joins ? "The receiver starts anew with these settings in a moment."
    : network?.access_point ? `“${network.access_point}” closes now, and your phone goes back to its own network. The TV shows how it goes; if it does not work, “${network.access_point}” comes back.`
    : "The TV shows how it goes."
  view("done")
})

$("leave").addEventListener("click", async () => {
  await send("leave")
  load()
})

$("back").addEventListener("click", () => {
  view("loading")
  load()
})

load()
