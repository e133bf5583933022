"""Tests events and bytes per day: from the journal's lines to the command's text, CSV and JSON."""

import csv
import io
import json
from datetime import date

import pytest
from click.testing import CliRunner

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.accounting.journal_lines import JournalReader
from bridge.accounting.report import volumes
from bridge.accounting.report.volumes import OTHERS, Volumes
from bridge.cli.report import build_report, report
from bridge.spool.recovery import RecoveredSpool
from tests.harness.builders import fail

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z
DAY = 86_400


class Site:
    """A journal of two days, and its configuration."""

    def __init__(self, directory):
        self.spool = directory / "spool"
        self.config = directory / "bridge.yaml"
        self.config.write_text(
            "collector: {region: FRA1}\n"
            "intakes: {fw: {intake_key: k1}, linux: {intake_key: k2}}\n"
            "listeners: [{udp: '127.0.0.1:5514', intake: fw}]\n"
            f"spool: {{directory: {self.spool}}}\n"
        )
        self.now = MARCH + DAY - 7200.0
        self.ledger = Ledger()
        self.journal = Journal(self.spool / ".ledger", keep=None, wall=lambda: self.now, on_error=fail)
        self.journal.open()
        self.journal.start(RecoveredSpool(), quarantined=0, version="1", config_sha256="c")

    def minute(self, after, sources=None):
        self.now += after
        self.journal.minute(self.ledger.accounts, {}, sources)

    def record(self):
        self.ledger.receive_spooled("fw", 10)
        self.ledger.deliver("fw", 8, 800)
        self.minute(1800)
        self.ledger.receive_spooled("linux", 4)
        self.ledger.receive_dropped("linux", 1, "spool_full")
        listed = [["udp", "192.0.2.1", "edge", 9, 900], ["udp", "192.0.2.2", None, 4, 400]]
        self.minute(2700)
        self.minute(2700, {"sources": listed, "sources_other": [2, 50], "sources_seconds": 7200})
        self.ledger.deliver("fw", 2, 200)
        self.minute(60)
        self.now += 60
        last = {"sources": [["udp", "192.0.2.1", "edge", 1, 90]], "sources_other": [0, 0], "sources_seconds": 120}
        self.journal.stop(self.ledger.accounts, {}, last)
        self.journal.close()
        return self

    def run(self, *arguments):
        result = CliRunner().invoke(report, ["-c", str(self.config), *arguments])
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path).record()


def test_days_by_intake(site):
    assert list(csv.reader(io.StringIO(site.run("--daily", "intake", "--output", "csv")))) == [
        ["day", "intake", "received", "delivered", "dropped", "delivered_bytes"],
        ["2026-03-01", "fw", "10", "8", "0", "800"],
        ["2026-03-01", "linux", "5", "0", "1", "0"],
        ["2026-03-02", "fw", "0", "2", "0", "200"],
    ]


def test_days_by_source(site):
    rows = json.loads(site.run("--daily", "source", "--output", "json"))
    assert [tuple(row.values()) for row in rows] == [
        ("2026-03-01", "udp", "192.0.2.1", "edge", 9, 900),
        ("2026-03-01", "udp", "192.0.2.2", "", 4, 400),
        ("2026-03-01", "", "(others)", "", 2, 50),
        ("2026-03-02", "udp", "192.0.2.1", "edge", 1, 90),
    ]


def test_text_has_aligned_columns(site):
    assert site.run("--daily", "source").splitlines() == [
        "day         listener  address    name  received  estimated bytes",
        "2026-03-01  udp       192.0.2.1  edge         9              900",
        "2026-03-01  udp       192.0.2.2               4              400",
        "2026-03-01            (others)                2               50",
        "2026-03-02  udp       192.0.2.1  edge         1               90",
    ]
    assert site.run("--daily", "intake", "--intake", "linux").splitlines()[1:] == [
        "2026-03-01  linux          5          0        1                0"
    ]


def test_period_limits_the_days(site):
    rows = json.loads(site.run("--daily", "source", "--output", "json", "--from", "2026-03-02"))
    assert {row["day"] for row in rows} == {"2026-03-02"}
    assert site.run("--daily", "intake", "--from", "2026-04-01") == "no events in this period\n"


def test_whole_report_as_json(site):
    whole = json.loads(site.run("--output", "json"))
    assert whole["total"]["delivered"] == 10
    assert whole["total"]["delivered_bytes"] == 1000
    assert whole["intakes"]["linux"]["dropped"] == {"spool_full": 1}
    assert [row["intake"] for row in whole["days_by_intake"]] == ["fw", "linux", "fw"]
    assert len(whole["days_by_source"]) == 4
    assert whole["chain"]["intact"]
    assert whole["actions"] == []
    one = json.loads(site.run("--output", "json", "--intake", "fw"))
    assert ([row["intake"] for row in one["days_by_intake"]], one["days_by_source"]) == (["fw", "fw"], [])


@pytest.mark.parametrize(
    "arguments",
    [("--daily", "source", "--intake", "fw"), ("--actions", "--intake", "fw"), ("--daily", "intake", "--actions")],
)  # fmt: skip
def test_options_that_contradict_are_refused(site, arguments):
    assert CliRunner().invoke(report, ["-c", str(site.config), *arguments]).exit_code == 2


def test_invalid_sources_are_a_fault_with_a_place(site):
    site.now += DAY
    site.journal.open()
    site.journal.start(RecoveredSpool(), quarantined=0, version="1", config_sha256="c")
    site.minute(60, {"sources": [["udp"]], "sources_other": [0, 0], "sources_seconds": 60})
    reader = JournalReader(site.spool / ".ledger")
    build_report(reader, None, None)
    (fault,) = reader.faults
    assert "invalid line of kind 'minute'" in fault


def test_flood_of_sources_is_added_up(monkeypatch):
    monkeypatch.setattr(volumes, "MOST_SOURCES", 3)
    found, day = Volumes(), date(2026, 3, 1)
    for number in range(100):
        found.add_sources(day, [["udp", f"192.0.2.{number}", None, number, number * 10]], [0, 0])
    rows = found.source_rows(day)
    assert [source[1] for source, _ in rows] == ["192.0.2.99", "192.0.2.98", "192.0.2.97", ""]
    assert rows[-1][0] == OTHERS
    assert sum(volume.events for _, volume in rows) == sum(range(100))
    assert len(found.sources[day]) <= 2 * 3 + 1
