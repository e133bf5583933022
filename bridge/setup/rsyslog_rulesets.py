"""Follows the rulesets of ``rsyslog.conf`` that listeners lead to, and adds their rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.setup.import_conditions import ALWAYS, Condition, Negated, both
from bridge.setup.import_expressions import NotConvertible
from bridge.setup.import_receiver import PASSES_ON, IntakeTarget, ReceiverDraft, ReceiverRule
from bridge.setup.rsyslog_conditions import expression_condition
from bridge.setup.rsyslog_selectors import property_filter, selector, split_rule
from bridge.setup.rsyslog_tree import RsyslogStatement
from bridge.setup.sent_event import KEY

DEFAULT_RULESET = "RSYSLOG_DefaultRuleset"
UNREADABLE = "this line could not be read; carry it over by hand"
_DEEPEST_CALL = 20
_MOST_CALLS = 2000
_KEY = re.compile(r"""intake_key=\\*["']([^"'\\]+)""")
_HEADER_KEY = re.compile(r"(?i)X-SEKOIAIO-INTAKE-KEY:\s*(\S+)")
_LOCAL_ACTION = "only actions that send to the collector with an intake key are imported"
_NO_COUNTERPART = "this statement has no counterpart; carry it over by hand"
_TAKEN = "an earlier action already sends these messages, and the bridge sends a message to one intake"
_FORWARD = re.compile(r"@@?(?:\([^)]*\))?(\[[^\]]+\]|[^\s:;]+)(?::(\d+))?(?:;\s*(\S+))?")
_RELP = re.compile(r":omrelp:([^\s:;]+)(?::(\d+))?(?:;\s*(\S+))?")


@dataclass
class RsyslogDefinitions:
    """Holds the templates and rulesets of all files."""

    templates: dict[str, str] = field(default_factory=dict)
    rulesets: dict[str, list[RsyslogStatement]] = field(default_factory=lambda: {DEFAULT_RULESET: []})


class RulesetWalker:
    """Follows the statements of a ruleset and adds its rules to the draft."""

    def __init__(self, found: RsyslogDefinitions, draft: ReceiverDraft) -> None:
        self._found = found
        self._draft = draft
        self._group = ""
        self._calls = 0
        self._open: list[str] = []
        "The rulesets that are being followed."
        self.visited: set[str] = set()

    def ruleset(self, name: str) -> None:
        """Adds the rules of a ruleset that listeners lead to."""
        self._group = name
        self._open = [name]
        self.visited.add(name)
        self._block(self._found.rulesets[name], ALWAYS)

    def _block(self, statements: Sequence[RsyslogStatement], condition: Condition) -> bool:
        """Returns True if no message that meets the condition is left for later rules."""
        first = self._draft.rule_count
        taken = ended = False
        same: Condition | None = None
        for statement in statements:
            if ended:
                self._skip(statement, "the line is never reached, because of the stop before it")
            elif statement.kind == "stop":
                self._draft.end_rules(range(first, self._draft.rule_count))
                if not taken:
                    self._add(condition, None, statement)
                ended = True
            elif statement.kind == "rule":
                same, took = self._older_rule(statement, condition, same)
                taken = taken or took
            elif taken and self._leads_on(statement):
                self._skip(statement, _TAKEN)
            elif statement.kind == "action":
                taken = self._action(statement, condition) or taken
                same = condition
            elif statement.kind == "if":
                taken = self._if(statement, condition) or taken
                same = _tested(statement, condition)
            elif statement.kind == "call" and statement.text in self._found.rulesets:
                taken = self._call(statement, condition) or taken
            else:
                self._skip(statement, UNREADABLE if statement.kind == "unknown" else _NO_COUNTERPART)
        return taken or ended

    def _call(self, statement: RsyslogStatement, condition: Condition) -> bool:
        name = statement.text
        self.visited.add(name)
        self._calls += 1
        if name in self._open:
            self._skip(statement, f"the ruleset {name[:40]} calls itself; correct the file and import it again")
            return False
        if self._calls > _MOST_CALLS or len(self._open) > _DEEPEST_CALL:
            self._skip(statement, f"rulesets are called more than {_DEEPEST_CALL} levels deep, or too often")
            return False
        self._open.append(name)
        taken = self._block(self._found.rulesets[name], condition)
        self._open.pop()
        return taken

    def _leads_on(self, statement: RsyslogStatement) -> bool:
        """Returns True if the statement may send messages that an earlier one has sent already."""
        if statement.kind == "action":
            return self._destination(statement) is not None
        return statement.kind == "call" or any(map(self._leads_on, (*statement.body, *statement.otherwise)))

    def _if(self, statement: RsyslogStatement, condition: Condition) -> bool:
        try:
            test = expression_condition(statement.text)
        except NotConvertible as error:
            self._skip(statement, f"{error}; {PASSES_ON}")
            self._skip_inner(statement)
            return False
        first = self._draft.rule_count
        all_taken = self._block(statement.body, both(condition, test))
        if not statement.otherwise:
            return False
        middle = self._draft.rule_count
        otherwise = condition if all_taken else both(condition, Negated(test))
        rest_taken = self._block(statement.otherwise, otherwise)
        self._draft.separate(range(first, middle), range(middle, self._draft.rule_count))
        return rest_taken and all_taken

    def _skip_inner(self, outer: RsyslogStatement) -> None:
        """Lists the statements that belong to a condition without counterpart."""
        for statement in (*outer.body, *outer.otherwise):
            if statement.place.line != outer.place.line:
                self._skip(statement, f"it depends on the condition in line {outer.place.line}")
            self._skip_inner(statement)

    def _older_rule(
        self, statement: RsyslogStatement, condition: Condition, same: Condition | None
    ) -> tuple[Condition | None, bool]:
        """Adds a ``filter action`` line; returns its condition, for a following ``&``, and True if it takes all."""
        line = f"{statement.text}:omfile:" if statement.body else statement.text
        parts = split_rule(line)
        if parts is None:
            action = statement.text
            if action.startswith(("@", ":omrelp:", "~", "/", "-/", "?", "*", "^", "|")) or action == "discard":
                return None, self._older_action(statement, action, condition, condition is ALWAYS)
            self._skip(statement, UNREADABLE)
            return None, False
        kind, text, action = parts
        try:
            if kind == "same":
                if same is None:
                    raise NotConvertible("the filter that it continues was not carried over")
                test = same
            else:
                test = both(condition, property_filter(text) if kind == "property" else selector(text))
        except NotConvertible as error:
            local = not statement.body and not action.startswith(("@", ":omrelp:", "~", "stop", "call"))
            self._skip(statement, _LOCAL_ACTION if local else f"{error}; {PASSES_ON}")
            self._skip_inner(statement)
            return None, False
        whole = test == condition or test == both(condition, ALWAYS)
        if [one.kind for one in statement.body] == ["stop"]:
            return test, self._older_action(statement, "stop", test, whole)
        if statement.body:
            return test, self._block(statement.body, test) and whole
        return test, self._older_action(statement, action, test, whole)

    def _older_action(self, statement: RsyslogStatement, action: str, condition: Condition, whole: bool) -> bool:
        if action in ("stop", "~", "discard"):
            if senders := self._draft.senders(self._group, condition):
                self._draft.end_rules(senders)
            else:
                self._add(condition, None, statement)
            return whole
        match = _FORWARD.fullmatch(action) or _RELP.fullmatch(action)
        destination = self._to(match[1], match[3] or "", statement) if match else None
        if destination is None:
            self._skip(statement, _LOCAL_ACTION)
            return False
        self._add(condition, destination, statement)
        return whole

    def _action(self, statement: RsyslogStatement, condition: Condition) -> bool:
        destination = self._destination(statement)
        if destination is None:
            kind = statement.one("type", "action")
            forwards = kind in ("omfwd", "omrelp", "omhttp")
            to_other = "it sends without an intake key; a route's mirror_to can send frames to another server"
            self._skip(statement, to_other if forwards else _LOCAL_ACTION)
            return False
        self._add(condition, destination, statement)
        return True

    def _destination(self, statement: RsyslogStatement) -> IntakeTarget | None:
        kind = statement.one("type")
        if kind in ("omfwd", "omrelp"):
            return self._to(statement.one("target"), statement.one("template"), statement)
        if kind == "omhttp":
            headers = (*statement.parameters.get("httpheaders", ()), statement.one("httpheaderkey") + ": "
                       + statement.one("httpheadervalue"))  # fmt: skip
            for header in headers:
                if match := _HEADER_KEY.search(header):
                    sent = self._found.templates.get(statement.one("template"), "")
                    return IntakeTarget(match[1], statement.name or "intake", statement.one("server"), template=sent)
        return None

    def _to(self, host: str, template: str, statement: RsyslogStatement) -> IntakeTarget | None:
        text = self._found.templates.get(template, "")
        key = _KEY.search(text)
        if key is None or not host:
            return None
        payload = _payload(text[key.end() :])
        if payload is None:
            self._skip(statement, f"the text of template {template[:40]} has no counterpart; the message alone is sent")
        sent = text.replace(key[1], KEY)
        return IntakeTarget(key[1], _title(template, statement), host, payload or "auto", sent)

    def _add(self, condition: Condition, destination: IntakeTarget | None, at: RsyslogStatement) -> None:
        self._draft.rule(ReceiverRule((self._group,), condition, destination, at.place, at.line))

    def _skip(self, statement: RsyslogStatement, reason: str) -> None:
        self._draft.skip(statement.place, statement.line, reason)


def _tested(statement: RsyslogStatement, condition: Condition) -> Condition | None:
    """Returns the condition that a following ``&`` continues."""
    try:
        return both(condition, expression_condition(statement.text))
    except NotConvertible:
        return None


def _payload(rest: str) -> str | None:
    """Returns the payload form of what a template writes behind the structured data, or None."""
    text = rest.partition("]")[2].strip().removesuffix("\\n").strip()
    pieces = re.findall(r"%([\w-]+)[^%]*%", text)
    if re.sub(r"%[^%]*%", "", text).strip():
        return None
    forms: Mapping[tuple[str, ...], str] = {
        ("msg",): "auto", ("rawmsg",): "raw", ("rawmsg-after-pri",): "device", ("syslogtag", "msg"): "content",
    }  # fmt: skip
    return forms.get(tuple(pieces))


def _title(template: str, statement: RsyslogStatement) -> str:
    words = re.split(r"[\s_.-]+|(?<=[a-z])(?=[A-Z])", re.sub(r"(?i)sekoia(?:\.?io)?", " ", template))
    kept = [
        word for word in words if word and word.lower() not in ("template", "tmpl", "tpl", "t", "intake", "forward")
    ]
    title = "-".join(kept).lower()
    return f"intake-{title}" if title.isdecimal() else title or statement.name or "intake"
