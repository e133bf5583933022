"""Converts ``syslog-ng.conf``: sources, filters and log paths whose destination sends with an intake key."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bridge.config.faults import Place
from bridge.setup.import_conditions import ALWAYS, Both, Condition, Negated, NotConvertible
from bridge.setup.import_files import IncludedFiles, read_text
from bridge.setup.import_receiver import PASSES_ON, IntakeTarget, ReceiverDraft, ReceiverRule
from bridge.setup.syslog_ng_filters import SyslogNgFilters, payload_of
from bridge.setup.syslog_ng_sources import source_port
from bridge.setup.syslog_ng_tree import SyslogNgNode, parse_syslog_ng, unbalanced

Statement = Sequence[SyslogNgNode]
_KEY = re.compile(r"""intake_key=\\*["']?([^"'\\\]\s]+)""")
_HEADER_KEY = re.compile(r"(?i)X-SEKOIAIO-INTAKE-KEY:\s*(\S+)")
_NETWORK = ("network", "syslog", "tcp", "tcp6", "udp", "udp6")
_OTHER_DESTINATION = "only destinations that send to the collector with an intake key are imported"
_OWN_SETTING = "settings of syslog-ng itself; the bridge has its own"
_OTHER = "this statement has no counterpart; carry it over by hand"


@dataclass(frozen=True)
class _Path:
    """The part of a log path that its destinations and inner paths inherit."""

    groups: tuple[str, ...] = ()
    condition: Condition = ALWAYS
    key: str = ""
    title: str = ""


def read_syslog_ng(file: Path, draft: ReceiverDraft) -> None:
    """Reads a file, and those that it includes, into a draft. Raises OSError."""
    defines: dict[str, str] = {}
    files = IncludedFiles(file)
    statements = list(_expanded(read_text(file), file, files, draft, defines))
    _Interpreter(statements, draft).run()


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


class _Interpreter:
    """Follows the log paths and adds listeners and rules to the draft."""

    def __init__(self, statements: Sequence[Statement], draft: ReceiverDraft) -> None:
        self._draft = draft
        self._statements = statements
        self._sources: dict[str, Sequence[Statement]] = {}
        self._destinations: dict[str, Sequence[Statement]] = {}
        self._rewrites: dict[str, Sequence[Statement]] = {}
        self._templates: dict[str, str] = {}
        keeps = any(
            node.name == "keep-hostname" and node.texts()[:1] in (["yes"], ["on"], ["1"])
            for statement in statements if statement[0].name == "options"
            for inner in statement[0].body or () for node in inner
        )  # fmt: skip
        self._filters = SyslogNgFilters(keeps_hostname=keeps)
        self._listened: set[str] = set()

    def run(self) -> None:
        """Reads all statements: definitions first, then log paths, those with flags(fallback) last."""
        named = {"source": self._sources, "destination": self._destinations, "rewrite": self._rewrites}
        paths = []
        for statement in self._statements:
            kind, name = statement[0].name, statement[1].text if len(statement) > 1 else ""
            body = statement[-1].body
            if kind == "log" and body is not None:
                paths.append(statement[0])
            elif body is None:
                self._skip(statement[0], _OTHER)
            elif kind in named:
                named[kind][name] = body
            elif kind == "filter":
                self._filters.define(name, [node for inner in body for node in inner])
            elif kind == "template":
                found = [node.texts() for inner in body for node in inner if node.name == "template"]
                self._templates[name] = found[0][0] if found and found[0] else ""
            else:
                self._skip(statement[0], _OWN_SETTING if kind == "options" else _OTHER)
        for path in sorted(paths, key=lambda node: "fallback" in _flags(node)):
            self._log(path, _Path())

    def _log(self, node: SyslogNgNode, outer: _Path) -> bool:
        """Adds the rules of a log path; returns True if none of its messages is left for later rules."""
        path, taken = outer, False
        flags = _flags(node)
        if "catchall" in flags:
            path = _Path(tuple(self._sources), path.condition, path.key, path.title)
            for name in self._sources:
                self._listen(name, self._sources[name])
        first = self._draft.rule_count
        for statement in node.body or ():
            kind = statement[0].name
            try:
                if kind == "destination":
                    taken = self._destination(statement[0], path) or taken
                elif kind == "log":
                    taken = self._log(statement[0], path) or taken
                elif kind == "if":
                    taken = self._if(statement, path) or taken
                elif kind != "flags":
                    path = self._element(statement[0], path)
            except NotConvertible as error:
                self._skip(
                    statement[0], f"{error}; the log path in line {node.place.line} is not imported, so {PASSES_ON}"
                )
                return False
        if "final" not in flags:
            return taken and path == outer
        if taken:
            self._draft.end_rules(first, path.condition)
        elif path.groups:
            self._draft.rule(ReceiverRule(path.groups, path.condition, None, node.place, node.line))
        return path.condition == outer.condition

    def _element(self, node: SyslogNgNode, path: _Path) -> _Path:
        """Returns the path with one more source, filter or rewrite. Raises NotConvertible."""
        name = next(iter(node.texts()), "")
        if node.name == "source":
            name = name or f"line {node.place.line}"
            body = self._sources.get(name) if node.body is None else node.body
            if body is None:
                raise NotConvertible(f"the source {name[:40]} is not defined")
            self._listen(name, body)
            return _Path((*path.groups, name), path.condition, path.key, path.title)
        if node.name == "filter":
            inline = [one for inner in node.body or () for one in inner]
            expression = inline or [SyslogNgNode("filter", node.place, node.line, arguments=node.arguments)]
            condition = self._filters.condition(expression)
            joined = condition if path.condition == ALWAYS else Both((path.condition, condition))
            return _Path(path.groups, joined, path.key, name or path.title)
        if node.name == "rewrite":
            return self._rewritten(node, name, path)
        self._skip(node, _OTHER)
        return path

    def _rewritten(self, node: SyslogNgNode, name: str, path: _Path) -> _Path:
        for statement in self._rewrites.get(name, ()) if node.body is None else node.body:
            action = statement[0]
            target = action.one("value")
            if action.name == "set" and "intake_key" in target and action.texts():
                if action.find("condition") is not None:
                    raise NotConvertible("the intake key depends on a condition; write a route for each")
                path = _Path(path.groups, path.condition, action.texts()[0], name or path.title)
            else:
                self._skip(
                    action, "messages are delivered unchanged; format: or payload: of the intake selects the text"
                )
        return path

    def _if(self, statement: Statement, path: _Path) -> bool:
        rest, taken = path, True
        for node in statement:
            inner = rest
            if node.name in ("if", "elif"):
                test = self._filters.condition(node.arguments or ())
                inner = _Path(rest.groups, _and(rest.condition, test), rest.key, rest.title)
                rest = _Path(rest.groups, _and(rest.condition, Negated(test)), rest.key, rest.title)
            taken = self._log(node, inner) and taken
        return taken and statement[-1].name == "else"

    def _listen(self, name: str, body: Sequence[Statement]) -> None:
        if name in self._listened:
            return
        self._listened.add(name)
        for statement in body:
            found = source_port(statement[0])
            if isinstance(found, str):
                self._skip(statement[0], found)
            else:
                self._draft.listen(name, found, statement[0].place, statement[0].line)

    def _destination(self, node: SyslogNgNode, path: _Path) -> bool:
        name = next(iter(node.texts()), "")
        drivers = self._destinations.get(name, ()) if node.body is None else node.body
        sends = False
        for statement in drivers:
            target = self._target(statement[0], path, name)
            if target is None:
                self._skip(statement[0], _OTHER_DESTINATION)
            elif sends:
                self._skip(
                    statement[0], "an earlier destination has these messages, and the bridge sends to one intake"
                )
            else:
                rule = ReceiverRule(path.groups, path.condition, target, node.place, node.line, goes_on=True)
                self._draft.rule(rule)
                sends = True
        return sends

    def _target(self, driver: SyslogNgNode, path: _Path, name: str) -> IntakeTarget | None:
        if driver.name == "http":
            for header in driver.values("headers"):
                if match := _HEADER_KEY.search(header):
                    return IntakeTarget(match[1], _title(name), urlsplit(driver.one("url")).hostname or "")
            return None
        host = next(iter(driver.texts()), "")
        if driver.name not in _NETWORK or not host:
            return None
        given = driver.one("template")
        template = self._templates.get(given, given)
        key = _KEY.search(template)
        if key is None:
            # The key is in the structured data that a rewrite has set; syslog() writes it before the message.
            return IntakeTarget(path.key, _title(path.title or name), host) if path.key else None
        payload = payload_of(template[key.end() :])
        if payload is None:
            self._skip(driver, "the text of the template has no counterpart; the message alone is sent")
        return IntakeTarget(key[1], _title(name or path.title), host, payload or "auto")

    def _skip(self, node: SyslogNgNode, reason: str) -> None:
        place: Place = node.place
        self._draft.skip(place, node.line, reason)


def _and(one: Condition, other: Condition) -> Condition:
    return other if one == ALWAYS else Both((one, other))


def _flags(log: SyslogNgNode) -> list[str]:
    return [
        flag.lower() for statement in log.body or () if statement[0].name == "flags" for flag in statement[0].texts()
    ]


def _title(name: str) -> str:
    title = re.sub(r"(?i)sekoia(?:[._]?io)?", "", re.sub("^[a-z]_", "", name)).strip("_.-")
    return title or "intake"
