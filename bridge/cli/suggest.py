"""Suggests commands for unknown ones: near names, other programs' names of the same thing, and commands of a group."""

from collections.abc import Iterator

import click

OTHER_NAMES = {
    "start": "run", "serve": "run", "daemon": "run", "validate": "check", "lint": "check", "verify": "check",
    "logs": "tail", "watch": "tail", "listen": "tail", "top": "status", "health": "status", "stats": "status",
    "sources": "status", "info": "status", "init": "setup", "install": "setup", "configure": "setup",
    "parse": "explain",
    "generate": "send", "queue": "spool", "buffer": "spool", "dlq": "quarantine", "products": "formats", "ls": "list",
    "show": "list", "delete": "purge", "rm": "purge", "remove": "purge",
}  # fmt: skip
"Names in other programs -> names here."
CLOSENESS = 0.65
"Least similarity of a suggested name."
MOST = 3
"Number of suggestions."


class SuggestingGroup(click.Group):
    """Suggests commands when a command is unknown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns the command that the arguments name. Raises UsageError with suggestions if there is none."""
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            found = [*dict.fromkeys(self._near(ctx, name.lower()))][:MOST]
            hint = f" Did you mean {' or '.join(repr(each) for each in found)}?" if found else ""
            raise click.UsageError(f"No such command {name!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def _near(self, ctx: click.Context, name: str) -> Iterator[str]:
        import difflib  # noqa: PLC0415  needed only for a wrong command

        known = self.list_commands(ctx)
        if OTHER_NAMES.get(name) in known:
            yield OTHER_NAMES[name]
        yield from difflib.get_close_matches(name, known, n=MOST, cutoff=CLOSENESS)
        for group in sorted(known):
            command = self.get_command(ctx, group)
            if isinstance(command, click.Group) and name in command.list_commands(ctx):
                yield f"{group} {name}"
