// The section Sources: a page of the sources, sorted and filtered by the gateway, so that ten thousand stay usable.

import { PAGE, Pager } from "./pager.js";
import { every, fetchJson } from "./poll.js";
import { onShow, remember } from "./router.js";
import { showSenders } from "./senders.js";
import { ago, count, el, list, put, rate, span } from "./show.js";
import { Source } from "./source.js";
import { Table } from "./tables.js";

const at = (id) => document.getElementById(id);
const FIELDS = { find: at("find"), only: at("only"), intake: at("of-intake"), sort: at("sort") };

const source = new Source(fetchJson);
const table = new Table(at("sources-table"), {
  caption: "Sources", key: (row) => JSON.stringify([row.listener, row.address, row.client, row.behind]), empty: "No sources.", open: (row) => source.open(row),
  columns: [
    { head: "Source", cell: (row) => [{ text: row.name ?? row.address, class: "name" }, row.name ? { text: row.address, class: "quiet" } : null,
      row.behind ? { text: `behind ${row.behind}`, class: "quiet" } : null, row.client ? { text: `certificate ${row.client}`, class: "quiet" } : null] },
    { head: "Listener", extra: true, cell: (row) => row.listener },
    { head: "Route → intake", cell: (row) => (row.intake ? [row.intake, { text: `by ${row.route}`, class: "quiet" }] : row.route === "unrouted" ? { text: "no route", class: "bad" } : { text: `filtered by ${row.route ?? "–"}`, class: "quiet" }) },
    { head: "Shape", extra: true, cell: (row) => row.shape ?? "–" },
    { head: "Events", number: true, cell: (row) => [count(row.events), row.sequence_missing ? { text: `${count(row.sequence_missing)} missing by sequence number`, class: "bad" } : null,
      row.limited ? { text: `${count(row.limited)} dropped above its rate limit`, class: "bad" } : null] },
    { head: "Events/s", number: true, cell: (row) => rate(row.events_per_second) },
    { head: "Last seen", cell: (row) => [ago(row.silent_seconds), row.expect_seconds && row.silent_seconds > row.expect_seconds ? { text: `expected every ${span(row.expect_seconds)}`, class: "bad" } : null] },
    { head: "Clock", wide: true, cell: (row) => (row.clock_remedy ? [{ text: row.clock, class: "bad" }, { text: row.clock_remedy, class: "quiet" }] : row.clock ?? "–") },
  ],
});
const pager = new Pager(at("sources-pager"), "sources", () => refresh());
let status = null;

const values = () => Object.fromEntries(Object.entries(FIELDS).map(([name, field]) => [name, field.value]));

/** Shows what a status says of sources: rejected and silent ones, and the intakes to choose from. */
export function showSources(latest) {
  status = latest;
  const names = status.intakes.map((row) => row.name);
  const chosen = FIELDS.intake.value;
  if (chosen && !names.includes(chosen)) names.push(chosen);
  list(FIELDS.intake, ["", ...names], (name) => el("option", { value: name }, name || "all"));
  if (FIELDS.intake.value !== chosen) FIELDS.intake.value = chosen;
  showSenders(status, FIELDS.find.value.trim().toLowerCase());
}

// A link to this section may name what to show.
onShow("sources", ({ query }) => {
  const name = query.get("intake");
  if (name && ![...FIELDS.intake.options].some((option) => option.value === name)) FIELDS.intake.append(el("option", { value: name }, name));
  for (const [key, field] of Object.entries(FIELDS)) field.value = query.get(key) ?? (key === "sort" ? "events" : "");
  pager.first();
  if (status) showSources(status);
});

const refresh = every(3, async () => {
  const wanted = { ...values(), offset: pager.offset, limit: PAGE };
  const found = await fetchJson(`api/sources?${new URLSearchParams(wanted)}`);
  if (!found) return;
  if (!pager.show(found.sources.length, found.matching)) { setTimeout(refresh); return; }
  table.show(found.sources);
  put(at("sources-count"), found.matching === found.total ? `${count(found.total)} in total` : `${count(found.matching)} of ${count(found.total)}`);
}, "sources");

for (const [name, field] of Object.entries(FIELDS)) {
  field.addEventListener("input", () => {
    pager.first();
    const { sort, ...filters } = values();
    remember("sources", { ...filters, sort: sort === "events" ? "" : sort });
    if (name === "find" && status) showSenders(status, field.value.trim().toLowerCase());
    refresh();
  });
}

every(3, () => source.refresh(), "sources");
