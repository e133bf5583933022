"""Tests that a suggested route can be pasted where the suggestion says, and that `check` accepts the result."""

from pathlib import Path

import pytest

from bridge.config import ConfigurationError, linted, load
from bridge.explain.route_suggestion import UNKNOWN_INTAKE, UnroutedSource, suggest_route

HEAD = """collector: {region: FRA1}
listeners:
  - {name: udp, udp: "127.0.0.1:5514"}
  - {name: tcp, tcp: "127.0.0.1:5514", intake: other}
spool: {directory: spool}
"""
INTAKES = """intakes:
  firewalls:
    intake_key: {file: key}
    format: fortigate
  other:
    intake_key: {file: key2}
"""
ROUTES = """routes:
  - name: first
    source: 10.0.0.0/8
    intake: other
"""
CATCH_ALL = "  # everything else\n  - name: rest\n    listener: udp\n    intake: other\n"
MESSAGE = "    message:\n      contains:\n        - x\n        - y\n"
FORTIGATE = "fortinet-fortigate"
SOURCE = UnroutedSource("192.0.2.7", "udp")


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str, name: str = "bridge.yaml") -> Path:
        for key in ("key", "key2", "cisco-ios.key"):
            (tmp_path / key).write_text(key.replace(".", "")[0] * 8 + "0123456789abcdef"[: 16 - len(key) % 4])
            (tmp_path / key).chmod(0o600)
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


def paste(suggestion, where, text, file=None, line=None):
    """Pastes YAML at the place of a suggestion."""
    path = Path(suggestion.place.file if file is None else file)
    number = suggestion.place.line if line is None else line
    lines = path.read_text().splitlines(keepends=True)
    at = number - 1 if "before" in where else number or len(lines)
    path.write_text("".join([*lines[:at], text, *lines[at:]]))


def pasted(file, source=SOURCE, text_format=FORTIGATE):
    """Pastes the suggestion for a source; returns the configuration that `check` accepts, and the new route."""
    suggestion = suggest_route(load(file), source, text_format)
    paste(suggestion, suggestion.where, suggestion.route)
    config = linted(file)[0]
    (route,) = [route for route in config.routes if route.name.startswith("from-")]
    return config, route


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (HEAD + INTAKES + ROUTES, ["first", "from-192.0.2.7"]),
        (HEAD + INTAKES + ROUTES + CATCH_ALL, ["first", "from-192.0.2.7", "rest"]),
        (HEAD + INTAKES + ROUTES.replace("\n  ", "\n"), ["first", "from-192.0.2.7"]),
        (HEAD + INTAKES + ROUTES.replace("\n  ", "\n    "), ["first", "from-192.0.2.7"]),
        (HEAD + INTAKES + "routes:\n-   {name: first, intake: other, source: 10.0.0.1}\n", ["first", "from-192.0.2.7"]),
        (HEAD + ROUTES + INTAKES, ["first", "from-192.0.2.7"]),
        (HEAD + INTAKES, ["from-192.0.2.7"]),
        (
            HEAD + INTAKES + ROUTES + "    message:\n      contains:\n        - x\n        - y\n",
            ["first", "from-192.0.2.7"],
        ),
    ],
)  # fmt: skip
def test_route_is_pasted_where_the_suggestion_says(write, text, names):
    config, route = pasted(write(text))
    assert [each.name for each in config.routes] == names
    assert route.intake == "firewalls"
    assert [str(network) for network in route.source] == ["192.0.2.7/32"]


def test_route_is_pasted_into_the_included_file_that_has_the_last_route(write, tmp_path):
    write("routes:\n- name: second\n  source: 10.1.0.0/16\n  intake: other\n", "more.yaml")
    file = write("include: more.yaml\n" + HEAD + INTAKES + ROUTES)
    config, _ = pasted(file)
    assert [route.name for route in config.routes] == ["first", "second", "from-192.0.2.7"]
    assert "from-192.0.2.7" in (tmp_path / "more.yaml").read_text()


@pytest.mark.parametrize(
    "source", [UnroutedSource("2001:db8::7", "udp"), UnroutedSource("web-01.example.org", "udp", "192.0.2.9")]
)
def test_other_sources_are_named(write, source):
    _, route = pasted(write(HEAD + INTAKES + ROUTES), source)
    assert str(route.source[0].network_address) == (source.relay or source.address)
    assert list(route.hostname) == ([source.address] if source.relay else [])


def test_name_of_the_route_is_new(write):
    text = HEAD + INTAKES + ROUTES.replace("first", "from-192.0.2.7")
    suggestion = suggest_route(load(write(text)), SOURCE, FORTIGATE)
    assert suggestion.route.startswith('  - name: "from-192.0.2.7-2"\n')


@pytest.mark.parametrize(
    "source",
    [
        UnroutedSource("x*", "udp", "192.0.2.9"), UnroutedSource('x"\n  intake: other', "udp", "192.0.2.9"),
        UnroutedSource("/run/log.sock", "unix"), UnroutedSource("x" * 300, "udp", "192.0.2.9"),
    ],
)  # fmt: skip
def test_source_that_no_route_can_name_gives_no_yaml(write, source):
    suggestion = suggest_route(load(write(HEAD + INTAKES + ROUTES)), source, FORTIGATE)
    assert suggestion.route == ""
    assert f"its listener, {source.listener}" in suggestion.where


def test_intake_is_suggested_if_none_has_the_format(write):
    file = write(HEAD + INTAKES + ROUTES)
    suggestion = suggest_route(load(file), SOURCE, "cisco-ios")
    assert suggestion.intake is not None
    # From the bottom to the top, so that the lines stay right.
    paste(suggestion, suggestion.where, suggestion.route)
    place = load(write(HEAD + INTAKES + ROUTES, "same.yaml")).paste_places.intake
    paste(suggestion, suggestion.intake_where, suggestion.intake, file, place.line)
    config = linted(file)[0]
    assert config.intakes["cisco-ios"].format == "cisco-ios"
    assert config.routes[-1].intake == "cisco-ios"


def test_unknown_product_leaves_the_intake_to_be_filled(write):
    file = write(HEAD + INTAKES + ROUTES)
    suggestion = suggest_route(load(file), SOURCE, None)
    assert f"intake: {UNKNOWN_INTAKE}  # write the name of an intake: firewalls, other\n" in suggestion.route
    paste(suggestion, suggestion.where, suggestion.route)
    with pytest.raises(ConfigurationError, match="intake: INTAKE stands for a name"):
        load(file)


def test_only_intake_without_a_format_takes_an_unknown_product(write):
    only = "intakes:\n  other:\n    intake_key: {file: key}\n"
    _, route = pasted(write(HEAD + only + ROUTES), text_format=None)
    assert route.intake == "other"


def test_several_intakes_with_the_format_are_listed(write):
    intakes = INTAKES + "  branch:\n    intake_key: {file: key}\n    format: fortigate\n"
    suggestion = suggest_route(load(write(HEAD + intakes + ROUTES)), SOURCE, FORTIGATE)
    assert suggestion.route.endswith("    intake: firewalls  # or branch\n")


@pytest.mark.parametrize("routes", ["routes: []\n", "routes: [{name: a, source: 10.0.0.1, intake: other}]\n"])
def test_section_in_brackets_is_pointed_out(write, routes):
    suggestion = suggest_route(load(write(HEAD + INTAKES + routes)), SOURCE, FORTIGATE)
    assert "without brackets" in suggestion.where
    assert f"bridge.yaml:{(HEAD + INTAKES).count(chr(10)) + 1}" in suggestion.where
