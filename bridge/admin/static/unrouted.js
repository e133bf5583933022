// The section Unrouted: sources whose messages match no route, each with a route to paste.

import { command, copyButton } from "./copy.js";
import { every, fetchJson } from "./poll.js";
import { onShow } from "./router.js";
import { clean, count, el, list, number, put } from "./show.js";

const at = (id) => document.getElementById(id);
let rows = [];
let total = 0;

at("unrouted-commands").append(
  command("systemctl reload syslog-bridge", "after the route is added"),
  command("syslog-bridge unrouted reroute", "deliver what is in quarantine"));

function show() {
  const wanted = at("unrouted-find").value.trim().toLowerCase();
  const found = rows.filter((row) => JSON.stringify(row).toLowerCase().includes(wanted));
  // Figures that change with each message are set below, so that a card stays while the user copies its route.
  list(at("inbox"), found.map(({ events, last_seen, ...rest }) => rest), card);
  for (const row of found) {
    const where = document.querySelector(`[data-unrouted="${CSS.escape(`${row.listener} ${row.address}`)}"]`);
    if (where) put(where, `${number(row.events, "message")}, last seen at ${row.last_seen.slice(11, 19)}`);
  }
  at("inbox-empty").hidden = found.length > 0;
  put(at("inbox-empty"), rows.length ? "None match the filter." : "Every source has a route.");
  put(at("unrouted-count"), total > rows.length ? `the ${count(rows.length)} busiest of ${count(total)}` : count(total));
}

function card(row) {
  const guess = row.guesses.length ? `${row.guesses.map((one) => one.format ? `${one.product} (format ${one.format})` : one.product).join(" or ")}: ${row.reason}` : row.guessed ? `Product not recognised: ${row.reason}` : "Not analysed yet";
  return el("article", { class: "card" },
    el("h3", {}, clean(row.address, 120), el("span", { class: "quiet" }, ` at ${clean(row.listener, 60)}`)),
    el("p", { class: "quiet", "data-unrouted": `${row.listener} ${row.address}` }), el("p", {}, clean(guess, 300)),
    row.guessed ? el("p", { class: "quiet" }, clean(evidence(row), 500)) : null,
    row.sample == null ? null : el("pre", { tabindex: "0", "aria-label": "Message" }, clean(row.sample, 600)),
    ...pasted(row.new_intake, row.new_intake_where, `the intake for ${clean(row.address, 120)}`, "intake"),
    ...pasted(row.route, row.paste_where ?? "Paste this into the configuration", `the route for ${clean(row.address, 120)}`, "route"));
}

/** Returns what else was found out about a source: the same as `syslog-bridge discover` prints. */
function evidence(row) {
  const zones = row.timezone_candidates.length ? `; zones with this offset: ${row.timezone_candidates.join(", ")}` : "";
  return [`${row.matched} of ${number(row.examined, "message")} match`, `runner-up: ${row.runner_up ?? "none"}`,
    row.relay_of ? `a relay of ${number(row.relay_of, "host")}` : null, `${row.clock}${zones}`].filter(Boolean).join("; ");
}

/** Returns a piece of configuration, with where to paste it and a button that copies it. */
function pasted(yaml, where, what, kind) {
  const place = where ? [el("p", { class: "step" }, clean(where, 400))] : [];
  if (!yaml) return kind === "route" ? place : [];
  const shown = el("pre", { class: kind, tabindex: "0", "aria-label": clean(what, 200) }, yaml);
  return [...place, el("div", { class: "copied" }, shown, copyButton(yaml, shown, what))];
}

at("unrouted-find").addEventListener("input", show);
onShow("unrouted", ({ query }) => { if (query.has("find")) at("unrouted-find").value = query.get("find"); });

every(5, async () => {
  const found = await fetchJson("api/unrouted");
  if (!found) return;
  rows = found.unrouted;
  total = found.total;
  show();
}, "unrouted");
