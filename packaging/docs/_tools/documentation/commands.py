"""Generates the command line reference from the click commands."""

import click

from bridge.cli.main import main
from documentation.markdown import anchor, block, table


def all_commands() -> list[tuple[str, click.Command]]:
    """Returns all commands with their names, those of subcommands as ``spool list``."""
    return _all(main, "")


def usage(name: str, command: click.Command) -> str:
    """Returns the usage line of a command."""
    return " ".join([f"syslog-bridge {name}", *command.collect_usage_pieces(click.Context(command))])


def options(command: click.Command) -> list[tuple[str, str]]:
    """Returns the options of a command as written, each with its help; none for a group of commands."""
    if isinstance(command, click.Group):
        return []
    context = click.Context(command)
    parameters = [each for each in command.get_params(context) if "--help" not in each.opts]
    records = [each.get_help_record(context) for each in parameters]
    return [record for record in records if record is not None and record[1]]


def markdown() -> str:
    """Returns the reference: a chapter for each command with usage, options and examples."""
    overview = [
        (f"[`{name}`](#command-{anchor(name)})", command.get_short_help_str(120))
        for name, command in all_commands()
        if " " not in name
    ]
    parts = [table(("command", "does"), overview), "\n"]
    for name, command in all_commands():
        level = "##" if " " not in name else "###"
        parts.append(f"(command-{anchor(name)})=\n{level} `{name}`\n\n{_chapter(name, command)}")
    return "".join(parts)


def _all(group: click.Group, prefix: str) -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        if command.hidden:
            continue
        found.append((prefix + name, command))
        if isinstance(command, click.Group):
            found += _all(command, f"{prefix}{name} ")
    return found


def _chapter(name: str, command: click.Command) -> str:
    parts = [block("text", usage(name, command)), "\n", _prose(command.help or ""), "\n\n"]
    rows = [(f"`{written}`", _escaped(text).replace("  [", " [")) for written, text in options(command)]
    if rows:
        parts.append(table(("option", "meaning"), rows) + "\n")
    examples = _examples(command.epilog or "")
    if examples:
        parts.append("Example:\n\n" + block("sh", examples) + "\n")
    return "".join(parts)


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")


def _prose(text: str) -> str:
    r"""Returns a help text as Markdown: a paragraph after ``\b`` keeps its lines."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.splitlines()
        if lines and lines[0].strip() == "\b":
            paragraphs.append(block("text", "\n".join(line.strip() for line in lines[1:])).rstrip())
        else:
            paragraphs.append(_escaped(" ".join(line.strip() for line in lines)))
    return "\n\n".join(paragraphs)


def _examples(epilog: str) -> str:
    r"""Returns the commands of an epilog, without its heading and the ``\b`` that keeps its lines."""
    lines = [line.strip() for line in epilog.replace("\b", "").splitlines()]
    return "\n".join(line for line in lines if line and line.rstrip(":") not in ("Example", "Examples"))
