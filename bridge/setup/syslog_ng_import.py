"""Converts ``syslog-ng.conf``: its files, definitions and log paths."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.setup.import_files import IncludedFiles, read_text
from bridge.setup.import_receiver import ReceiverDraft
from bridge.setup.syslog_ng_filters import SyslogNgFilters
from bridge.setup.syslog_ng_paths import Definitions, LogPaths
from bridge.setup.syslog_ng_sources import NETWORK
from bridge.setup.syslog_ng_tree import Statement, SyslogNgNode, parse_syslog_ng, unbalanced

_OWN_SETTING = "settings of syslog-ng itself; the bridge has its own"
_OTHER = "this statement has no counterpart; carry it over by hand"


def read_syslog_ng(file: Path, draft: ReceiverDraft) -> bool:
    """Reads a file, and those that it includes, into a draft. Returns True if it keeps host names. Raises OSError."""
    text = read_text(file)
    version = re.search(r"(?m)^\s*@version\s*:\s*(\d+)", text)
    statements = list(_expanded(text, file, IncludedFiles(file), draft, {}))
    keeps_hostname = _keeps_hostname(statements)
    filters = SyslogNgFilters(keeps_hostname=keeps_hostname, typed=version is not None and int(version[1]) >= 4)
    definitions, paths = Definitions(filters), []
    for statement in statements:
        if statement[0].name == "log" and statement[-1].body is not None:
            paths.append(statement[0])
        elif not definitions.take(statement):
            own = statement[0].name == "options" and statement[-1].body is not None
            draft.skip(statement[0].place, statement[0].line, _OWN_SETTING if own else _OTHER)
    LogPaths(definitions, draft).run(paths)
    return keeps_hostname


def _keeps_hostname(statements: Sequence[Statement]) -> bool:
    """Returns True if the host is the one of the header, for all sources."""
    usual = any(
        _is_yes(node) for statement in statements if statement[0].name == "options"
        for inner in statement[0].body or () for node in inner if node.name == "keep-hostname"
    )  # fmt: skip
    own = {
        usual if (option := inner[0].find("keep-hostname")) is None else _is_yes(option)
        for statement in statements if statement[0].name == "source"
        for inner in statement[-1].body or () if inner[0].name in NETWORK
    }  # fmt: skip
    return all(own) if own else usual


def _is_yes(node: SyslogNgNode) -> bool:
    return node.texts()[:1] in (["yes"], ["on"], ["1"])


def _expanded(
    text: str, file: Path, files: IncludedFiles, draft: ReceiverDraft, defines: dict[str, str], depth: int = 0
) -> Iterator[Statement]:
    for name, plain, quoted in re.findall(r"(?m)^\s*@define\s+([\w.-]+)\s+(?:([^\s\"']+)|[\"']([^\"'\n]*))", text):
        defines[name] = plain or quoted
    text = re.sub(r"`([\w.-]+)`", lambda match: defines.get(match[1], match[0]), text)
    for place, line, reason in unbalanced(text, str(file)):
        draft.skip(place, line, reason)
    for statement in parse_syslog_ng(text, str(file)):
        pragma = statement[0].text
        if not pragma.startswith("@") or statement[0].quoted:
            yield statement
            continue
        match = re.match(r"@include\s+[\"']?([^\"']+)", pragma)
        if match is None:
            continue
        included, left_out = files.find(match[1].strip(), depth)
        for reason in left_out:
            if "scl.conf" not in match[1]:
                draft.skip(statement[0].place, pragma, reason)
        for one in included:
            try:
                inner = read_text(one)
            except OSError as error:
                draft.skip(statement[0].place, pragma, f"cannot read {one}: {error.strerror}")
                continue
            yield from _expanded(inner, one, files, draft, defines, depth + 1)
