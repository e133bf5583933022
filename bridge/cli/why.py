"""Implements ``syslog-bridge why SENDER``: follows a sender's messages step by step and shows where they stop."""

import json
from functools import partial
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import urlencode

import click

from bridge.cli.options import WRONG_USAGE, CliCommand, example, fail, output_option, with_spool
from bridge.cli.unrouted_text import suggestion_text
from bridge.cli.why_step import NOTE, WRONG, Step
from bridge.cli.why_steps import source_steps, unseen_source_steps
from bridge.cli.why_target import Target, UnknownSenderError, find_targets, request_sources
from bridge.config import Config
from bridge.config.faults import printable
from bridge.operations import control_client, spool_owner


@click.command(
    cls=CliCommand,
    epilog=example(
        "syslog-bridge why 192.0.2.7 -c /etc/syslog-bridge/bridge.yaml", "syslog-bridge why fw-lyon",
        "syslog-bridge why /run/syslog-bridge/log",
    ),
)  # fmt: skip
@with_spool
@click.argument("sender")
@output_option(help="json: what the bridge knows about the sender.")
@click.option("--exit-code", "by_result", is_flag=True, help="Exit with 1 if the messages stop at a step.")
def why(config: Config, sender: str, output: str, by_result: bool) -> None:
    """Show where the messages of a sender go or stop.

    SENDER is an IP address, a name of sources:, the host name of a source behind a relay, a DNS name, or the path of a
    Unix socket (unix: all of them).

    The steps are rejected, received, listener, parsed, clock, route, intake and response. Each step has a mark: ok,
    problem (the messages stop here) or note.
    """
    directory = config.spool.directory
    if not spool_owner.has_owner(directory):
        _explain_stopped(config, sender)
    status = control_client.get(directory, "/api/status?sources=0")
    targets = _targets(config, sender, str(status.get("gateway") or gethostname()), directory)
    known = [control_client.get(directory, f"/api/source?{urlencode(_query(target))}") for target in targets]
    known = [found | _held(config, found, status) for found in known]
    explained = [
        (title, [*_note(target), *steps])
        for target, found in zip(targets, known, strict=True)
        for title, steps in source_steps(config, target.address, found, status, target.listener)
    ]
    if output == "json":
        click.echo(json.dumps(known[0] if len(known) == 1 else known, indent=2))
    else:
        click.echo("\n\n".join(_text(title, steps) for title, steps in explained))
        rows = [each for found in known for each in _suggestions(found)]
        # A sender that several listeners receive needs its route once.
        for text in dict.fromkeys(map(suggestion_text, filter(None, rows))):
            click.echo(text, nl=False)
    if by_result and any(step.mark == WRONG for _, steps in explained for step in steps):
        raise SystemExit(1)


def _suggestions(found: dict[str, Any]) -> list[Any]:
    return [row.get("suggestion") for row in found.get("seen", [])] or list(found.get("held", []))


def _held(config: Config, found: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
    """Returns ``held``, the rows of a source's held messages; nothing if it sends and its latest messages have a route.

    Reading them is too slow to do it for every source.
    """
    seen = found.get("seen", [])
    if seen and not any(row.get("unrouted_now") for row in seen):
        return {}
    if not status.get("quarantine", {}).get("unrouted"):
        return {"held": []}
    # They import the spool, which other senders do not need.
    from bridge.cli.quarantine import quarantine_entries  # noqa: PLC0415
    from bridge.operations.unrouted import unrouted_rows  # noqa: PLC0415

    entries = (entry for _, entry in quarantine_entries(config, ("unrouted",)))
    rows = unrouted_rows(config, entries)
    return {"held": [row for row in rows if row["address"] == found.get("address")]}


def _explain_stopped(config: Config, sender: str) -> None:
    stopped = Step(WRONG, "running", "the bridge is not running, so it receives nothing", "the bridge is not running")
    texts = [
        _text(target.address, [stopped, *_note(target), *unseen_source_steps(config, target.address, {})])
        for target in _targets(config, sender, gethostname())
    ]
    click.echo("\n\n".join(texts))
    raise SystemExit(1)


def _targets(config: Config, sender: str, host: str, directory: Path | None = None) -> list[Target]:
    """Returns the senders that are meant. ``directory`` is the spool of the running bridge, None if none runs."""
    find = partial(request_sources, directory) if directory is not None else _no_sources
    try:
        return find_targets(config, sender, find, host=host)
    except UnknownSenderError as error:
        fail(f"why: {printable(str(error))}", WRONG_USAGE)


def _no_sources(word: str) -> list[dict[str, Any]]:
    return []


def _query(target: Target) -> dict[str, str]:
    return {"address": target.address} | ({} if target.listener is None else {"listener": target.listener})


def _note(target: Target) -> list[Step]:
    return [Step(NOTE, "sender", target.note)] if target.note else []


def _text(title: str, steps: list[Step]) -> str:
    failed = next((step for step in steps if step.mark == WRONG), None)
    noted = {step.name for step in steps if step.mark == NOTE}
    faults = ["its clock is off"] * ("clock" in noted) + ["its structured data is not sent"] * ("data" in noted)
    faults += ["the kernel dropped datagrams of its listener"] * ("listener" in noted)
    faults += ["its messages have changed"] * ("drift" in noted)
    faults += ["its rate is low"] * ("rate" in noted)
    faults += ["its rate limit drops messages"] * ("limit" in noted)
    faults += ["its message numbers have gaps"] * ("gaps" in noted)
    faults += ["messages are held in quarantine"] * ("held" in noted)
    healthy = f"healthy, but {' and '.join(faults)}" if faults else "healthy"
    verdict = (failed.verdict or f"problem at {failed.name}") if failed else healthy
    return "\n".join(
        [
            printable(f"{title}: {verdict}"),
            *(f"  {step.mark:<7}  {step.name:<9} {printable(step.text)}" for step in steps),
        ]
    )
