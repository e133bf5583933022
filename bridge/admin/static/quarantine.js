// The section Quarantine: what is held for which reason, the commands for it, and the latest entries.

import { command } from "./copy.js";
import { every, fetchJson } from "./poll.js";
import { count, number, put, sum } from "./show.js";
import { Table } from "./tables.js";

const at = (id) => document.getElementById(id);
const MAX_ROWS = 30;
const REASONS = {
  refused: ["the collector refused the event", "queue them again, unchanged"],
  oversize: ["longer than max_frame_size or than the limit of an event", "route them again"],
  damaged: ["the frame is truncated, or its file was damaged", "route them again"],
  unredacted: ["a rule of redact: exceeded its match limit", "redact and route them again"],
  unrouted: ["no route matches the frame", "route them again"],
};

const reasons = new Table(at("quarantine-reasons"), {
  caption: "Frames in quarantine by reason", key: (row) => row.reason, empty: "Nothing is in quarantine.",
  columns: [
    { head: "Reason", cell: (row) => [{ text: row.reason, class: "name" }, { text: REASONS[row.reason]?.[0] ?? "", class: "quiet" }] },
    { head: "Held", number: true, cell: (row) => count(row.held) },
    { head: "Commands", wide: true, cell: (row) => commandsFor(row.reason) },
  ],
});

function commandsFor(reason) {
  const retry = reason === "unrouted" ? "syslog-bridge unrouted reroute" : `syslog-bridge quarantine retry --reason ${reason}`;
  return [[`syslog-bridge quarantine list --reason ${reason}`, "show them"], [retry, REASONS[reason]?.[1] ?? "retry them"],
    [`syslog-bridge quarantine purge --reason ${reason}`, "delete them"]].map(([text, does]) => ({ text, make: () => command(text, does) }));
}

const entries = new Table(at("quarantine-table"), {
  caption: "Latest entries in quarantine", key: (row) => row.kind, empty: "No entries.",
  columns: [
    { head: "Reason", cell: (row) => [{ text: row.reason, class: "name" }, row.intake ? { text: row.intake, class: "quiet" } : null] },
    { head: "Latest", cell: (row) => [new Date(row.received_ms).toISOString().slice(0, 19).replace("T", " "), row.alike > 1 ? { text: `and ${row.alike - 1} similar`, class: "quiet" } : null] },
    { head: "Source", cell: (row) => row.address },
    { head: "Details", wide: true, cell: (row) => row.why },
    { head: "Message", wide: true, cell: (row) => (row.sample == null ? { text: "not shown", class: "quiet" } : { text: row.sample, class: "code" }) },
  ],
});
let last = [];

function showEntries() {
  const wanted = at("quarantine-find").value.trim().toLowerCase(), only = at("quarantine-only").value;
  // Merges entries with the same reason, source, intake and details; the latest is shown.
  const kinds = new Map();
  for (const row of last) {
    if ((only && row.reason !== only) || !Object.values(row).join("\n").toLowerCase().includes(wanted)) continue;
    const kind = JSON.stringify([row.reason, row.address, row.intake, row.why]);
    const first = kinds.get(kind);
    if (first) first.alike += 1;
    else kinds.set(kind, { ...row, kind, alike: 1 });
  }
  entries.show([...kinds.values()].slice(0, MAX_ROWS));
}

/** Shows the counts of a status. */
export function showQuarantine(status) {
  reasons.show(Object.entries(status.quarantine).filter(([, held]) => held).map(([reason, held]) => ({ reason, held })));
  put(at("quarantine-count"), `${number(sum(status.quarantine), "frame")} held`);
}

for (const id of ["quarantine-find", "quarantine-only"]) at(id).addEventListener("input", showEntries);

every(10, async () => {
  const found = await fetchJson("api/quarantine");
  if (!found) return;
  last = found.last;
  showEntries();
}, "quarantine");
