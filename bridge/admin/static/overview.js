// The section Overview: health, problems, figures, ledger, history, spool.

import { earliest, fullIn, timeLeft } from "./full.js";
import { showLedger } from "./ledger.js";
import { Plot } from "./plots.js";
import { every, fetchJson } from "./poll.js";
import { showProblems } from "./problems.js";
import { clean, count, el, list, put, rate, size, span, sum, words } from "./show.js";

const at = (id) => document.getElementById(id);
const LIMITS = {
  max_size: (spool) => `spool.max_size, ${size(spool.max_size_bytes ?? spool.limit_bytes)}`,
  min_free: (spool) => `spool.min_free: the disk has ${size(spool.disk_free_bytes)} free, of which ${size(spool.min_free_bytes)} are kept`,
  disk: (spool) => `the disk: ${size(spool.disk_free_bytes)} free`,
  inodes: () => "the filesystem: it has no free inodes",
  quota: () => "a quota of the filesystem",
};
const PLOTS = [
  { name: "Events per second", format: rate, series: [["received", "in", "in"], ["delivered", "out", "out"], ["dropped", "dropped", "lost"]] },
  { name: "Events waiting", format: count, series: [["waiting", "waiting", "wait"]] },
  { name: "Delay", format: span, isTime: true, series: [["delay", "mean delivery", "out"], ["oldest", "oldest waiting", "wait"]] },
];

/** Shows a status. */
export function showOverview(status) {
  const { headline, ledger } = status;
  at("now").dataset.state = headline.state;
  put(at("headline"), clean(headline.text, 600));
  at("headline").classList.toggle("bad", headline.state === "critical" && headline.problems[0]?.kind === "loss");
  showProblems(status);
  showFigures(status);
  showLedger(ledger);
  showSpool(status);
}

function showFigures(status) {
  const waiting = status.intakes.reduce((total, row) => total + row.backlog_events, 0);
  const oldest = Math.max(0, ...status.intakes.map((row) => row.oldest_seconds ?? 0));
  const kernel = sum(status.kernel_drops);
  const dropped = sum(status.ledger.dropped) + kernel;
  const full = earliest(status);
  const figures = [
    ["received", "events/s in", rate(status.rates.received)], ["delivered", "events/s out", rate(status.rates.delivered)],
    ["waiting", "events waiting", count(waiting)], ["oldest", "age of the oldest", waiting ? span(oldest) : "–"],
    ["full", full.what, timeLeft(full.seconds)],
    ["lost", kernel ? "lost since start, with kernel drops" : "lost since start", count(dropped), dropped > 0],
    ["sources", "sources", count(status.sources_count.total)],
  ];
  list(at("figures"), figures, ([key, name, value, bad]) => el("div", { "data-figure": key, class: bad ? "bad" : "" }, el("dt", {}, name), el("dd", {}, value)));
}

function showSpool(status) {
  const { spool } = status;
  const offset = status.gateway_clock_offset_seconds;
  const clock = offset == null ? "not compared yet" : offset === 0 ? "matches the collector's" : `${span(Math.abs(offset))} ${offset > 0 ? "ahead of" : "behind"} the collector's`;
  list(at("spool"), [
    ["On disk", `${size(spool.bytes)} of ${size(spool.limit_bytes)}`],
    ["At the current rate", fullIn(spool.full_in_seconds)],
    ["Limited by", LIMITS[spool.limited_by]?.(spool) ?? words(spool.limited_by ?? "max_size")],
    ["Paused connections", count(status.held_connections)],
    ["Possible duplicates", count(sum(status.possible_duplicates))],
    ["This gateway's clock", clock],
  ], ([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

/** Starts the plots. */
export function start() {
  const plots = PLOTS.map((plot) => {
    const card = el("div", { class: "card" });
    at("plots").append(card);
    return new Plot(card, plot);
  });
  const refresh = every(5, async () => {
    const found = await fetchJson(`api/history?span=${at("span").value}`);
    if (found) for (const plot of plots) plot.show(found);
  }, "overview");
  at("span").addEventListener("change", refresh);
}
