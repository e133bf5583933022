// The status page: requests the status every two seconds, and passes it to the sections. The page is read-only.

import { showIntakes } from "./intakes.js";
import { start as startKeys } from "./keys.js";
import { showListeners } from "./listeners.js";
import "./log.js";
import { showOverview, start as startOverview } from "./overview.js";
import { every, fetchJson } from "./poll.js";
import { showQuarantine } from "./quarantine.js";
import { start as startRouter } from "./router.js";
import { clean, count, el, list, number, put, short, span, sum } from "./show.js";
import { showSources } from "./sources.js";
import { label, ofIntake } from "./states.js";
import "./unrouted.js";

const at = (id) => document.getElementById(id);

/** Shows the state in the head of each section, and in the title of the window. */
function showHead(status) {
  const { state, problems } = status.headline;
  at("state").dataset.state = state;
  put(at("state"), label(state) + (problems.length > 1 ? ` · ${problems.length}` : ""));
  const word = label(state).slice(2);
  const inWords = problems.length ? `${word}: ${number(problems.length, "problem")}` : word;
  at("state").setAttribute("aria-label", inWords);
  // The sentences of the problems change with each event; a screen reader announces what matters.
  put(at("announcement"), inWords);
  document.title = problems.length ? `(${problems.length}) ${word} – syslog-bridge` : "syslog-bridge";
  put(at("gateway"), clean(`${status.gateway} · up ${span(status.uptime_seconds)}`, 120));
  put(at("version"), clean(`syslog-bridge ${status.version} · configuration ${status.config_sha256.slice(0, 12)} · as of ${status.taken}`));
}

/** Shows beside the name of each section how many things in it need attention. */
function showNumbers(status) {
  const failing = status.intakes.filter((row) => ofIntake(row.state)[0] !== "healthy").length;
  const senders = Object.keys(status.silent_sources ?? {}).length + (status.rejected_sources ?? []).length + (status.drifts ?? []).length;
  const drops = Object.values(status.kernel_drops).filter((n) => n).length;
  const numbers = {
    overview: [status.headline.problems.length, "problem"], intakes: [failing, "failing intake"], sources: [senders, "silent, rejected or changed source"],
    unrouted: [Math.max(status.sources_count.unrouted ?? 0, status.unrouted.length), "source"], quarantine: [sum(status.quarantine), "frame"], listeners: [drops, "listener with drops"],
  };
  for (const [section, [n, noun]] of Object.entries(numbers)) {
    const where = document.querySelector(`#sections a[href="#/${section}"] .number-of`);
    list(where, n ? [[n, noun]] : [], () => el("span", { class: "badge-number" }, el("span", { "aria-hidden": "true" }, short(n)), el("span", { class: "unseen" }, ` ${number(n, noun)}`)));
  }
}

every(2, async () => {
  const status = await fetchJson("api/status?sources=0");
  if (!status) return;
  showHead(status);
  showNumbers(status);
  showOverview(status);
  showIntakes(status);
  showSources(status);
  showQuarantine(status);
  showListeners(status);
});

startOverview();
startKeys();
startRouter();
