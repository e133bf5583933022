"""Generates the tables of problems, rejections and Prometheus alerts from the code and the alert rules."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bridge.monitoring.alarm_kinds import KINDS
from bridge.monitoring.rejection_reasons import REASONS
from documentation.markdown import code, sentence, table

_DOCS = Path(__file__).parents[2]


def actions() -> Mapping[str, str]:
    """Returns what to do about each kind of problem."""
    found: dict[str, str] = yaml.safe_load((_DOCS / "_data/alarms.yaml").read_text(encoding="utf-8"))
    return found


def rules() -> list[dict[str, Any]]:
    """Returns the alert rules for Prometheus."""
    path = _DOCS.parent / "prometheus/syslog-bridge.rules.yml"
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def problems_markdown() -> str:
    """Returns the table of all kinds of problems, ordered by harm."""
    known = actions()
    rows = [
        (code(kind), described.state, sentence(described.meaning), known[kind], code(described.alert))
        for kind, described in KINDS.items()
    ]
    return table(("kind", "state", "meaning", "action", "alert"), rows)


def alerts_markdown() -> str:
    """Returns the table of the alert rules: name, severity, condition and duration."""
    rows = [
        (
            code(rule["alert"]),
            rule["labels"]["severity"],
            code(" ".join(rule["expr"].split())),
            rule.get("for", "at once"),
        )
        for rule in rules()
    ]
    return table(("alert", "severity", "condition", "for"), rows)


def rejections_markdown() -> str:
    """Returns the table of the reasons for which listeners reject senders."""
    rows = [(code(reason), sentence(each.meaning), sentence(each.remedy)) for reason, each in REASONS.items()]
    return table(("reason", "meaning", "action"), rows)
