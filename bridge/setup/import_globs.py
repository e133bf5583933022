"""Converts regular expressions of other syslog servers into globs.

The converted part of the syntax has the same meaning in POSIX expressions and in PCRE2.
"""

import re

from bridge.setup.import_expressions import NotConvertible

_MOST_GLOBS = 16
_REGEX = "a glob cannot say this expression; write the names or globs"
_LITERAL = re.compile(r"[A-Za-z0-9_ @:/%&,<>=~'\"#!;-]")
_LIST = re.compile(r"(?<!\\)\[([A-Za-z0-9]+|[0-9]-[0-9]|[a-z]-[a-z]|[A-Z]-[A-Z])\](?![*+?{])")
_GROUP = re.compile(r"\((?:\?:)?([^()]*)\)(?![*+?{])")


def globs_of(pattern: str) -> list[str]:
    """Converts an expression of fixed text, ``.``, ``.*``, anchors and alternatives into globs.

    Raises NotConvertible.
    """
    if any(character in pattern for character in "*?") and re.search(r"\\[*?]", pattern):
        raise NotConvertible(_REGEX)
    globs: list[str] = []
    for branch in _branches(_LIST.sub(_alternatives, pattern)):
        start, end = "*", "*"
        if branch.startswith("^"):
            start, branch = "", branch[1:]  # noqa: PLW2901
        if branch.endswith("$") and not branch.endswith("\\$"):
            end, branch = "", branch[:-1]  # noqa: PLW2901
        glob = "".join(_glob_pieces(branch))
        glob = re.sub(r"\*+", "*", f"{start}{glob}{end}")
        # `*` does not match a missing name, as the expression does.
        if glob in ("", "*"):
            raise NotConvertible(_REGEX)
        globs.append(glob)
    return list(dict.fromkeys(globs))


def fixed_texts(pattern: str) -> tuple[str, list[str]] | None:
    """Returns *contains* or *startswith*, and the texts, of an expression that looks for fixed texts only."""
    try:
        globs = globs_of(pattern)
    except NotConvertible:
        return None
    texts = [glob.strip("*") for glob in globs]
    if any(not text or "*" in text or "?" in text for text in texts):
        return None
    for operator, before in (("contains", "*"), ("startswith", "")):
        if globs == [f"{before}{text}*" for text in texts]:
            return operator, texts
    return None


def _alternatives(match: re.Match[str]) -> str:
    """Writes a short list such as ``[1-3]`` as a group of alternatives."""
    characters = list(match[1])
    if "-" in characters:
        first, last = ord(match[1][0]), ord(match[1][-1])
        characters = [chr(number) for number in range(first, last + 1)]
    return f"({'|'.join(characters)})" if 0 < len(characters) <= _MOST_GLOBS else match[0]


def _branches(pattern: str) -> list[str]:
    """Returns the alternatives of an expression; those of groups are multiplied out."""
    if "\\(" in pattern or "\\|" in pattern or "\\)" in pattern:
        raise NotConvertible(_REGEX)
    # A bar outside of groups separates whole alternatives.
    whole = re.findall(r"(?:\([^()]*\)|[^|()])+|[()]", pattern) or [pattern]
    if "(" in whole or ")" in whole or re.search(r"^\||\|\||\|$", pattern):
        raise NotConvertible(_REGEX)
    found: list[str] = []
    for branch in whole:
        if match := _GROUP.search(branch):
            before, after = branch[: match.start()], branch[match.end() :]
            found += [one for inner in match[1].split("|") for one in _branches(f"{before}{inner}{after}")]
        else:
            found.append(branch)
        if len(found) > _MOST_GLOBS:
            raise NotConvertible(_REGEX)
    return found


def _glob_pieces(branch: str) -> list[str]:
    pieces, at = [], 0
    while at < len(branch):
        if branch.startswith((".*", ".+"), at) and not branch.startswith(("?", "+", "*", "{"), at + 2):
            pieces.append("*" if branch[at + 1] == "*" else "?*")
            at += 2
        elif branch[at] == "\\" and at + 1 < len(branch) and not branch[at + 1].isalnum():
            pieces.append(branch[at + 1])
            at += 2
        elif branch.startswith("[.]", at):
            pieces.append(".")
            at += 3
        elif branch[at] == ".":
            pieces.append("?")
            at += 1
        elif _LITERAL.fullmatch(branch[at]) or ord(branch[at]) > 127:
            pieces.append(branch[at])
            at += 1
        else:
            raise NotConvertible(_REGEX)
        if at < len(branch) and branch[at] in "*+?{":
            raise NotConvertible(_REGEX)
    return pieces
