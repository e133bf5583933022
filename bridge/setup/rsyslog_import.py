"""Converts ``rsyslog.conf``: listeners, rulesets and forwarders with an intake key."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.setup.import_files import NO_FILE, IncludedFiles, read_text
from bridge.setup.import_receiver import ReceiverDraft
from bridge.setup.rsyslog_inputs import RsyslogInputs
from bridge.setup.rsyslog_rulesets import DEFAULT_RULESET, UNREADABLE, RsyslogDefinitions, RulesetWalker
from bridge.setup.rsyslog_template import NOT_COMPUTED
from bridge.setup.rsyslog_tree import RsyslogStatement, parse_rsyslog, unescaped

_OWN_SETTING = "a setting of rsyslog itself; the bridge has its own"


def read_rsyslog(files: Sequence[Path], draft: ReceiverDraft, certificates: str | None = None) -> None:
    """Reads files, and those that they include, into a draft. Raises OSError for a file of ``files``.

    ``certificates`` is the folder, relative to the configuration, that replaces the one of certificate files.
    """
    statements = [
        statement
        for file in files
        for statement in _expanded(parse_rsyslog(read_text(file), str(file)), IncludedFiles(file), draft, 0)
    ]
    inputs = RsyslogInputs(draft, certificates, DEFAULT_RULESET)
    found = RsyslogDefinitions()
    _sort(statements, found, inputs, draft)
    walker = RulesetWalker(found, draft)
    for name in inputs.finish():
        if name in found.rulesets:
            walker.ruleset(name)
        else:
            draft.skip(*inputs.origin_of(name), f"the ruleset {name[:40]} is not defined")
    for name, body in found.rulesets.items():
        if name not in walker.visited:
            for statement in body:
                draft.skip(statement.place, statement.line, "no imported listener leads to this ruleset")


def _expanded(
    statements: Sequence[RsyslogStatement], files: IncludedFiles, draft: ReceiverDraft, depth: int
) -> Iterator[RsyslogStatement]:
    """Yields the statements, with included files in the place of each include."""
    for statement in statements:
        is_object = statement.kind == "include"
        if not is_object and not (statement.kind == "directive" and statement.name == "includeconfig"):
            yield statement
            continue
        pattern = statement.one("file") if is_object else statement.text
        included, left_out = files.find(pattern, depth)
        for reason in left_out:
            if statement.one("mode") != "optional" or reason != NO_FILE:
                draft.skip(statement.place, statement.line, reason)
        for file in included:
            try:
                text = read_text(file)
            except OSError as error:
                draft.skip(statement.place, statement.line, f"cannot read {file}: {error.strerror}")
                continue
            yield from _expanded(parse_rsyslog(text, str(file)), files, draft, depth + 1)


def _sort(
    statements: Sequence[RsyslogStatement], found: RsyslogDefinitions, inputs: RsyslogInputs, draft: ReceiverDraft
) -> None:
    """Sorts the statements of the top level: inputs and settings, templates, rulesets, and rules."""
    current = DEFAULT_RULESET
    for statement in statements:
        if statement.kind == "ruleset" and statement.name:
            found.rulesets.setdefault(statement.name, []).extend(statement.body)
        elif statement.kind == "template":
            found.templates[statement.name] = _template(statement)
        elif statement.kind == "directive" and statement.name == "template":
            name, _, rest = statement.text.partition(",")
            string = re.search(r'"((?:[^"\\]|\\.)*)"', rest)
            found.templates[name.strip()] = unescaped(string[1]) if string else ""
        elif statement.kind == "directive" and statement.name == "ruleset":
            current = statement.text.strip()
            found.rulesets.setdefault(current, [])
        elif inputs.take(statement):
            continue
        elif statement.kind in ("directive", "global", "main_queue", "module", "timezone", "parser", "ratelimit",
                                "dyn_stats", "lookup_table", "percentile_stats"):  # fmt: skip
            draft.skip(statement.place, statement.line, _OWN_SETTING)
        elif statement.kind in ("input", "unknown"):
            draft.skip(statement.place, statement.line, UNREADABLE)
        elif statement.kind == "unbalanced":
            draft.skip(statement.place, statement.line, statement.text)
        else:
            found.rulesets[current].append(statement)


def _template(statement: RsyslogStatement) -> str:
    if statement.body:
        return "".join(map(_template_part, statement.body))
    return statement.one("string")


def _template_part(part: RsyslogStatement) -> str:
    if part.kind != "property":
        return part.one("value")
    given = {name for name in part.parameters if name not in ("name", "dateformat", "outname")}
    if given == {"droplastlf"}:
        given.clear()
    return f"%{part.one('name')}:{NOT_COMPUTED}%" if given else f"%{part.one('name')}%"
