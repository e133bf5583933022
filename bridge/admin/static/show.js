// Formats text and numbers and builds elements. All received text passes `clean` and becomes a text node, never markup.

// Control characters, characters that change the text direction, and invisible ones.
const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Returns a text with visible escapes for invisible characters, cut after `maxLength` characters. */
export function clean(text, maxLength = 200) {
  const whole = String(text ?? "");
  const cut = whole.length > maxLength ? `${whole.slice(0, maxLength)}…` : whole;
  return cut.replace(HIDDEN, (c) => (c === "\n" ? "↵" : c === "\t" ? "⇥" : `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`));
}

/** Creates an element with attributes and children; strings become text nodes. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

/** Sets the text of an element only if it differs, so that selections and screen readers are not disturbed. */
export function put(where, text) {
  if (where.textContent !== text) where.textContent = text;
}

/** Replaces the children of an element by one per row; does nothing while the rows are unchanged. */
export function list(where, rows, make) {
  const shown = JSON.stringify(rows);
  if (where.shown === shown) return;
  where.shown = shown;
  where.replaceChildren(...rows.map(make));
}

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

export const count = (n) => (n == null ? "–" : whole.format(n));

export const rate = (n) => (n == null ? "–" : n > 0 && n < 10 ? fine.format(n) : whole.format(n));

export function size(bytes) {
  if (bytes == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${unit ? fine.format(bytes) : whole.format(bytes)} ${units[unit]}`;
}

/** Formats seconds: 0.4 s, 12 s, 3 min, 5 h 20 min, 2 d 3 h. */
export function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 10) return `${fine.format(seconds)} s`;
  if (seconds < 120) return `${whole.format(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

export const ago = (seconds) => (seconds == null ? "never" : seconds < 2 ? "just now" : `${span(seconds)} ago`);

const STATES = {
  idle: ["healthy", "idle", "all events are delivered"],
  delivering: ["healthy", "delivering", "requests are in flight"],
  "backing-off": ["critical", "backing off", "the last request failed; it is retried after a wait"],
  parked: ["critical", "parked", "delivery is suspended because the collector accepts none of this intake's events; retried every few minutes"],
  full: ["critical", "full", "the intake has used its share of the spool"],
};

/** Returns the CSS class, the label and the explanation of an intake's state. */
export const state = (name) => STATES[name] ?? ["degraded", clean(name, 30), ""];
