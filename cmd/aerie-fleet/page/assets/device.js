// The panel with one device.

import { $, ago, el, icon, number, span, toast } from "./dom.js";
import { attempt, get, post } from "./api.js";
import { select, state } from "./table.js";

let open = "";

export const close = () => {
  open = "";
  select("");
  $("panel").hidden = true;
};

// panel fills the side panel.
export function panel(title, ...children) {
  $("panel").replaceChildren(
    el("header", el("h1", title), el("button", { onclick: close, title: "Close (Esc)", "aria-label": "Close" }, icon("M6 6l12 12M18 6L6 18"))),
    ...children.filter(Boolean));
  $("panel").hidden = false;
}

export async function show(id) {
  open = id;
  select(id);
  await refresh();
}

// other says that the panel shows something else now.
export const other = () => { open = ""; select(""); };

export async function refresh() {
  // What somebody is typing must not be taken away.
  if (!open || $("panel").contains(document.activeElement) && document.activeElement.tagName === "INPUT") return;
  const d = await get(`/api/devices/${encodeURIComponent(open)}`).catch(e => { toast(e.message, true); });
  if (d && d.id === open) draw(d);
}

function draw(d) {
  const h = d.health, path = `/api/devices/${encodeURIComponent(d.id)}`;
  const call = (text, method, done) => el("button", {
    onclick: e => attempt(e.target, done, () => post(`${path}/call/${method}`)), disabled: d.status === "offline",
  }, text);
  const name = el("input", { value: d.desired?.name?.value ?? h.name ?? "", maxLength: 50, "aria-label": "Name" });
  const facts = [
    ["Version", h.version], ["Release", h.counter], ["Slot", h.slot], ["Release is", h.state], ["Board", h.board],
    ["Running for", span(h.uptime)], ["Temperature", h.temperature && `${h.temperature.toFixed(1)} °C`],
    ["Throttled", h.throttled?.join(", ")], ["Sessions", number(h.sessions)],
    ["Pictures", h.pictures && `${number(h.pictures)}, ${number(h.dropped)} dropped`], ["Last error", h.error], ["Went back", h.rollback],
    ["Last heard", ago(d.seen)], ["Looked after by", d.partner ? (d.mine ? "this service" : d.partner.slice(0, 8)) : "nobody"], ["Rollout", d.progress],
  ];
  panel(h.name || d.id,
    el("p.id", d.id),
    el("p", state(d), d.why && el("span", ` ${d.why}`)),
    el("section", el("div.buttons",
      call("Identify", "identify", "It blinks and shows its name."),
      call("Restart", "restart", "It restarts."),
      call("Forget senders", "forget-senders", "It has forgotten its senders."),
      el("button", { onclick: e => attempt(e.target, "", () => save(`${path}/diagnostics`)), disabled: d.status === "offline" }, "Diagnostics"))),
    el("section", el("h2", "Health"), el("dl", facts.filter(([, v]) => v).flatMap(([k, v]) => [el("dt", k), el("dd", String(v))]))),
    h.latency?.some(Boolean) && el("section", el("h2", "From phone to screen"), histogram(h.latency)),
    el("section", el("h2", "Name"), el("form", {
      onsubmit: e => { e.preventDefault(); attempt(e.submitter, "It will have this name in a moment.", () => post(`${path}/settings`, { name: name.value.trim() || null })); },
    }, name, el("button", "Rename"))),
    el("section", el("h2", "Leave the fleet"), el("p", "Its certificate is taken back at once. It can be enrolled again."),
      el("button.danger", { onclick: e => sure(e.target, () => post(`${path}/revoke`), "It has left the fleet.") }, "Revoke")));
}

// sure does what cannot be undone, at the second press.
function sure(button, action, done) {
  if (!button.dataset.asked) {
    const text = button.textContent;
    button.dataset.asked = "yes";
    button.textContent = "Press again to be sure";
    setTimeout(() => { delete button.dataset.asked; button.textContent = text; }, 4000);
    return;
  }
  attempt(button, done, action);
}

async function save(path) {
  const response = await fetch(path);
  if (!response.ok) throw new Error((await response.json()).error);
  const name = /filename="([^"]*)"/.exec(response.headers.get("Content-Disposition"))?.[1] || "diagnostics";
  const a = el("a", { href: URL.createObjectURL(await response.blob()), download: name });
  a.click();
  URL.revokeObjectURL(a.href);
}

const bounds = [20, 40, 60, 80, 100, 150, 200, 300, 500, 1000];

function histogram(latency) {
  const most = Math.max(...latency);
  return el("div",
    el("div.histogram", { role: "img", "aria-label": "Latency" }, latency.map((n, i) => {
      const bar = el(n ? "i" : "i.zero", { title: `${i < bounds.length ? "up to " + bounds[i] : "over " + bounds.at(-1)} ms: ${number(n)}` });
      bar.style.height = `${Math.max(3, 100 * n / most)}%`;
      return bar;
    })),
    el("div.axis", el("span", "0 ms"), el("span", "100 ms"), el("span", "1 s")));
}
