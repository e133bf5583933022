// Keyboard shortcuts, with a dialog that lists them. They do nothing while the user types.

import { SECTIONS, go, isShown } from "./router.js";
import { el } from "./show.js";

const SWITCH = "syslog-bridge-shortcuts";
const LETTERS = { o: "overview", i: "intakes", s: "sources", u: "unrouted", q: "quarantine", l: "listeners", g: "log" };
const PREFIX_MS = 1500;

const help = document.getElementById("help");
const isOn = document.getElementById("help-on");
let prefixAt = 0;

const LIST = [
  ...SECTIONS.map((name, place) => [[String(place + 1), `g ${Object.keys(LETTERS).find((key) => LETTERS[key] === name)}`], title(name)]),
  [["/"], "Filter the section; on a section without filter, the sources"],
  [["Esc"], "Leave the filter, close a dialog"],
  [["p"], "Pause or resume"],
  [["?"], "This list"],
];

function title(section) {
  return section[0].toUpperCase() + section.slice(1);
}

/** Focuses the filter of the section that is shown. */
function focusFilter() {
  const shown = SECTIONS.find(isShown);
  let field = document.querySelector(`#${shown} input[type=search]`);
  if (!field) {
    go("sources");
    // The section is shown after the hash has changed.
    addEventListener("hashchange", () => document.getElementById("find").focus(), { once: true });
    return;
  }
  field.focus();
  field.select();
}

function openHelp() {
  if (!help.open) help.showModal();
}

function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const typing = event.target.closest?.("input:not([type=checkbox]), select, textarea");
  if (typing) {
    if (event.key === "Escape") typing.blur();
    return;
  }
  if (!isOn.checked || document.querySelector("dialog[open]")) return;
  const afterG = Date.now() - prefixAt < PREFIX_MS;
  prefixAt = 0;
  if (afterG && LETTERS[event.key]) go(LETTERS[event.key]);
  else if (event.key === "g") prefixAt = Date.now();
  else if (event.key === "/") focusFilter();
  else if (event.key === "?") openHelp();
  else if (event.key === "p") document.getElementById("pause").click();
  else if (SECTIONS[Number(event.key) - 1] && event.key !== " ") go(SECTIONS[Number(event.key) - 1]);
  else return;
  event.preventDefault();
}

/** Reads the switch of an earlier visit. A browser may forbid storage; then the shortcuts are on. */
function readSwitch() {
  try { isOn.checked = localStorage.getItem(SWITCH) !== "off"; } catch { isOn.checked = true; }
}

function writeSwitch() {
  try { localStorage.setItem(SWITCH, isOn.checked ? "on" : "off"); } catch { /* it holds until the page is closed */ }
}

/** Listens for keys from now on. */
export function start() {
  readSwitch();
  document.getElementById("help-keys").append(...LIST.map(([keys, what]) => el("div", {},
    el("dt", {}, ...keys.flatMap((key, place) => [place ? " or " : "", ...key.split(" ").flatMap((one, n) => [n ? " " : "", el("kbd", {}, one)])])),
    el("dd", {}, what))));
  isOn.addEventListener("change", writeSwitch);
  document.getElementById("help-open").addEventListener("click", openHelp);
  document.getElementById("help-close").addEventListener("click", () => help.close());
  // A form of filters has no button: Enter sends nothing.
  for (const form of document.querySelectorAll("form")) form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("keydown", press);
}
