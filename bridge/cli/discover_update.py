"""Implements ``syslog-bridge discover --update``: compares what is seen with the configuration."""

import json
from collections.abc import Sequence
from pathlib import Path

import click

from bridge.cli.execute import run_command
from bridge.cli.options import fail
from bridge.config import Config, load
from bridge.config.faults import printable
from bridge.config.yaml_tree import LARGEST, Entries
from bridge.discover.changes import GROUPS, Changes, ProposedChange
from bridge.discover.edits import Edited, Editor
from bridge.host.privileges import acting_as_owner
from bridge.operations import spool_owner
from bridge.setup.edited_files import replace_files
from bridge.util.files import read_regular

_TITLES = {
    "new": "New senders", "changed": "Senders of another product than their intake", "zones": "Wrong time zones",
    "gone": "Senders that are gone",
}  # fmt: skip


def update(
    file: Path, config: Config, root: Entries, found: Changes, *, only: Sequence[str], apply: bool, output: str
) -> None:
    """Prints the changes of the chosen groups and their diff. With ``apply``, writes, checks and reloads them."""
    chosen = [change for change in found.changes if not only or change.group in only]
    texts = {str(path): read_regular(path, LARGEST).decode() for path in config.files}
    edited = Editor(config, root, texts).apply(chosen)
    diff = list(edited.diff())
    if output == "json":
        click.echo(json.dumps(_json(chosen, found, edited, diff), ensure_ascii=False))
    else:
        _print(chosen, found, edited, diff)
    if not apply:
        if diff and output == "text":
            click.echo("\nNothing was changed. To use the diff, add --apply, with --only GROUP for some groups.")
        return
    if diff:
        _apply(file, config, edited)


def _print(chosen: Sequence[ProposedChange], found: Changes, edited: Edited, diff: Sequence[str]) -> None:
    for group in GROUPS:
        if reasons := [change.reason for change in chosen if change.group == group]:
            click.echo(f"{_TITLES[group]} ({group}):")
            for reason in reasons:
                click.echo(f"  {printable(reason)}")
    for title, lines in (("By hand", edited.by_hand), ("Notes", found.notes)):
        if lines:
            click.echo(f"{title}:")
            for line in lines:
                click.echo(f"  {printable(line)}")
    if not chosen:
        click.echo("no change: what was seen agrees with the configuration")
    if diff:
        click.echo("")
        for line in diff:
            click.echo(line)


def _json(chosen: Sequence[ProposedChange], found: Changes, edited: Edited, diff: Sequence[str]) -> dict[str, object]:
    return {
        "changes": [{"group": change.group, "reason": change.reason} for change in chosen],
        "by_hand": list(edited.by_hand), "notes": list(found.notes), "new_intakes": list(edited.intakes),
        "diff": list(diff),
    }  # fmt: skip


def _apply(file: Path, config: Config, edited: Edited) -> None:
    keys = config.files[0].parent / "keys"
    if missing := [name for name in edited.intakes if not (keys / name).is_file()]:
        commands = "".join(f"\n  sudo install -m 0600 /dev/stdin {keys / name}" for name in missing)
        fail(f"discover: nothing was applied. First write the keys of the new intakes:{commands}")
    restore = replace_files(edited.before, edited.after, lambda: _check(file))
    click.echo(f"\nwrote {', '.join(name for name, text in edited.after.items() if text != edited.before[name])}")
    directory = config.spool.directory
    if not spool_owner.has_owner(directory):
        click.echo("no bridge is running: the change applies at its start")
        return
    try:
        with acting_as_owner(directory):
            text = run_command(config, "reload", {})["text"]
    except SystemExit:
        restore()
        click.echo("discover: the old files are back", err=True)
        raise
    click.echo(f"reloaded: {text}")
    click.echo('Messages that were held until now: run "syslog-bridge unrouted reroute"')


def _check(file: Path) -> None:
    load(file)
