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
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli.options import CliCommand, WholeNumber, example, fail, parsed
from bridge.routing.conditions import Address
from bridge.syslog import priorities
from bridge.trial.message_sender import MessageSender, open_sender
from bridge.trial.send_target import ClientTls, SendError, SendTarget
from bridge.trial.test_messages import Composer
from bridge.util.counts import counted, verb

_PEM = click.Path(path_type=Path)
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
    epilog=example(
        "syslog-bridge send --to udp://127.0.0.1:514 'a test'",
        "syslog-bridge send --to tcp://HOST:514 --count 900 --rate 100/s 'number {n}'",
        "syslog-bridge send --to tls://HOST:6514 --ca tls/ca.pem 'over TLS'",
    ),
)
@click.option("--to", "target", metavar="URL", type=parsed(SendTarget.parse), required=True,
              help="Destination: udp, tcp, tls, relp or relp+tls://HOST:PORT, or unix:///PATH.")  # fmt: skip
@click.option("--count", metavar="N", type=WholeNumber(1), help="Number of times to send MESSAGE.  [default: 1]")
@click.option("--rate", metavar="N/s", type=_rate, help="Messages per second.  [default: no limit]")
@click.option("--format", "form", type=click.Choice(["rfc3164", "rfc5424"]), default="rfc3164", show_default=True,
              help="Header format.")  # fmt: skip
@click.option("--octet-counted", is_flag=True, help="Streams only: send the length before each message (RFC 6587).")
@click.option("--hostname", metavar="H", type=_word, help="HOSTNAME in the header.  [default: this machine's]")
@click.option(
    "--app-name", metavar="A", type=_word, default="syslog-bridge", show_default=True, help="APP-NAME or TAG."
)
@click.option("--facility", metavar="NAME", type=parsed(_facility), help="Name or number.  [default: user]")
@click.option("--severity", metavar="NAME", type=parsed(_severity), help="Name or number.  [default: notice]")
@click.option("--priority", metavar="N", type=WholeNumber(0, 191), help="PRI, instead of facility and severity.")
@click.option("--timestamp", "when", metavar="TIME", type=options.clock_time,
              help="Time in the header, RFC 3339.  [default: local time]")  # fmt: skip
@click.option("--from", "source", metavar="ADDRESS", type=options.address, help="Local address to send from.")
@click.option("--ca", metavar="PEM", type=_PEM, help="TLS: authorities to trust.  [default: the system's]")
@click.option("--certificate", metavar="PEM", type=_PEM, help="TLS: the sender's certificate and its chain.")
@click.option("--private-key", metavar="PEM", type=_PEM, help="TLS: its key, if it is not in the certificate file.")
@click.option("--server-name", metavar="NAME", help="TLS: name in the receiver's certificate.  [default: HOST]")
@click.option("--insecure", is_flag=True, help="TLS: accept any certificate of the receiver.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Send each line of stdin as a message.")
@click.option("--raw", is_flag=True, help="Send MESSAGE, or each line, without adding a header.")
@click.argument("message", required=False)
def send(
    target: SendTarget, count: int | None, rate: float | None, form: str, octet_counted: bool, hostname: str | None,
    app_name: str, facility: int | None, severity: int | None, priority: int | None, when: datetime | None,
    source: Address | None, ca: Path | None, certificate: Path | None, private_key: Path | None,
    server_name: str | None, insecure: bool, from_stdin: bool, raw: bool, message: str | None,
) -> None:  # fmt: skip
    """Send one or more test messages. {n} in MESSAGE is replaced by the number of the message.

    Over RELP, the command ends when all messages are acknowledged. A Unix socket may be one for datagrams or streams.
    """
    if from_stdin and (message is not None or count is not None):
        raise click.UsageError("--stdin sends each line once: omit MESSAGE and --count")
    if priority is not None and (facility is not None or severity is not None):
        raise click.UsageError("--priority includes facility and severity: omit --facility and --severity")
    if octet_counted and (target.kind == "udp" or target.acknowledges):
        raise click.UsageError("--octet-counted is only for tcp, tls and unix: UDP and RELP send whole messages")
    if not target.encrypted and (ca or certificate or private_key or server_name or insecure):
        raise click.UsageError(
            "--ca, --certificate, --private-key, --server-name and --insecure are only for tls and relp+tls"
        )
    if private_key is not None and certificate is None:
        raise click.UsageError("--private-key needs --certificate")
    if source is not None and target.kind == "unix":
        raise click.UsageError("--from is not for a Unix socket, which has no address")
    if message is not None and "\n" in message and target.kind in ("tcp", "tls") and not octet_counted:
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
    tls = ClientTls(ca, certificate, private_key, server_name, verify=not insecure)
    with _progress(target, None if from_stdin else count or 1) as sent:
        _send(partial(open_sender, target, source, tls, octet_counted=octet_counted), target, frames, rate, sent)


@contextmanager
def _progress(target: SendTarget, total: int | None) -> Iterator[Callable[[], None]]:
    """Shows a progress bar on stderr if that is a terminal. Yields a function to call after each message."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415  slow to import and rarely needed
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True)) as progress:
        bar = progress.add_task(f"to {target}", total=total)
        yield lambda: progress.advance(bar)


def _send(
    connect: Callable[[], MessageSender], target: SendTarget, frames: Iterable[bytes],
    rate: float | None, sent: Callable[[], None],
) -> None:  # fmt: skip
    count = size = 0
    began = time.monotonic()
    sender: MessageSender | None = None
    try:
        sender = connect()
        for frame in frames:
            if rate is not None and (early := began + count / rate - time.monotonic()) > 0:
                time.sleep(early)
            sender.send(frame)
            count += 1
            size += len(frame)
            sent()
        sender.close()
    except SendError as error:
        acknowledged = None if sender is None else sender.acknowledged
        if sender is not None:
            sender.abort()
        before = f"; {counted(count, 'message')} were sent before" if count > 1 else ""
        if acknowledged is not None:
            before = f"; {counted(acknowledged, 'message')} {verb(acknowledged, 'is', 'are')} acknowledged"
        fail(f"send: {error}{before}")
    except KeyboardInterrupt:
        click.echo(err=True)
    seconds = time.monotonic() - began
    speed = f" ({count / seconds:,.0f}/s)" if count > 1 and seconds > 0 else ""
    acknowledged = None if sender is None else sender.acknowledged
    answered = "" if acknowledged is None else f", {acknowledged:,} acknowledged"
    click.echo(
        f"send: {counted(count, 'message')}, {size:,} bytes, to {target} in {seconds:.2f} s{speed}{answered}", err=True
    )
