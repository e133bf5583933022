"""Implements ``syslog-bridge setup``: writes a first configuration from a few answers and tests the connection.

Answers and options are parsed by the same functions, so both are rejected with the same texts. The key is never an
option, because every user of a machine can see command lines, and shells save them in their history.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from bridge.cli.configuration_file import DEFAULT_FILE
from bridge.cli.options import CliCommand, configuration_option, example, fail, parsed, probe
from bridge.config import Config
from bridge.config import addresses as read
from bridge.config.addresses import REGIONS
from bridge.config.faults import printable
from bridge.config.fields import intake_name, time_zone
from bridge.formats import find
from bridge.setup.check_result import Connect, lines_of, verdict
from bridge.setup.configuration_writer import Draft, write
from bridge.util.files import read_regular

T = TypeVar("T")

_SPOOL = Path("/var/lib/syslog-bridge/spool")
_FORMAT_QUESTION = "Format of your intake, such as fortigate (`syslog-bridge formats` lists them)"
_SYSTEMD = Path("/run/systemd/system")
_LARGEST_KEY = 4096
"Maximum bytes of a key file, so that a file given by mistake is not read completely."


@dataclass(frozen=True)
class SetupAnswers:
    """The values of a first configuration, written as in the configuration file."""

    collector: str
    "A region's name or an https:// base URL."
    format: str | None
    intake: str
    sources: tuple[str, ...]
    "Addresses and networks; empty: every sender."
    listeners: tuple[tuple[str, str], ...]
    "Kind and address, such as ('udp', '*:514')."
    timezone: str
    spool: Path

    def as_yaml(self) -> str:
        """Returns the configuration, with comments for editing it later."""
        key = "region" if self.collector in REGIONS else "url"
        form = f"format: {self.format}" if self.format else "payload: auto"
        hint = (
            "    # payload: auto sends the message, and structured data of products that write any. If the",
            "    # text of a message does not name its host, write payload: line. A format chooses the payload itself.",
        )
        lines = [
            "# Written by `syslog-bridge setup`. After a change, run `syslog-bridge check` to find errors.",
            f"timezone: {self.timezone}    # for device times without a time zone; set another per sender in sources:",
            "",
            f"collector: {{{key}: {self.collector}}}",
            "",
            "listeners:",
            *(f"  - {{name: {name}, {kind}: {json.dumps(at)}}}" for name, kind, at in _named(self.listeners)),
            "",
            "intakes:",
            f"  {self.intake}: {{intake_key: {{file: keys/{self.intake}}}, {form}}}",
            *(() if self.format else hint),
            "",
        ]
        if self.sources:
            listed = ", ".join(json.dumps(source) if ":" in source else source for source in self.sources)
            lines += [
                "routes:                # the first matching route applies",
                f"  - {{name: {self.intake}, intake: {self.intake}, source: [{listed}]}}",
                "unrouted: hold         # held and shown by `syslog-bridge status` until a route matches",
            ]
        else:
            lines.append(f"unrouted: {{intake: {self.intake}}}    # all senders; add routes: for several intakes")
        return "\n".join([*lines, "", f"spool: {{directory: {json.dumps(str(self.spool))}}}", ""])


def _named(listeners: tuple[tuple[str, str], ...]) -> Iterator[tuple[str, str, str]]:
    """Yields each listener with a unique name: udp, tcp, udp-2."""
    counts: Counter[str] = Counter()
    for kind, at in listeners:
        counts[kind] += 1
        yield kind if counts[kind] == 1 else f"{kind}-{counts[kind]}", kind, at


# --- parsers: convert the user's text to a value, or raise ValueError with what is expected -------------------------


def _collector(text: str) -> str:
    if text.upper() in REGIONS:
        return text.upper()
    if "://" not in text:
        raise ValueError(f"'{printable(text)}' is not a region ({', '.join(REGIONS)}) or an https:// URL")
    return read.base_url(text)


def _format(text: str) -> str | None:
    if not text or text == "none":
        return None
    find(text)
    return text


def _sources(text: str) -> tuple[str, ...]:
    given = text.replace(",", " ").split()
    if [each.lower() for each in given] == ["all"]:
        return ()
    return tuple(str(read.network(each)).removesuffix("/32").removesuffix("/128") for each in given)


def _listener(text: str) -> tuple[str, str]:
    kind, mark, at = text.partition("://")
    if not mark or kind not in ("udp", "tcp"):
        raise ValueError(f"'{printable(text)}' is not a listener, such as udp://*:514 or tcp://192.0.2.1:514")
    return kind, str(read.address(at))


def _listeners(text: str) -> tuple[tuple[str, str], ...]:
    found = tuple(map(_listener, text.replace(",", " ").split()))
    if not found:
        raise ValueError("at least one listener is needed, such as udp://*:514")
    return found


def _zone(text: str) -> str:
    return time_zone(text).key


def _key(text: str) -> str:
    key = text.strip()
    if not key or not all("!" <= letter <= "~" for letter in key):
        raise ValueError("an intake key is one word of letters and digits; copy it from the intake's page")
    return key


# --- the command ------------------------------------------------------------------------------------------------------


@click.command(
    cls=CliCommand,
    epilog=example(
        "sudo syslog-bridge setup",
        "syslog-bridge setup --non-interactive --region FRA1 --key-file key.txt",
        "  --source 10.1.0.0/16 --listen udp://*:514",
    ),
)
@configuration_option
@click.option(
    "--region", metavar="NAME|URL", help=f"{' '.join(REGIONS)}, or a base URL of the collector.  [default: FRA1]"
)
@click.option("--intake", metavar="NAME", help="Name for the intake.  [default: its format, or all]")
@click.option("--key-file", metavar="FILE", help="File with the intake key; - for stdin.")
@click.option("--format", "form", metavar="NAME", help="Text format of the intake's parser; see syslog-bridge formats.")
@click.option("--source", metavar="NETWORKS", help="Senders, such as '10.1.0.1, 10.2.0.0/16', or all.  [default: all]")
@click.option("--listen", metavar="URLS", help="Listeners.  [default: udp://*:514 tcp://*:514]")
@click.option("--timezone", metavar="ZONE", help="Time zone of device times without one.  [default: UTC]")
@click.option("--spool", metavar="DIRECTORY", type=click.Path(path_type=Path), default=_SPOOL, show_default=True,
              help="Directory of the spool.")  # fmt: skip
@click.option("--non-interactive", is_flag=True, help="Do not ask; use the default of each option that is not given.")
@click.option("--send-test", "sending", is_flag=True, help="Send one test event: the only way to detect a wrong key.")
@click.option("--no-connect", is_flag=True, help="Do not test the connection to the collector.")
@click.option("--force", is_flag=True, help="Replace an existing configuration.")
@click.pass_obj
def setup(
    connect: Connect | None, /, file: Path, key_file: str | None, spool: Path, non_interactive: bool,
    sending: bool, no_connect: bool, force: bool, **given: str | None,
) -> None:  # fmt: skip
    """Write a first configuration and test the connection.

    Asks for region, intake, key, senders and ports.
    """
    if sending and no_connect:
        raise click.UsageError("--send-test needs a connection, which --no-connect excludes")
    if non_interactive and key_file is None:
        raise click.UsageError("--non-interactive needs --key-file FILE, or --key-file - with the key on stdin")
    if not non_interactive and not sys.stdin.isatty() and key_file == "-":
        raise click.UsageError("the key is read from stdin, so questions cannot be answered: add --non-interactive")
    key = None if key_file is None or key_file == "-" else _read_key(Path(key_file))
    if not non_interactive:
        click.echo("Create a first configuration. Enter accepts the value in [brackets]. Ctrl-C cancels.\n")
    if not force:
        # Before the first question. The name of the key file is known only later.
        Draft(file.absolute(), "", {}).refuse_existing()
    answers = _answers(_Asker(interactive=not non_interactive), spool.absolute(), given)
    name = answers.intake
    if key_file == "-":
        key = _given_key(sys.stdin.read(_LARGEST_KEY))
    elif key is None:
        key = click.prompt(f"Intake key of {name} (not shown)", hide_input=True, value_proc=parsed(_key))
    draft = Draft(file.absolute(), answers.as_yaml(), {name: key})
    if not force:
        draft.refuse_existing()
    if not non_interactive and not no_connect and not sending:
        sending = click.confirm("Send a test event to the intake? Only this detects a wrong key", default=True)

    def agree(config: Config) -> bool:
        if no_connect:
            return True
        results = (connect or probe)(config, True, sending)
        click.echo("\n".join(lines_of(results)))
        return all(result.ok for result in results) or (
            not non_interactive and click.confirm("Write the configuration anyway?", default=False)
        )

    if (written := write(draft, agree=agree)) is None:
        fail(
            "setup: the connection test failed, and nothing was written. Fix the steps marked NO"
            + (", or use --no-connect to write the configuration without a test" if non_interactive else "")
        )
    click.echo(f"wrote {draft.file} and {draft.key_file(name)}")
    click.echo(verdict(written))
    click.echo("\n".join(_next_steps(draft.file, answers)))


def _answers(ask: "_Asker", spool: Path, given: Mapping[str, str | None]) -> SetupAnswers:
    return SetupAnswers(
        collector=ask("SEKOIA.IO region, or URL of the collector", given["region"], "FRA1", _collector),
        format=(format_name := ask(_FORMAT_QUESTION, given["form"], "none", _format)),
        intake=ask("Name for the intake (a-z 0-9 - _ .)", given["intake"], format_name or "all", intake_name),
        sources=ask("Senders: addresses and networks, or all", given["source"], "all", _sources),
        listeners=ask("Listeners", given["listen"], "udp://*:514 tcp://*:514", _listeners),
        timezone=ask("Time zone of device times without one", given["timezone"], "UTC", _zone),
        spool=spool,
    )


class _Asker:
    """Returns the value of an option if given, else the user's answer if interactive, else the default."""

    def __init__(self, *, interactive: bool) -> None:
        self._interactive = interactive

    def __call__(self, question: str, given: str | None, default: str, parse: Callable[[str], T]) -> T:
        convert = parsed(parse)
        if given is not None:
            return convert(given)
        if not self._interactive:
            return convert(default)
        # click asks again after a BadParameter, and shows its text.
        answer: T = click.prompt(question, default=default, value_proc=convert)
        return answer


def _given_key(text: str) -> str:
    return parsed(_key)(text)


def _read_key(file: Path) -> str:
    try:
        return _given_key(read_regular(file, _LARGEST_KEY).decode())
    except OSError as error:
        text = f"cannot read {file}: {error.strerror}. To pass the key through a pipe, use --key-file -"
        raise click.BadParameter(text, param_hint="--key-file") from None
    except UnicodeDecodeError:
        raise click.BadParameter(f"{file} is not UTF-8 text", param_hint="--key-file") from None


def _next_steps(file: Path, answers: SetupAnswers) -> list[str]:
    option = "" if file == DEFAULT_FILE else f" -c {file}"
    kind, at = answers.listeners[0]
    host, _, port = at.rpartition(":")
    if host in ("*", "0.0.0.0", "[::]"):
        host = "127.0.0.1"
    service = file == DEFAULT_FILE and _SYSTEMD.is_dir()
    note = "(The message is delivered only if this machine is one of the senders. Else status shows it as unrouted.)"
    return [
        "",
        "Next steps:",
        "  sudo systemctl enable --now syslog-bridge" if service else f"  syslog-bridge run{option}",
        f"  syslog-bridge send --to {kind}://{host}:{port} 'a first message'",
        f"  sudo syslog-bridge status{option}",
        *((note,) if answers.sources else ()),
    ]
