"""Implements ``syslog-bridge setup``: writes a first configuration from a few answers and tests the connection.

Answers and options are parsed by the same functions, so both are rejected with the same texts. The key is never an
option, because every user of a machine can see command lines, and shells save them in their history.
"""

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from bridge.cli import setup_answers
from bridge.cli.changes import has_terminal
from bridge.cli.configuration_file import DEFAULT_FILE
from bridge.cli.formats import format_table
from bridge.cli.main import WIDTH
from bridge.cli.options import WRONG_USAGE, CliCommand, configuration_option, example, fail, parsed
from bridge.cli.setup_answers import SetupAnswers, needs_identity
from bridge.cli.setup_discover import Site, discovered
from bridge.cli.setup_keys import Answers, after_change, check_key_file, with_keys
from bridge.config import Config
from bridge.config.addresses import REGIONS, address
from bridge.config.fields import intake_name
from bridge.config.spool_place import DEFAULT_DIRECTORY
from bridge.listen.sockets import bind_error, try_port
from bridge.setup.check_result import Connect, StepResult, lines_of, verdict
from bridge.setup.configuration_writer import Draft, write
from bridge.setup.repeated_check import probe_in_child

T = TypeVar("T")

_FORMAT_QUESTION = "Format of your intake, such as fortigate; ? lists them"
_INTRODUCTION = "Create a first configuration. Enter accepts the value in [brackets]. Ctrl-C cancels."
_SYSTEMD = Path("/run/systemd/system")
_OF_ONE_INTAKE = ("form", "intake", "source")
"The options that are about one intake, which is not discovered."
_KEY, _CHANGE, _WRITE, _QUIT = "key", "change", "write", "quit"
_CHOICES = f"{_KEY}: enter another key, {_CHANGE}: change the answers, {_WRITE}: write it all the same, {_QUIT}"


# --- the command ------------------------------------------------------------------------------------------------------


class _SetupCommand(CliCommand):
    """Says what to do if questions cannot be answered, because standard input ends and is no terminal."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.Abort:
            if has_terminal():
                raise
        click.echo(err=True)
        fail(
            "setup: standard input has no further answer. Nothing was written. Without a terminal, use"
            " --non-interactive and --key-file FILE",
            WRONG_USAGE,
        )


@click.command(
    cls=_SetupCommand,
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
@click.option("--key-file", metavar="FILE", help="File with the intake key; - for stdin. A folder: a file per intake.")
@click.option("--format", "form", metavar="NAME", help="Text format of the intake's parser; see syslog-bridge formats.")
@click.option("--source", metavar="NETWORKS", help="Senders, such as '10.1.0.1, 10.2.0.0/16', or all.  [default: all]")
@click.option("--listen", metavar="URLS", help="Listeners: udp://, tcp://, tls://.  [default: udp://*:514 tcp://*:514]")
@click.option(
    "--discover", metavar="FILE|TIME", help="Take intakes and routes from a capture, or listen for some time."
)
@click.option("--certificate", metavar="FILE", help="Certificate of a tls:// listener, a PEM file.")
@click.option("--private-key", metavar="FILE", help="Private key of the certificate, a PEM file.")
@click.option("--timezone", metavar="ZONE", help="Time zone of device times without one.  [default: UTC]")
@click.option("--spool", metavar="DIRECTORY", type=click.Path(path_type=Path), default=DEFAULT_DIRECTORY,
              show_default=True, help="Directory of the spool.")  # fmt: skip
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

    Asks for region and ports, and for a certificate if a port takes TLS. It then finds out what your devices are, as
    `syslog-bridge discover` does, and takes intakes and routes from them, or asks for format, name and senders of one
    intake. If the test fails, your answers are kept: enter another key, change answers, or write the configuration all
    the same.
    """
    if sending and no_connect:
        raise click.UsageError("--send-test needs a connection, which --no-connect excludes")
    check_key_file(key_file, non_interactive=non_interactive)
    if given["discover"] and any(given[name] for name in _OF_ONE_INTAKE):
        raise click.UsageError(
            "--discover and the options of one intake (--format, --intake, --source) exclude each other"
        )
    ask = _Asker(interactive=not non_interactive)
    if not non_interactive:
        _say(_INTRODUCTION)
    if not force:
        # Before the first question. The name of the key file is known only later.
        Draft(file.absolute(), "", {}).refuse_existing()
    answers, keys = with_keys(_answers(ask, spool.absolute(), file, given), key_file)
    if not non_interactive and not no_connect and not sending:
        sending = click.confirm("Send a test event to each intake? Only this detects a wrong key", default=True)
    tests: list[StepResult] = []

    def agree(config: Config) -> bool:
        if no_connect:
            return True
        tests[:] = (connect or probe_in_child)(config, True, sending)
        click.echo("\n".join(lines_of(tests)))
        return all(result.ok for result in tests)

    while True:
        draft = Draft(file.absolute(), answers.as_yaml(), keys)
        if not force:
            draft.refuse_existing()
        if (written := write(draft, agree=agree)) is not None:
            break
        if non_interactive:
            fail(
                "setup: the connection test failed, and nothing was written. Fix the steps marked NO, or use"
                " --no-connect to write the configuration without a test"
            )
        chosen = _ask_what_next(tests)
        if chosen == _KEY:
            answers, keys = with_keys(answers, None)
        elif chosen == _CHANGE:
            ask.again()
            answers, keys = after_change(_answers(ask, spool.absolute(), file, given), keys)
        elif chosen == _WRITE:
            no_connect = True
        else:
            fail("setup: nothing was written. Fix the steps marked NO")
    click.echo(f"wrote {', '.join(map(str, (draft.file, *map(draft.key_file, keys))))}")
    click.echo(verdict(written))
    click.echo("\n".join(_next_steps(draft.file, answers)))


def _say(text: str) -> None:
    """Prints sentences for the terminal, and an empty line."""
    click.echo(f"{click.wrap_text(text, WIDTH)}\n")


def _ask_what_next(tests: Sequence[StepResult]) -> str:
    """Asks what to do after a failed test. Suggests another key if only the test event failed."""
    only_event = all(result.ok or result.step == "event" for result in tests)
    click.echo()
    _say(f"Nothing is written yet, and your answers are kept. {_CHOICES}.")
    chosen: str = click.prompt(
        "What next", type=click.Choice([_KEY, _CHANGE, _WRITE, _QUIT]), default=_KEY if only_event else _CHANGE
    )
    return chosen


def _answers(ask: "_Asker", spool: Path, file: Path, given: Mapping[str, str | None]) -> Answers:
    collector = ask("SEKOIA.IO region, or URL of the collector", given["region"], "FRA1", setup_answers.collector)
    listeners = _ask_listeners(ask, given["listen"])
    identity = None
    if needs_identity(listeners):
        certificate = ask(
            "Certificate of the TLS listener (PEM file)", given["certificate"], None, setup_answers.certificate,
            option="--certificate",
        )  # fmt: skip
        read_key = partial(setup_answers.private_key, certificate_file=certificate)
        private_key = ask("Its private key (PEM file)", given["private_key"], None, read_key, option="--private-key")
        identity = certificate, private_key
    timezone = ask("Time zone of device times without one", given["timezone"], "UTC", setup_answers.zone)
    if not any(given[name] for name in _OF_ONE_INTAKE):
        site = Site(collector, listeners, identity, timezone, spool, file)
        if (found := discovered(ask, given["discover"], site)) is not None:
            return found
    format_name = ask(_FORMAT_QUESTION, given["form"], "none", setup_answers.format, listed=format_table)
    intake = ask("Name for the intake (a-z 0-9 - _ .)", given["intake"], format_name or "all", intake_name)
    sources = ask("Senders: addresses and networks, or all", given["source"], "all", setup_answers.sources)
    return SetupAnswers(collector, format_name, intake, sources, listeners, identity, timezone, spool)


def _ask_listeners(ask: "_Asker", given: str | None) -> tuple[tuple[str, str], ...]:
    """Asks for the listeners, and again if a port is in use and the user has another one."""
    while True:
        listeners = ask("Listeners (udp://, tcp://, tls://)", given, "udp://*:514 tcp://*:514", setup_answers.listeners)
        taken = list(_taken(listeners))
        for text in taken:
            click.echo(f"warning: {text}", err=True)
        if not taken or not ask.interactive:
            return listeners
        if click.confirm("Listen there all the same? The bridge starts only once the port is free", default=False):
            return listeners
        ask.again()


def _taken(listeners: tuple[tuple[str, str], ...]) -> Iterator[str]:
    """Yields why a listener cannot be opened now, and what to do."""
    for kind, text in listeners:
        at, transport = address(text), "udp" if kind == "udp" else "tcp"
        try:
            try_port(transport, at.host, at.port, v6only=False)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                yield ". ".join(bind_error(error, transport, at.host, at.port))


class _Asker:
    """Returns the value of an option if given, else the user's answer if interactive, else the default."""

    def __init__(self, *, interactive: bool) -> None:
        self.interactive = interactive
        self._answered: dict[str, str] = {}
        "The answers as text, by question. They are the defaults of the next round of questions."
        self._again = False

    def again(self) -> None:
        """Asks also for what an option has given, with each value so far as the default."""
        self._again = self.interactive

    def __call__(
        self, question: str, given: str | None, default: str | None, parse: Callable[[str], T],
        listed: Callable[[], str] | None = None, *, option: str = "",
    ) -> T:  # fmt: skip
        """Asks one question; ``listed`` prints the possible answers if the user enters a question mark.

        ``option`` is that of a question without a default.
        """
        convert = parsed(parse)
        if given is not None and not self._again:
            return convert(given)
        if not self.interactive:
            if default is None:
                raise click.UsageError(f"a tls:// listener needs {option} FILE, because --non-interactive does not ask")
            return convert(default)
        default = self._answered.get(question, given or default)
        while True:
            text: str = click.prompt(question, default=default)
            if text.strip() == "?" and listed is not None:
                click.echo(listed())
                continue
            try:
                answer = convert(text)
            except click.BadParameter as error:
                click.echo(f"Error: {error.message}")
                continue
            self._answered[question] = text
            return answer


def _next_steps(file: Path, answers: Answers) -> list[str]:
    option = "" if file == DEFAULT_FILE else f" -c {file}"
    plain = [listener for listener in answers.listeners if listener[0] != "tls"]
    kind, at = (plain or answers.listeners)[0]
    host, _, port = at.rpartition(":")
    if host in ("*", "0.0.0.0", "[::]"):
        host = "127.0.0.1"
    service = file == DEFAULT_FILE and _SYSTEMD.is_dir()
    note = "(The message is delivered only if this machine is one of the senders.\nElse status shows it as unrouted.)"
    return [
        "",
        "Next steps:",
        "  sudo systemctl enable --now syslog-bridge" if service else f"  syslog-bridge run{option}",
        *([f"  syslog-bridge send --to {kind}://{host}:{port} 'a first message'"] if plain else []),
        f"  sudo syslog-bridge status{option}",
        *((note,) if answers.routed else ()),
    ]
