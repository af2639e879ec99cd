// The panel that brings devices into the fleet.

import { el } from "./dom.js";
import { attempt, get, post } from "./api.js";
import { other, panel } from "./device.js";

export async function show() {
  other();
  const e = await attempt(null, "", () => get("/api/enrolment"));
  if (!e) return;
  draw(e);
}

function draw(e, fresh) {
  const note = el("input", { placeholder: "What for? (optional)", "aria-label": "Note", maxLength: 200 });
  panel("Add devices",
    el("section", el("h2", "With the code on its screen"),
      el("p", "Set fleet.server on the device to this server's address. It shows a code; type that in here."),
      ...(e.waiting?.length ? e.waiting.map(waiting) : [el("p", "No device waits now.")]),
      el("button", { onclick: show }, "Look again")),
    el("section", el("h2", "With a code in its settings file"),
      fresh ? el("output", fresh) : null,
      fresh ? el("p", "Write it into the device's settings as fleet.code. It can be used once.") : el("p", "For devices that nobody looks at. A code can be used once."),
      el("form", { onsubmit: async ev => {
        ev.preventDefault();
        const code = await attempt(ev.submitter, "", () => post("/api/enrolment/codes", { note: note.value.trim() }));
        if (code) draw(await get("/api/enrolment"), code.code);
      } }, note, el("button.primary", "New code")),
      el("ul.codes", (e.codes || []).map(c => el("li", el("span", c.note || "no note"), el("span", `${c.code.slice(0, 4)}…, until ${c.expires.slice(0, 10)}`))))));
}

function waiting(w) {
  const code = el("input", { placeholder: "Code on its screen", "aria-label": `Code of ${w.name || w.device}`, required: true, autocomplete: "off" });
  return el("form", { onsubmit: async ev => {
    ev.preventDefault();
    if (await attempt(ev.submitter, `${w.name || w.device} is a member now.`, () => post("/api/enrolment/admit", { device: w.device, code: code.value }))) show();
  } }, el("label", w.name || w.device, code), el("button.primary", "Admit"));
}
