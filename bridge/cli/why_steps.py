"""Builds the steps of ``syslog-bridge why``: where the messages of one sender go, and where they stop."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from bridge import formats
from bridge.cli.status_text import age
from bridge.cli.why_history import ended_steps, held_step, unrouted_text
from bridge.cli.why_incidents import held_steps, incident_steps
from bridge.cli.why_intake import intake_steps, loss_steps
from bridge.cli.why_step import NOTE, OK, WRONG, Step
from bridge.config import Config
from bridge.config.faults import printable
from bridge.explain.explanation import Origin
from bridge.routing.conditions import Address
from bridge.util.counts import counted, times

SILENT_SECONDS = 3600
"Seconds after which a source without ``alert_if_silent_for`` counts as silent."
REJECTED_SECONDS = 7200
"Seconds after its last rejection for which a source that also gets messages through has a problem."

MAX_SHOWN = 300
"Characters that are shown of a message."


def source_steps(
    config: Config, address: str, known: dict[str, Any], status: dict[str, Any], listener: str | None = None
) -> Iterator[tuple[str, list[Step]]]:
    """Yields a title and the steps for each listener that received from the address, or the reasons if none did.

    With ``listener``, only that one counts.
    """
    rejections = [row for row in known.get("rejections", []) if listener in (None, row["listener"])]
    held = known.get("held")
    intakes = {str(row["intake"]) for row in known.get("seen", []) if row.get("intake")}
    ended = list(ended_steps(known, status, address, intakes))
    seen_at = set()
    for row in known.get("seen", []):
        seen_at.add(row["listener"])
        name = f" ({row['name']})" if row.get("name") else ""
        steps = [*_pipeline(config, row, status, held), *_usual_rate(known.get("usual_rate"))]
        if known.get("container") and _is_silent(row):
            steps += stale_connection_steps(config, address, row["listener"])
        at = [rejection for rejection in rejections if rejection["listener"] == row["listener"]]
        # Before the other steps, because a rejected message gets no further.
        yield f"{row['address']}{name} at listener {row['listener']}", [*map(_seen_and_rejected, at), *steps, *ended]
    elsewhere = [row for row in rejections if row["listener"] not in seen_at]
    if not seen_at and listener is not None and not elsewhere:
        yield f"{address} at listener {listener}", list(_unused_socket_steps(config, listener, status))
    elif not seen_at:
        steps = [*unseen_source_steps(config, address, known, status), *_usual_rate(known.get("usual_rate"))]
        yield address, [*steps, *ended]
    elif elsewhere:
        yield f"{address} at other listeners", [_rejected(row) for row in elsewhere]


def _rejected(row: dict[str, Any], *, stops: bool = True) -> Step:
    """Returns the step for a row of ``rejections``. ``stops``: True if it explains why messages are missing."""
    often = times(row["count"])
    by = f"by listener {row['listener']}: {row['meaning']}"
    if row["accepted_since"]:
        return Step(NOTE, "rejected", f"until {row['last']} {by}, {often}; accepted since {row['accepted_since']}")
    what = f"{by}, {often}, last at {row['last']}"
    text = f"{what} ({row['text']}); to do: {row['remedy']}"
    return Step(WRONG if stops else NOTE, "rejected", text, f"rejected {what}")


def _seen_and_rejected(row: dict[str, Any]) -> Step:
    return _rejected(row, stops=row["seconds_ago"] < REJECTED_SECONDS)


def _pipeline(
    config: Config, row: dict[str, Any], status: dict[str, Any], held: list[dict[str, Any]] | None
) -> Iterator[Step]:
    last = (row.get("messages") or [{}])[0]
    listener = row["listener"]
    yield Step(
        OK, "received", f"{counted(row['events'], 'message')}, {row['events_per_second']:g}/s now,"
        f" the last {age(row['silent_seconds'])} ago",
    )  # fmt: skip
    yield from _silence(row["address"], status)
    drops = status.get("kernel_drops", {}).get(listener)
    if drops:
        yield Step(
            NOTE, "listener", f"{listener}: the kernel dropped {counted(drops, 'datagram')} since the start, of this or"
            " other senders: the receive buffer was full. Raise net.core.rmem_max and receive_buffer",
        )  # fmt: skip
    elif drops is not None:
        yield Step(OK, "listener", f"{listener}: the kernel dropped no datagrams")
    if last:
        parsed = f"{last.get('format')}, shape {last.get('shape')}"
        yield Step(OK if last.get("format") != "none" else NOTE, "parsed", parsed)
    yield from _product(config, row)
    yield from _drift(row)
    clock, remedy = row.get("clock"), row.get("clock_remedy")
    if clock:
        yield Step(NOTE if remedy else OK, "clock", f"{clock}; {remedy}" if remedy else clock)
    for skipped in last.get("passed_over") or []:
        yield Step(NOTE, "no match", f"route {skipped['route']}: {skipped['why']}")
    yield from _route(config, row, last, held)
    if unsent := row.get("unsent_structured_data"):
        yield _unsent_data(unsent)
    if intake := row.get("intake"):
        yield from intake_steps(next((each for each in status["intakes"] if each["name"] == intake), None), str(intake))
        yield from loss_steps(str(intake), status)
    yield from incident_steps(config, row, status)
    if keyed := row.get("intake_keys_in_text"):
        yield Step(
            NOTE, "intake key", f"{counted(keyed, 'message')} had an intake key in the text, which was removed. The"
            " sender's template is for the vendor's own syslog endpoint; remove [SEKOIA@53288 ...] from it",
        )  # fmt: skip
    for note in last.get("notes") or []:
        yield Step(NOTE, "event", note)


def _silence(address: str, status: dict[str, Any]) -> Iterator[Step]:
    """Yields the problem *silence*, for an address or a host name."""
    seconds = status.get("silent_sources", {}).get(address)
    if seconds is not None:
        verdict = "silent for longer than alert_if_silent_for allows"
        text = f"{verdict}: nothing for {age(seconds)}. Check the device and the network to it"
        yield Step(WRONG, "silence", text, verdict)


def _usual_rate(found: dict[str, Any] | None) -> Iterator[Step]:
    if found is None:
        return
    usual, rate = found["usual_per_minute"], found["per_minute"]
    now = "" if rate is None else f"{rate:,g} events/min in the last hour; "
    key = f"alert_if_rate_below: {found['percent']}%"
    if usual is None:
        learned = f"{found['observations']} of at least {found['needed_observations']} days at this hour"
        text = f"{now}the usual rate is not known yet ({learned}, and the same day of the week), so {key} does nothing"
        yield Step(OK, "usual", text)
    elif found["too_few_events"]:
        text = f"{now}usual at {found['hour']} are {usual:,g}, too few for {key}. Use alert_if_silent_for instead"
        yield Step(OK, "usual", text)
    else:
        limit = f"the limit is {found['limit_per_minute']:,g} ({key})"
        yield Step(NOTE if found["below"] else OK, "rate", f"{now}usual at {found['hour']} are {usual:,g}, {limit}")


def _product(config: Config, row: dict[str, Any]) -> Iterator[Step]:
    found = row.get("identified")
    if not found:
        return
    if not found["product"]:
        yield Step(NOTE, "product", f"not identified: {found['reason']}")
        return
    yield Step(OK, "product", f"{found['product']}: {found['reason']}")
    intake = config.intakes.get(str(row.get("intake")))
    if intake and intake.format and found["format"] and formats.find(intake.format).name != found["format"]:
        text = f"intake {row['intake']} has format {formats.find(intake.format).name}"
        yield Step(NOTE, "format", f"{text}, but the messages look like {found['format']}")


def _drift(row: dict[str, Any]) -> Iterator[Step]:
    if drift := row.get("drift"):
        yield Step(NOTE, "drift", f"{drift['text']}. To do: {drift['remedy']}")
        for when in ("before", "after"):
            if drift.get(when):
                yield Step(NOTE, when, drift[when][:MAX_SHOWN])


def _route(
    config: Config, row: dict[str, Any], last: dict[str, Any], held: list[dict[str, Any]] | None
) -> Iterator[Step]:
    unrouted = row.get("unrouted")
    if unrouted and row.get("rerouted_since"):
        yield Step(
            NOTE, "unrouted", f"until {row['unrouted_last']}: {counted(unrouted, 'message')} matched no route; since"
            f" the reload at {row['rerouted_since']} all do. To deliver those that are still held: syslog-bridge"
            " unrouted reroute",
        )  # fmt: skip
    if unrouted and row.get("unrouted_now", not row.get("intake")):
        yield Step(
            WRONG, "route", f"no route matches: {unrouted_text(unrouted, held)}. Add the route below",
            "no route matches its messages",
        )  # fmt: skip
        return
    if row.get("limited"):
        text = f"{counted(row['limited'], 'message')} dropped: more per second than its rate limit allows"
        yield Step(NOTE, "limit", text)
    if row.get("sequence_missing"):
        text = f"{counted(row['sequence_missing'], 'message')} lost before they reached the gateway, by their numbers"
        yield Step(NOTE, "gaps", text)
    if not row.get("intake") and not row.get("route"):
        yield Step(NOTE, "route", "not known until its next message")
    elif not row.get("intake"):
        by = {route.name: f"{route.name} drops its messages, as configured (drop: true)" for route in config.routes}
        unmatched = "no route matches, so its messages are dropped, as configured (unrouted: drop)"
        yield Step(NOTE, "route", by.get(str(row["route"]), unmatched))
    else:
        payload = f", sent as {last['payload']}" if last.get("payload") else ""
        yield Step(OK, "route", f"{row['route']}, to intake {row['intake']}{payload}")


def _unsent_data(unsent: dict[str, Any]) -> Step:
    data = f"its messages have structured data ({', '.join(unsent['ids'])}), and its events do not (payload"
    data += f" {unsent['payload']})"
    if unsent.get("payload_chosen"):
        return Step(NOTE, "data", f"{data}, as configured. payload: auto would add it")
    fitting = f"format: {unsent['format']} if the intake is of that product, else " if unsent.get("format") else ""
    return Step(NOTE, "data", f"{data}. Set {fitting}payload: auto for intake {unsent['intake']}")


def unseen_source_steps(
    config: Config, address: str, known: dict[str, Any], status: dict[str, Any] | None = None
) -> Iterator[Step]:
    """Yields possible reasons why nothing was received from an address, and commands to find the cause."""
    rejections, held = known.get("rejections", []), known.get("held")
    yield from map(_rejected, rejections)
    if held:
        yield held_step(held)
    if status is not None:
        text = f"no message from it since the start, {age(status['uptime_seconds'])} ago"
        yield Step(NOTE if rejections or held else WRONG, "received", text, "nothing received")
        yield from _silence(address, status)
        yield from held_steps(address, status)
    if rejections or held:
        return  # its packets arrive
    parsed = _parsed(address)
    for listener in config.listeners:
        if parsed is not None and not Origin(listener, parsed).allowed:
            text = f"listener {listener.name} rejects it. Add it to allow:"
            yield Step(WRONG, "allow", text, f"listener {listener.name} does not allow it")
    others = known.get("others", {})
    if (only := others.get("only")) and only != address:
        yield Step(
            NOTE, "NAT", f"all messages come from {only}. A NAT, a container network or a load balancer may replace the"
            f" sender's address. Configure it to keep addresses",
        )  # fmt: skip
    elif near := others.get("near"):
        yield Step(
            NOTE, "nearby", f"messages come from {', '.join(near)}. Check whether the device uses another interface"
        )
    if parsed is None:
        return
    if known.get("container"):
        yield from stale_connection_steps(config, address)
    yield Step(NOTE, "capture", f"check whether its packets reach this machine: {tcpdump(config, address)}")
    yield Step(
        NOTE, "firewall", "if packets appear, check this machine's firewall (nft list ruleset); if none appear, check"
        " the device and the network",
    )  # fmt: skip


def _unused_socket_steps(config: Config, name: str, status: dict[str, Any]) -> Iterator[Step]:
    """Yields possible reasons why nothing was received on a Unix socket."""
    text = f"no message on the socket since the start, {age(status['uptime_seconds'])} ago"
    yield Step(WRONG, "received", text, "nothing received")
    path = next((each.unix_path for each in config.listeners if each.name == name), None)
    yield Step(NOTE, "socket", f"check that programs may write to it (ls -l {path}; the key mode: of the listener)")
    yield Step(NOTE, "test", f"logger --socket {path} test")


def _is_silent(row: dict[str, Any]) -> bool:
    return int(row["silent_seconds"] or 0) > float(row.get("expect_seconds") or SILENT_SECONDS)


def stale_connection_steps(config: Config, address: str, listener: str | None = None) -> Iterator[Step]:
    """Yields a hint at connection tracking for a UDP sender of a bridge in a container, at one listener or at any."""
    if any(each.transport == "udp" and listener in (None, each.name) for each in config.listeners):
        yield Step(
            NOTE, "container", "the bridge runs in a container. If its container was restarted, the host may still send"
            " the datagrams of a busy sender to the old one (connection tracking). Run on the host: conntrack -D -p udp"
            f" --orig-src {address}. Host networking avoids this",
        )  # fmt: skip


def tcpdump(config: Config, address: str) -> str:
    """Returns the command that shows packets from an address to the listeners."""
    ports = {(each.transport, each.address.port) for each in config.listeners if each.transport != "unix"}
    condition = " or ".join(f"{transport} port {port}" for transport, port in sorted(ports))
    return f"tcpdump -ni any 'host {printable(address)}{f' and ({condition})' if condition else ''}'"


def _parsed(address: str) -> Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None
