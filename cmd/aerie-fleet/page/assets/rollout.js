// The rollout that goes on, and the form that begins one.

import { $, el, number, span } from "./dom.js";
import { attempt, post } from "./api.js";
import { close, other, panel } from "./device.js";

const words = {
  well: "confirmed", trying: "installing", waiting: "waiting", failed: "went back", absent: "away", later: "later rings",
};

export function draw(overview) {
  const r = overview.rollout, box = $("rollout");
  box.hidden = !r;
  $("begin").disabled = Boolean(r) && !["done", "cancelled"].includes(r.state);
  if (!r) return;
  const tally = overview.tally || {};
  const order = (text, kind, look) => el(look || "button", { onclick: e => attempt(e.target, "", () => post(`/api/rollout/${kind}`)) }, text);
  const buttons = {
    running: [order("Pause", "pause"), order("Cancel", "cancel", "button.danger")],
    paused: [order("Resume", "resume", "button.primary"), order("Cancel", "cancel", "button.danger")],
    halted: [order("Resume all the same", "resume"), order("Cancel", "cancel", "button.danger")],
  }[r.state] || [];
  box.replaceChildren(
    el("header", el("h2", `Release ${r.release.counter}`), el(`b.pill.${r.state}`, r.state), el("span", r.release.url), ...buttons),
    ...(r.reason ? [el("p.reason", r.reason)] : []),
    el("ol.rings", r.rings.map((share, i) => ring(r, share, i))),
    el("div.bar", { role: "img", "aria-label": "Progress" }, Object.keys(words).map(k => part(k, tally[k] || 0))),
    el("p.legend", Object.entries(words).filter(([k]) => tally[k]).map(([k, w]) => el("span", el(`i.${k}`), el("b", number(tally[k])), ` ${w}`))));
}

function part(kind, n) {
  const i = el(`i.${kind}`);
  i.style.flexGrow = n;
  return i;
}

function ring(r, share, i) {
  const name = share === 0 ? "One device" : share === 1 ? "All" : `${+(share * 100).toFixed(1)} %`;
  const step = r.steps?.find(s => s.ring === i);
  let text = step ? `${number(step.devices)} ${step.devices === 1 ? "device" : "devices"}` : "";
  if (i === r.ring && r.state === "running") {
    const left = r.well ? r.well + r.soak - Date.now() / 1000 : 0;
    text += left > 0 ? `, well; ${span(left)} to go` : ", until all have confirmed";
  }
  const past = r.state === "done" || i < r.ring;
  return el(past ? "li.past" : i === r.ring ? "li.now" : "li", name, el("small", text));
}

// begin shows the form.
export function begin() {
  other();
  const input = (name, more) => el("input", { name, required: true, ...more });
  const form = el("form.tall", { onsubmit: send },
    el("label", "Address of the signed release", input("url", { type: "url", placeholder: "https://…", pattern: "https://.*" })),
    el("div.pair",
      el("label", "Its number", input("counter", { type: "number", min: 1 })),
      el("label", "Minutes each ring stays well", input("soak", { type: "number", min: 0, value: 10 }))),
    el("div.pair",
      el("label", "Devices that may go back", input("failures", { type: "number", min: 0, value: 0 })),
      el("label", "or per cent of them", input("share", { type: "number", min: 0, max: 100, step: "any", value: 2 }))),
    el("button.primary", "Begin with one device"));
  panel("Roll out a release",
    el("p", "One device first, then 5 %, then a quarter, then all. Each ring waits until its devices have confirmed the release and stayed well. Devices install only what is signed with your key."),
    form);
  form.url.focus();
}

async function send(event) {
  event.preventDefault();
  const f = event.target;
  const plan = {
    release: { url: f.url.value, counter: Number(f.counter.value) },
    soak: Math.round(f.soak.value * 60), failures: Number(f.failures.value), share: f.share.value / 100,
  };
  if (await attempt(event.submitter, "The rollout has begun.", () => post("/api/rollout/start", plan))) close();
}
