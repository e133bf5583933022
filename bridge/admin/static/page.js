// The status page: polls the API every few seconds and shows the result. The page is read-only.

import { Plots } from "./plots.js";
import { Source } from "./source.js";
import { ago, clean, count, el, list, put, rate, size, span, state } from "./show.js";
import { Table } from "./tables.js";

const PAGE = matchMedia("(max-width: 760px)").matches ? 20 : 50;
const at = (id) => document.getElementById(id);

// --- polling -----------------------------------------------------------------------------------------------------------
let paused = false;
let answered = 0;
let failing = false;

async function fetchJson(path) {
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
  }
}

/** Calls `job` now and then every `seconds` while the page is visible and not paused. Calls never overlap. Returns a function that runs the job at once. */
function every(seconds, job) {
  let busy = false, again = false;
  const run = async (forced) => {
    if (busy) { again ||= forced === true; return; }
    if (forced !== true && (paused || document.hidden)) return;
    busy = true;
    try { await job(); } finally { busy = false; }
    if (again) { again = false; run(true); }
  };
  setInterval(run, seconds * 1000);
  document.addEventListener("visibilitychange", () => run());
  at("pause").addEventListener("click", () => { if (!paused) run(); });
  run();
  return () => run(true);
}

function showConnection() {
  const silent = (Date.now() - answered) / 1000;
  const stale = answered && !paused && (silent > 12 || (failing && silent > 4));
  document.body.classList.toggle("stale", Boolean(stale));
  put(at("live"), paused ? "paused" : !answered ? "no answer yet" : stale ? `no answer for ${span(silent)}: is the bridge running?` : "live");
}

at("pause").addEventListener("click", () => {
  paused = !paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  put(at("pause"), paused ? "Resume" : "Pause");
  showConnection();
});
setInterval(showConnection, 1000);

// --- health ------------------------------------------------------------------------------------------------------------
const STATE_LABELS = { healthy: "✓ Healthy", degraded: "! Degraded", critical: "✕ Critical" };
const COLUMNS = [
  ["delivered", "delivered", "accepted by the collector"], ["spooled", "waiting", "on disk, waiting for delivery"],
  ["buffered", "buffered", "read, waiting for room in the spool"], ["quarantined", "quarantined", "stored in quarantine"],
  ["filtered", "filtered", "dropped on purpose by a route"], ["handed_over", "handed over", "in the shared queues, or delivered from there"], ["dropped", "dropped", "lost, by reason"],
];

function showStatus(status) {
  const { headline, ledger } = status;
  at("now").dataset.state = headline.state;
  put(at("state"), STATE_LABELS[headline.state]);
  put(at("headline"), clean(headline.text, 600));
  // The headline has the text of the first problem already.
  list(at("problems"), headline.problems.map((one, place) => ({ ...one, first: place === 0 })), (one) => el("li", { class: one.state },
    one.first ? null : el("span", { class: "what" }, clean(one.text, 400)), one.remedy ? el("span", { class: "remedy" }, `To do: ${clean(one.remedy, 300)}`) : null));
  document.title = headline.state === "healthy" ? "syslog-bridge" : `(${headline.problems.length}) ${STATE_LABELS[headline.state].slice(2)} – syslog-bridge`;
  const waiting = status.intakes.reduce((sum, row) => sum + row.backlog_events, 0);
  const oldest = Math.max(0, ...status.intakes.map((row) => row.oldest_seconds ?? 0));
  const dropped = Object.values(ledger.dropped).reduce((sum, n) => sum + n, 0) + Object.values(status.kernel_drops).reduce((sum, n) => sum + n, 0);
  const figures = [
    ["received", "events/s in", rate(status.rates.received)], ["delivered", "events/s out", rate(status.rates.delivered)],
    ["waiting", "waiting", count(waiting)], ["oldest", "age of oldest", waiting ? span(oldest) : "–"],
    ["lost", "dropped since start", count(dropped)], ["sources", "sources", count(status.sources_count.total)],
  ];
  list(at("figures"), figures, ([key, name, value]) => el("div", { "data-figure": key }, el("dt", {}, name), el("dd", {}, value)));
  showLedger(ledger);
  put(at("gateway"), clean(`${status.gateway} · up ${span(status.uptime_seconds)}`, 120));
  put(at("version"), clean(`syslog-bridge ${status.version} · configuration ${status.config_sha256.slice(0, 12)} · as of ${status.taken}`));
}

function showLedger(ledger) {
  const amounts = { ...ledger, dropped: Object.values(ledger.dropped).reduce((sum, n) => sum + n, 0) };
  const reasons = Object.entries(ledger.dropped).map(([why, n]) => `${why.replaceAll("_", " ")} ${count(n)}`).join(", ");
  const columns = COLUMNS.filter(([key]) => key !== "handed_over" || amounts[key] > 0);
  const shown = columns.filter(([key]) => amounts[key] > 0);
  list(at("bar"), shown.map(([key]) => [key, amounts[key]]), ([key, amount]) => {
    const part = el("span", { class: `part ${key}` });
    part.style.flexGrow = String(amount);
    return part;
  });
  at("bar").setAttribute("aria-label", columns.map(([key, name]) => `${name} ${count(amounts[key])}`).join(", "));
  list(at("legend"), columns.map(([key, name, means]) => [key, name, means, count(amounts[key])]), ([key, name, means, amount]) =>
    el("li", { "data-ledger": key, title: means }, el("span", { class: `dot ${key}`, "aria-hidden": "true" }), `${name} `, el("b", {}, amount),
      key === "dropped" && reasons ? ` (${clean(reasons)})` : null));
  put(at("identity"), `received ${count(ledger.received)} + recovered at start ${count(ledger.recovered)} + replayed ${count(ledger.replayed)}${ledger.taken_over ? ` + taken over ${count(ledger.taken_over)}` : ""} = sum of the above`);
}

// --- tables ------------------------------------------------------------------------------------------------------------
const intakes = new Table(at("intakes"), {
  caption: "Intakes", key: (row) => row.name, empty: "No intakes configured.",
  columns: [
    { head: "Intake", cell: (row) => ({ text: row.name, class: "name" }) },
    { head: "State", cell: (row) => { const [kind, word, means] = state(row.state); return [{ text: word, class: `state ${kind}`, title: means }, row.next_attempt_seconds ? { text: `next try in ${span(row.next_attempt_seconds)}`, class: "quiet" } : null]; } },
    { head: "In/s", number: true, cell: (row) => rate(row.received_per_second) },
    { head: "Out/s", number: true, cell: (row) => rate(row.delivered_per_second) },
    { head: "Delivered", number: true, cell: (row) => count(row.delivered) },
    { head: "Waiting", number: true, cell: (row) => [count(row.backlog_events), row.backlog_events ? { text: `${size(row.backlog_bytes)}, ${span(row.oldest_seconds)} old`, class: "quiet" } : null] },
    { head: "Last response", wide: true, cell: lastResponse },
  ],
});

function lastResponse(row) {
  const parts = [];
  const last = row.last_answer;
  if (row.last_error) parts.push({ text: row.last_error, class: "bad" });
  else if (last) parts.push(`accepted ${count(last.accepted)} at ${last.at.slice(11, 19)} UTC`);
  else parts.push({ text: "nothing sent yet", class: "quiet" });
  if (row.format_mismatches) parts.push({ text: `${count(row.format_mismatches)} of ${count(row.format_sampled)} sampled events do not match its format`, class: "bad" });
  return parts;
}

const source = new Source(fetchJson);
const sources = new Table(at("sources-table"), {
  caption: "Sources", key: (row) => JSON.stringify([row.listener, row.address, row.client, row.behind]), empty: "No sources.", open: (row) => source.open(row),
  columns: [
    { head: "Source", cell: (row) => [{ text: row.name ?? row.address, class: "name" }, row.name ? { text: row.address, class: "quiet" } : null,
      row.behind ? { text: `behind ${row.behind}`, class: "quiet" } : null, row.client ? { text: `certificate ${row.client}`, class: "quiet" } : null] },
    { head: "Listener", extra: true, cell: (row) => row.listener },
    { head: "Route → intake", cell: (row) => (row.intake ? [row.intake, { text: `by ${row.route}`, class: "quiet" }] : row.route === "unrouted" ? { text: "no route", class: "bad" } : { text: `filtered by ${row.route ?? "–"}`, class: "quiet" }) },
    { head: "Shape", extra: true, cell: (row) => row.shape ?? "–" },
    { head: "Events", number: true, cell: (row) => [count(row.events), row.sequence_missing ? { text: `${count(row.sequence_missing)} missing by sequence number`, class: "bad" } : null,
      row.limited ? { text: `${count(row.limited)} dropped above its limit`, class: "bad" } : null] },
    { head: "Events/s", number: true, cell: (row) => rate(row.events_per_second) },
    { head: "Last seen", cell: (row) => [ago(row.silent_seconds), row.expect_seconds && row.silent_seconds > row.expect_seconds ? { text: `expected every ${span(row.expect_seconds)}`, class: "bad" } : null] },
    { head: "Clock", wide: true, cell: (row) => (row.clock_remedy ? [{ text: row.clock, class: "bad" }, { text: row.clock_remedy, class: "quiet" }] : row.clock ?? "–") },
  ],
});

const queues = new Table(at("fleet-queues"), {
  caption: "Shared queues", key: (row) => row.intake, empty: "No intakes configured.",
  columns: [
    { head: "Intake", cell: (row) => [{ text: row.intake, class: "name" }, { text: row.queue, class: "quiet" }] },
    { head: "Batches in the queue", number: true, cell: (row) => (row.batches == null ? "–" : [count(row.batches), row.full ? { text: "full", class: "bad" } : null]) },
    { head: "Couriers", number: true, cell: (row) => (row.couriers == null ? "–" : row.couriers ? count(row.couriers) : { text: "none", class: "bad" }) },
    { head: "Handed over here", number: true, cell: (row) => count(row.handed_over) },
    { head: "Taken over here", number: true, cell: (row) => [count(row.taken_over), row.held ? { text: `${count(row.held)} batches held now`, class: "quiet" } : null] },
    { head: "Error", wide: true, cell: (row) => (row.trouble ? { text: row.trouble, class: "bad" } : "–") },
  ],
});

function showFleet(fleet) {
  at("fleet").hidden = !fleet;
  if (!fleet) return;
  put(at("fleet-words"), clean(fleet.broker, 300));
  const role = { both: "hands over and delivers", gateway: "hands over", courier: "delivers" }[fleet.role] ?? fleet.role;
  list(at("fleet-facts"), [
    ["This node", `${fleet.node}: ${role}`],
    ["Delivered without a broker", fleet.alone.length ? fleet.alone.join(", ") : "none"],
    ["Couriers sharing the request rate", count(fleet.couriers)],
    ["Held in memory", `${size(fleet.held_bytes)} of ${size(fleet.held_limit_bytes)}`],
  ], ([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, clean(value, 300))));
  queues.show(fleet.queues);
}

const listeners = new Table(at("listeners"), {
  caption: "Listeners", key: (row) => row.name, empty: "No listener is open.",
  columns: [
    { head: "Listener", cell: (row) => ({ text: row.name, class: "name" }) },
    { head: "Port", number: true, cell: (row) => String(row.port) },
    { head: "Dropped by the kernel", number: true, cell: (row) => (row.drops ? { text: count(row.drops), class: "bad" } : "0") },
    { head: "Rejected", number: true, cell: (row) => count(row.refused) },
  ],
});

const quarantine = new Table(at("quarantine"), {
  caption: "Quarantine", key: (row) => row.kind, empty: "Nothing is in quarantine.",
  columns: [
    { head: "Reason", cell: (row) => [{ text: row.reason, class: "name" }, row.intake ? { text: row.intake, class: "quiet" } : null] },
    { head: "Latest", cell: (row) => [new Date(row.received_ms).toISOString().slice(0, 19).replace("T", " "), row.alike > 1 ? { text: `and ${row.alike - 1} similar`, class: "quiet" } : null] },
    { head: "Source", cell: (row) => row.address },
    { head: "Details", wide: true, cell: (row) => row.why },
    { head: "Message", wide: true, cell: (row) => (row.sample == null ? { text: "not shown", class: "quiet" } : { text: row.sample, class: "code" }) },
  ],
});

// --- requests and their intervals --------------------------------------------------------------------------------------
every(2, async () => {
  const status = await fetchJson("api/status?sources=0");
  showConnection();
  if (!status) return;
  showStatus(status);
  intakes.show(status.intakes);
  showFleet(status.fleet);
  listeners.show(Object.entries(status.listeners).map(([name, port]) => ({ name, port, drops: status.kernel_drops[name] ?? 0, refused: status.refused_connections[name] ?? 0 })));
  const spool = status.spool;
  list(at("spool"), [
    ["On disk", `${size(spool.bytes)} of ${size(spool.limit_bytes)}`], ["Full", spool.full_in_seconds == null || spool.full_in_seconds > 60 * 86400 ? "not at the current rate" : `in ${span(spool.full_in_seconds)}`],
    ["Paused connections", count(status.held_connections)],
    ["Possible duplicates", count(Object.values(status.possible_duplicates).reduce((sum, n) => sum + n, 0))],
    ["This gateway's clock", status.gateway_clock_offset_seconds == null ? "not compared yet" : status.gateway_clock_offset_seconds === 0 ? "matches the collector's" : `${span(Math.abs(status.gateway_clock_offset_seconds))} ${status.gateway_clock_offset_seconds > 0 ? "ahead of" : "behind"} the collector's`],
  ], ([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
  const fresh = at("inbox").hidden && status.unrouted.length > 0;
  at("inbox").hidden = status.unrouted.length === 0;
  if (fresh) refreshInbox();
  put(at("quarantine-count"), Object.entries(status.quarantine).filter(([, n]) => n).map(([why, n]) => `${why} ${count(n)}`).join(", "));
});

let offset = 0;
const refreshSources = every(3, async () => {
  const query = new URLSearchParams({ offset, limit: PAGE, find: at("find").value, only: at("only").value, sort: at("sort").value });
  const found = await fetchJson(`api/sources?${query}`);
  if (!found) return;
  if (found.matching <= offset && offset) { offset = 0; return; }
  sources.show(found.sources);
  put(at("sources-count"), found.matching === found.total ? `${count(found.total)} in total` : `${count(found.matching)} of ${count(found.total)}`);
  put(at("page"), found.matching ? `${count(offset + 1)}–${count(offset + found.sources.length)} of ${count(found.matching)}` : "none");
  at("previous").disabled = offset === 0;
  at("next").disabled = offset + PAGE >= found.matching;
});
at("sources-tools").addEventListener("submit", (event) => event.preventDefault());
for (const id of ["find", "only", "sort"]) at(id).addEventListener("input", () => { offset = 0; refreshSources(); });
at("previous").addEventListener("click", () => { offset = Math.max(0, offset - PAGE); refreshSources(); });
at("next").addEventListener("click", () => { offset += PAGE; refreshSources(); });

every(3, () => source.refresh());

const refreshInbox = every(5, async () => {
  if (at("inbox").hidden) return;
  const found = await fetchJson("api/unrouted");
  if (found) list(at("inbox-list"), found.unrouted.map(({ events, last_seen, ...rest }) => rest), inboxCard);
  for (const row of found?.unrouted ?? []) {
    const where = document.querySelector(`[data-unrouted="${CSS.escape(`${row.listener} ${row.address}`)}"]`);
    if (where) put(where, `${count(row.events)} message${row.events === 1 ? "" : "s"}, last seen at ${row.last_seen.slice(11, 19)} UTC`);
  }
});

function inboxCard(row) {
  const copy = el("button", { type: "button", onclick: async () => { await copyText(row.route); put(copy, "Copied"); setTimeout(() => put(copy, "Copy route"), 2000); } }, "Copy route");
  const guess = row.guesses.length ? `${row.guesses.map((one) => one.format ? `${one.product} (format ${one.format})` : one.product).join(" or ")}: ${row.reason}` : row.guessed ? `Product not recognised: ${row.reason}` : "Not analysed yet";
  return el("article", { class: "card" }, el("h3", {}, clean(row.address, 120), el("span", { class: "quiet" }, ` at ${clean(row.listener, 60)}`)),
    el("p", { "data-unrouted": `${row.listener} ${row.address}` }), el("p", {}, clean(guess, 300)),
    row.sample == null ? null : el("pre", { tabindex: "0" }, clean(row.sample, 600)), el("pre", { class: "route", tabindex: "0" }, row.route), copy);
}

async function copyText(text) {
  try { await navigator.clipboard.writeText(text); } catch { /* no clipboard access: the user can select the text */ }
}

every(10, async () => {
  const found = await fetchJson("api/quarantine");
  if (!found) return;
  // Show the last entries and merge those with the same reason, source, intake and details.
  const kinds = new Map();
  for (const row of found.last) {
    const kind = JSON.stringify([row.reason, row.address, row.intake, row.why]);
    const first = kinds.get(kind);
    if (first) first.alike += 1;
    else kinds.set(kind, { ...row, kind, alike: 1 });
  }
  quarantine.show([...kinds.values()].slice(0, 30));
});

every(5, async () => {
  const found = await fetchJson("api/log");
  if (found) list(at("log"), found.log, (line) => el("li", { class: line.level },
    el("time", { datetime: line.time }, line.time.slice(5, 19).replace("T", " ")), el("b", {}, line.level), el("span", {}, clean(`${line.logger}: ${line.text}`, 1000))));
});

const plots = new Plots(at("plots"));
const refreshPlots = every(5, async () => {
  const found = await fetchJson(`api/history?span=${at("span").value}`);
  if (found) plots.show(found);
});
at("span").addEventListener("change", refreshPlots);
