"""``syslog-bridge key set``: replaces the key of an intake."""

import os
import sys
from pathlib import Path

import click

from bridge.cli.execute import act, needs_bridge
from bridge.cli.options import (
    WRONG_USAGE,
    configuration_option,
    failed,
    loaded,
)
from bridge.config import ConfigurationError, Fault, key_file
from bridge.config.secret import looks_like_a_key


@click.group(epilog="\b\nExample:\n  syslog-bridge key set firewalls < new-key")
def key() -> None:
    """Intake keys."""


@key.command("set", epilog="\b\nExample:\n  syslog-bridge key set firewalls < new-key")
@configuration_option
@click.argument("intake")
def set_(file: Path, intake: str) -> None:
    """Read a key from standard input, write it to the file that the intake's intake_key: {file: ...} names, use it.

    A parked intake goes on at once. Nothing else of the configuration is read.
    """
    config = loaded(file, secrets=False)
    if intake not in config.intakes:
        raise click.UsageError(f"there is no intake {intake}: there are {', '.join(config.intakes)}")
    try:
        place = key_file(file, intake)
    except ConfigurationError as error:
        click.echo(str(error), err=True)
        raise SystemExit(WRONG_USAGE) from None
    if isinstance(place, Fault):
        failed(f"key set: {place}")
    if sys.stdin.isatty():
        text = click.prompt(f"Key of intake {intake}", hide_input=True, err=True)
    else:
        text = sys.stdin.buffer.read(4096).decode("utf-8", "replace")
    text = text.strip()
    if wrong := _wrong(text):
        click.echo(f"key set: {wrong}; nothing was changed", err=True)
        raise SystemExit(WRONG_USAGE)
    if not looks_like_a_key(text):
        click.echo("key set: warning: this does not look like an intake key, 16 letters and digits", err=True)
    try:
        _write(place, text)
    except OSError as error:
        failed(f"key set: {error.filename or place}: {error.strerror}; the old key stays")
    click.echo(f"written to {place}")
    if config.spool.directory.is_dir() and needs_bridge(config, "key set"):
        act(config, "key", {"intake": intake, "key": text})
        click.echo("in use")


def _wrong(text: str) -> str | None:
    if not text:
        return "standard input holds no key"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "a key is printable ASCII without blanks, on one line"
    return None


def _write(place: Path, text: str) -> None:
    """Whole or not at all; with the owner and mode of the file that it replaces, for the owner only where there was
    none."""
    try:
        before = place.stat()
        place = place.resolve()
    except FileNotFoundError:
        before = None
    aside = place.with_name(f".{place.name}.new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if before is not None:
            if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, before.st_mode & 0o660)
        os.write(descriptor, f"{text}\n".encode())
        os.fsync(descriptor)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    aside.replace(place)
