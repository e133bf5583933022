"""``syslog-bridge setup``: a first configuration out of a handful of answers, tried against the collector.

What is asked and what is given as an option go through the same readers, so both refuse the same things in the same
words. The key is never an option: command lines are seen by every user of a machine and kept in histories.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from bridge.cli.options import DEFAULT_FILE, configuration_option, failed
from bridge.config import Config
from bridge.config import addresses as read
from bridge.config.addresses import REGIONS
from bridge.config.faults import printable
from bridge.config.fields import intake_name, time_zone
from bridge.formats import UnknownFormat, find
from bridge.setup.check_result import (
    Connect,
    StepResult,
    lines_of,
    verdict,
)
from bridge.setup.configuration_writer import Draft, DraftError, write

T = TypeVar("T")

_SPOOL = Path("/var/lib/syslog-bridge/spool")
_ABOUT_FORMAT = "Format of your intake, such as fortigate (`syslog-bridge formats` lists them)"
_SYSTEMD = Path("/run/systemd/system")


@dataclass(frozen=True)
class SetupAnswers:
    """All that a first configuration needs; texts as the configuration writes them."""

    collector: str
    "A region's name or an https:// base URL."
    format: str | None
    intake: str
    sources: tuple[str, ...]
    "Addresses and networks; none: every sender."
    listeners: tuple[tuple[str, str], ...]
    "Kind and address, such as ('udp', '*:514')."
    timezone: str
    spool: Path

    def as_yaml(self) -> str:
        """The configuration, with the comments that help who edits it next."""
        where = "region" if self.collector in REGIONS else "url"
        look = f", format: {self.format}" if self.format else ""
        lines = [
            "# Written by `syslog-bridge setup`. `syslog-bridge check` names every fault after a change.",
            f"timezone: {self.timezone}    # of device times that carry no zone; sources: gives some senders another",
            "",
            f"collector: {{{where}: {self.collector}}}",
            "",
            "listeners:",
            *(f"  - {{name: {name}, {kind}: {json.dumps(at)}}}" for name, kind, at in _named(self.listeners)),
            "",
            "intakes:",
            f"  {self.intake}: {{intake_key: {{file: keys/{self.intake}}}{look}}}",
            *(
                []
                if self.format
                else ["    # payload: line inside the braces, where the text alone does not name its host"]
            ),
            "",
        ]
        if self.sources:
            listed = ", ".join(json.dumps(source) if ":" in source else source for source in self.sources)
            lines += [
                "routes:                # the first that matches takes the message",
                f"  - {{name: {self.intake}, intake: {self.intake}, source: [{listed}]}}",
                "unrouted: hold         # kept aside and shown by `syslog-bridge status` until there is a route",
            ]
        else:
            lines.append(f"unrouted: {{intake: {self.intake}}}    # whoever sends; routes: tells senders apart")
        return "\n".join([*lines, "", f"spool: {{directory: {json.dumps(str(self.spool))}}}", ""])


def _named(listeners: tuple[tuple[str, str], ...]) -> list[tuple[str, str, str]]:
    """Each with a name of its own: udp, tcp, udp-2."""
    kinds: list[str] = []
    named = []
    for kind, at in listeners:
        kinds.append(kind)
        count = kinds.count(kind)
        named.append((kind if count == 1 else f"{kind}-{count}", kind, at))
    return named


# --- readers: a text of the user's to a value, or BadParameter with what would be right -------------------------------


def _collector(text: str) -> str:
    if text.upper() in REGIONS:
        return text.upper()
    if "://" not in text:
        raise click.BadParameter(f"'{printable(text)}' is no region: {', '.join(REGIONS)}, or an https:// URL")
    return _checked(read.base_url, text)


def _intake(text: str) -> str:
    return _checked(intake_name, text)


def _format(text: str) -> str | None:
    if not text or text == "none":
        return None
    try:
        find(text)
    except UnknownFormat as error:
        raise click.BadParameter(printable(str(error))) from None
    return text


def _sources(text: str) -> tuple[str, ...]:
    given = text.replace(",", " ").split()
    if [each.lower() for each in given] == ["all"]:
        return ()
    return tuple(str(_checked(read.network, each)).removesuffix("/32").removesuffix("/128") for each in given)


def _listener(text: str) -> tuple[str, str]:
    kind, mark, at = text.partition("://")
    if not mark or kind not in ("udp", "tcp"):
        raise click.BadParameter(f"'{printable(text)}' is no listener, such as udp://*:514 or tcp://192.0.2.1:514")
    return kind, str(_checked(read.address, at))


def _listeners(text: str) -> tuple[tuple[str, str], ...]:
    found = tuple(map(_listener, text.replace(",", " ").split()))
    if not found:
        raise click.BadParameter("at least one is needed, such as udp://*:514")
    return found


def _zone(text: str) -> str:
    return _checked(lambda name: time_zone(name).key, text)


def _key(text: str) -> str:
    key = text.strip()
    if not key or not all("!" <= letter <= "~" for letter in key):
        raise click.BadParameter("an intake key is one word of letters and digits, as the intake's page shows it")
    return key


def _checked(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


# --- the command ------------------------------------------------------------------------------------------------------


def make_setup(connect: Connect) -> click.Command:
    """The command, with what tries the network."""

    @click.command(
        epilog="\b\nExamples:\n  sudo syslog-bridge setup\n  syslog-bridge setup --non-interactive --region FRA1"
        " --intake firewalls --key-file key.txt\n    --source 10.1.0.0/16 --listen udp://*:514"
    )
    @configuration_option
    @click.option("--region", metavar="NAME|URL", help=f"{' '.join(REGIONS)}, or a base URL.  [default: FRA1]")
    @click.option("--intake", metavar="NAME", help="What we call the intake.  [default: its format, or all]")
    @click.option("--key-file", metavar="FILE", type=click.File(), help="Holds the intake key; - reads it from stdin.")
    @click.option("--format", "form", metavar="NAME", help="The text format of its parser: syslog-bridge formats.")
    @click.option("--source", metavar="NETWORKS", help="Who sends to it, such as '10.1.0.1, 10.2.0.0/16'; or all.")
    @click.option("--listen", metavar="URLS", help="[default: udp://*:514 tcp://*:514]")
    @click.option("--timezone", metavar="PLACE", help="Of device times without a zone.  [default: UTC]")
    @click.option("--spool", metavar="DIRECTORY", type=click.Path(path_type=Path), default=_SPOOL, show_default=True)
    @click.option("--non-interactive", is_flag=True, help="Ask nothing: what is not given takes its default.")
    @click.option("--send-test", "sending", is_flag=True, help="Deliver one test event: only that shows a wrong key.")
    @click.option("--no-connect", is_flag=True, help="Do not try the way to the collector.")
    @click.option("--force", is_flag=True, help="Replace a configuration that is there.")
    def setup(
        file: Path, region: str | None, intake: str | None, key_file: Any, form: str | None, source: str | None,
        listen: str | None, timezone: str | None, spool: Path, non_interactive: bool, sending: bool, no_connect: bool,
        force: bool,
    ) -> None:  # fmt: skip
        """Write a first configuration: asks for region, intake, key, senders and ports, and tries the connection."""
        if sending and no_connect:
            raise click.UsageError("--send-test needs the connection that --no-connect leaves out")
        if non_interactive and key_file is None:
            raise click.UsageError("--non-interactive needs --key-file FILE, or --key-file - and the key on stdin")
        if not non_interactive and not sys.stdin.isatty() and key_file is not None and key_file.name == "<stdin>":
            raise click.UsageError("the key comes from stdin, so nothing can be asked there: give --non-interactive")
        ask = _Asker(interactive=not non_interactive)
        ask.say("A first configuration. Enter takes what stands in [brackets]; Ctrl-C ends without a change.\n")
        try:
            _refuse_existing(file, force)
            answers = SetupAnswers(
                collector=ask("Region of your SEKOIA.IO, or the collector's URL", region, "FRA1", _collector),
                format=(looks := ask(_ABOUT_FORMAT, form, "none", _format)),
                intake=(name := ask("A name for the intake (a-z 0-9 - _ .)", intake, looks or "all", _intake)),
                sources=ask("Who sends to it: addresses and networks, or all", source, "all", _sources),
                listeners=ask("Where to listen", listen, "udp://*:514 tcp://*:514", _listeners),
                timezone=ask("Time zone of device times that carry none", timezone, "UTC", _zone),
                spool=spool.absolute(),
            )
            key = _read_key(key_file) if key_file is not None else ask.secret(f"Intake key of {name}", _key)
            draft = Draft(file.absolute(), answers.as_yaml(), {name: key})
            if not force:
                draft.refuse_existing()
            if not non_interactive and not no_connect and not sending:
                sending = click.confirm("Send one test event to the intake? Only that shows a wrong key", default=True)
            written = write(draft, agree=lambda config: no_connect or _tried(connect, config, sending, ask))
        except DraftError as error:
            failed(f"setup: {error}")
        if written is None:
            failed(
                "setup: nothing was written, as the trial has failed. Mend what is marked NO"
                + (", or give --no-connect to write it all the same" if non_interactive else "")
            )
        click.echo(f"wrote {draft.file} and {draft.key_file(name)}")
        click.echo(verdict(written))
        click.echo("\n".join(_next_steps(draft.file, answers)))

    return setup


class _Asker:
    """Takes an option where it was given, the user's answer where there is a user, else the default."""

    def __init__(self, *, interactive: bool) -> None:
        self._interactive = interactive

    def say(self, text: str) -> None:
        if self._interactive:
            click.echo(text)

    def __call__(self, question: str, given: str | None, default: str, parse: Callable[[str], Any]) -> Any:
        if given is not None:
            return parse(given)
        if not self._interactive:
            return parse(default)
        # click asks again after a BadParameter, and shows its text.
        return click.prompt(question, default=default, value_proc=parse)

    def secret(self, question: str, parse: Callable[[str], str]) -> str:
        found: str = click.prompt(f"{question} (not shown)", hide_input=True, value_proc=parse)
        return found

    def all_the_same(self) -> bool:
        return self._interactive and click.confirm("Write the configuration all the same?", default=False)


def _refuse_existing(file: Path, force: bool) -> None:
    # Before anything is asked; the key's file has a name only later.
    if not force:
        Draft(file.absolute(), "", {}).refuse_existing()


def _read_key(file: Any) -> str:
    try:
        return _key(file.read(4096))
    except (OSError, UnicodeDecodeError):
        raise click.BadParameter("the key's file cannot be read as text", param_hint="--key-file") from None


def _tried(connect: Connect, config: Config, sending: bool, ask: _Asker) -> bool:
    results: list[StepResult] = list(connect(config, True, sending))
    click.echo("\n".join(lines_of(results)))
    return all(result.ok for result in results) or ask.all_the_same()


def _next_steps(file: Path, answers: SetupAnswers) -> list[str]:
    option = "" if file == DEFAULT_FILE else f" -c {file}"
    kind, at = answers.listeners[0]
    host, _, port = at.rpartition(":")
    if host in ("*", "0.0.0.0", "[::]"):
        host = "127.0.0.1"
    steps = ["", "Next:"]
    if file == DEFAULT_FILE and _SYSTEMD.is_dir():
        steps.append("  sudo systemctl enable --now syslog-bridge")
    else:
        steps.append(f"  syslog-bridge run{option}")
    steps.append(f"  syslog-bridge send --to {kind}://{host}:{port} 'a first message'")
    steps.append(f"  sudo syslog-bridge status{option}")
    if answers.sources:
        steps.append(
            "(It has a route only where this machine is among the senders; status shows it among the unrouted.)"
        )
    return steps
