// Says when the room in the spool is used up, as all commands do.

import { clean, span } from "./show.js";
import { ofIntake } from "./states.js";

const FAR_SECONDS = 90 * 86400;

/** Formats the seconds until there is no room: not growing, full, full in 9 h. */
export function fullIn(seconds) {
  if (seconds == null) return "not growing";
  if (seconds < 1) return "full";
  return seconds > FAR_SECONDS ? "full in more than 90 d" : `full in ${span(seconds)}`;
}

/** Returns true for an intake that does not deliver in time. Only its backlog may fill the spool; others have events in transit. */
export const holdsBack = (row) => ofIntake(row.state)[0] !== "healthy" || (row.oldest_seconds ?? 0) > (row.late_after_seconds ?? Infinity);

/** Returns the earliest time at which events have no room, and what is full then: the spool, or the share of an intake. */
export function earliest(status) {
  const places = [{ seconds: status.spool.full_in_seconds, what: "until the spool is full" },
    ...status.intakes.filter(holdsBack).map((row) => ({ seconds: row.full_in_seconds, what: `until ${clean(row.name, 64)} has no room` }))];
  return places.filter((one) => one.seconds != null).sort((one, other) => one.seconds - other.seconds)[0] ?? { seconds: null, what: "the spool" };
}

/** Formats the time alone, for a figure. */
export function timeLeft(seconds) {
  const text = fullIn(seconds);
  return text.replace("full in ", "").replace("more than 90 d", "> 90 d");
}
