"""Lets ``setup`` take intakes and routes from the devices that ``discover`` finds, instead of asking for one intake."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

import click

from bridge.cli import setup_answers
from bridge.cli.discover_input import Watched, capture_of, collect, ports_of
from bridge.cli.discover_text import circumstances, print_findings
from bridge.cli.options import fail
from bridge.cli.setup_answers import named_listeners
from bridge.config.addresses import REGIONS, address
from bridge.discover import FindingSettings, Observer, find_all
from bridge.discover.clock_evidence import span
from bridge.discover.configuration_text import Circumstances, configuration_text
from bridge.discover.plan import Plan, plan_of
from bridge.util.counts import counted
from bridge.util.errors import BridgeError

T = TypeVar("T")

_QUESTION = "Discover your devices? A capture file, a time such as 10m, or no"
_NO_KEY = "no key of its intake was given to setup"


class Asker(Protocol):
    """Declares how ``setup`` asks a question."""

    @property
    def interactive(self) -> bool:
        """True if a user answers."""

    def __call__(self, question: str, given: str | None, default: str | None, parse: Callable[[str], T]) -> T:
        """Returns the parsed answer."""


@dataclass(frozen=True)
class Site:
    """Holds the answers that a configuration of discovered devices needs besides."""

    collector: str
    listeners: tuple[tuple[str, str], ...]
    identity: tuple[Path, Path] | None
    timezone: str
    spool: Path
    file: Path


@dataclass(frozen=True)
class DiscoveredAnswers:
    """A first configuration of discovered devices. It is used as ``SetupAnswers`` are."""

    plan: Plan
    given: Circumstances
    listeners: tuple[tuple[str, str], ...]

    @property
    def intakes(self) -> tuple[str, ...]:
        """The names of the intakes, each of which needs a key."""
        return tuple(self.plan.intakes)

    @property
    def routed(self) -> bool:
        """True: only the senders of routes are delivered."""
        return True

    def as_yaml(self) -> str:
        """Returns the configuration, with the evidence of each route as comments."""
        return configuration_text(self.plan, self.given)

    def only(self, intakes: Collection[str]) -> "DiscoveredAnswers":
        """Returns the answers with these intakes. The messages of senders of others are held."""
        left_out = [
            replace(finding, route=False, why=_NO_KEY)
            for route in self.plan.routes if route.intake not in intakes for finding in route.findings
        ]  # fmt: skip
        plan = replace(
            self.plan, routes=[route for route in self.plan.routes if route.intake in intakes],
            held=[*self.plan.held, *left_out], intakes=[name for name in self.plan.intakes if name in intakes],
        )  # fmt: skip
        return replace(self, plan=plan)


def discovered(ask: Asker, given: str | None, site: Site) -> DiscoveredAnswers | None:
    """Offers to discover devices. Returns None if that is not wanted, or if no device was identified."""
    while (what := ask(_QUESTION, given, "no", setup_answers.discovery)) is not None:
        given = None
        try:
            found = _find(what, site)
        except BridgeError as error:
            if not ask.interactive:
                raise
            click.echo(f"Error: {error}")
            continue
        if not ask.interactive and found is None:
            fail("setup: no device was identified, so nothing was written")
        if found is None:
            click.echo("No device was identified. Answer the questions about one intake.\n")
            return None
        if ask.interactive and not click.confirm(f"Use {_summary(found.plan)} of these findings?", default=True):
            return None
        return found
    return None


def _summary(plan: Plan) -> str:
    return f"the {counted(len(plan.intakes), 'intake')} and {counted(len(plan.routes), 'route')}"


def _find(what: Path | timedelta, site: Site) -> DiscoveredAnswers | None:
    """Prints the findings; returns None if no device is identified. Raises BridgeError."""
    observer = Observer()
    with _opened(what, site) as watched:
        if not collect(watched, observer, None):
            watched.notes.append("Interrupted: the findings are of what was received until then.")
    findings = list(find_all(observer, FindingSettings((ZoneInfo(site.timezone),)), release=True))
    watched.listeners = list(named_listeners(site.listeners))
    print_findings(observer, findings, watched, "text")
    plan = plan_of(findings)
    if not plan.routes:
        return None
    collector = {"region" if site.collector in REGIONS else "url": site.collector}
    given = circumstances(
        observer, watched, collector=collector, timezone=site.timezone, spool=str(site.spool), file=site.file,
        command="setup", identity=site.identity,
    )  # fmt: skip
    return DiscoveredAnswers(plan, given, site.listeners)


def _opened(what: Path | timedelta, site: Site) -> AbstractContextManager[Watched]:
    if isinstance(what, Path):
        return capture_of(what, stream=False, source=None)
    ports = tuple((kind, address(at)) for kind, at in site.listeners if kind in ("udp", "tcp"))
    if not ports:
        raise BridgeError("there is no udp:// or tcp:// listener to listen on", "Name a capture file, or enter no")
    click.echo(f"Let the devices send now. Listening ends after {span(what.total_seconds())}, or with Ctrl-C.")
    return ports_of(ports, what)
