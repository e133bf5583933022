"""Implements ``syslog-bridge send``: sends test messages."""

import re
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from itertools import repeat

import click

from bridge.cli import options
from bridge.cli.options import CliCommand, example, fail, parsed
from bridge.routing.conditions import Address
from bridge.syslog import priorities
from bridge.trial.send_target import SendConnection, SendError, SendTarget
from bridge.trial.test_messages import Composer

_facility = partial(priorities.number, names=priorities.FACILITIES)
_severity = partial(priorities.number, names=priorities.SEVERITIES)


def _rate(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(?:/s)?", text)
    if match is None or not float(match[1]):
        raise click.BadParameter(f"'{text}' is not a rate, such as 100/s or 0.5/s")
    return float(match[1])


def _word(text: str) -> str:
    if not re.fullmatch(r"[!-~]{1,255}", text):
        raise click.BadParameter(f"'{text}': a header field must be printable ASCII without spaces")
    return text


@click.command(
    cls=CliCommand,
    epilog=example("syslog-bridge send --to tcp://127.0.0.1:514 --count 1000 --rate 100/s 'message {n}'"),
)
@click.option("--to", "target", metavar="URL", type=parsed(SendTarget.parse), required=True,
              help="Destination: udp://HOST:PORT or tcp://HOST:PORT.")  # fmt: skip
@click.option("--count", metavar="N", type=click.IntRange(1), help="Number of times to send MESSAGE.  [default: 1]")
@click.option("--rate", metavar="N/s", type=_rate, help="Messages per second.  [default: no limit]")
@click.option("--format", "form", type=click.Choice(["rfc3164", "rfc5424"]), default="rfc3164", show_default=True,
              help="Header format.")  # fmt: skip
@click.option("--octet-counted", is_flag=True, help="TCP only: send the length before each message (RFC 6587).")
@click.option("--hostname", metavar="H", type=_word, help="HOSTNAME in the header.  [default: this machine's]")
@click.option(
    "--app-name", metavar="A", type=_word, default="syslog-bridge", show_default=True, help="APP-NAME or TAG."
)
@click.option("--facility", metavar="NAME", type=parsed(_facility), help="Name or number.  [default: user]")
@click.option("--severity", metavar="NAME", type=parsed(_severity), help="Name or number.  [default: notice]")
@click.option("--priority", metavar="N", type=click.IntRange(0, 191), help="PRI, instead of facility and severity.")
@click.option("--timestamp", "when", metavar="TIME", type=options.clock_time,
              help="Time in the header, RFC 3339.  [default: local time]")  # fmt: skip
@click.option("--from", "source", metavar="ADDRESS", type=options.address, help="Local address to send from.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Send each line of stdin as a message.")
@click.option("--raw", is_flag=True, help="Send MESSAGE, or each line, without adding a header.")
@click.argument("message", required=False)
def send(
    target: SendTarget, count: int | None, rate: float | None, form: str, octet_counted: bool, hostname: str | None,
    app_name: str, facility: int | None, severity: int | None, priority: int | None, when: datetime | None,
    source: Address | None, from_stdin: bool, raw: bool, message: str | None,
) -> None:  # fmt: skip
    """Send one or more test messages. {n} in MESSAGE is replaced by the number of the message."""
    if from_stdin and (message is not None or count is not None):
        raise click.UsageError("--stdin sends each line once: omit MESSAGE and --count")
    if priority is not None and (facility is not None or severity is not None):
        raise click.UsageError("--priority includes facility and severity: omit --facility and --severity")
    if octet_counted and target.kind == "udp":
        raise click.UsageError("--octet-counted is only for tcp://, because a UDP datagram is one message")
    if message is not None and "\n" in message and target.kind == "tcp" and not octet_counted:
        raise click.UsageError("MESSAGE contains a line end, which would end the message: use --octet-counted")
    if raw and message is None and not from_stdin:
        raise click.UsageError("--raw needs a MESSAGE, or --stdin")
    if priority is None:
        priority = (1 if facility is None else facility) << 3 | (5 if severity is None else severity)
    composer = Composer(
        rfc5424=form == "rfc5424", priority=priority, hostname=hostname or socket.gethostname().partition(".")[0],
        app_name=app_name, time=when, raw=raw, octet_counted=octet_counted,
    )  # fmt: skip
    texts: Iterable[bytes]
    if from_stdin:
        texts = filter(None, (line.rstrip(b"\r\n") for line in sys.stdin.buffer))
    else:
        template = "test message {n}" if message is None else message
        texts = repeat(template.encode("utf-8", "surrogateescape"), count or 1)
    frames = (composer.compose(text, number) for number, text in enumerate(texts, start=1))
    end = b"" if target.kind == "udp" or octet_counted else b"\n"
    with _progress(target, None if from_stdin else count or 1) as sent:
        _send(target, source, (frame + end for frame in frames), rate, sent)


@contextmanager
def _progress(target: SendTarget, total: int | None) -> Iterator[Callable[[], None]]:
    """Shows a progress bar if stdout is a terminal. Yields a function to call after each message."""
    if not sys.stdout.isatty():
        yield lambda: None
        return
    from rich.progress import Progress  # noqa: PLC0415  slow to import and rarely needed

    with Progress() as progress:
        bar = progress.add_task(f"to {target}", total=total)
        yield lambda: progress.advance(bar)


def _send(
    target: SendTarget, source: Address | None, frames: Iterable[bytes], rate: float | None, sent: Callable[[], None]
) -> None:
    count = size = 0
    began = time.monotonic()
    try:
        connection = SendConnection(target, source)
        for frame in frames:
            if rate is not None and (early := began + count / rate - time.monotonic()) > 0:
                time.sleep(early)
            connection.send(frame)
            count += 1
            size += len(frame)
            sent()
        connection.close()
    except SendError as error:
        fail(f"send: {error}" + (f"; {count:,} messages were sent before" if count > 1 else ""))
    except KeyboardInterrupt:
        click.echo(err=True)
    seconds = time.monotonic() - began
    speed = f" ({count / seconds:,.0f}/s)" if count > 1 and seconds > 0 else ""
    messages = "1 message" if count == 1 else f"{count:,} messages"
    click.echo(f"send: {messages}, {size:,} bytes, to {target} in {seconds:.2f} s{speed}", err=True)
