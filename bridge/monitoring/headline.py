"""How things are, in one sentence, and what to do: made of ``/api/status`` alone, so page and terminal say the same."""

from collections.abc import Iterator
from typing import Any

TROUBLE, ATTENTION, WELL = "trouble", "attention", "well"
"Events are lost or wait; somebody should look; nothing is to do."

WAITS = 15.0
"Seconds after which an event that waits is worth a word; younger ones are on their way."
ALIKE = 3
"Alarms of a kind that are told one by one."
MISMATCHES = 0.1
"Share of an intake's events that may look unlike its format."

_KINDS = {"loss": TROUBLE, "spool": TROUBLE, "full": TROUBLE, "damaged": TROUBLE, "defect": TROUBLE}
"Of alarms; the others ask for attention. What is said otherwise, is not said twice."

JSON = dict[str, Any]


def of(status: JSON) -> JSON:
    """``state``, ``text``, and ``problems``: each with ``state``, ``text`` and ``remedy``, the worst first."""
    problems = [*_of_intakes(status), *_of_alarms(status), *_of_senders(status)]
    problems.sort(key=lambda one: one["state"] != TROUBLE)
    if not problems:
        lost = _lost(status)
        now = f" now: {_figures(status)}; since the start {lost}." if lost else f": {_figures(status)}."
        return {"state": WELL, "text": f"All is well{now}", "problems": []}
    first, others = problems[0], len(problems) - 1
    more = f" And {others} more thing{'s' * (others != 1)} below." if others else ""
    return {"state": first["state"], "text": f"{_sentence(first['text'])}{more}", "problems": problems}


def _figures(status: JSON) -> str:
    intakes = status.get("intakes", [])
    sources = status.get("sources_count", {}).get("total", len(status.get("sources", [])))
    rates = status.get("rates", {})
    waiting = sum(row.get("backlog_events") or 0 for row in intakes if (row.get("oldest_seconds") or 0) > WAITS)
    parts = [_number(sources, "source"), _number(len(intakes), "intake")]
    if "received" in rates:
        parts.append(f"{rates['received']:,.0f} events/s")
    parts.append(f"{_number(waiting, 'event')} waiting" if waiting else "nothing waiting")
    return ", ".join(parts)


def _lost(status: JSON) -> str:
    """What is over, and has an end in the log."""
    drops = status.get("kernel_drops")
    lost = sum(drops.values()) if isinstance(drops, dict) else 0
    dropped = sum(status.get("ledger", {}).get("dropped", {}).values())
    said = [f"{_number(dropped, 'event')} dropped"] * bool(dropped)
    said += [f"{_number(lost, 'datagram')} lost by the kernel"] * bool(lost)
    return " and ".join(said)


def _of_intakes(status: JSON) -> Iterator[JSON]:
    for row in status.get("intakes", []):
        name, state, error = row.get("name"), row.get("state"), row.get("last_error")
        # What an answer asks, its remedy answers.
        error = error and str(error).partition("; is the ")[0]
        events = row.get("backlog_events") or 0
        kept = f"{_number(events, 'event')} {'is' if events == 1 else 'are'} kept"
        if error == "not in the configuration":
            yield _problem(
                ATTENTION, f"Intake {name} is not in the configuration: {kept}",
                "bring the intake back, or move its events to another",
            )  # fmt: skip
        elif state == "parked":
            yield _problem(TROUBLE, f"Intake {name} is parked: {error}; {kept}", _remedy(error))
        elif state == "full":
            why = f": {error}" if error else ""
            yield _problem(
                TROUBLE, f"Intake {name} has filled its part of the spool{why}",
                "mend its delivery first; then a larger spool.max_size",
            )  # fmt: skip
        elif error and state == "backing-off":
            yield _problem(TROUBLE, f"Intake {name} cannot deliver: {error}; {kept}", _remedy(error))
        elif error:
            yield _problem(ATTENTION, f"Intake {name}: {error}", "")
        sampled, wrong = row.get("format_sampled") or 0, row.get("format_mismatches") or 0
        if wrong > sampled * MISMATCHES:
            yield _problem(
                ATTENTION,
                f"Intake {name}: {wrong:,} of {sampled:,} events that were looked at do not look like its format, so"
                f" probably nobody parses them",
                "explain --payloads shows what would fit",
            )  # fmt: skip


def _remedy(error: str) -> str:
    for sign, remedy in (
        ("answered 401", "put the right intake key into its file"),
        ("answered 403", "put the right intake key into its file"),
        ("answered 404", "check url: and endpoint:"),
        ("proxy", "let the gateway through to the collector"),
        ("not the intake's", "something answers in the collector's place: let the gateway through"),
        ("resolve", "check --connect; look at the gateway's DNS"),
        ("certificate", "check --connect; behind a proxy that opens TLS give its authority as extra_ca_file"),
        ("connect", "check --connect names the step that fails: DNS, firewall, proxy"),
        ("progress", "check --connect names the step that fails: DNS, firewall, proxy"),
        ("answered 5", "it is the collector's: nothing is to do here, the events go when it is back"),
        ("answered 429", "it goes on by itself; lower max_request_rate if it lasts"),
    ):
        if sign in error:
            return remedy
    return "see the log"


def _of_alarms(status: JSON) -> Iterator[JSON]:
    by_kind: dict[str, list[str]] = {}
    for alarm in status.get("alarms", []):
        kind = str(alarm.get("kind"))
        # Parked and full intakes, and clocks of sources, have been said with their figures.
        if kind in ("parked", "full") or (kind == "clock" and alarm.get("about") != "gateway"):
            continue
        by_kind.setdefault(kind, []).append(_capital(str(alarm.get("text"))))
    for kind, texts in by_kind.items():
        for text in texts[:ALIKE]:
            yield _problem(_KINDS.get(kind, ATTENTION), text, "")
        if (more := len(texts) - ALIKE) > 0:
            yield _problem(_KINDS.get(kind, ATTENTION), f"{_number(more, 'further alarm')} of this kind: {kind}", "")


def _of_senders(status: JSON) -> Iterator[JSON]:
    if unrouted := status.get("unrouted"):
        count = status.get("sources_count", {}).get("unrouted", len(unrouted))
        one = f"Messages of {unrouted[0].get('address')} match no route"
        yield _problem(
            ATTENTION, one if count == 1 else f"{count:,} senders send what no route takes",
            "add a route: the status page has one ready to copy",
        )  # fmt: skip
    if clocks := status.get("clocks"):
        wrong = status.get("sources_count", {}).get("clock", len(clocks))
        one = clocks[0]
        if wrong == 1:
            said = f"The clock of {one.get('name') or one.get('address')} is off: {one.get('text')}"
            yield _problem(ATTENTION, said, str(one.get("remedy") or ""))
        else:
            yield _problem(ATTENTION, f"The clocks of {wrong:,} sources are off", "each is named with its remedy below")


def _problem(state: str, text: str, remedy: str) -> JSON:
    return {"state": state, "text": text, "remedy": remedy}


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
