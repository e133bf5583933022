"""Tests that the table of kinds, the alarms and problems in the code, and the Prometheus alerts are the same lists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import bridge
from bridge.monitoring.alarm_kinds import CRITICAL, DEGRADED, KINDS, NOTICE
from bridge.monitoring.metrics import REASONS_AT_ZERO
from bridge.monitoring.problems.held import HELD
from bridge.monitoring.problems.losses import REASONS, reason_of

PACKAGE = Path(bridge.__file__).parent
RULES = PACKAGE.parent / "packaging/prometheus/syslog-bridge.rules.yml"
SEVERITIES = {CRITICAL: {"critical"}, DEGRADED: {"warning", "info"}, NOTICE: {"info"}}


def modules() -> Iterator[ast.Module]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ast.parse(path.read_text())


def constants(module: ast.Module) -> dict[str, str]:
    """Returns the text constants of a module by name."""
    found: dict[str, str] = {}
    for node in module.body:
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=True))
            for name, value in pairs:
                if isinstance(name, ast.Name) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found[name.id] = value.value
    return found


def raised() -> set[str]:
    """Returns the kinds of all calls `alarms.on(KIND, ...)` in the code."""
    kinds: set[str] = set()
    for module in modules():
        names = constants(module)
        for node in ast.walk(module):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "on":
                continue
            if not ast.unparse(node.func.value).endswith("alarms") or not node.args:
                continue
            kind = node.args[0]
            if isinstance(kind, ast.Constant):
                kinds.add(str(kind.value))
            elif ast.unparse(kind) == "reason.kind":
                tables = (*REASONS.values(), *HELD.values())
                kinds.update(reason.kind for reason in tables)
            else:
                assert isinstance(kind, ast.Name) and kind.id in names, f"not a constant: {ast.unparse(node)}"
                kinds.add(names[kind.id])
    return kinds


def computed() -> set[str]:
    """Returns the kinds of problems that are computed from the status."""
    texts: set[str] = set()
    for path in (PACKAGE / "monitoring/problems").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
    return texts & set(KINDS)


def alerts() -> dict[str, dict[str, str]]:
    """Returns the labels of the alerts, with their expression, by name."""
    rules = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    return {rule["alert"]: rule["labels"] | {"expr": rule["expr"]} for rule in rules}


def test_the_code_raises_kinds_of_the_table_only() -> None:
    assert len(raised()) > 15
    assert raised() - set(KINDS) == set()


def test_each_kind_of_the_table_exists_in_the_code() -> None:
    assert set(KINDS) - raised() - computed() == set()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_an_alert_of_its_severity(kind: str) -> None:
    described = KINDS[kind]
    labels = alerts()[described.alert]
    assert labels["kind"] == kind
    assert labels["severity"] in SEVERITIES[described.state]


def test_each_alert_with_a_kind_is_in_the_table() -> None:
    found = {labels["kind"]: name for name, labels in alerts().items() if "kind" in labels}
    assert found == {kind: described.alert for kind, described in KINDS.items()}


@pytest.mark.parametrize("reason", REASONS_AT_ZERO)
def test_each_reason_of_a_drop_has_an_alert_of_its_severity(reason: str) -> None:
    """A purge by an operator is no fault."""
    state = reason_of(reason).state
    assert state == NOTICE or reason_of(reason).what != reason.replace("_", " "), "the reason is not described"
    found = []
    for labels in alerts().values():
        for matches, pattern in re.findall(r'events_dropped_total\{reason([!=]~)"([^"]+)"', labels["expr"]):
            if (re.fullmatch(pattern, reason) is not None) == (matches == "=~"):
                found.append(labels["severity"])
    assert found == {CRITICAL: ["critical"], DEGRADED: ["warning"], NOTICE: []}[state]


def test_notices_raise_no_alert_of_a_problem() -> None:
    """A kind whose problem may be a notice, in a state that is not its own."""
    for name in (KINDS[kind].alert for kind in ("unredacted", "refused", "oversize", "rejected", "structured_data")):
        assert 'state!="notice"' in alerts()[name]["expr"], name


def test_alerts_ask_for_kinds_that_exist() -> None:
    for labels in alerts().values():
        asked = re.findall(r'syslog_bridge_(?:problems|alarms)\{kind="(\w+)"', labels["expr"])
        assert set(asked) <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_says_what_it_means(kind: str) -> None:
    meaning = KINDS[kind].meaning
    assert meaning and not meaning.endswith(".") and len(meaning) < 80


def test_what_the_operator_has_done_comes_before_the_problems_of_sources() -> None:
    kinds = list(KINDS)
    first_of_sources = kinds.index("unrouted")
    assert all(kinds.index(kind) < first_of_sources for kind in ("drain", "reload", "certificate"))


def test_what_any_sender_can_cause_comes_after_the_faults_of_the_gateway() -> None:
    kinds = [kind for kind, about in KINDS.items() if about.state == DEGRADED]
    faults, senders = (
        ("budget", "waiting", "late", "drain", "reload", "certificate"),
        ("unrouted", "rejected", "oversize"),
    )
    assert max(map(kinds.index, faults)) < min(map(kinds.index, (*senders, "client_names", "match_limit", "clock")))
