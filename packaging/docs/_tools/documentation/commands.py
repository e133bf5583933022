"""Generates the command line reference from the click commands."""

import click

from bridge.cli.main import main
from documentation.markdown import anchor, block, table

WIDTH = 80


def names() -> list[str]:
    """Returns the names of all commands, those of subcommands as ``spool list``."""
    return [name for name, _ in _all(main, "")]


def markdown() -> str:
    """Returns the reference: a chapter for each command with usage, options and examples."""
    overview = [
        (f"[`{name}`](#command-{anchor(name)})", command.get_short_help_str(120))
        for name, command in _all(main, "")
        if " " not in name
    ]
    parts = [table(("command", "does"), overview), "\n"]
    for name, command in _all(main, ""):
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
    context = click.Context(command, info_name=f"syslog-bridge {name}", terminal_width=WIDTH, max_content_width=WIDTH)
    usage = " ".join([f"syslog-bridge {name}", *command.collect_usage_pieces(context)])
    parts = [block("text", usage), "\n", _prose(command.help or ""), "\n\n"]
    rows = [_option(option, context) for option in command.get_params(context)]
    shown = [row for row in rows if row is not None]
    if shown and not isinstance(command, click.Group):
        parts.append(table(("option", "meaning"), shown) + "\n")
    examples = _examples(command.epilog or "")
    if examples:
        parts.append("Example:\n\n" + block("sh", examples) + "\n")
    return "".join(parts)


def _option(option: click.Parameter, context: click.Context) -> tuple[str, str] | None:
    record = option.get_help_record(context)
    if record is None or not record[1] or "--help" in option.opts:
        return None
    written, text = record
    return f"`{written}`", text.replace("<", "&lt;").replace("*", "\\*").replace("  [", " [")


def _prose(text: str) -> str:
    r"""Returns a help text as Markdown: a paragraph after ``\b`` keeps its lines."""
    paragraphs = []
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.splitlines()
        if lines and lines[0].strip() == "\b":
            paragraphs.append(block("text", "\n".join(line.strip() for line in lines[1:])).rstrip())
        else:
            plain = " ".join(line.strip() for line in lines)
            paragraphs.append(plain.replace("<", "&lt;").replace("*", "\\*"))
    return "\n\n".join(paragraphs)


def _examples(epilog: str) -> str:
    r"""Returns the commands of an epilog, without its heading and the ``\b`` that keeps its lines."""
    lines = [line.strip() for line in epilog.replace("\b", "").splitlines()]
    return "\n".join(line for line in lines if line and line.rstrip(":") not in ("Example", "Examples"))
