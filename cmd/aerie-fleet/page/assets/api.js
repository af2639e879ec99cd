// What the server is asked.

import { toast } from "./dom.js";

// onSignedOut is called when the server no longer knows who this is.
export const hooks = { signedOut() {} };

async function request(path, options) {
  const response = await fetch(path, { headers: { "X-Aerie": "1" }, ...options });
  if (response.status === 401) hooks.signedOut();
  const text = await response.text();
  let body = {};
  try { body = text ? JSON.parse(text) : {}; } catch { body = { error: text }; }
  if (!response.ok) throw new Error(body.error || `the server answers ${response.status}`);
  return body;
}

export const get = path => request(path);
export const post = (path, body) => request(path, { method: "POST", body: JSON.stringify(body ?? {}) });

// attempt does something and says how it went.
export async function attempt(button, done, action) {
  if (button) button.disabled = true;
  try {
    const result = await action();
    if (done) toast(done);
    return result;
  } catch (e) {
    toast(e.message, true);
  } finally {
    if (button) button.disabled = false;
  }
}
