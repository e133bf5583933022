// The section Intakes: one row per intake, those with problems first.

import { showFleet } from "./fleet.js";
import { fullIn, holdsBack } from "./full.js";
import { showIntake } from "./intake.js";
import { PAGE, Pager } from "./pager.js";
import { every, fetchJson } from "./poll.js";
import { linkTo } from "./router.js";
import { clean, count, number, put, rate, size, span } from "./show.js";
import { Spark } from "./spark.js";
import { ofIntake } from "./states.js";
import { Table } from "./tables.js";

const at = (id) => document.getElementById(id);
const sparks = new Map();

const table = new Table(at("intakes-table"), {
  caption: "Intakes", key: (row) => row.name, empty: "No intakes.", href: (row) => linkTo("intakes", row.name),
  columns: [
    { head: "Intake", cell: (row) => ({ text: row.name, class: "name" }) },
    { head: "State", cell: (row) => { const [kind, word, means] = ofIntake(row.state); return [{ text: word, class: `state ${kind}`, title: means }, row.next_attempt_seconds ? { text: `next try in ${span(row.next_attempt_seconds)}`, class: "quiet" } : null]; } },
    { head: "In/s", number: true, cell: (row) => rate(row.received_per_second) },
    { head: "Out/s", number: true, cell: (row) => rate(row.delivered_per_second) },
    { head: "Last hour", element: sparkOf },
    { head: "Waiting", number: true, cell: (row) => [count(row.backlog_events), row.backlog_events ? { text: `${size(row.backlog_bytes)}, ${span(row.oldest_seconds)} old`, class: "quiet" } : null, row.full_in_seconds == null || !holdsBack(row) ? null : { text: fullIn(row.full_in_seconds), class: "quiet" }] },
    { head: "Delivered", number: true, cell: (row) => count(row.delivered) },
    { head: "Last response", wide: true, cell: (row) => lastResponse(row) },
  ],
});

function lastResponse(row) {
  const parts = [];
  const last = row.last_answer;
  if (row.last_error) parts.push({ text: row.last_error, class: "bad" });
  else if (last) parts.push(`accepted ${number(last.accepted, "event")} at ${last.at.slice(11, 19)}`);
  else parts.push({ text: "nothing sent yet", class: "quiet" });
  if (row.format_latest_mismatches) parts.push({ text: `${count(row.format_latest_mismatches)} of the latest ${count(row.format_latest_sampled)} sampled events do not match its format`, class: "bad" });
  return parts;
}

function sparkOf(name) {
  if (!sparks.has(name)) sparks.set(name, new Spark());
  return sparks.get(name).element;
}

let intakes = [];
let visible = [];
const pager = new Pager(at("intakes-pager"), "intakes", showRows);
at("intakes-find").addEventListener("input", () => { pager.first(); showRows(); refreshPlots(); });

function showRows() {
  const wanted = at("intakes-find").value.trim().toLowerCase();
  const found = intakes.filter((row) => [row.name, ofIntake(row.state)[1], row.last_error ?? ""].join("\n").toLowerCase().includes(wanted));
  // The sort is stable: within problems and the others, the order is that of the configuration.
  found.sort((one, other) => (ofIntake(one.state)[0] === "healthy") - (ofIntake(other.state)[0] === "healthy"));
  visible = found.slice(pager.offset, pager.offset + PAGE);
  if (!pager.show(visible.length, found.length)) visible = found.slice(0, PAGE);
  table.show(visible);
}

/** Shows a status. */
export function showIntakes(status) {
  intakes = status.intakes;
  const known = new Set(intakes.map((row) => row.name));
  for (const name of sparks.keys()) if (!known.has(name)) sparks.delete(name);
  showRows();
  showIntake(status);
  showFleet(status.fleet);
  const spool = status.spool;
  put(at("intakes-count"), clean(`${number(intakes.length, "intake")} · spool ${size(spool.bytes)} of ${size(spool.limit_bytes)}, ${fullIn(spool.full_in_seconds)}`));
}

const refreshPlots = every(20, async () => {
  const names = visible.map((row) => row.name);
  if (!names.length) { setTimeout(refreshPlots, 1000); return; }
  const found = await fetchJson(`api/intake_history?${new URLSearchParams({ names: names.join(",") })}`);
  for (const [name, history] of Object.entries(found?.intakes ?? {})) sparks.get(name)?.show(history);
}, "intakes");
