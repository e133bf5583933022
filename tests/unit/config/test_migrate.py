"""Tests that old names in a file are replaced, and that everything else in it stays."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config import parse_text
from bridge.config.faults import FaultReport
from bridge.config.migrate import migrated
from tests.unit.config.test_renames import CURRENT, OLD, folder, without_places

__all__ = ["folder"]

CASES = {
    "keys in block and flow style": (
        """\
# sources
sources:
  - source: 192.0.2.7     # the firewall
    expect: 10m           # silence
    "limit": 5/s          # rate
    'sequence': true # numbers
  - {source: 192.0.2.8, expect: 5m}   # another
# limit: 1/s
routes: [{intake: limit, app_name: [expect], copy_to: udp://198.51.100.1:514}]
""",
        """\
# sources
sources:
  - source: 192.0.2.7     # the firewall
    alert_if_silent_for: 10m # silence
    "rate_limit": 5/s     # rate
    'detect_gaps': true # numbers
  - {source: 192.0.2.8, alert_if_silent_for: 5m} # another
# limit: 1/s
routes: [{intake: limit, app_name: [expect], mirror_to: udp://198.51.100.1:514}]
""",
    ),
    "anchors": (
        "sources: [&fw {source: 192.0.2.7, limit: &few 5/s}, *fw, {source: 192.0.2.8, limit: *few}]\n",
        "sources: [&fw {source: 192.0.2.7, rate_limit: &few 5/s}, *fw, {source: 192.0.2.8, rate_limit: *few}]\n",
    ),
    "section in block style": (
        """\
spool:              # disk
  directory: /x
  # of the cluster
  share:            # brokers
    amqp: [amqps://a,
      amqps://b]    # two
    # where it leaves
    exit: paris
    # the end

  # of the spool
  fsync: always

ledger: {keep: 1d}
""",
        """\
spool:              # disk
  directory: /x

  # of the spool
  fsync: always

# of the cluster
cluster:            # brokers
  amqp: [amqps://a,
    amqps://b]    # two
  # where it leaves
  egress_group: paris
  # the end

ledger: {keep: 1d}
""",
    ),
    "section in flow style": (
        "spool: {directory: /x, share: {amqp: [a], exit: p}, fsync: always} # disk\nledger: {keep: 1d}\n",
        "spool: {directory: /x, fsync: always} # disk\ncluster: {amqp: [a], egress_group: p}\nledger: {keep: 1d}\n",
    ),
    "section over several lines of flow style": (
        "spool: {\n  directory: /x,\n  share: {\n    exit: p\n  }\n}\n",
        "spool: {\n  directory: /x\n}\ncluster: {\n    egress_group: p\n  }\n",
    ),
    "only entry of its section": (
        "spool: &s # disk\n  share: {amqp: [a]}",
        "spool: &s {} # disk\ncluster: {amqp: [a]}\n",
    ),
    "last line without an end": (
        "spool:\n  share: {amqp: [a]}\n  fsync: always",
        "spool:\n  fsync: always\ncluster: {amqp: [a]}\n",
    ),
    "JSON": (
        '{"spool": {"directory": "/x", "share":{"exit":"p"}}, "sources":[{"source":"192.0.2.7","limit":"5/s"}]}',
        '{"spool": {"directory": "/x"}, "cluster": {"egress_group":"p"}, '
        '"sources":[{"source":"192.0.2.7","rate_limit":"5/s"}]}',
    ),
    "JSON in lines": (
        '{\n  "spool": {\n    "share": {"exit": "p"},\n    "fsync": "always"\n  },\n  "admin": {}\n}\n',
        '{\n  "spool": {\n    "fsync": "always"\n  },\n  "cluster": {"egress_group": "p"},\n  "admin": {}\n}\n',
    ),
    "anchor that the section needs": (
        "spool:\n  share:\n    ca_file: &ca /ca\n  directory: *ca\n",
        "cluster:\n  ca_file: &ca /ca\nspool:\n  directory: *ca\n",
    ),
    "alias as the section": (
        "ledger: &l {}\nspool:\n  fsync: never\n  share: *l\n", "ledger: &l {}\nspool:\n  fsync: never\ncluster: *l\n",
    ),
    "section without a value": ("spool:\n  share:\n  fsync: never\n", "spool:\n  fsync: never\ncluster:\n"),
    "Windows line ends": (
        "spool:\r\n  fsync: never\r\n  share:\r\n    exit: p\r\nadmin: {}\r\n",
        "spool:\r\n  fsync: never\r\ncluster:\r\n  egress_group: p\r\nadmin: {}\r\n",
    ),
    "text over several lines": (
        "spool:\n  share:\n    username: |\n      a\n\n      b\n    exit: p\n  fsync: never\n",
        "spool:\n  fsync: never\n\ncluster:\n  username: |\n    a\n\n    b\n  egress_group: p\n",
    ),
    "explicit keys": ("batch:\n  ? max_age\n  : 1s\nadmin:\n  ? self_events\n  : a\n",
                      "batch:\n  ? max_age\n  : 1s\nadmin:\n  ? alerts_intake\n  : a\n"),
    "byte order mark": ("\ufeffadmin: {self_events: a}\n", "\ufeffadmin: {alerts_intake: a}\n"),
}  # fmt: skip


def rewritten(text: str) -> str:
    report = FaultReport()
    result = migrated(text.encode(), "bridge.yaml", report).decode()
    assert report.faults == []
    return result


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES)
def test_names_are_replaced_and_all_else_stays(before: str, after: str) -> None:
    assert rewritten(before) == after
    assert rewritten(after) == after


def test_whole_configuration_is_rewritten_and_loads_equal(folder: Path) -> None:
    old = parse_text(OLD, str(folder / "bridge.yaml"))
    new = parse_text(rewritten(OLD), str(folder / "bridge.yaml"))
    assert new.old_names == () and without_places(new) == without_places(old)
    assert rewritten(CURRENT) == CURRENT


def test_key_that_cannot_be_found_in_the_text_is_a_fault_and_changes_nothing() -> None:
    report = FaultReport()
    escaped = b'admin: {"self\\x5fevents": a}\n'
    assert migrated(escaped, "bridge.yaml", report) == escaped
    text = "bridge.yaml:1:9: this file cannot be rewritten. Change the names by hand."
    assert [str(fault) for fault in report.faults] == [text]


# --- any layout -------------------------------------------------------------------------------------------------------

# A configuration with all old names that need no certificate files.
TREE: dict[str, Any] = {
    "collector": {"region": "FRA1"},
    "listeners": [{"udp": "*:514"}, {"tcp": "*:514", "proxy_protocol": ["10.0.0.5", "10.0.0.6"]}],
    "sources": [{"source": "192.0.2.7", "expect": "10m", "limit": "5/s", "sequence": "true"}, {"source": "192.0.2.8"}],
    "intakes": {"all": {"intake_key": "a-key"}, "limit": {"intake_key": "b-key"}},
    "routes": [{"intake": "all", "app_name": ["expect", "share"], "copy_to": "udp://198.51.100.1:514"}],
    "batch": {"catch_up_resolution": "30s", "max_age": "1s"},
    "spool": {
        "directory": "here",
        "share": {"amqp": ["amqp://localhost"], "exit": "paris", "alone_after": "5s", "role": "both"},
        "fsync": "always",
    },
    "admin": {"self_events": "all", "self_events_format": "text", "self_events_every": "1m"},
}
BARE = ("true",)
"Values that mean something else in quotes."


class Writer:
    """Writes a tree as YAML in a layout that hypothesis chooses; keeps the comments that it writes."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data
        self.comments: list[str] = []

    def chance(self) -> bool:
        return self._data.draw(st.booleans())

    def written(self, tree: dict[str, Any]) -> str:
        indent = self._data.draw(st.sampled_from(["", " "]))
        text = "".join(self.block(tree, indent))
        return text.replace("\n", "\r\n") if self.chance() else text

    def block(self, node: dict[str, Any], indent: str) -> list[str]:
        keys = self._data.draw(st.permutations([key for key in node if self.is_kept(key)]))
        return [line for key in keys for line in self.entry(key, node[key], indent)]

    def is_kept(self, key: str) -> bool:
        return key in ("collector", "region", "listeners", "intakes", "intake_key", "all", "routes", "udp", "tcp",
                       "source", "intake", "amqp", "self_events") or self.chance()  # fmt: skip

    def entry(self, key: str, value: Any, indent: str) -> list[str]:
        above = [f"{indent}{self.comment()}\n"] if self.chance() else []
        above += ["\n"] if self.chance() else []
        head = f"{indent}{self.quoted(key)}:"
        behind = f"{' ' * self._data.draw(st.integers(1, 9))}{self.comment()}" if self.chance() else ""
        if isinstance(value, str) or self.chance():
            return [*above, f"{head} {self.flow(value, indent)}{behind}\n"]
        deeper = indent + " " * self._data.draw(st.integers(1, 4))
        if isinstance(value, dict):
            lines = self.block(value, deeper)
            return [*above, f"{head}{behind}\n", *lines] if lines else [*above, f"{head} {{}}{behind}\n"]
        return [*above, f"{head}{behind}\n", *(line for item in value for line in self.item(item, deeper))]

    def item(self, value: Any, indent: str) -> list[str]:
        if isinstance(value, str) or self.chance():
            return [f"{indent}- {self.flow(value, indent)}\n"]
        first, *rest = [key for key in value if self.is_kept(key)]
        lines = [f"{indent}- {self.quoted(first)}: {self.flow(value[first], indent)}\n"]
        return lines + [line for key in rest for line in self.entry(key, value[key], indent + "  ")]

    def flow(self, value: Any, indent: str) -> str:
        comma = self._data.draw(st.sampled_from([", ", ",", f",\n{indent}     "]))
        if isinstance(value, str):
            return value if value in BARE else self.quoted(value) if re.fullmatch(r"[\w-]+", value) else f"'{value}'"
        if isinstance(value, list):
            return f"[{comma.join(self.flow(item, indent) for item in value)}]"
        keys = [key for key in value if self.is_kept(key)]
        return f"{{{comma.join(f'{self.quoted(key)}: {self.flow(value[key], indent)}' for key in keys)}}}"

    def quoted(self, text: str) -> str:
        return self._data.draw(st.sampled_from([text, f'"{text}"', f"'{text}'"]))

    def comment(self) -> str:
        self.comments.append(f"# {len(self.comments)} limit: expect")
        return self.comments[-1]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_layout_keeps_its_comments_and_loads_equal(data: st.DataObject) -> None:
    writer = Writer(data)
    before = writer.written(TREE)
    after = rewritten(before)
    old, new = parse_text(before), parse_text(after)
    assert new.old_names == () and without_places(new) == without_places(old)
    assert sorted(re.findall("# [0-9]+ limit: expect", after)) == sorted(writer.comments)
    assert rewritten(after) == after
    assert (after == before) == (old.old_names == ())
    assert after.count("\r\n") == (after.count("\n") if "\r\n" in before else 0)
