// Shows the backlog that several gateways share.

import { clean, count, el, list, put, size } from "./show.js";
import { Table } from "./tables.js";

const at = (id) => document.getElementById(id);

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

/** Shows the `fleet` of a status; null if the backlog is not shared. */
export function showFleet(fleet) {
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
