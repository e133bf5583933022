// The states of the gateway and of an intake, with the word, the sign and the colour that the page shows for each.

import { clean } from "./show.js";

const OVERALL = { healthy: "✓ Healthy", degraded: "! Degraded", critical: "✕ Critical", notice: "i Notice" };

/** Returns the word of a state with its sign: a state is never shown by colour alone. */
export const label = (state) => OVERALL[state] ?? clean(state, 30);

const INTAKE = {
  idle: ["healthy", "idle", "all events are delivered"],
  delivering: ["healthy", "delivering", "events are sent to the collector"],
  "backing-off": ["critical", "backing off", "the last request failed; it is retried after a wait"],
  parked: ["critical", "parked", "delivery is suspended because the collector accepts none of this intake's events; retried every few minutes"],
  full: ["critical", "full", "the intake has used its share of the spool"],
};

/** Returns the CSS class, the label and the explanation of an intake's state. */
export const ofIntake = (name) => INTAKE[name] ?? ["degraded", clean(name, 30), ""];
