"""Tests the conversion of selectors, property filters and regular expressions of rsyslog.

The results were compared with those of Debian's rsyslog.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.setup.import_conditions import Alternative, PriorityTest, alternatives
from bridge.setup.import_expressions import TEXT_BEGIN, NotConvertible, posix_expression
from bridge.setup.import_globs import fixed_texts, globs_of
from bridge.setup.import_overlap import Overlaps, covers
from bridge.setup.import_priorities import EVERY, WITHOUT_PRIORITY, Tests, priorities_of
from bridge.setup.rsyslog_conditions import expression_condition
from bridge.setup.rsyslog_selectors import property_filter, selector
from bridge.util.expression import Expression


def shown(found: list[Alternative]) -> list[str]:
    return [", ".join(f"{key}: {value}" for key, value in one.as_yaml()) for one in found]


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        ("*.*", [""]),
        ("*.debug", [""]),
        ("*.err", ["min_severity: err"]),
        ("*.info", ["except: {max_severity: debug}"]),
        ("*.=err", ["min_severity: err, max_severity: err"]),
        ("*.3", ["min_severity: err"]),
        ("auth,authpriv.*", ['facility: ["auth", "authpriv"]']),
        ("AUTH.Warn", ['facility: ["auth"], min_severity: warning']),
        ("security.panic", ['facility: ["auth"], min_severity: emerg']),
        ("32.*", ['facility: ["auth"]']),
        ("local0.=err", ['facility: ["local0"], min_severity: err, max_severity: err']),
        ("*.warning;mail.none", ['min_severity: warning, except: {facility: ["mail"]}']),
        ("*.*;local7.!=debug", ['except: {facility: ["local7"], max_severity: debug}']),
        ("*.*;auth.!err", ['except: {facility: ["auth"], min_severity: err}']),
        ("auth.err;auth.!crit", ['facility: ["auth"], min_severity: err, max_severity: err']),
        ("auth.none;auth.info", ['facility: ["auth"], min_severity: info']),
        ("auth.*;auth.!*", []),
        ("auth.!none", ['facility: ["auth"]']),
        ("local7.!=debug", []),
        ("mark.*", []),
        # A message without a priority is user.notice in rsyslog.
        ("user.*", ['facility: ["user"]', "except: {min_severity: debug}"]),
        (
            "*.info;mail.none;cron.none",
            ['min_severity: info, except: {facility: ["mail", "cron"]}', "except: {min_severity: debug}"],
        ),
        ("*.err;kern.*", ['min_severity: err, except: {facility: ["kern"]}', 'facility: ["kern"]']),
    ],
)
def test_selector_becomes_routes(text: str, routes: list[str]) -> None:
    assert shown(alternatives(selector(text))) == routes


@pytest.mark.parametrize("text", ["nope.*", "auth.nope", "auth.warn,err", "4.*", "ntp.*", "auth.", "9999.*"])
def test_selector_with_unknown_names_is_refused(text: str) -> None:
    with pytest.raises(NotConvertible):
        selector(text)


@given(st.sets(st.sampled_from(sorted(EVERY))), st.booleans())
def test_routes_take_exactly_the_priorities(priorities: set[int], is_range: bool) -> None:
    given_set = frozenset(range(min(priorities), max(priorities) + 1) if is_range and priorities else priorities)
    found = alternatives(PriorityTest(given_set)) if given_set else []
    taken = {number for number in EVERY if any(_takes(one.required, one.excluded, number) for one in found)}
    assert taken == given_set
    others = any(not one.required for one in found)
    assert others is (WITHOUT_PRIORITY in given_set)
    assert not any(one.differences for one in found)


def _takes(required: Tests, excluded: Tests, number: int) -> bool:
    return number in priorities_of(required) and not (excluded and number in priorities_of(excluded))


def test_missing_priority_is_a_difference_if_it_cannot_be_said() -> None:
    (one,) = alternatives(expression_condition("$syslogseverity <= 5 and not ($hostname == 'a')"))
    assert any("without a priority" in text for text in one.differences)
    (one,) = alternatives(expression_condition("$syslogseverity <= 4 and not ($hostname == 'a')"))
    assert not one.differences


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        ("$syslogfacility-text == 'local4'", ['facility: ["local4"]']),
        ("$syslogfacility-text == 'SECURITY'", ['facility: ["auth"]']),
        ("$syslogfacility-text == ['auth', 'security']", ['facility: ["auth"]']),
        ("$syslogfacility-text startswith 'auth'", ['facility: ["auth", "authpriv"]']),
        ("$syslogfacility-text != 'local4'", ['except: {facility: ["local4"]}']),
        ("$syslogfacility >= 22", ['facility: ["local6", "local7"]']),
        ("re_match($syslogfacility-text, '^local[67]$')", ['facility: ["local6", "local7"]']),
        ("$syslogseverity-text == 'warn'", ["min_severity: warning, max_severity: warning"]),
        ("$syslogpriority-text == 'warn'", []),
        ("$syslogseverity == 'err'", []),
        ("$syslogseverity <= '4'", ["min_severity: warning"]),
        ("$syslogseverity-text < 'b'", ["min_severity: alert, max_severity: alert"]),
        ("$pri == 36", ['facility: ["auth"], min_severity: warning, max_severity: warning']),
        ("$pri-text == 'auth.err'", ['facility: ["auth"], min_severity: err, max_severity: err']),
        ("$syslogseverity == 3 and $syslogseverity == 4", []),
        ("prifilt('mail.err;news.none')", ['facility: ["mail"], min_severity: err']),
        ("$procid == '5'", ['procid: ["5"]']),
        ("$procid == '-'", ['except: {procid: ["*"]}']),
        ("$procid != '-'", ['procid: ["*"]']),
        ("$procid contains '-'", ['procid: ["*-*"]', 'except: {procid: ["*"]}']),
        ("$msgid == ['A', '-']", ['msgid: ["A"]', 'except: {msgid: ["*"]}']),
        ("re_match($msgid, '^(A|B)[12]$')", ['msgid: ["A1", "A2", "B1", "B2"]']),
        ("re_match($programname, '^postfix$')", ['app_name: ["postfix", "postfix/*"]']),
        ("$app-name == '-'", ['except: {app_name: ["*"]}']),
        ("re_match($fromhost-ip, '^10\\\\.2\\\\.')", ['source: ["10.2.0.0/16"]']),
        ("$msg contains 'a' and $msg contains 'b.'", ['message: {contains: ["a"], matches: ["b\\\\."]}']),
        ("$msg contains_i 'A'", ['message: {matches: ["(?i)A"]}']),
        ("$msg == ' a'", ['message: {matches: ["\\\\Aa\\\\z"]}']),
        ("$msg contains ' a'", ['message: {matches: ["(?:\\\\A| )a"]}']),
        ("re_match($msg, 'a\\\\.b|c')", ['message: {contains: ["a.b", "c"]}']),
        ("re_match($msg, '^ (a|b)')", ['message: {starts_with: ["a", "b"]}']),
        ("re_match_i($msg, 'a')", ['message: {matches: ["(?i)a"]}']),
        ("re_match($msg, 'a+')", ['message: {matches: ["a+"]}']),
        (
            "not ($msg contains 'a' or $msg startswith ' b')",
            ['except: {message: {matches: ["a", "\\\\Ab"]}}'],
        ),
    ],
)
def test_expression_becomes_routes(text: str, routes: list[str]) -> None:
    assert shown(alternatives(expression_condition(text))) == routes


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        (':msg, contains, "a"', ['message: {contains: ["a"]}']),
        (':msg, !contains, "a"', ['except: {message: {contains: ["a"]}}']),
        (':programname, !isequal, "a"', ['except: {app_name: ["a", "a/*"]}']),
        (':msg, regex, "a\\\\+b+"', ['message: {matches: ["a+b\\\\+"]}']),
        (':msg, ereregex, "a+b"', ['message: {matches: ["a+b"]}']),
        (':hostname, ereregex, "^(a|b)-"', ['hostname: ["a-*", "b-*"]']),
        (':syslogfacility-text, isequal, "security"', []),
        (':syslogseverity, isequal, "3"', ["min_severity: err, max_severity: err"]),
    ],
)
def test_property_filter_becomes_routes(text: str, routes: list[str]) -> None:
    assert shown(alternatives(property_filter(text))) == routes


@pytest.mark.parametrize(
    "text",
    [':msg, contains_i, "a"', ':msg, nope, "a"', ':hostname, regex, "^\\\\(a\\\\|b\\\\)-"', ':msg, regex, "\\\\("'],
)
def test_property_filter_without_counterpart_is_refused(text: str) -> None:
    with pytest.raises(NotConvertible):
        property_filter(text)


@pytest.mark.parametrize(
    ("pattern", "extended", "matching", "other"),
    [
        ("^a.c$", True, ["abc", "a\nc"], ["abcd", "xabc", "abc\n"]),
        ("a{2,3}$", True, ["aa", "aaa"], ["a"]),
        ("[]a^-]x", True, ["]x", "-x", "^x"], ["bx"]),
        ("[^]a]x", True, ["bx"], ["]x", "ax"]),
        ("[\\d]", True, ["\\", "d"], ["1"]),
        ("[[:digit:][:blank:]]z", True, ["1z", " z"], ["az"]),
        ("(a|b)+c", True, ["abc"], ["c"]),
        ("\\<key\\>", True, ["a key"], ["monkey", "keys"]),
        ("a\\.b\\(", True, ["a.b("], ["axb("]),
        ("a+(b)", False, ["a+(b)"], ["aab"]),
        ("a\\+\\(b\\|c\\)", False, ["aab", "ac"], ["a+(b|c)"]),
        ("^*a", False, ["*a"], ["a"]),
        ("a^b$c", False, ["a^b$c"], ["abc"]),
        ("a\\{2\\}", False, ["aa"], ["a{2}"]),
        ("\\(^a\\|b$\\)", False, ["ax", "xb"], ["xa", "bx"]),
        ("#x y", True, ["#x y"], ["xy"]),
    ],
)
def test_posix_expression_means_the_same(pattern: str, extended: bool, matching: list[str], other: list[str]) -> None:
    expression = Expression(posix_expression(pattern, extended=extended).text)
    assert all(expression.matches(text.encode()) for text in matching)
    assert not any(expression.matches(text.encode()) for text in other)


@pytest.mark.parametrize(
    "pattern",
    ["", "(", "a)", "[a", "a**", "a+?", "a{2}+", "x{2", "x{a}", "*a", "a|*b", "(?i)a", "\\d", "\\1(a)", "\\", "a^b",
     "$a", "é+", "[é]", "[[.-.]]", "[[=a=]]", "\x01", "a" * 5000],
)  # fmt: skip
def test_posix_expression_with_another_meaning_is_refused(pattern: str) -> None:
    with pytest.raises(NotConvertible):
        posix_expression(pattern, extended=True)


@pytest.mark.parametrize(
    ("pattern", "depends"),
    [("a", False), ("^a", True), (" a", True), ("^ *a", False), ("^[[:space:]]*a", False), (".a", True),
     ("[0-9]", False), ("[^0-9]", True), (".*a", False), ("\\ba", False), ("\\Wa", True), ("a ", False)],
)  # fmt: skip
def test_difference_at_the_beginning_of_the_text_is_told(pattern: str, depends: bool) -> None:
    assert posix_expression(pattern, extended=True).difference == (TEXT_BEGIN if depends else "")


def test_globs_are_refused_where_they_would_differ() -> None:
    for pattern in ("a(b|c)?", "a*", "a+", "[0-9]+", "a\\d", "(a|)", "|a", "((a|b)c)", ".*", "a\\*", "a{2}", ""):
        with pytest.raises(NotConvertible):
            globs_of(pattern)
    assert fixed_texts("^a|b") is None
    assert fixed_texts("a$") is None


def test_rules_that_may_take_the_same_message_are_found() -> None:
    texts = [
        "$hostname == 'a'", "$hostname == 'b'", "$hostname startswith 'a'", "$fromhost-ip == '10.0.0.1'",
        "$fromhost-ip startswith '10.'", "$fromhost-ip startswith '11.'", "$syslogseverity <= 3",
        "$syslogseverity == 6", "not ($hostname == 'a')", "$programname == 'x'",
        "$programname == 'X' or $procid == '1'",
    ]  # fmt: skip
    overlaps = Overlaps([alternatives(expression_condition(text)) for text in texts])
    found = {number: [*overlaps.later(number, len(texts))] for number in range(len(texts))}
    assert 1 not in found[0] and 8 not in found[0] and {2, 3, 6, 7} <= set(found[0])
    assert found[3] == [4, 6, 7, 8, 9, 10]
    assert 7 not in found[6] and 8 in found[6]
    assert found[9] == [10]


def test_covered_alternatives_are_recognised() -> None:
    def one(text: str) -> Alternative:
        return alternatives(expression_condition(text))[0]

    assert covers(one("$hostname == ['a', 'b']"), one("$hostname == 'a' and $msg contains 'x'"))
    assert covers(one("$syslogseverity <= 4"), one("$syslogseverity <= 3 and $hostname == 'a'"))
    assert not covers(one("$syslogseverity <= 3"), one("$syslogseverity <= 4"))
    assert not covers(one("$syslogseverity <= 3"), one("$hostname == 'a'"))
    assert not covers(one("not ($hostname == 'a')"), one("$msg contains 'x'"))
