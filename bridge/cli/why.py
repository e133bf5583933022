"""``syslog-bridge why ADDRESS``: the road of a sender's messages, step by step, up to where they stop."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from bridge.cli.options import configuration_option, failed, loaded
from bridge.cli.status_text import age
from bridge.config import Config, Listener
from bridge.config.faults import printable
from bridge.operations import control_client, offline_spool

OK, WRONG, NOTE = "ok", "NO", "--"
"A step that is as it should be; where the road ends; what is worth knowing."


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the road."""

    mark: str
    name: str
    text: str


@click.command(epilog="\b\nExample:\n  syslog-bridge why 192.0.2.7 -c /etc/syslog-bridge/bridge.yaml")
@configuration_option
@click.argument("address")
@click.option("--json", "as_json", is_flag=True, help="What the bridge knows of the address, as JSON.")
def why(file: Path, address: str, as_json: bool) -> None:
    """Tell where the messages of a sender go, or where they stop: seen, listener, reading, route, intake, answer."""
    config = loaded(file, secrets=False)
    directory = config.spool.directory
    try:
        if not directory.is_dir() or offline_spool.owner(directory) is None:
            steps = [
                Step(WRONG, "running", "the bridge does not run: nothing is taken"),
                *never_seen(config, address, {}),
            ]
            click.echo(_text(address, steps))
            raise SystemExit(1)
        known = control_client.get(directory, f"/api/source?{urlencode({'address': address})}")
        status = control_client.get(directory, "/api/status?sources=0")
    except control_client.ControlError as error:
        failed(f"why: {error}")
    except OSError as error:
        failed(f"why: {error.filename or directory}: {error.strerror}; only the bridge's own user and root may ask")
    if as_json:
        click.echo(json.dumps(known, indent=2))
        return
    click.echo("\n\n".join(_text(title, steps) for title, steps in roads(config, address, known, status)))


def roads(
    config: Config, address: str, known: dict[str, Any], status: dict[str, Any]
) -> Iterator[tuple[str, list[Step]]]:
    """A title and the steps, for each listener at which the address was seen; or why it never was."""
    for row in known.get("seen", []):
        name = f" ({row['name']})" if row.get("name") else ""
        yield f"{row['address']}{name} at listener {row['listener']}", list(_pipeline(config, row, status))
    rejected = known.get("turned_away", {})
    seen_at = {row["listener"] for row in known.get("seen", [])}
    if not seen_at:
        yield address, list(never_seen(config, address, known, status))
    elif others := {name: why for name, why in rejected.items() if name not in seen_at}:
        yield f"{address} elsewhere", [Step(WRONG, "let in", f"{name}: {why}") for name, why in others.items()]


def _pipeline(config: Config, row: dict[str, Any], status: dict[str, Any]) -> Iterator[Step]:
    last = (row.get("messages") or [{}])[0]
    listener = row["listener"]
    yield Step(
        OK,
        "seen",
        f"{row['events']:,} messages, {row['events_per_second']:g}/s now, the last {age(row['silent_seconds'])} ago",
    )
    lost = status.get("kernel_drops", {}).get(listener, 0)
    yield Step(
        WRONG if lost else OK, "listener",
        f"{listener}: the kernel lost {lost:,} datagrams before us: raise net.core.rmem_max and receive_buffer"
        if lost else f"{listener}: nothing lost by the kernel",
    )  # fmt: skip
    if last:
        read = f"{last.get('format')}, shape {last.get('shape')}"
        yield Step(OK if last.get("format") != "none" else NOTE, "read", read)
    clock, remedy = row.get("clock"), row.get("clock_remedy")
    if clock:
        yield Step(NOTE if remedy else OK, "clock", f"{clock}; {remedy}" if remedy else clock)
    for over in last.get("passed_over") or []:
        yield Step(NOTE, "not by", f"route {over['route']}: {over['why']}")
    yield from _route(row, last)
    if intake := row.get("intake"):
        yield from _intake(next((one for one in status["intakes"] if one["name"] == intake), None), str(intake))
    for note in last.get("notes") or []:
        yield Step(NOTE, "note", note)


def _route(row: dict[str, Any], last: dict[str, Any]) -> Iterator[Step]:
    if row.get("unrouted") and not row.get("intake"):
        yield Step(
            WRONG, "route", f"none takes it: {row['unrouted']:,} messages are held; add a route for this address"
        )
    elif not row.get("intake"):
        yield Step(NOTE, "route", f"{row.get('route')} drops its messages on purpose")
    else:
        payload = f", sent as {last['payload']}" if last.get("payload") else ""
        yield Step(OK, "route", f"{row['route']}, to intake {row['intake']}{payload}")


def _intake(intake: dict[str, Any] | None, name: str) -> Iterator[Step]:
    if intake is None:
        yield Step(WRONG, "intake", f"{name} is not in the configuration any more")
        return
    well = intake["state"] in ("idle", "delivering")
    waiting = f"{intake['backlog_events']:,} events wait, the oldest {age(intake['oldest_seconds'])}"
    said = f"{name} is {intake['state']}; {waiting if intake['backlog_events'] else 'nothing waits'}"
    if intake.get("last_error"):
        said += f"; {intake['last_error']}"
    yield Step(OK if well else WRONG, "intake", said)
    if accepted := intake.get("last_acceptance"):
        ids = f", event ids {accepted['first_id']} to {accepted['last_id']}" if accepted.get("first_id") else ""
        yield Step(OK, "answered", f"{accepted['accepted']:,} events accepted at {accepted['at']}{ids}")
    else:
        yield Step(NOTE, "answered", "nothing was accepted since the bridge started")


def never_seen(
    config: Config, address: str, known: dict[str, Any], status: dict[str, Any] | None = None
) -> Iterator[Step]:
    """What may be the reason, and how to find out."""
    if status is not None:
        yield Step(WRONG, "seen", f"nothing of it has arrived since the start, {age(status['uptime_seconds'])} ago")
    for name, reason in known.get("turned_away", {}).items():
        yield Step(WRONG, "let in", f"listener {name} turned it away: {reason}")
    for listener in config.listeners:
        if not _allows(listener, address):
            yield Step(WRONG, "allow", f"listener {listener.name} does not take it: add it to allow:")
    others = known.get("others", {})
    if (only := others.get("only")) and only != address:
        yield Step(
            NOTE, "NAT?", f"all messages come from {only}: a NAT, a container network or a balancer may hide who sends;"
            f" look there, or let it keep addresses",
        )  # fmt: skip
    elif near := others.get("near"):
        yield Step(NOTE, "nearby", f"seen instead: {', '.join(near)}; does the device send from another interface?")
    if not _is_address(address):
        yield Step(NOTE, "look", "only hosts behind a relay (sources: relay: true) go by name; ask by address")
        return
    yield Step(NOTE, "look", f"does it reach this machine at all?  {tcpdump(config, address)}")
    yield Step(
        NOTE, "then", "nothing shown: the device or the network; shown: this machine's firewall (nft list ruleset)"
    )


def tcpdump(config: Config, address: str) -> str:
    """The command that shows whether an address sends to our listeners."""
    ports = {(one.transport, one.address.port) for one in config.listeners if one.transport != "unix"}
    such = " or ".join(f"{transport} port {port}" for transport, port in sorted(ports))
    return f"tcpdump -ni any 'host {printable(address)}{f' and ({such})' if such else ''}'"


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _allows(listener: Listener, address: str) -> bool:
    if not _is_address(address):
        return True
    given = ip_address(address)
    return listener.allow is None or any(given.version == net.version and given in net for net in listener.allow)


def _text(title: str, steps: list[Step]) -> str:
    wrong = next((step for step in steps if step.mark == WRONG), None)
    off = any(step.name == "clock" and step.mark == NOTE for step in steps)
    verdict = f"stops at: {wrong.name}" if wrong else "arrives, but its clock is off" if off else "all is well"
    return "\n".join(
        [
            printable(f"{title}: {verdict}"),
            *(f"  {step.mark}  {step.name:<9} {printable(step.text)}" for step in steps),
        ]
    )
