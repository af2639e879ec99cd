// The table of devices: the server searches, sorts and cuts it into pages.

import { $, ago, el, number, span } from "./dom.js";
import { get } from "./api.js";

const size = 50;
const words = { good: "Good", updating: "Updating", unpaired: "Unpaired", offline: "Offline", trouble: "Trouble" };

export const query = { search: "", status: "", sort: "", offset: 0 };

let asked = 0, chosen = "", choose = () => {};

export function setUp(onChoose) {
  choose = onChoose;
  let typing;
  $("search").oninput = () => {
    clearTimeout(typing);
    typing = setTimeout(() => show({ search: $("search").value.trim() }), 150);
  };
  $("sort").onchange = () => show({ sort: $("sort").value });
  $("back").onclick = () => show({ offset: Math.max(0, query.offset - size) }, true);
  $("next").onclick = () => show({ offset: query.offset + size }, true);
}

// show changes what is asked for; another question begins at its first page.
export function show(change, samePage) {
  Object.assign(query, samePage ? {} : { offset: 0 }, change);
  return refresh();
}

export function select(id) {
  chosen = id;
  for (const row of $("rows").children) row.setAttribute("aria-selected", row.dataset.id === id);
}

export async function refresh() {
  const mine = ++asked;
  const page = await get("/api/devices?" + new URLSearchParams({ ...query, limit: size })).catch(() => null);
  if (!page || mine !== asked) return;
  tiles(page);
  const rows = page.rows || [];
  $("rows").replaceChildren(...rows.map(row));
  $("nothing").hidden = rows.length > 0;
  $("nothing").textContent = page.total ? "No device matches." : "No devices yet. “Add devices” says how to begin.";
  $("range").textContent = rows.length
    ? `${number(query.offset + 1)}–${number(query.offset + rows.length)} of ${number(page.matched)}` : "";
  $("back").disabled = query.offset === 0;
  $("next").disabled = query.offset + rows.length >= page.matched;
}

function tiles(page) {
  const tile = (status, text, n) => el(status ? `button.${status}` : "button", {
    onclick: () => show({ status }), "aria-pressed": String(query.status === status),
  }, el("b", number(n)), el("span", status && el("i.dot"), text));
  const all = [tile("", "All devices", page.total), ...Object.entries(words).map(([s, w]) => tile(s, w, page.counts[s] || 0))];
  for (const t of all) t.classList.toggle("none", t.firstChild.textContent === "0");
  $("tiles").replaceChildren(...all);
}

export function state(d) {
  return el(`span.state.${d.status}`, el("i.dot"), words[d.status] || d.status);
}

function row(d) {
  const h = d.health;
  const open = () => choose(d.id);
  const tr = el("tr", { tabIndex: 0, onclick: open, onkeydown: e => { if (e.key === "Enter") open(); }, "aria-selected": String(d.id === chosen) },
    el("td", h.name || d.id, el("small", d.id)),
    el("td", state(d), d.why && el("small.why", { title: d.why }, d.why)),
    el("td", h.version || "–", h.slot && el("small", `slot ${h.slot}`)),
    el("td", d.progress || "–"),
    el(h.temperature >= 80 ? "td.hot" : "td", h.temperature ? `${h.temperature.toFixed(0)} °C` : "–"),
    el("td", span(h.uptime)),
    el("td", number(h.sessions), h.playing && el("small", "playing")),
    el("td", ago(d.seen)));
  tr.dataset.id = d.id;
  return tr;
}
