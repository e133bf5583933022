"""Tests with ``explain`` that two intakes receive the text that their parsers read."""

import json

import pytest
from click.testing import CliRunner

from bridge.cli.explain import explain

CONFIGURATION = """
collector: {{url: "http://127.0.0.1:9"}}
listeners: [{{name: udp, udp: "127.0.0.1:5514"}}]
intakes: {{one: {{intake_key: {{file: nowhere}}, format: {format}}}}}
routes: [{{name: all, intake: one}}]
spool: {{directory: spool}}
"""


@pytest.mark.parametrize(
    ("text_format", "frame", "event"),
    [
        (
            "zscaler-zia",
            '<134>Nov 23 07:24:00 nss-paris NSS {"sourcetype" : "zscalernss-fw", "event" : {"action":"Drop"}}',
            '{"sourcetype" : "zscalernss-fw", "event" : {"action":"Drop"}}',
        ),
        (
            "cisco-ios",
            "<187>Nov 23 07:24:00 198.51.100.18 %LINK-3-UPDOWN: Interface Gi0/4, changed state to down",
            "198.51.100.18: Nov 23 07:24:00: %LINK-3-UPDOWN: Interface Gi0/4, changed state to down",
        ),
    ],
    ids=["words before JSON", "host behind the time"],
)
def test_event_is_the_text_that_the_intake_reads(tmp_path, text_format, frame, event):
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIGURATION.format(format=text_format))
    options = ["-c", str(file), "--received", "2026-11-23T07:24:05Z", "--json"]
    result = CliRunner().invoke(explain, options, input=f"{frame}\n")
    assert json.loads(result.stdout)["event"] == event
    assert "does not match" not in result.stderr
