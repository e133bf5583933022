// Shows the event ledger as a bar with a legend. Lost events are red.

import { clean, count, el, list, put, sum, words } from "./show.js";

const at = (id) => document.getElementById(id);
const COLUMNS = [
  ["delivered", "delivered", "accepted by the collector"], ["spooled", "waiting", "on disk, waiting for delivery"],
  ["buffered", "buffered", "read, waiting for room in the spool"], ["quarantined", "quarantined", "stored in quarantine"],
  ["filtered", "filtered", "dropped on purpose by a route"], ["handed_over", "handed over", "in the shared queues, or delivered from there"], ["dropped", "dropped", "lost, by reason"],
];

/** Shows the `ledger` of a status. */
export function showLedger(ledger) {
  const amounts = { ...ledger, dropped: sum(ledger.dropped) };
  const reasons = Object.entries(ledger.dropped).filter(([, n]) => n).map(([why, n]) => `${words(why)} ${count(n)}`).join(", ");
  const columns = COLUMNS.filter(([key]) => key !== "handed_over" || amounts[key] > 0);
  const shown = columns.filter(([key]) => amounts[key] > 0);
  list(at("bar"), shown.map(([key]) => [key, amounts[key]]), ([key, amount]) => {
    const part = el("span", { class: `part ${key}` });
    part.style.flexGrow = String(amount);
    return part;
  });
  at("bar").setAttribute("aria-label", columns.map(([key, name]) => `${name} ${count(amounts[key])}`).join(", "));
  list(at("legend"), columns.map(([key, name, means]) => [key, name, means, count(amounts[key])]), ([key, name, means, amount]) =>
    el("li", { "data-ledger": key, title: means, class: key === "dropped" && amounts.dropped ? "bad" : "" }, el("span", { class: `dot ${key}`, "aria-hidden": "true" }), `${name} `, el("b", {}, amount),
      key === "dropped" && reasons ? ` (${clean(reasons)})` : null));
  put(at("identity"), `received ${count(ledger.received)} + recovered at start ${count(ledger.recovered)} + replayed ${count(ledger.replayed)}${ledger.taken_over ? ` + taken over ${count(ledger.taken_over)}` : ""} = sum of the above`);
}
