"""Tests the order of imported rules: ends of processing, fallbacks, copies, and what is listed about them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bridge.cli.import_forwarder import import_forwarder
from bridge.config import load
from bridge.config.routes import Route
from bridge.setup import import_overlap

KEYS = {name: f"{name * 8}12345678" for name in "abc"}
RSYSLOG = 'module(load="imudp")\ninput(type="imudp" port="514" ruleset="r")\n' + "".join(
    f'template(name="{name}" type="string" string="[SEKOIA@53288 intake_key=\\"{key}\\"] %msg%")\n'
    for name, key in KEYS.items()
)
SYSLOG_NG = "@version: 3.38\noptions { keep-hostname(yes); };\nsource s { network(port(514)); };\n" + "".join(
    f'destination {name} {{ network("intake.sekoia.io" template("[SEKOIA@53288 intake_key=\\"{key}\\"] $MSG")); }};\n'
    for name, key in KEYS.items()
)
FIRST = 6
"Number of the first line of a body in ``rsyslog.conf``."


class Result:
    """What an import wrote and printed."""

    def __init__(self, folder: Path, text: str, name: str) -> None:
        (folder / name).write_text(text)
        run = CliRunner().invoke(import_forwarder, [str(folder / name), "--output", str(folder / "out")])
        self.output = run.output
        assert run.exit_code == 0, f"{run.output} {run.exception!r}"
        self._config = load(folder / "out/bridge.yaml")
        self._name = name

    @property
    def routes(self) -> list[str]:
        """Returns intake and conditions of each route in short."""
        return [f"{route.intake or 'drop'} {_shown(route)}".strip() for route in self._config.routes]

    @property
    def rest(self) -> str | None:
        """Returns the intake of the listener."""
        return self._config.listeners[0].intake

    def section(self, title: str) -> dict[int, str]:
        """Returns what a section of the output says, by line number."""
        rows = self.output.partition(f"{title}:\n")[2].partition("\n\n")[0].splitlines()
        places = [row.split(f"{self._name}:", 1)[1].split(":", 1) for row in rows if f"{self._name}:" in row]
        return {int(number): text for number, text in places}

    @property
    def copies(self) -> list[int]:
        """Returns the lines whose messages could go to a second destination."""
        return [number for number, text in self.section("Not carried over").items() if "could also go" in text]


def _shown(route: Route) -> str:
    parts = [*route.hostname, *route.app_name]
    if route.message is not None:
        parts += [*route.message.contains]
    if route.except_ is not None:
        parts += [f"-{name}" for name in (*route.except_.hostname, *route.except_.app_name)]
        parts += [f"-{text}" for text in (route.except_.message.contains if route.except_.message else ())]
    return " ".join(parts)


def rsyslog(folder: Path, *lines: str) -> Result:
    body = "\n".join(lines)
    for name in KEYS:
        body = body.replace(f"SEND {name}", f'action(type="omfwd" target="intake.sekoia.io" template="{name}")')
    return Result(folder, f'{RSYSLOG}ruleset(name="r") {{\n{body}\n}}\n', "rsyslog.conf")


def syslog_ng(folder: Path, *paths: str) -> Result:
    return Result(folder, SYSLOG_NG + "\n".join(paths) + "\n", "syslog-ng.conf")


def test_branches_of_an_if_are_no_copies_of_each_other(tmp_path: Path) -> None:
    result = rsyslog(tmp_path, "if $msg contains 'x' then {", "SEND a", "} else {", "SEND b", "}")
    assert (result.routes, result.rest) == (["a x"], "b")
    assert not result.copies


def test_branch_that_discards_narrows_the_other_one(tmp_path: Path) -> None:
    result = rsyslog(
        tmp_path, "if $msg contains 'x' then {", "if $hostname == 'h' then SEND a", "} else {", "SEND b", "}"
    )
    assert result.routes == ["a h x", "b -x"]


def test_stop_ends_what_is_before_it_only(tmp_path: Path) -> None:
    lines = ("if $msg contains 'x' then SEND a", "if $hostname == 'h' then SEND b", "stop", "SEND c")
    result = rsyslog(tmp_path, *lines)
    assert result.routes == ["a x", "b h", "drop"]
    assert result.copies == [FIRST + 1]
    assert "never reached" in result.section("Not carried over")[FIRST + 4]


def test_stop_behind_a_narrower_rule_ends_it_too(tmp_path: Path) -> None:
    lines = ("if $msg contains 'x' then {", "if $hostname == 'h' then SEND a", "stop", "}", "SEND b")
    result = rsyslog(tmp_path, *lines)
    assert (result.routes, result.rest) == (["a h x", "drop x"], "b")
    assert not result.copies


def test_two_keys_for_one_message_are_told(tmp_path: Path) -> None:
    result = rsyslog(tmp_path, "auth.* SEND a", "if $syslogseverity <= 3 then SEND b", "*.=debug SEND c")
    assert result.copies == [FIRST + 1]
    assert f"destination in line {FIRST + 2};" in result.section("Not carried over")[FIRST + 1]


def test_statements_of_a_lost_condition_are_listed(tmp_path: Path) -> None:
    lines = (
        "if $rawmsg contains 'x' then {", "SEND a", "} else {", "if $hostname == 'h' then {", "SEND b", "}", "}",
        "SEND c",
    )  # fmt: skip
    listed = rsyslog(tmp_path, *lines).section("Not carried over")
    assert {FIRST + 1, FIRST + 2, FIRST + 4, FIRST + 5} <= set(listed)
    assert f"the condition in line {FIRST + 1}" in listed[FIRST + 2]
    assert f"the condition in line {FIRST + 4}" in listed[FIRST + 5]


def test_rule_that_never_holds_and_rule_that_is_covered_are_listed(tmp_path: Path) -> None:
    lines = (
        "if $hostname == ['h', 'i'] then SEND a", "if $hostname == 'h' and $msg contains 'x' then SEND b",
        "if $syslogseverity == 'err' then SEND c", "SEND c",
    )  # fmt: skip
    result = rsyslog(tmp_path, *lines)
    assert result.routes == ["a h i"]
    listed = result.section("Not carried over")
    assert "an earlier rule takes all these messages" in listed[FIRST + 2]
    assert "no message can meet its condition" in listed[FIRST + 3]


def test_difference_is_listed_with_its_line(tmp_path: Path) -> None:
    result = rsyslog(tmp_path, "if $msg startswith 'x' then SEND a", "if $msg contains 'x' then SEND b")
    differing = result.section("Carried over with a difference")
    assert list(differing) == [FIRST + 1]
    assert "begins at its first non-blank" in differing[FIRST + 1]


def test_calls_in_a_loop_end_and_are_listed(tmp_path: Path) -> None:
    text = RSYSLOG + (
        'ruleset(name="r") {\nif $msg contains "x" then call q if $msg contains "y" then call q\n'
        'action(type="omfwd" target="intake.sekoia.io" template="a")\n}\n'
        'ruleset(name="q") {\nif $hostname == "h" then call r\nif $hostname == "i" then call r\n}\n'
    )
    listed = Result(tmp_path, text, "rsyslog.conf").section("Not carried over")
    assert "calls itself" in listed[FIRST + 5] and "calls itself" in listed[FIRST + 6]


def test_comments_with_quotes_within_an_expression(tmp_path: Path) -> None:
    result = rsyslog(
        tmp_path, "if $hostname == 'a' # don't", "/* 'then' */ and $msg contains '# x' then SEND a", "SEND b"
    )
    assert (result.routes, result.rest) == (["a a # x"], "b")


def test_rules_for_different_hosts_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[object] = []
    disjoint = import_overlap._disjoint

    def counting(one: import_overlap._Reach, other: import_overlap._Reach) -> bool:
        compared.append(one)
        return disjoint(one, other)

    monkeypatch.setattr(import_overlap, "_disjoint", counting)
    result = rsyslog(tmp_path, *(f"if $hostname == 'h{n % 100}' then SEND {'abc'[n % 3]}" for n in range(200)))
    assert len(result.routes) == 100
    assert len(compared) < 500


# --- syslog-ng --------------------------------------------------------------------------------------------------------


def test_final_of_an_inner_path_ends_the_paths_beside_it_only(tmp_path: Path) -> None:
    result = syslog_ng(
        tmp_path,
        'log { source(s); log { filter { message("x"); }; flags(final); }; log { destination(a); }; };',
        "log { source(s); destination(b); };",
    )
    assert (result.routes, result.rest) == (["a -x"], "b")
    assert result.copies == [7]


def test_path_matches_only_if_an_inner_one_does(tmp_path: Path) -> None:
    result = syslog_ng(
        tmp_path,
        'log { source(s); filter { host(h); }; log { filter { message("x"); }; destination(a); }; flags(final); };',
        "log { source(s); destination(b); };",
    )
    assert (result.routes, result.rest) == (["a *h* x"], "b")
    assert not result.copies


def test_fallback_does_not_see_what_matches_a_local_path(tmp_path: Path) -> None:
    result = syslog_ng(
        tmp_path,
        "log { source(s); destination(c); flags(fallback); };",
        'log { source(s); filter { message("x"); }; destination(a); };',
        'log { source(s); filter { message("y"); }; destination { file("/var/log/y"); }; };',
    )
    assert (result.routes, result.rest) == (["a x", "drop y"], "c")
    assert not result.copies


def test_local_path_discards_nothing_without_a_fallback_of_its_source(tmp_path: Path) -> None:
    result = syslog_ng(
        tmp_path,
        "source other { network(port(515)); };",
        "log { source(other); destination(c); flags(fallback); };",
        'log { source(s); filter { message("y"); }; destination { file("/var/log/y"); }; };',
        "log { source(s); destination(a); };",
    )
    assert result.routes == []


def test_inner_fallback_sees_what_no_other_path_matches(tmp_path: Path) -> None:
    result = syslog_ng(
        tmp_path,
        'log { source(s); log { destination(c); flags(fallback); }; log { filter { message("x"); }; destination(a); };'
        ' log { filter { message("y"); }; }; };',
    )
    assert result.routes == ["a x", "c -y"]
    assert not result.copies


def test_branches_of_an_if_in_a_path_are_no_copies(tmp_path: Path) -> None:
    result = syslog_ng(
        tmp_path,
        'log { source(s); if (message("x")) { destination(a); } elif (host(h)) { filter { message("y"); };'
        " destination(b); } else { destination(c); }; };",
    )
    assert result.routes == ["a x", "b *h* y", "c -*h*"]
    assert not result.copies


@pytest.mark.parametrize(
    ("options", "source", "imported"),
    [
        ("keep-hostname(yes)", "", True), ("", "", False), ("", "keep-hostname(yes)", True),
        ("keep-hostname(yes)", "keep-hostname(no)", False),
    ],
)  # fmt: skip
def test_host_is_the_one_of_the_header_only_if_it_is_kept(
    tmp_path: Path, options: str, source: str, imported: bool
) -> None:
    text = SYSLOG_NG.replace("keep-hostname(yes)", options).replace("port(514)", f"port(514) {source}")
    path = "log { source(s); filter { host(h); }; destination(a); };\nlog { source(s); destination(b); };\n"
    result = Result(tmp_path, text + path, "syslog-ng.conf")
    assert result.routes == (["a *h*"] if imported else [])
    assert ("name that DNS has" in result.output) is not imported


@pytest.mark.parametrize(("version", "imported"), [("3.38", False), ("4.2", True)])
def test_comparison_of_texts_as_numbers_is_refused(tmp_path: Path, version: str, imported: bool) -> None:
    text = SYSLOG_NG.replace("3.38", version)
    path = 'log { source(s); filter { "$HOST" == "h" }; destination(a); };\nlog { source(s); destination(b); };\n'
    result = Result(tmp_path, text + path, "syslog-ng.conf")
    assert result.routes == (["a h"] if imported else [])


@pytest.mark.parametrize(
    "filters",
    [
        "filter f { filter(g) or filter(g); };\nfilter g { filter(f) or filter(f); };\n",
        "".join(f"filter f{n or ''} {{ filter(f{n + 1}) or filter(f{n + 1}); }};\n" for n in range(30))
        + "filter f30 { facility(nowhere); };\n",
    ],
    ids=["loop", "many"],
)
def test_filters_that_refer_to_each_other_end(tmp_path: Path, filters: str) -> None:
    paths = "log { source(s); filter(f); destination(a); };\nlog { source(s); destination(b); };\n"
    result = Result(tmp_path, SYSLOG_NG + filters + paths, "syslog-ng.conf")
    assert (result.routes, result.rest) == ([], "b")


def test_shared_filters_are_expanded_once(tmp_path: Path) -> None:
    filters = "".join(f"filter f{n} {{ filter(f{n + 1}) or filter(f{n + 1}); }};\n" for n in range(30))
    paths = "filter f30 { host(h); };\nlog { source(s); filter(f0); destination(a); };\n"
    assert Result(tmp_path, SYSLOG_NG + filters + paths, "syslog-ng.conf").routes == ["a *h*"]


def test_junction_and_parser_are_listed(tmp_path: Path) -> None:
    result = syslog_ng(
        tmp_path,
        "log { source(s); junction { channel { filter { host(h); }; }; }; destination(a); };",
        "log { source(s); parser { json-parser(); }; destination(b); };",
    )
    listed = result.section("Not carried over")
    assert "no junctions" in listed[7] and "a parser has no counterpart" in listed[8]
    assert result.rest == "b"


def test_file_whose_destinations_are_never_reached_is_a_fault(tmp_path: Path) -> None:
    text = RSYSLOG + 'ruleset(name="r") {\nstop\naction(type="omfwd" target="intake.sekoia.io" template="a")\n}\n'
    (tmp_path / "rsyslog.conf").write_text(text)
    argv = [str(tmp_path / "rsyslog.conf"), "--output", str(tmp_path / "out")]
    run = CliRunner().invoke(import_forwarder, argv)
    assert run.exit_code != 0
    assert "nothing can be imported" in run.output + str(run.exception)
