// Lists the current problems, the worst first, and those that have ended.

import { linkTo } from "./router.js";
import { between, clean, count, el, list, span, when } from "./show.js";
import { label } from "./states.js";

const at = (id) => document.getElementById(id);
const MAX_AFFECTED = 8;
const MAX_ENDED = 5;
const ABOUT_SOURCES = new Set(["loss", "rejected", "silence", "rate_below", "drift", "clock", "structured_data", "unredacted", "oversize", "incomplete"]);
// What an alarm about the gateway's own clock names.
const NO_SOURCES = new Set(["gateway", "unset", "step"]);

/** Shows `headline.problems` and `headline.ended` of a status. */
export function showProblems(status) {
  const { headline, taken } = status;
  const names = { intakes: new Set(status.intakes.map((row) => row.name)), listeners: new Set(Object.keys(status.listeners)) };
  const timed = (one) => ({ ...one, lasts: one.since ? duration(between(one.since, one.ended ?? taken)) : null });
  const problems = headline.problems.map((one, place) => ({ ...timed(one), repeated: place === 0 && headline.text.startsWith(one.text) }));
  list(at("problems"), problems, (one) => problem(one, names, taken));
  const ended = headline.ended ?? [];
  at("ended").hidden = ended.length === 0;
  const line = (one) => el("li", {}, el("span", { class: "since" }, period(one, taken)), clean(one.text, 400));
  list(at("ended-list"), ended.slice(0, MAX_ENDED).map(timed), line);
  at("ended-more").hidden = ended.length <= MAX_ENDED;
  list(at("ended-earlier"), ended.slice(MAX_ENDED).map(timed), line);
}

function problem(one, names, now) {
  const loses = one.kind === "loss" || one.kind === "full";
  return el("li", { class: one.state, "data-kind": one.kind ?? "" },
    el("span", { class: `state ${one.state}` }, label(one.state)),
    el("div", { class: "about" },
      one.repeated ? null : el("p", { class: loses ? "what bad" : "what" }, clean(one.text, 500)),
      one.remedy ? el("p", { class: "remedy" }, el("b", {}, "To do: "), clean(one.remedy, 400)) : null,
      el("p", { class: "quiet context" }, ...context(one, names, now))));
}

function context(one, names, now) {
  const parts = one.ended ? [`From ${period(one, now)}`] : one.since ? [`Since ${when(one.since, now)}, for ${one.lasts}`] : [];
  const affected = one.affected ?? [];
  if (affected.length) {
    if (parts.length) parts.push(" · ");
    parts.push("Affects ");
    affected.slice(0, MAX_AFFECTED).forEach((name, place) => parts.push(place ? ", " : "", affectedLink(name, one.kind, names)));
    if (affected.length > MAX_AFFECTED) parts.push(` and ${count(affected.length - MAX_AFFECTED)} more`);
  }
  return parts;
}

/** Returns a link to an intake, a listener or a source; the name alone if it is none of them. */
function affectedLink(name, kind, names) {
  const text = clean(name, 80);
  if (kind === "unrouted") return el("a", { href: linkTo("unrouted", "", { find: name }) }, text);
  if (names.intakes.has(name)) return el("a", { href: linkTo("intakes", name) }, text);
  if (names.listeners.has(name) || kind === "client_names") return el("a", { href: linkTo("listeners") }, text);
  return ABOUT_SOURCES.has(kind) && !NO_SOURCES.has(name) ? el("a", { href: linkTo("sources", "", { find: name }) }, text) : text;
}

/** Formats a duration in minutes: a list that changes each second cannot be selected or read. */
function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes < 1 ? "less than 1 min" : minutes < 60 ? `${minutes} min` : span(minutes * 60);
}

function period(one, now) {
  if (!one.since) return `until ${when(one.ended, now)}`;
  return `${when(one.since, now)} to ${when(one.ended, now)} (${one.lasts})`;
}
