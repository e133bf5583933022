// Shows senders that a listener rejects, sources that are silent for longer than expected, and those whose messages have
// changed. A sender of which no message was ever accepted is in no other list.

import { count, put, span, when, words } from "./show.js";
import { Table } from "./tables.js";

const at = (id) => document.getElementById(id);
const MAX_ROWS = 50;

const rejected = new Table(at("rejected-table"), {
  caption: "Rejected senders", key: (row) => JSON.stringify([row.address, row.listener, row.reason]), empty: "None match the filter.",
  columns: [
    { head: "Sender", cell: (row) => [{ text: row.name ?? row.address, class: "name" }, row.name ? { text: row.address, class: "quiet" } : null] },
    { head: "Listener", cell: (row) => row.listener },
    { head: "Reason", wide: true, cell: (row) => ({ text: row.meaning ?? words(row.reason), class: "bad" }) },
    { head: "Times", number: true, cell: (row) => count(row.count) },
    { head: "Last", cell: (row) => (row.last ? when(row.last, row.now) : "–") },
    { head: "To do", wide: true, cell: (row) => row.remedy ?? "" },
  ],
});

const silent = new Table(at("silent-table"), {
  caption: "Silent sources", key: (row) => row.address, empty: "None match the filter.",
  columns: [
    { head: "Source", cell: (row) => [{ text: row.name ?? row.address, class: "name" }, row.name ? { text: row.address, class: "quiet" } : null] },
    { head: "Silent for", number: true, cell: (row) => ({ text: span(row.seconds), class: "bad" }) },
    { head: "Last message", cell: (row) => when(row.last, row.now) },
    { head: "To do", wide: true, cell: () => "Check the device, its syslog configuration and the network in between" },
  ],
});

const changed = new Table(at("changed-table"), {
  caption: "Sources whose messages have changed", key: (row) => JSON.stringify([row.address, row.listener]), empty: "None match the filter.",
  columns: [
    { head: "Source", cell: (row) => [{ text: row.name ?? row.address, class: "name" }, row.name ? { text: row.address, class: "quiet" } : null] },
    { head: "Since", cell: (row) => when(row.since, row.now) },
    { head: "Before", wide: true, cell: (row) => row.old_shape ?? "–" },
    { head: "Now", wide: true, cell: (row) => [{ text: row.new_shape ?? "–", class: "bad" }, row.fitting_format ? { text: `format that fits: ${row.fitting_format}`, class: "quiet" } : null] },
    { head: "To do", wide: true, cell: (row) => row.remedy ?? "" },
  ],
});

function showTable(id, table, rows, find) {
  at(id).hidden = rows.length === 0;
  const found = rows.filter((row) => Object.values(row).join("\n").toLowerCase().includes(find));
  table.show(found.slice(0, MAX_ROWS));
  put(at(`${id}-count`), found.length > MAX_ROWS ? `${count(MAX_ROWS)} of ${count(found.length)}: use the filter` : count(found.length));
}

/** Shows those of a status whose row contains the text of the filter. */
export function showSenders(status, find) {
  const now = status.taken;
  showTable("rejected", rejected, (status.rejected_sources ?? []).map((row) => ({ ...row, now })), find);
  showTable("changed", changed, (status.drifts ?? []).map((row) => ({ ...row, now })), find);
  const silentRows = Object.entries(status.silent_sources ?? {}).map(([address, seconds]) =>
    ({ address, name: status.silent_source_names?.[address], seconds, last: new Date(Date.parse(now) - seconds * 1000).toISOString(), now }));
  silentRows.sort((one, other) => other.seconds - one.seconds);
  showTable("silent", silent, silentRows, find);
}
