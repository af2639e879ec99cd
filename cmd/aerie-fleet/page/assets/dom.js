// Elements and texts, without markup in strings.

export const $ = id => document.getElementById(id);

// el makes an element: el("button.primary", {onclick: f}, "text", child, ...).
export function el(name, ...rest) {
  const [tag, ...classes] = name.split(".");
  const e = document.createElement(tag);
  if (classes.length) e.className = classes.join(" ");
  if (rest.length && rest[0] && rest[0].constructor === Object) {
    for (const [key, value] of Object.entries(rest.shift())) {
      if (key.startsWith("aria-") || key === "role") e.setAttribute(key, value);
      else e[key] = value;
    }
  }
  e.append(...rest.flat().filter(x => x !== null && x !== undefined && x !== false));
  return e;
}

// icon makes a picture of one path.
export function icon(path) {
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg"), p = document.createElementNS(ns, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  p.setAttribute("d", path);
  svg.append(p);
  return svg;
}

export const number = n => Number(n || 0).toLocaleString("en");

// span is a time in its two largest units.
export function span(seconds) {
  seconds = Math.max(0, Math.floor(seconds));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  const out = [];
  for (const [size, unit] of parts.slice(first, first + 2)) {
    const n = Math.floor(seconds / size);
    if (n || !out.length) out.push(`${n} ${unit}`);
    seconds %= size;
  }
  return out.join(" ");
}

// ago is how long ago an instant was.
export function ago(text) {
  const at = Date.parse(text);
  if (!(at > 0)) return "–";
  const s = (Date.now() - at) / 1000;
  return s < 45 ? "now" : span(s).split(" ").slice(0, 2).join(" ") + " ago";
}

let hiding;

// toast says something for a while.
export function toast(text, bad) {
  const t = $("toast");
  t.textContent = text;
  t.className = bad ? "toast bad" : "toast";
  t.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { t.hidden = true; }, bad ? 8000 : 4000);
}
