// Requests the API at intervals while the page is visible and not paused, and shows whether the bridge answers.

import { isShown, onShow } from "./router.js";
import { put, span } from "./show.js";

const pause = document.getElementById("pause");
const live = document.getElementById("live");
let paused = false;
let answered = 0;
let failing = false;

/** Returns the JSON at a path, null if there is no answer. */
export async function fetchJson(path) {
  try {
    const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(15000) });
    if (!answer.ok) throw new Error(`HTTP status ${answer.status}`);
    const data = await answer.json();
    answered = Date.now();
    failing = false;
    return data;
  } catch {
    failing = true;
    return null;
  } finally {
    showConnection();
  }
}

/**
 * Calls `job` now and then every `seconds` while the page is visible and not paused, and the section is shown (without
 * `section`: always). Calls never overlap. Returns a function that runs the job at once.
 */
export function every(seconds, job, section = null) {
  let busy = false, again = false;
  const run = async (forced) => {
    if (section !== null && !isShown(section)) return;
    if (busy) { again ||= forced; return; }
    if (!forced && (paused || document.hidden)) return;
    busy = true;
    try { await job(); } finally { busy = false; }
    if (again) { again = false; run(true); }
  };
  setInterval(() => run(false), seconds * 1000);
  document.addEventListener("visibilitychange", () => run(false));
  pause.addEventListener("click", () => run(false));
  if (section === null) run(false);
  else onShow(section, () => run(true));
  return () => run(true);
}

function showConnection() {
  const silent = (Date.now() - answered) / 1000;
  const stale = answered && !paused && (silent > 12 || (failing && silent > 4));
  document.body.classList.toggle("stale", Boolean(stale));
  put(live, paused ? "paused" : !answered ? "no answer yet" : stale ? `no answer for ${span(silent)}: is the bridge running?` : "live");
}

// This listener is the first of the button, so the jobs see the new value.
pause.addEventListener("click", () => {
  paused = !paused;
  pause.setAttribute("aria-pressed", String(paused));
  put(pause, paused ? "Resume" : "Pause");
  showConnection();
});
setInterval(showConnection, 1000);
