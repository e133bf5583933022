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

export const rate = (n) => (n == null ? "–" : n > 0 && n < 10 ? fine.format(n) : whole.format(Math.max(n, 0) + 0));

/** Formats a count in few characters: 999, 1.2k, 34k, 5.6M. */
export const short = (n) => (n < 1000 ? whole.format(n) : n < 1e6 ? `${(n < 1e4 ? fine : whole).format(n / 1e3)}k` : `${fine.format(n / 1e6)}M`);

export function size(bytes) {
  if (bytes == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; bytes >= 1000 && unit < units.length - 1; unit += 1) bytes /= 1000;
  return `${unit ? bytes.toFixed(1) : whole.format(bytes)} ${units[unit]}`;
}

/** Formats seconds in at most two units, as all commands do: 0.4 s, 12 s, 3 min, 5 h, 2 d 3 h. */
export function span(seconds) {
  if (seconds == null) return "–";
  if (seconds < 10) return `${fine.format(seconds)} s`;
  if (Math.round(seconds) < 120) return `${whole.format(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.round(seconds / 3600);
  if (hours < 48) return `${hours} h`;
  const days = Math.floor(hours / 24), rest = hours % 24;
  return rest && days < 10 ? `${days} d ${rest} h` : `${whole.format(days)} d`;
}

export const ago = (seconds) => (seconds == null ? "never" : seconds < 2 ? "just now" : `${span(seconds)} ago`);

/** Formats a time in UTC, such as 04:40, or Nov 28 04:40 if that is another day than `now`. */
export function when(time, now) {
  const at = new Date(time);
  if (Number.isNaN(at.getTime())) return "–";
  const text = at.toISOString();
  if (now && text.slice(0, 10) === new Date(now).toISOString().slice(0, 10)) return text.slice(11, 16);
  return `${MONTHS[at.getUTCMonth()]} ${at.getUTCDate()} ${text.slice(11, 16)}`;
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Returns the seconds between two times, null if one of them is missing. */
export const between = (from, to) => (from && to ? Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000) : null);

/** Returns a count with its noun: 1 event, 2 events. */
export const number = (n, noun) => `${count(n)} ${noun}${n === 1 ? "" : "s"}`;

/** Returns a reason code as words. */
export const words = (code) => String(code).replaceAll("_", " ");

export const sum = (amounts) => Object.values(amounts ?? {}).reduce((total, n) => total + n, 0);
