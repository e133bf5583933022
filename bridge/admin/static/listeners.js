// The section Listeners: ports, connections, what is lost or rejected, and when certificates expire.

import { count, number, put, span, when, words } from "./show.js";
import { Table } from "./tables.js";

const at = (id) => document.getElementById(id);
const RENEW_SECONDS = 30 * 86400;
const MAX_CLIENTS = 50;

const listeners = new Table(at("listeners-table"), {
  caption: "Listeners", key: (row) => row.name, empty: "No listener is open.",
  columns: [
    { head: "Listener", cell: (row) => [{ text: row.name, class: "name" }, row.kind ? { text: row.kind, class: "quiet" } : null] },
    { head: "Port", number: true, cell: (row) => (row.port ? [String(row.port)] : "–") },
    { head: "Address", extra: true, cell: (row) => row.address ?? "–" },
    { head: "Connections", number: true, cell: (row) => (row.connections == null ? "–" : [count(row.connections), row.max_connections ? { text: `of ${count(row.max_connections)}`, class: "quiet" } : null]) },
    { head: "Dropped by the kernel", number: true, cell: (row) => (row.drops == null ? "–" : row.drops ? [{ text: count(row.drops), class: "bad" }, { text: "raise net.core.rmem_max and receive_buffer", class: "quiet" }] : "0") },
    { head: "Rejected", number: true, cell: (row) => [{ text: count(row.rejected), class: row.rejected ? "bad" : "" }, ...row.reasons.map((text) => ({ text, class: "quiet" })),
      row.checks ? { text: `besides ${number(row.checks, "health check")}`, class: "quiet" } : null] },
    { head: "Certificate", cell: (row) => certificate(row.expires) },
  ],
});

function certificate(left) {
  if (left == null) return "–";
  if (left <= 0) return { text: `expired ${span(-left)} ago: renew it`, class: "bad" };
  return left < RENEW_SECONDS ? { text: `expires in ${span(left)}: renew it`, class: "bad" } : `expires in ${span(left)}`;
}

const clients = new Table(at("clients-table"), {
  caption: "Clients that client_names refuses", key: (row) => JSON.stringify([row.listener, row.names]), empty: "None.",
  columns: [
    { head: "Client", cell: (row) => [{ text: row.names.join(", "), class: "name" }, { text: row.address, class: "quiet" }] },
    { head: "Listener", cell: (row) => row.listener },
    { head: "Last seen", cell: (row) => when(row.last_seen, row.now) },
    { head: "To do", wide: true, cell: (row) => `Add "${row.pattern}" to client_names` },
  ],
});

/** Shows a status. */
export function showListeners(status) {
  const rows = Object.entries(status.listeners).map(([name, port]) => ({
    name, port, ...status.listener_details?.[name], drops: status.kernel_drops[name], rejected: status.refused_connections[name] ?? 0,
    reasons: Object.entries(status.refusals?.[name] ?? {}).map(([reason, n]) => `${words(reason)} ${count(n)}`), expires: status.certificates[name],
    checks: status.health_checks?.[name],
  }));
  // The certificate of the admin server is watched too.
  if ("admin.listen" in status.certificates) rows.push({ name: "admin.listen", kind: "admin server", rejected: 0, reasons: [], expires: status.certificates["admin.listen"] });
  listeners.show(rows);
  put(at("listeners-count"), count(rows.length));
  const refused = status.clients_not_in_client_names ?? [];
  at("clients").hidden = refused.length === 0;
  clients.show(refused.slice(0, MAX_CLIENTS).map((row) => ({ ...row, now: status.taken })));
  put(at("clients-count"), count(status.clients_not_in_client_names_count));
}
