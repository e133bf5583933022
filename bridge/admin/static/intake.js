// Shows one intake in detail: facts and the history of its rates and of its backlog.

import { fullIn } from "./full.js";
import { Plot } from "./plots.js";
import { every, fetchJson } from "./poll.js";
import { linkTo, onShow } from "./router.js";
import { between, clean, count, el, list, put, rate, size, span, when, words } from "./show.js";
import { ofIntake } from "./states.js";

const where = document.getElementById("intake");
const title = el("h3", { class: "large", tabindex: "-1" });
const sources = el("a", {}, "Its sources");
const facts = el("dl", { class: "facts" });
const choice = el("select", {}, el("option", { value: "hour" }, "last hour"), el("option", { value: "day" }, "last day"));
const figures = el("div", { class: "plots" });
where.append(
  el("div", { class: "title" }, title, sources, el("label", {}, "Span ", choice), el("a", { href: linkTo("intakes"), class: "button" }, "Close")),
  facts, figures);

const plots = [
  new Plot(figures, { name: "Events per second", format: rate, series: [["received", "in", "in"], ["delivered", "out", "out"]] }),
  new Plot(figures, { name: "Events waiting", format: count, series: [["waiting", "waiting", "wait"]] }),
];
let shown = "";
let status = null;

onShow("intakes", ({ detail }) => {
  const before = shown;
  shown = detail;
  if (!detail) {
    where.hidden = true;
    if (before) document.querySelector(`#intakes-table a[href="${CSS.escape(linkTo("intakes", before))}"]`)?.focus();
  } else {
    put(title, clean(detail, 64));
    sources.setAttribute("href", linkTo("sources", "", { intake: detail }));
    if (status) showIntake(status);
    if (detail !== before) setTimeout(() => title.focus({ preventScroll: true }));
  }
});

const refresh = every(10, async () => {
  if (!shown) return;
  const found = await fetchJson(`api/intake_history?${new URLSearchParams({ span: choice.value, names: shown })}`);
  const history = found?.intakes[shown] ?? { received: [], delivered: [], waiting: [] };
  if (found) for (const plot of plots) plot.show({ time: found.intakes[shown] ? found.time : [], ...history });
}, "intakes");
choice.addEventListener("change", refresh);

/** Shows the intake that the URL names, as of a status. */
export function showIntake(latest) {
  status = latest;
  if (!shown) return;
  where.hidden = false;
  const row = status.intakes.find((one) => one.name === shown);
  const rows = row ? describe(row) : [["State", "there is no intake of this name"]];
  list(facts, rows, ([name, value, kind]) => el("div", {}, el("dt", {}, name), el("dd", { class: kind ?? "" }, clean(value, 600))));
}

function describe(row) {
  const [, word, means] = ofIntake(row.state);
  const { last_answer: last, last_acceptance: accepted } = row;
  const rows = [["State", `${word}: ${means}`]];
  if (row.last_error) rows.push(["Last error", row.last_error, "bad"]);
  if (row.next_attempt_seconds) rows.push(["Next try", `in ${span(row.next_attempt_seconds)}`]);
  rows.push(["Waiting", row.backlog_events ? `${count(row.backlog_events)} events, ${size(row.backlog_bytes)}; the oldest is ${span(row.oldest_seconds)} old` : "no events"]);
  rows.push(["Room in the spool", fullIn(row.full_in_seconds)]);
  if (last) rows.push(["Last response", `${when(last.at, status.taken)}: ${last.outcome}${last.status ? `, HTTP status ${last.status}` : ""}${last.text ? `, ${last.text}` : ""}`]);
  if (accepted) rows.push(["Last acceptance", `${when(accepted.at, status.taken)}, ${span(Math.floor(between(accepted.at, status.taken)))} ago: ${count(accepted.accepted)} events`]);
  rows.push(["Delivered since start", `${count(row.delivered)} events`]);
  if (row.delivered_bytes_today != null) rows.push(["Delivered today", `${size(row.delivered_bytes_today)}${row.quota_bytes ? ` of ${size(row.quota_bytes)} a day` : ""}`]);
  const requests = Object.entries(row.requests ?? {}).filter(([, n]) => n).map(([outcome, n]) => `${words(outcome)} ${count(n)}`).join(", ");
  if (requests) rows.push(["Requests", requests]);
  if (row.body_limit_bytes) rows.push(["Requests limited to", `${size(row.body_limit_bytes)}: larger ones were refused or cut off`, "bad"]);
  if (row.format_sampled) rows.push(["Format", row.format_mismatches ? `${count(row.format_latest_mismatches)} of the latest ${count(row.format_latest_sampled)} sampled events do not match it; since the start ${count(row.format_mismatches)} of ${count(row.format_sampled)}` : `${count(row.format_sampled)} sampled events match it`, row.format_latest_mismatches ? "bad" : ""]);
  return rows;
}
