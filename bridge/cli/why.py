"""Implements ``syslog-bridge why ADDRESS``: follows a sender's messages step by step and shows where they stop."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode

import click

from bridge import formats
from bridge.cli.options import CliCommand, example, with_spool
from bridge.cli.status_text import age
from bridge.config import Config
from bridge.config.faults import printable
from bridge.explain.explanation import Origin
from bridge.ingest.peers import address_of
from bridge.operations import control_client, spool_summary
from bridge.routing.conditions import Address

OK, WRONG, NOTE = "ok", "NO", "--"
"Marks of a step: it is fine; the messages stop here; a hint."
SILENT_SECONDS = 3600
"Seconds after which a source without ``expect`` counts as silent."


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a message through the bridge, with its result."""

    mark: str
    name: str
    text: str


@click.command(cls=CliCommand, epilog=example("syslog-bridge why 192.0.2.7 -c /etc/syslog-bridge/bridge.yaml"))
@with_spool
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="Print what the bridge knows about the address as JSON.")
def why(config: Config, address: str, as_json: bool) -> None:
    """Show where the messages of a sender go or stop.

    The steps are received, listener, parsed, clock, route, intake and response. Each step has a
    mark: ok, NO (the messages stop here) or -- (a hint).
    """
    # A zone (fe80::1%eth0) is not part of the address.
    address = str(address_of(address) or address)
    directory = config.spool.directory
    if not directory.is_dir() or spool_summary.owner(directory) is None:
        stopped = Step(WRONG, "running", "the bridge is not running, so it receives nothing")
        click.echo(_text(address, [stopped, *unseen_source_steps(config, address, {})]))
        raise SystemExit(1)
    known = control_client.get(directory, f"/api/source?{urlencode({'address': address})}")
    status = control_client.get(directory, "/api/status?sources=0")
    if as_json:
        click.echo(json.dumps(known, indent=2))
        return
    click.echo("\n\n".join(_text(title, steps) for title, steps in source_steps(config, address, known, status)))


def source_steps(
    config: Config, address: str, known: dict[str, Any], status: dict[str, Any]
) -> Iterator[tuple[str, list[Step]]]:
    """Yields a title and the steps for each listener that received from the address, or the reasons if none did."""
    for row in known.get("seen", []):
        name = f" ({row['name']})" if row.get("name") else ""
        steps = list(_pipeline(config, row, status))
        if known.get("container") and _is_silent(row):
            steps += stale_connection_steps(config, address, row["listener"])
        yield f"{row['address']}{name} at listener {row['listener']}", steps
    seen_at = {row["listener"] for row in known.get("seen", [])}
    if not seen_at:
        yield address, list(unseen_source_steps(config, address, known, status))
    elif others := {name: reason for name, reason in known.get("turned_away", {}).items() if name not in seen_at}:
        steps = [Step(WRONG, "rejected", f"{name}: {reason}") for name, reason in others.items()]
        yield f"{address} at other listeners", steps


def _pipeline(config: Config, row: dict[str, Any], status: dict[str, Any]) -> Iterator[Step]:
    last = (row.get("messages") or [{}])[0]
    listener = row["listener"]
    yield Step(
        OK, "received", f"{row['events']:,} message{'s' * (row['events'] != 1)}, {row['events_per_second']:g}/s now,"
        f" the last {age(row['silent_seconds'])} ago",
    )  # fmt: skip
    drops = status.get("kernel_drops", {}).get(listener, 0)
    yield Step(
        WRONG if drops else OK, "listener",
        f"{listener}: {drops:,} datagrams dropped by the kernel. Raise net.core.rmem_max and receive_buffer"
        if drops else f"{listener}: no datagrams dropped by the kernel",
    )  # fmt: skip
    if last:
        parsed = f"{last.get('format')}, shape {last.get('shape')}"
        yield Step(OK if last.get("format") != "none" else NOTE, "parsed", parsed)
    yield from _product(config, row)
    clock, remedy = row.get("clock"), row.get("clock_remedy")
    if clock:
        yield Step(NOTE if remedy else OK, "clock", f"{clock}; {remedy}" if remedy else clock)
    for skipped in last.get("passed_over") or []:
        yield Step(NOTE, "no match", f"route {skipped['route']}: {skipped['why']}")
    yield from _route(row, last)
    if unsent := row.get("unsent_structured_data"):
        yield _unsent_data(unsent)
    if intake := row.get("intake"):
        yield from _intake(next((each for each in status["intakes"] if each["name"] == intake), None), str(intake))
    if keyed := row.get("intake_keys_in_text"):
        yield Step(
            NOTE, "intake key", f"{keyed:,} messages had an intake key in their text, which was removed. The sender's"
            " template is for the vendor's own syslog endpoint; remove [SEKOIA@53288 ...] from it",
        )  # fmt: skip
    for note in last.get("notes") or []:
        yield Step(NOTE, "note", note)


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


def _route(row: dict[str, Any], last: dict[str, Any]) -> Iterator[Step]:
    if row.get("unrouted") and not row.get("intake"):
        yield Step(
            WRONG, "route", f"no route matches: {row['unrouted']:,} messages are held. Add a route for this address"
        )
    elif not row.get("intake"):
        yield Step(NOTE, "route", f"{row.get('route')} drops its messages, as configured (drop: true)")
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


def _intake(intake: dict[str, Any] | None, name: str) -> Iterator[Step]:
    if intake is None:
        yield Step(WRONG, "intake", f"{name} is no longer in the configuration")
        return
    healthy = intake["state"] in ("idle", "delivering")
    waiting = f"{intake['backlog_events']:,} events waiting, the oldest for {age(intake['oldest_seconds'])}"
    text = f"{name} is {intake['state']}; {waiting if intake['backlog_events'] else 'no events waiting'}"
    if intake.get("last_error"):
        text += f"; {intake['last_error']}"
    yield Step(OK if healthy else WRONG, "intake", text)
    if accepted := intake.get("last_acceptance"):
        ids = f", event ids {accepted['first_id']} to {accepted['last_id']}" if accepted.get("first_id") else ""
        yield Step(OK, "response", f"{accepted['accepted']:,} events accepted at {accepted['at']}{ids}")
    else:
        yield Step(NOTE, "response", "no events accepted since the bridge started")


def unseen_source_steps(
    config: Config, address: str, known: dict[str, Any], status: dict[str, Any] | None = None
) -> Iterator[Step]:
    """Yields possible reasons why nothing was received from an address, and commands to find the cause."""
    if status is not None:
        yield Step(WRONG, "received", f"nothing received from it since the start, {age(status['uptime_seconds'])} ago")
    for name, reason in known.get("turned_away", {}).items():
        yield Step(WRONG, "rejected", f"listener {name} rejected it: {reason}")
    parsed = _parsed(address)
    for listener in config.listeners:
        if parsed is not None and not Origin(listener, parsed).allowed:
            yield Step(WRONG, "allow", f"listener {listener.name} rejects it. Add it to allow:")
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
        yield Step(
            NOTE, "address", "not an IP address. Only hosts behind a relay (sources: relay: true) are known by name"
        )
        return
    if known.get("container"):
        yield from stale_connection_steps(config, address)
    yield Step(NOTE, "capture", f"check whether its packets reach this machine: {tcpdump(config, address)}")
    yield Step(
        NOTE, "firewall", "if packets appear, check this machine's firewall (nft list ruleset); if none appear, check"
        " the device and the network",
    )  # fmt: skip


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


def _text(title: str, steps: list[Step]) -> str:
    failed = next((step for step in steps if step.mark == WRONG), None)
    clock_wrong = any(step.name == "clock" and step.mark == NOTE for step in steps)
    faults = ["its clock is off"] * clock_wrong
    faults += ["its structured data is not sent"] * any(step.name == "data" for step in steps)
    healthy = f"healthy, but {' and '.join(faults)}" if faults else "healthy"
    verdict = f"stops at: {failed.name}" if failed else healthy
    return "\n".join(
        [printable(f"{title}: {verdict}"), *(f"  {step.mark}  {step.name:<9} {printable(step.text)}" for step in steps)]
    )
