// The section Log: the last lines of the bridge's log, filtered by level and text.

import { every, fetchJson } from "./poll.js";
import { clean, count, el, list, put } from "./show.js";

const at = (id) => document.getElementById(id);
const LEVELS = ["debug", "info", "warn", "error", "critical"];
let lines = [];

function show() {
  const wanted = at("log-find").value.trim().toLowerCase(), least = LEVELS.indexOf(at("log-level").value);
  const found = lines.filter((line) => LEVELS.indexOf(line.level) >= least && `${line.logger}: ${line.text}`.toLowerCase().includes(wanted));
  list(at("log-lines"), found, (line) => el("li", { class: line.level },
    el("time", { datetime: line.time }, line.time.slice(5, 19).replace("T", " ")), el("b", {}, line.level), el("span", {}, clean(`${line.logger}: ${line.text}`, 1000))));
  put(at("log-count"), found.length === lines.length ? `the last ${count(lines.length)} lines` : `${count(found.length)} of the last ${count(lines.length)} lines`);
}

for (const id of ["log-find", "log-level"]) at(id).addEventListener("input", show);

every(5, async () => {
  const found = await fetchJson("api/log");
  if (!found) return;
  lines = found.log;
  show();
}, "log");
