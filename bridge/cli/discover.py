"""Implements ``syslog-bridge discover``: finds out what each sender is, and writes a configuration for all of them."""

import os
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from bridge.cli import options
from bridge.cli.configuration_file import DEFAULT_FILE
from bridge.cli.discover_input import (
    WHAT_TO_NAME,
    Watched,
    capture_of,
    collect,
    not_permitted,
    ports_of,
    running_bridge,
)
from bridge.cli.discover_shadow import Forwarder, shadow
from bridge.cli.discover_text import circumstances, print_findings, print_notes
from bridge.cli.discover_update import update
from bridge.cli.options import CliCommand, WholeNumber, configuration_option, example, fail, parsed
from bridge.config import Config, load
from bridge.config.addresses import REGIONS, Address, base_url
from bridge.config.addresses import address as listen_address
from bridge.config.fields import time_zone
from bridge.config.loading import load_with_places
from bridge.config.spool_place import DEFAULT_DIRECTORY
from bridge.config.units import duration
from bridge.config.yaml_tree import Entries
from bridge.discover import FindingSettings, Observer, SenderFinding, find_all
from bridge.discover.changes import GROUPS, changes_of, zone_in
from bridge.discover.configuration_text import configuration_text
from bridge.discover.plan import plan_of
from bridge.discover.samples_file import sample_lines
from bridge.ingest.from_config import router
from bridge.routing.conditions import Address as SourceAddress
from bridge.setup.check_result import verdict
from bridge.setup.configuration_writer import Draft, write
from bridge.util.errors import BridgeError
from bridge.util.files import fsync_path, shown_path, write_new

Ports = tuple[tuple[str, Address], ...]
_PATH = click.Path(path_type=Path)


def _port(text: str) -> tuple[str, Address]:
    kind, mark, at = text.partition("://")
    if not mark or kind not in ("udp", "tcp"):
        raise ValueError(f"'{text}' is not a port to listen on, such as udp://*:514 or tcp://192.0.2.1:514")
    return kind, listen_address(at)


@click.command(
    cls=CliCommand,
    epilog=example(
        "syslog-bridge discover --listen 'udp://*:514' --for 10m",
        "syslog-bridge discover --capture site.pcap --region FRA1 --write new.yaml",
    ),
)
@configuration_option
@click.option("--capture", metavar="FILE", type=_PATH,
              help="Read a capture: text, samples, or a pcap. - is stdin.")  # fmt: skip
@click.option("--stream", is_flag=True, help="Read a text capture as one TCP connection, not one message per line.")
@click.option("--from", "source", metavar="ADDRESS", type=options.address, help="Sender of all messages of a text.")
@click.option("--listen", "ports", metavar="URL", type=parsed(_port), multiple=True,
              help="Listen on a free port, such as udp://*:514. May be given several times.")  # fmt: skip
@click.option("--for", "period", metavar="TIME", type=parsed(duration), default="10m", show_default=True,
              help="How long to listen. Ctrl-C ends it earlier.")  # fmt: skip
@click.option("-n", "--count", metavar="N", type=WholeNumber(1), help="Stop after this number of messages.")
@click.option("--timezone", "zones", metavar="ZONE", type=parsed(time_zone), multiple=True,
              help="A zone in which this site has devices; the first is the default.  [default: UTC]")  # fmt: skip
@click.option("--write", "target", metavar="FILE", type=_PATH, help="Write a configuration to a new file.")
@click.option("--region", type=click.Choice(list(REGIONS), case_sensitive=False), help="Region of the collector.")
@click.option("--url", metavar="URL", type=parsed(base_url), help="URL of the collector, instead of a region.")
@click.option("--spool", metavar="DIRECTORY", default=str(DEFAULT_DIRECTORY), show_default=True,
              help="Spool of the configuration.")  # fmt: skip
@click.option("--update", "updating", is_flag=True,
              help="Compare what is seen with the configuration, and print a diff.")  # fmt: skip
@click.option("--only", metavar="GROUP", type=click.Choice(GROUPS), multiple=True,
              help="With --update: only new, changed, zones or gone. May be given several times.")  # fmt: skip
@click.option("--apply", "applying", is_flag=True, help="With --update: write the diff, check it, and reload.")
@click.option("--shadow", "forwarder_file", metavar="FILE", type=_PATH,
              help="Compare with a forwarder in use: its intakes.yaml, rsyslog.conf or syslog-ng.conf.")  # fmt: skip
@click.option("--min-confidence", metavar="PERCENT", type=click.IntRange(1, 100), default=60, show_default=True,
              help="Hold the messages of senders whose product is less certain.")  # fmt: skip
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Format of the findings.")  # fmt: skip
def discover(
    file: Path, capture: Path | None, stream: bool, source: SourceAddress | None, ports: Ports,
    period: timedelta, count: int | None, zones: tuple[ZoneInfo, ...], target: Path | None,
    region: str | None, url: str | None, spool: str, updating: bool, only: tuple[str, ...], applying: bool,
    forwarder_file: Path | None, min_confidence: int, output: str,
) -> None:  # fmt: skip
    """Find out which product each sender is, and write a configuration.

    Watches a capture, free ports, or the running bridge (default), and prints for each sender the product, the
    evidence, its clock and its rate. --write adds a configuration with intakes, routes and sources, and a file of
    samples for `syslog-bridge test`. Senders that are not identified with certainty are held, never guessed. Nothing is
    applied, and no device is changed.
    """
    if capture is not None and ports:
        raise click.UsageError("--capture and --listen exclude each other")
    if capture is None and (stream or source):
        raise click.UsageError("--stream and --from need --capture")
    if region and url:
        raise click.UsageError("--region and --url exclude each other")
    collector = {"region": region} if region else {"url": url} if url else None
    if forwarder_file is not None and updating:
        raise click.UsageError("--shadow and --update exclude each other")
    if target is not None and collector is None and forwarder_file is None:
        raise click.UsageError("--write needs --region or --url: the region of the collector is not guessed")
    if (only or applying) and not updating:
        raise click.UsageError("--only and --apply need --update")
    if updating and target is not None:
        raise click.UsageError("--update and --write exclude each other")
    if target is not None:
        _refuse_existing(target)
    forwarder = None if forwarder_file is None else Forwarder.of(forwarder_file, collector)
    present = load_with_places(file) if updating else None
    settings = FindingSettings(zones or (ZoneInfo("UTC"),), _configured_zone(present), min_confidence / 100)
    observer = Observer()
    known = forwarder.ports if forwarder is not None else ()
    with _opened(file, capture, stream, source, ports, period, known) as watched:
        interrupted = not collect(watched, observer, count)
    if interrupted:
        watched.notes.append("Interrupted: the findings are of what was received until then.")
    findings = list(find_all(observer, settings, release=True))
    if present is not None:
        if output == "text":
            print_notes(observer, watched)
        changes = changes_of(present[0], findings, observer.seconds)
        update(file, present[0], present[1], changes, only=only, apply=applying, output=output)
        return
    if not observer.count:
        print_notes(observer, watched)
        fail("discover: no message was received")
    if forwarder is not None:
        shadow(forwarder, findings, target, output=output)
        return
    print_findings(observer, findings, watched, output)
    if target is not None:
        assert collector is not None
        _write(target, observer, findings, watched, collector, settings, spool)


def _opened(
    file: Path, capture: Path | None, stream: bool, source: SourceAddress | None, ports: Ports, period: timedelta,
    known: Collection[int],
) -> AbstractContextManager[Watched]:  # fmt: skip
    if capture is not None:
        sender = None if source is None else str(source)
        return capture_of(capture, stream=stream, source=sender, ports_of_syslog=known)
    if ports:
        return ports_of(ports, period)
    try:
        exists = file != DEFAULT_FILE or file.exists()
    except PermissionError as error:
        raise not_permitted(error) from None
    if not exists:
        raise BridgeError(f"there is no {file}, so no bridge can be followed", WHAT_TO_NAME)
    return running_bridge(load(file, secrets=False), period)


def _configured_zone(present: tuple[Config, Entries] | None) -> Callable[[str, str | None], ZoneInfo] | None:
    return None if present is None else partial(zone_in, router(present[0]))


def _samples_file(target: Path) -> Path:
    return target.with_name(f"{target.stem}.samples")


def _refuse_existing(target: Path) -> None:
    for path in (target, _samples_file(target)):
        if os.path.lexists(path):
            raise BridgeError(f"{shown_path(path)} already exists", "Name a new file with --write")


def _write(
    target: Path, observer: Observer, findings: list[SenderFinding], watched: Watched, collector: Mapping[str, str],
    settings: FindingSettings, spool: str,
) -> None:  # fmt: skip
    plan = plan_of(findings)
    if not plan.routes:
        fail(f"discover: no sender was identified, so {shown_path(target)} was not written")
    given = circumstances(
        observer, watched, collector=collector, timezone=settings.zones[0].key, spool=spool, file=target
    )  # fmt: skip
    text = configuration_text(plan, given)
    config: Config | None = write(Draft(target.absolute(), text, {}), secrets=False)
    assert config is not None
    samples = _samples_file(target)
    write_new(samples, sample_lines(findings), mode=0o600)
    fsync_path(samples.parent)
    click.echo(f"\nwrote {shown_path(target)} and {shown_path(samples)}")
    click.echo(verdict(config))
    click.echo("\nNext steps:")
    steps = [f"syslog-bridge key set -c {target} {name}" for name in plan.intakes]
    steps += [f"syslog-bridge check -c {target} --connect", f"syslog-bridge test -c {target} {samples}"]
    for step in steps:
        click.echo(f"  {step}")
