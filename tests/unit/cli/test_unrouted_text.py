"""Tests the text of a suggested route: what is pasted comes from the bottom of the file to its top."""

from bridge.cli.unrouted_text import suggestion_text

ROUTE = {"route": "  - name: a\n", "paste_where": "Paste it after line 9 of x", "paste_line": 9, "new_intake": None}
INTAKE = {"new_intake": "  b:\n", "new_intake_where": "Paste it after line 4 of x", "new_intake_line": 4}


def test_route_is_shown_as_it_is_pasted():
    text = suggestion_text(ROUTE)
    assert text.startswith("\nPaste it after line 9 of x:\n\n  - name: a\n\n")
    assert "syslog-bridge unrouted reroute" in text


def test_lower_place_is_pasted_first():
    text = suggestion_text(ROUTE | INTAKE)
    assert text.index("- name: a") < text.index("  b:")
    text = suggestion_text(ROUTE | INTAKE | {"new_intake_line": 20})
    assert text.index("- name: a") > text.index("  b:")


def test_source_without_a_route_says_why():
    assert suggestion_text({"route": "", "paste_where": "No route can name it"}) == "\nNo route can name it\n"
