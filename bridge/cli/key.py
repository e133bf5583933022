"""Implements ``syslog-bridge key set``: replaces the key of an intake."""

import os
import stat
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from bridge.cli.execute import bridge_runs, run_command
from bridge.cli.options import WRONG_USAGE, CliGroup, configuration_option, example, fail, os_error_text, probe
from bridge.config import Config, ConfigurationError, Fault, Secret, key_file, load
from bridge.config.secret import looks_like_a_key
from bridge.host.privileges import become_owner, check_reachable, open_folder
from bridge.operations.commands import run_on_files
from bridge.setup.check_result import Connect
from bridge.util.errors import BridgeError
from bridge.util.files import replace_in


@click.group(cls=CliGroup, epilog=example("syslog-bridge key set firewalls < new-key"))
def key() -> None:
    """Manage intake keys."""


@key.command("set", epilog=example("syslog-bridge key set firewalls < new-key"))
@configuration_option
@click.option("--no-test", "untested", is_flag=True, help="Do not try the key.")
@click.option("--force", is_flag=True, help="Write the key although the collector refuses it.")
@click.option("--dry-run", is_flag=True, help="Try the key, and change nothing.")
@click.argument("intake")
@click.pass_obj
def set_(connect: Connect | None, file: Path, untested: bool, force: bool, dry_run: bool, intake: str) -> None:
    """Read a key from standard input, try it, write it to the key file of the intake, and use it.

    The command sends one test event with the key, and writes nothing if the collector refuses the key. If the collector
    cannot be reached, it warns and writes the key.

    The key file is the one named by intake_key: {file: ...}. A parked intake resumes delivery at once. No other part of
    the configuration is reloaded.
    """
    if dry_run and untested:
        raise click.UsageError("--dry-run only tries the key, which --no-test excludes")
    config = load(file, secrets=False)
    if intake not in config.intakes:
        raise click.UsageError(f"there is no intake {intake}. The intakes are {', '.join(config.intakes)}")
    path = key_file(file, intake)
    if isinstance(path, Fault):
        fail(f"key set: {path}")
    check_reachable(config.spool.directory)
    if sys.stdin.isatty():
        text = click.prompt(f"Key of intake {intake}", hide_input=True, err=True)
    else:
        text = sys.stdin.buffer.read(4096).decode("utf-8", "replace")
    text = text.strip()
    if error_text := _invalid(text):
        fail(f"key set: {error_text}; nothing was changed", WRONG_USAGE)
    if not looks_like_a_key(text):
        click.echo("key set: warning: an intake key usually has 16 letters and digits; this one does not", err=True)
    if not untested:
        _try(connect or probe, file, config, intake, text, force=force)
    if dry_run:
        click.echo(f"would write {path}")
        return
    try:
        _write(path, text)
    except OSError as error:
        fail(f"key set: {path}: {error.strerror}. The old key is kept")
    click.echo(f"wrote {path}")
    become_owner(config.spool.directory)
    if not config.spool.directory.is_dir():
        return
    if bridge_runs(config):
        run_command(config, "key", {"intake": intake, "key": text})
        click.echo("the running bridge uses the new key")
        return
    try:
        # Records the action in the journal.
        run_on_files(config, "key", {"intake": intake}, lambda report: True, lambda note: None)
    except BridgeError as error:
        click.echo(f"key set: warning: the action is not recorded in the journal: {error}", err=True)
    except OSError as error:
        why = os_error_text(error, config.spool.directory)
        click.echo(f"key set: warning: the action is not recorded in the journal: {why}", err=True)


def _try(connect: Connect, file: Path, config: Config, intake: str, key: str, *, force: bool) -> None:
    """Sends one event with a key and says whether it works. Exits with 1 if the collector refuses the key."""
    with suppress(ConfigurationError):
        # With the password of a proxy, if the other secrets can be read. The file of this key may be missing.
        config = load(file)
    only = replace(config.intakes[intake], intake_key=Secret(key))
    (result,) = connect(replace(config, intakes={intake: only}), False, True)
    if result.ok:
        click.echo(f"the collector accepts the key ({result.text})")
    elif not result.key_refused:
        click.echo(f"key set: warning: cannot tell whether the key works: {result.target}: {result.text}", err=True)
    elif force:
        click.echo(f"key set: warning: the collector refuses the key: {result.text}", err=True)
    else:
        fail(
            f"key set: the collector refuses the key: {result.text}. Nothing was changed. Check the key and the region,"
            " or use --force to write it all the same"
        )


def _invalid(text: str) -> str | None:
    if not text:
        return "standard input has no key"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "a key must be one line of printable ASCII without spaces"
    return None


def _write(path: Path, text: str) -> None:
    """Writes the key file atomically. Never through a link, which could lead to any file of this user.

    Keeps the owner and the read and write rights of an existing file, except rights for others. Only the owner may
    access a new file, and the group in a folder that passes on its group, as in the Debian package.
    """
    folder = open_folder(path.parent)
    try:
        try:
            before = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            before = None
        if before is not None and not stat.S_ISREG(before.st_mode):
            what = "a link" if stat.S_ISLNK(before.st_mode) else "not a regular file"
            raise BridgeError(f"{path} is {what}", "Name the file itself as intake_key: {file: PATH}")

        def set_rights(descriptor: int) -> None:
            if before is not None:
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, before.st_uid, before.st_gid)
                os.fchmod(descriptor, before.st_mode & 0o660)
            elif os.fstat(folder).st_mode & stat.S_ISGID:
                os.fchmod(descriptor, 0o640)

        replace_in(folder, path.name, f"{text}\n".encode(), finish=set_rights)
    finally:
        os.close(folder)
