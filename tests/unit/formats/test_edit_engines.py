"""Tests that PCRE2 and Python's ``re`` edit blocks alike, and that an edit of a block is the edit of each row."""

import pytest

from bridge.formats import FORMATS, rule
from bridge.formats.rule import Beginning
from bridge.util import pcre2
from tests.unit.formats.test_rules import CASES
from tests.unit.syslog.mutation import mutated

EDITS = sorted(
    {edit for each in FORMATS.values() if each.rule for edit in each.rule.edits if isinstance(edit, Beginning)},
    key=lambda edit: edit.begins,
)
EVENTS = [
    *(text for _, frame, event in CASES for text in (frame.partition(b">")[2], event)),
    *(each.example.partition(b">")[2] for each in FORMATS.values()),
    b"*Nov 23 07:24:00 sw-01 2001:db8::1 %SYS-5-CONFIG_I: 5% of it",
    b"Hall 4/1: 000417: *Nov 23 07:24:00.25 CET: %SYS-5-RESTART: *%",
    b"",
]


needs_pcre2 = pytest.mark.skipif(
    pcre2.load() is None, reason="this machine has no libpcre2-8 (Debian: libpcre2-8-0): Python's re edits each row"
)


@needs_pcre2
@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.begins[:30].decode("latin-1"))
def test_engines_edit_alike(edit: Beginning, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row.replace(b"\n", b" ") for row in (*EVENTS, *mutated(7, 3000, [event for event in EVENTS if event]))]
    block = b"\n" + b"\n".join(rows)
    rewrite = rule._rewriter(edit.begins, edit.replacement)
    assert rewrite is not None and rewrite(block) is not None
    found = edit.on_block(block)
    monkeypatch.setattr(rule, "_rewriter", lambda begins, replacement: None)
    assert edit.on_block(block) == found
    assert found.split(b"\n")[1:] == list(map(edit.on_event, rows))


def test_match_beyond_the_limits_of_pcre2_is_edited_by_re(monkeypatch: pytest.MonkeyPatch) -> None:
    edit = Beginning(rb"tag: (\w+) ", rb"\1=")
    expected = edit.on_block(b"\ntag: a b\nc")
    monkeypatch.setattr(rule, "_rewriter", lambda begins, replacement: lambda block: None)
    assert edit.on_block(b"\ntag: a b\nc") == expected == b"\na=b\nc"


@needs_pcre2
def test_block_without_a_match_is_the_same_object() -> None:
    block = b"\nab\nc"
    assert Beginning(rb"x").on_block(block) is block
