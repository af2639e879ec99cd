// The page of a fleet: signs in, listens to the server, and keeps the parts up
// to date.

import { $ } from "./dom.js";
import { attempt, get, hooks, post } from "./api.js";
import * as table from "./table.js";
import * as device from "./device.js";
import * as rollout from "./rollout.js";
import * as enrolment from "./enrolment.js";

let events, last = {};

hooks.signedOut = () => {
  events?.close();
  events = null;
  document.body.dataset.view = "login";
};

function enter(overview) {
  document.body.dataset.view = "fleet";
  draw(overview);
  table.refresh();
  if (events) return;
  events = new EventSource("/api/events");
  events.onmessage = e => draw(JSON.parse(e.data));
  // The browser tries again by itself, but not for ever when it was refused.
  events.onerror = () => {
    link(false, "No connection to the service");
    if (events?.readyState === EventSource.CLOSED) {
      events = null;
      setTimeout(() => get("/api/overview").then(enter, () => {}), 3000);
    }
  };
}

function link(on, text) {
  $("link").className = on ? "link on" : "link off";
  $("link").lastChild.textContent = text;
}

function draw(overview) {
  const changed = overview.revision !== last.revision;
  last = overview;
  $("pool").textContent = overview.pool;
  document.title = overview.counts.trouble ? `(${overview.counts.trouble}) Aerie fleet` : "Aerie fleet";
  const n = overview.instances?.length || 0;
  link(overview.connected, overview.connected ? `${n} ${n === 1 ? "service" : "services"}` : "No connection to the broker");
  rollout.draw(overview);
  if (changed) {
    table.refresh();
    device.refresh();
  }
}

$("login").onsubmit = async event => {
  event.preventDefault();
  try {
    await post("/login", { token: $("token").value });
    $("token").value = $("login-error").textContent = "";
    enter(await get("/api/overview"));
  } catch (e) {
    $("login-error").textContent = e.message;
  }
};

$("out").onclick = async () => { await attempt(null, "", () => post("/logout")); hooks.signedOut(); };
$("add").onclick = enrolment.show;
$("begin").onclick = rollout.begin;
addEventListener("keydown", e => { if (e.key === "Escape") device.close(); });
table.setUp(device.show);
get("/api/overview").then(enter, () => { if (document.body.dataset.view === "loading") hooks.signedOut(); });
