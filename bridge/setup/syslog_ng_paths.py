"""Follows the log paths of ``syslog-ng.conf``, and adds their listeners and rules.

A message *matches* a path if it meets its filters and, if the path contains others, matches one of these. With
``flags(final)``, later paths beside it do not see what matches it. A path with ``flags(fallback)`` sees what matches
no other path beside it. Paths outside of the one that contains them are not affected.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bridge.setup.import_checks import either
from bridge.setup.import_conditions import ALWAYS, Condition, Negated, both
from bridge.setup.import_expressions import NotConvertible
from bridge.setup.import_receiver import PASSES_ON, ReceiverDraft, ReceiverRule
from bridge.setup.syslog_ng_destinations import intake_target
from bridge.setup.syslog_ng_filters import SyslogNgFilters
from bridge.setup.syslog_ng_sources import source_port
from bridge.setup.syslog_ng_tree import Statement, SyslogNgNode

_OTHER_DESTINATION = "only destinations that send to the collector with an intake key are imported"
_OTHER = "this statement has no counterpart; carry it over by hand"


@dataclass
class Definitions:
    """Holds the named sources, destinations, rewrites, templates and filters."""

    filters: SyslogNgFilters
    sources: dict[str, Sequence[Statement]] = field(default_factory=dict)
    destinations: dict[str, Sequence[Statement]] = field(default_factory=dict)
    rewrites: dict[str, Sequence[Statement]] = field(default_factory=dict)
    templates: dict[str, str] = field(default_factory=dict)

    def take(self, statement: Statement) -> bool:
        """Adds a definition; returns False for any other statement."""
        kind, name, body = statement[0].name, statement[1].text if len(statement) > 1 else "", statement[-1].body
        named = {"source": self.sources, "destination": self.destinations, "rewrite": self.rewrites}
        if body is None:
            return False
        if kind in named:
            named[kind][name] = body
        elif kind == "filter":
            self.filters.define(name, [node for inner in body for node in inner])
        elif kind == "template":
            found = [node.texts() for inner in body for node in inner if node.name == "template"]
            self.templates[name] = found[0][0] if found and found[0] else ""
        else:
            return False
        return True


@dataclass(frozen=True)
class _Path:
    """The part of a log path that its destinations and inner paths inherit."""

    groups: tuple[str, ...] = ()
    condition: Condition = ALWAYS
    key: str = ""
    title: str = ""


@dataclass(frozen=True)
class _Passed:
    """The result of a log path."""

    node: SyslogNgNode
    groups: tuple[str, ...] = ()
    matched: Condition | None = None
    "The condition of the messages that match the path; None if it is not imported."
    left: Condition | None = None
    "The condition of those that have no rule with a destination; None if each has one."
    whole: tuple[int, ...] = ()
    "The numbers of the rules that take matching messages only."


class LogPaths:
    """Follows the log paths and adds listeners and rules to the draft."""

    def __init__(self, definitions: Definitions, draft: ReceiverDraft) -> None:
        self._defined = definitions
        self._draft = draft
        self._listened: set[str] = set()

    def run(self, paths: Sequence[SyslogNgNode]) -> None:
        """Adds all paths of the top level."""
        passed: list[_Passed] = []
        fallbacks = [node for node in paths if "fallback" in _flags(node)]
        sources = {
            name
            for node in fallbacks
            for statement in node.body or () if statement[0].name == "source"
            for name in statement[0].texts()
        }  # fmt: skip
        for node in paths:
            if node in fallbacks:
                continue
            one = self._log(node, _Path())
            passed.append(one)
            if "final" in _flags(node):
                self._draft.end_rules(one.whole)
                self._discard(one, one.groups)
        for one in passed:
            if "final" not in _flags(one.node):
                self._discard(one, [group for group in one.groups if group in sources])
        first = self._draft.rule_count
        for node in fallbacks:
            self._log(node, _Path())
        for one in passed:
            self._draft.separate(one.whole, range(first, self._draft.rule_count))

    def _discard(self, one: _Passed, groups: Sequence[str]) -> None:
        """Adds a rule for messages that match a path and have no destination, so that later paths do not see them."""
        if groups and one.left is not None:
            self._draft.rule(ReceiverRule(groups, one.left, None, one.node.place, one.node.line))

    def _inner(self, nodes: Sequence[SyslogNgNode], path: _Path) -> list[_Passed]:
        """Adds the paths within another one."""
        passed: list[_Passed] = []
        rest = path
        for node in sorted(nodes, key=lambda node: "fallback" in _flags(node)):
            first = self._draft.rule_count
            flags = _flags(node)
            if "fallback" in flags:
                for earlier in passed:
                    rest = _without(rest, earlier)
            one = self._log(node, rest)
            for earlier in passed:
                if "final" in _flags(earlier.node) or "fallback" in flags:
                    self._draft.separate(earlier.whole, range(first, self._draft.rule_count))
            if "final" in flags:
                rest = _without(rest, one)
            passed.append(one)
        return passed

    def _log(self, node: SyslogNgNode, outer: _Path) -> _Passed:
        """Adds the rules of a log path."""
        path, taken = outer, False
        whole: list[int] = []
        own: list[tuple[int, Condition]] = []
        inner: list[SyslogNgNode] = []
        if "catchall" in _flags(node):
            path = replace(path, groups=tuple(self._defined.sources))
            for name, body in self._defined.sources.items():
                self._listen(name, body)
        for statement in node.body or ():
            kind = statement[0].name
            try:
                if kind == "destination":
                    own += [(number, path.condition) for number in self._destination(statement[0], path)]
                elif kind == "log":
                    inner.append(statement[0])
                elif kind == "if":
                    branches = self._if(statement, path)
                    whole += [number for branch in branches for number in branch.whole]
                    taken = taken or (statement[-1].name == "else" and all(one.left is None for one in branches))
                elif kind != "flags":
                    path = self._element(statement[0], path)
            except NotConvertible as error:
                text = f"{error}; the log path in line {node.place.line} is not imported, so {PASSES_ON}"
                self._draft.skip(statement[0].place, statement[0].line, text)
                return _Passed(node, path.groups)
        taken = taken or bool(own)
        if not inner:
            whole += [number for number, condition in own if condition == path.condition]
            return _Passed(node, path.groups, path.condition, None if taken else path.condition, tuple(whole))
        passed = self._inner(inner, path)
        matched = [one.matched for one in passed if one.matched is not None]
        left = [one.left for one in passed if one.left is not None and not taken]
        return _Passed(
            node, path.groups, either(matched) if matched else None, either(left) if left else None,
            tuple(number for one in passed for number in one.whole),
        )  # fmt: skip

    def _if(self, statement: Statement, path: _Path) -> list[_Passed]:
        rest: _Path = path
        passed: list[_Passed] = []
        for node in statement:
            is_else = node.name not in ("if", "elif")
            test = ALWAYS if is_else else self._defined.filters.condition(node.arguments or ())
            inner = replace(rest, condition=both(rest.condition, test))
            first = self._draft.rule_count
            one = self._log(node, inner)
            for earlier in passed:
                self._draft.separate(earlier.whole, range(first, self._draft.rule_count))
            if one.left is not None or one.matched != inner.condition:
                rest = replace(rest, condition=both(rest.condition, Negated(test)))
            passed.append(one)
        return passed

    def _element(self, node: SyslogNgNode, path: _Path) -> _Path:
        """Returns the path with one more source, filter or rewrite. Raises NotConvertible."""
        name = next(iter(node.texts()), "")
        if node.name == "source":
            name = name or f"line {node.place.line}"
            body = self._defined.sources.get(name) if node.body is None else node.body
            if body is None:
                raise NotConvertible(f"the source {name[:40]} is not defined")
            self._listen(name, body)
            return replace(path, groups=(*path.groups, name))
        if node.name == "filter":
            inline = [one for inner in node.body or () for one in inner]
            expression = inline or [SyslogNgNode("filter", node.place, node.line, arguments=node.arguments)]
            condition = both(path.condition, self._defined.filters.condition(expression))
            return replace(path, condition=condition, title=name or path.title)
        if node.name == "rewrite":
            return self._rewritten(node, name, path)
        if node.name in ("junction", "channel"):
            raise NotConvertible("the bridge has no junctions; write a route for each channel")
        rejects = "a parser has no counterpart; messages that it rejects are delivered too"
        self._draft.skip(node.place, node.line, rejects if node.name == "parser" else _OTHER)
        return path

    def _rewritten(self, node: SyslogNgNode, name: str, path: _Path) -> _Path:
        for statement in self._defined.rewrites.get(name, ()) if node.body is None else node.body:
            action = statement[0]
            target = action.one("value")
            if action.name == "set" and "intake_key" in target and action.texts():
                if action.find("condition") is not None:
                    raise NotConvertible("the intake key depends on a condition; write a route for each")
                path = replace(path, key=action.texts()[0], title=name or path.title)
            else:
                text = "messages are delivered unchanged; format: or payload: of the intake selects the text"
                self._draft.skip(action.place, action.line, text)
        return path

    def _listen(self, name: str, body: Sequence[Statement]) -> None:
        if name in self._listened:
            return
        self._listened.add(name)
        for statement in body:
            found = source_port(statement[0])
            if isinstance(found, str):
                self._draft.skip(statement[0].place, statement[0].line, found)
            else:
                self._draft.listen(name, found, statement[0].place, statement[0].line)

    def _destination(self, node: SyslogNgNode, path: _Path) -> list[int]:
        """Adds the rule of a destination; returns its number, or nothing if it has no intake key."""
        name = next(iter(node.texts()), "")
        drivers = self._defined.destinations.get(name, ()) if node.body is None else node.body
        numbers: list[int] = []
        for statement in drivers:
            target, lost = intake_target(statement[0], name, self._defined.templates, path.key, path.title)
            if lost:
                self._draft.skip(statement[0].place, statement[0].line, lost)
            if target is None:
                self._draft.skip(statement[0].place, statement[0].line, _OTHER_DESTINATION)
            elif numbers:
                text = "an earlier destination has these messages, and the bridge sends to one intake"
                self._draft.skip(statement[0].place, statement[0].line, text)
            else:
                numbers.append(self._draft.rule_count)
                rule = ReceiverRule(path.groups, path.condition, target, node.place, node.line)
                self._draft.rule(rule)
        return numbers


def _without(path: _Path, passed: _Passed) -> _Path:
    """Returns the path for messages that do not match another one; the order of rules sees to those that are taken."""
    if passed.left is None:
        return path
    return replace(path, condition=both(path.condition, Negated(passed.left)))


def _flags(log: SyslogNgNode) -> list[str]:
    return [
        flag.lower() for statement in log.body or () if statement[0].name == "flags" for flag in statement[0].texts()
    ]
