// Shows the details of one source, and its last messages as received, as parsed and as sent.

import { ago, clean, count, el, number, rate, span } from "./show.js";

const FIELDS = ["facility", "severity", "timestamp", "hostname", "app_name", "procid", "msgid", "msg", "format", "shape"];
const MAX_LENGTH = 4000;

export class Source {
  constructor(fetchJson) {
    this.fetchJson = fetchJson;
    this.dialog = document.getElementById("source");
    this.body = document.getElementById("source-body");
    this.row = null;
    document.getElementById("source-close").addEventListener("click", () => this.dialog.close());
    // The close event is asynchronous. By then another source may be open.
    this.dialog.addEventListener("close", () => { if (!this.dialog.open) this.row = null; });
  }

  open(row) {
    this.row = row;
    this.shown = null;
    document.getElementById("source-title").textContent = clean(row.name ? `${row.name} · ${row.address}` : row.address, 120);
    this.body.replaceChildren(el("p", { class: "quiet" }, "loading …"));
    this.dialog.showModal();
    return this.refresh();
  }

  async refresh() {
    if (!this.row) return;
    const { address, listener } = this.row;
    const found = await this.fetchJson(`api/source?${new URLSearchParams({ address, listener })}`);
    if (!found || this.row?.address !== address) return;
    const row = found.seen[0];
    // Do not replace the content while the user has selected text or opened a message's details.
    const shown = JSON.stringify([row?.messages?.[0]?.received, row?.events, row?.drift?.since]);
    if (shown === this.shown || this.body.querySelector("details[open]") || String(getSelection()).length) return;
    this.shown = shown;
    if (!row) this.body.replaceChildren(el("p", {}, "This source is no longer known."));
    else this.body.replaceChildren(facts(row, found), ...drift(row.drift), ...messages(row, found.messages_shown));
  }
}

function facts(row, { rejections = [], usual_rate: usual = null }) {
  const rows = [
    ["Listener", row.listener], ["Route", row.route ?? "none"], ["Intake", row.intake ?? "none"],
    ["Behind", row.behind], ["Certificate", row.client],
    ["Events", `${count(row.events)}, now ${rate(row.events_per_second)}/s`], ["Last seen", ago(row.silent_seconds)],
    ["Product", row.identified && (row.identified.product ? `${row.identified.product}: ${row.identified.reason}` : `not identified: ${row.identified.reason}`)],
    ["Message shape", row.shape ?? "not recognised"],
    ["Clock", row.clock_remedy ? `${row.clock}. To do: ${row.clock_remedy}` : row.clock ?? "no timestamp in its messages"],
  ];
  if (row.sequence_missing != null) rows.push(["Missing by sequence number", count(row.sequence_missing)]);
  if (row.limited) rows.push(["Dropped above its rate limit", count(row.limited)]);
  if (row.expect_seconds) rows.push(["Expected every", span(row.expect_seconds)]);
  if (row.times_not_believed) rows.push(["Timestamps out of range", count(row.times_not_believed)]);
  if (row.unrouted) rows.push(["Matched no route", row.rerouted_since ? `${count(row.unrouted)} until ${time(row.rerouted_since)}; now a route matches` : count(row.unrouted)]);
  if (row.shapes?.length > 1) rows.push(["Kinds of messages", row.shapes.slice(0, 5).map((kind) => `${kind.shape ?? "other"} ${Math.round(kind.share * 100)} %`).join(", ")]);
  if (usual) rows.push(["Usual rate", usualRate(usual)]);
  for (const one of rejections) rows.push([`Rejected by ${one.listener}`, `${one.meaning ?? one.text}, ${number(one.count, "time")}, last at ${time(one.last)}${one.accepted_since ? `; accepted since ${time(one.accepted_since)}` : ""}`]);
  return el("dl", { class: "facts" }, ...rows.filter(([, value]) => value != null).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, clean(value, 400))]));
}

function usualRate(usual) {
  if (usual.usual_per_minute == null) return `not known yet: ${count(usual.observations)} of ${count(usual.needed_observations)} hours observed`;
  return `${rate(usual.usual_per_minute)} a minute at ${usual.hour}, now ${rate(usual.per_minute)}; alert below ${rate(usual.limit_per_minute)}`;
}

/** Shows how the messages of the source have changed, with a message before and after. */
function drift(change) {
  if (!change) return [];
  return [el("h3", {}, "Changed format"), el("p", { class: "bad" }, clean(change.text, 400)), change.remedy ? el("p", {}, clean(`To do: ${change.remedy}`, 400)) : null,
    ...[["before", change.before], [`since ${time(change.since)}`, change.after]].flatMap(([when, sample]) => (sample == null ? [] : [el("p", { class: "step" }, when), text(sample)]))].filter(Boolean);
}

const time = (moment) => `${moment.slice(0, 16).replace("T", " ")} UTC`;

function messages(row, allowed) {
  if (!allowed) return [el("p", { class: "quiet" }, "Messages are not shown here: admin.show_messages is false.")];
  if (!row.messages.length) return [el("p", { class: "quiet" }, "No messages are stored for this source.")];
  return [el("h3", {}, "Last messages"), el("p", { class: "quiet" }, "At most one message per second is stored."), ...row.messages.map(message)];
}

function message(one) {
  const parts = [el("h4", {}, one.received.replace("T", " ").replace("Z", " UTC")),
    el("p", { class: "step" }, "as received", one.cut ? ` (the first of ${count(one.bytes)} bytes)` : ""), text(one.raw)];
  if (one.event != null) {
    parts.push(el("p", { class: "step" }, clean(`as sent to ${one.intake} (${one.payload}), event time ${one.event_timestamp ?? "none"}`)), text(one.event));
  } else if (one.kind) {
    parts.push(el("p", { class: "step" }, one.kind === "drop" ? clean(`filtered by route ${one.route}`) : "no route matches: held"));
  }
  for (const note of one.notes ?? []) parts.push(el("p", { class: "note" }, clean(note, 400)));
  if (one.format) {
    const read = FIELDS.filter((name) => one[name] != null && one[name] !== "").flatMap((name) => [el("dt", {}, name), el("dd", {}, clean(one[name], 1000))]);
    const over = (one.passed_over ?? []).slice(0, 20).map((route) => el("li", {}, clean(`${route.route}: ${route.why}`, 300)));
    parts.push(el("details", {}, el("summary", {}, "as parsed"), el("dl", { class: "facts" }, ...read),
      over.length ? el("p", { class: "step" }, "routes that did not match") : null, over.length ? el("ul", {}, ...over) : null));
  }
  return el("article", { class: "message" }, ...parts);
}

const text = (value) => el("pre", { tabindex: "0" }, clean(value, MAX_LENGTH));
