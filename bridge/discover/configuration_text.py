"""Writes a plan as a complete, commented configuration.

No text of a message is written: only addresses, names of hosts and programs that pass a strict check, and the words of
the table of products. What is not certain is a comment.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bridge import formats
from bridge.discover.clock_evidence import span
from bridge.discover.finding import FEW, SenderFinding
from bridge.discover.plan import Plan, RoutePlan, SourcePlan
from bridge.util.counts import counted

MAX_SHOWN = 50
"Senders that a comment lists."
_COMMENT = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """Holds the parts of a configuration that are no findings, and how the findings were made."""

    command: str = "discover"
    "The command that writes it."
    collector: Mapping[str, str]
    "``region`` or ``url``, which the operator gave."
    timezone: str
    listeners: Sequence[tuple[str, str, str]]
    "Name, kind and address of each listener."
    identity: tuple[Path, Path] | None = None
    "Certificate and private key of listeners of kind ``tls``."
    spool: str
    file: str
    "Path of the configuration."
    origin: str
    "What was watched, such as ``capture site.pcap``."
    seconds: float | None
    "How long. None if the capture has no times."
    messages: int
    senders: int
    notes: Sequence[str] = field(default=())
    "What was not seen or not read."


def configuration_text(plan: Plan, given: Circumstances) -> str:
    """Returns the configuration as YAML. The plan must have a route: a configuration without one is not valid."""
    lines = [
        *_head(plan, given),
        f"timezone: {given.timezone}    # for device times without a time zone; sources: has those of single senders",
        "",
        f"collector: {_flow(given.collector)}",
        "",
        "listeners:",
        *(_listener(given, *listener) for listener in given.listeners),
        "",
        *_sources(plan.sources),
        *_intakes(plan, given),
        *_routes(plan),
        *_held(plan.held),
        "unrouted: hold    # held and shown by `syslog-bridge unrouted` until a route matches",
        "",
        f"spool: {{directory: {json.dumps(given.spool)}}}",
        "",
    ]
    return "\n".join(lines)


def _listener(given: Circumstances, name: str, kind: str, at: str) -> str:
    files = ""
    if kind == "tls" and given.identity is not None:
        certificate, key = (json.dumps(str(path)) for path in given.identity)
        files = f", cert_file: {certificate}, key_file: {key}"
    return f"  - {{name: {json.dumps(name)}, {kind}: {json.dumps(at)}{files}}}"


def _head(plan: Plan, given: Circumstances) -> Iterator[str]:
    watched = "" if given.seconds is None else f" in {span(given.seconds)}"
    few = len({finding.place for route in plan.routes for finding in route.findings if finding.few})
    few += sum(finding.few for finding in plan.held)
    yield f"# Written by `syslog-bridge {given.command}`. Read it, then run `syslog-bridge check` to find errors."
    yield from _comment(
        f"Watched: {given.origin}; {counted(given.messages, 'message')} of {counted(given.senders, 'sender')}{watched}."
        " A device that was silent in this time is not in this file."
    )
    if few:
        yield from _comment(f"{few} of the senders sent fewer than {FEW} messages: check what is marked with FEW.")
    for note in given.notes:
        yield from _comment(note)
    yield "#"


def _intakes(plan: Plan, given: Circumstances) -> Iterator[str]:
    yield "# The key of each intake is in a file of its own. Write it with:"
    yield from (f"#   sudo syslog-bridge key set -c {given.file} {name}" for name in plan.intakes)
    yield "intakes:"
    for name in plan.intakes:
        yield f"  {intake_line(name, name)}"
    yield ""


def intake_line(name: str, text_format: str) -> str:
    """Returns an intake as an entry of a mapping."""
    product = _plain(formats.find(text_format).product)
    return f"{name}: {{intake_key: {{file: keys/{name}}}, format: {text_format}}}    # {product}"


def _sources(sources: Sequence[SourcePlan]) -> Iterator[str]:
    if not sources:
        return
    yield "# Properties of senders. The first entry that sets a property decides."
    entries = [f"  {line}" for source in sources for line in source_lines(source)]
    if all(line.lstrip().startswith("#") for line in entries):
        yield "# sources:"
    else:
        yield "sources:"
    yield from entries
    yield ""


def source_lines(source: SourcePlan) -> list[str]:
    """Returns an entry of ``sources``, or the comments on one that the operator has to decide."""
    return list(_source(source))


def _source(source: SourcePlan) -> Iterator[str]:
    parts = [f"source: {_address(source.source)}"]
    if source.host:
        parts.append(f"hostname: {json.dumps(source.host)}")
    settings = _settings(source)
    if settings:
        comment = f"    # {_plain(source.comment)}" if source.comment and not source.candidates else ""
        yield f"- {{{', '.join([*parts, *settings])}}}{comment}"
    elif source.comment and not source.candidates:
        yield f"# {source.source}: {_plain(source.comment)}"
    if source.candidates:
        yield f"# {_plain(source.comment)}. Zones with this offset: {', '.join(source.candidates)}. Choose by place:"
        yield f"# - {{{', '.join([*parts, f'timezone: {source.candidates[0]}'])}}}"


def _settings(source: SourcePlan) -> list[str]:
    found = []
    if source.relay:
        found.append("relay: true")
    if source.name:
        found.append(f"name: {json.dumps(source.name)}")
    if source.zone:
        found.append(f"timezone: {source.zone}")
    if source.silence_limit:
        found.append(f"alert_if_silent_for: {_duration(source.silence_limit)}")
    return found


def _duration(seconds: float) -> str:
    """Returns a duration as a configuration has it, rounded up: to 5 minutes, above 4 hours to an hour."""
    minutes = -(-seconds // 60)
    return f"{int(-(-minutes // 60))}h" if minutes > 240 else f"{int(-(-minutes // 5) * 5)}m"


def _routes(plan: Plan) -> Iterator[str]:
    yield "routes:    # the first route that matches takes the message"
    for route in plan.routes:
        yield from (f"  {line}" for line in route_comment(route))
        yield from (f"  {line}" for line in route_lines(route))
        yield ""


def route_comment(route: RoutePlan) -> Iterator[str]:
    """Yields the evidence of a route as comment lines."""
    findings = route.findings
    best = max(findings, key=lambda finding: finding.count)
    least = min(findings, key=lambda finding: finding.identified.confidence)
    count = sum(finding.count for finding in findings)
    places = counted(len(findings), "host" if route.hosts else "sender")
    confidence = f"confidence {best.identified.confidence:.0%}"
    if least.identified.confidence < best.identified.confidence:
        confidence = f"confidence {least.identified.confidence:.0%} ({least.place}) and more"
    yield from _comment(f"{_plain(route.product)}: {counted(count, 'message')} of {places}, {confidence}.")
    yield from _comment(f"Evidence of {best.place}: {_plain(best.identified.reason)}. {_runner_up(best)}")
    for finding in [finding for finding in findings if finding.few][:MAX_SHOWN]:
        yield from _comment(f"FEW: only {counted(finding.count, 'message')} of {finding.place}.")


def route_lines(route: RoutePlan) -> Iterator[str]:
    """Yields a route as an item of a list."""
    yield f"- name: {route.name}"
    yield f"  intake: {route.intake}"
    yield from _list("source", [_address(source) for source in route.sources])
    yield from _list("hostname", [json.dumps(host) for host in route.hosts])
    yield from _list("app_name", [json.dumps(program) for program in route.app_names])


def _list(key: str, values: Sequence[str]) -> Iterator[str]:
    if len(values) == 1:
        yield f"  {key}: {values[0]}"
    elif 1 < len(values) <= 4:
        yield f"  {key}: [{', '.join(values)}]"
    elif values:
        yield f"  {key}:"
        yield from (f"    - {value}" for value in values)


def _held(held: Sequence[SenderFinding]) -> Iterator[str]:
    if not held:
        return
    yield f"# Not routed: {counted(len(held), 'sender')}. `syslog-bridge unrouted` shows their messages."
    for finding in held[:MAX_SHOWN]:
        guess = f" {_runner_up(finding)}" if finding.identified.product is None else ""
        yield from _comment(f"{finding.place}: {counted(finding.count, 'message')}; {_plain(finding.why)}.{guess}")
    if len(held) > MAX_SHOWN:
        yield f"# and {len(held) - MAX_SHOWN} more, the quietest."


def _runner_up(finding: SenderFinding) -> str:
    runner_up = finding.identified.runner_up
    if finding.identified.product is None:
        return f"Most likely {_plain(runner_up)}." if runner_up else ""
    return f"Runner-up: {_plain(runner_up) if runner_up else 'none'}."


def _address(source: str) -> str:
    return json.dumps(source) if ":" in source else source


def _comment(text: str) -> Iterator[str]:
    """Yields a text as comment lines. A word is never cut."""
    line = "#"
    for word in text.split():
        if len(line) > 1 and len(line) + len(word) >= _COMMENT:
            yield line
            line = "#  "
        line += f" {word}"
    yield line


def _plain(text: str) -> str:
    """Returns a text without characters that could end a comment."""
    return "".join(character if character.isprintable() and character.isascii() else "?" for character in text)


def _flow(settings: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{k}: {v if k == 'region' else json.dumps(v)}" for k, v in settings.items()) + "}"
