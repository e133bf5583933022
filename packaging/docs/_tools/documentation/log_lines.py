"""Generates the table of log lines that call for action: the warnings and errors in the source code."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

import bridge
from documentation.markdown import table

_DOCS = Path(__file__).parents[2]


def actions() -> Mapping[str, str | None]:
    """Returns what to do about each line; None if the line only carries the text of another table."""
    found: dict[str, str | None] = yaml.safe_load((_DOCS / "_data/log_lines.yaml").read_text(encoding="utf-8"))
    return found


def lines() -> list[str]:
    """Returns the texts of all warnings and errors in the source code."""
    found = (line for path in sorted(Path(bridge.__file__).parent.rglob("*.py")) for line in _lines(path))
    return list(dict.fromkeys(found))


def markdown() -> str:
    """Returns the table of all lines with an action."""
    known = actions()
    rows = [(f"`{_shown(line)}`", action) for line in lines() if (action := known.get(line))]
    return table(("line", "action"), rows)


def _lines(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and _is_warning(node.func) and node.args:
            yield _text(node.args[0])


def _is_warning(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr in ("warn", "error", "critical")
        and isinstance(function.value, ast.Name)
        and function.value.id == "log"
    )


def _text(argument: ast.expr) -> str:
    """Returns a format string; a variable becomes ``{NAME}``, as in the log line ``{text}``."""
    if isinstance(argument, ast.Constant):
        return str(argument.value)
    if isinstance(argument, ast.JoinedStr):
        parts = (
            str(part.value) if isinstance(part, ast.Constant) else f"{{{ast.unparse(part.value)}}}"
            for part in argument.values
            if isinstance(part, ast.Constant | ast.FormattedValue)
        )
        return "".join(parts)
    return f"{{{ast.unparse(argument)}}}"


def _shown(line: str) -> str:
    """Returns a line with its values in capitals."""
    return re.sub(r"\{(\w+)[^}]*\}", lambda value: value[1].upper(), line)
