"""Tests the command ``report``: its output, its period, and its exit codes."""

import csv
import io
import json
import re

import pytest
from click.testing import CliRunner

from bridge.accounting import Ledger
from bridge.accounting.journal import Journal
from bridge.accounting.receipt import Receipt
from bridge.cli.report import report
from bridge.spool import Batch
from bridge.spool.recovery import RecoveredSpool
from tests.harness.builders import fail

MARCH = 1_772_323_200  # 2026-03-01T00:00:00Z


class ReportFixture:
    """Provides a configuration, its spool, and a recorded journal."""

    def __init__(self, directory):
        self.spool = directory / "spool"
        self.ledger_folder = self.spool / ".ledger"
        self.config = directory / "bridge.yaml"
        self.config.write_text(
            "collector: {region: FRA1}\n"
            "intakes: {fw: {intake_key: k1}, idle: {intake_key: k2}}\n"
            "listeners: [{udp: '127.0.0.1:5514', intake: fw}]\n"
            f"spool: {{directory: {self.spool}}}\n"
        )
        self.now = MARCH + 10.0
        self.journal = Journal(self.ledger_folder, keep=None, wall=lambda: self.now, on_error=fail)

    def start(self, found=None):
        self.ledger = Ledger()
        self.journal.open()
        self.journal.start(found or RecoveredSpool(), quarantined=0, version="1.0", config_sha256="c")

    def record_history(self):
        """Records two minutes, an unclean stop and a clean stop."""
        self.start()
        self.ledger.receive_spooled("fw", 10)
        self.ledger.receive_filtered(3)
        self.ledger.receive_dropped("fw", 2, "spool_write_failed")
        self.ledger.deliver("fw", 8)
        self.journal.receipt(Receipt("fw", [(1, 8, 10)], 8, "ab" * 32, 200, "a", "b", confirmed=False))
        self.now = MARCH + 60
        self.journal.minute(self.ledger.accounts, {"udp": 4})
        self.ledger.quarantine("fw", 1)
        self.journal.refused("fw", 1, 1, "too\x1b[31m red", 10)
        self.journal.close()
        self.now = MARCH + 200
        batch = Batch("fw", 1, "lines", False, 0, 0, 10, 1, self.spool, 0.0, True)
        self.journal.open()
        self.journal.start(
            RecoveredSpool(batches=[batch], sending={"fw": 10}), quarantined=1, version="1.0", config_sha256="c"
        )
        self.ledger = Ledger()
        self.ledger.recover_spooled("fw", 10)
        self.ledger.recover_quarantined(None, 1)
        self.ledger.add_possible_duplicates("fw", 10)
        self.now = MARCH + 240
        self.journal.stop(self.ledger.accounts, {"udp": 1})
        self.journal.close()
        return self

    def run(self, *arguments):
        return CliRunner().invoke(report, ["-c", str(self.config), *arguments])


@pytest.fixture
def site(tmp_path):
    return ReportFixture(tmp_path)


def table(text):
    """Returns the figures of the plain table, by intake and heading."""
    heads, *rows = text.split("\n\n")[1].splitlines()
    names = re.split(r"  +", heads.strip())
    cells = [re.split(r"  +", row.strip()) for row in rows if not row.endswith(":")]
    return {row[0]: dict(zip(names[1:], map(int, row[1:]), strict=True)) for row in cells}


def test_report_accounts_for_every_event(site):
    result = site.record_history().run()
    assert result.exit_code == 0, result.output
    figures = table(result.stdout)
    assert figures["fw"] == {
        "received": 12, "queued again": 9, "delivered": 8, "quarantined": 1, "filtered": 0, "dropped": 2, "held": 10,
    }  # fmt: skip
    assert figures["(no intake)"]["filtered"] == figures["(no intake)"]["received"] == 3
    assert figures["(total)"]["received"] == 15
    assert "fw: 2 spool_write_failed" in result.stdout
    assert "fw: 1 too\\x1b[31m red" in result.stdout
    assert "dropped by the kernel: 5 udp" in result.stdout
    assert "starts: 2, 1 after an unclean stop: 2026-03-01T00:03:20.000Z" in result.stdout
    assert "receipts: 1 accepted request with 8 events; the response did not name 8 of them" in result.stdout
    assert "quarantine: 0 frames at the beginning, +1, 1 at the end" in result.stdout
    assert re.search(r"hash chain intact: 8 lines; the last hash is [0-9a-f]{64}\n", result.stdout)
    assert "filtered or dropped in the last minute before each unclean stop are missing" in result.stdout
    assert "Possible duplicates: 10 events. The responses to their requests are unknown" in result.stdout


def test_command_on_the_files_is_no_start_of_the_bridge(site):
    site.record_history()
    for at in (300, 360):
        site.now = MARCH + at
        site.journal.open()
        site.journal.start(RecoveredSpool(), quarantined=1, version="1", config_sha256="c", offline=True)
        site.journal.stop({}, {})
        site.journal.close()
    text = site.run().stdout
    assert "starts: 2, 1 after an unclean stop: 2026-03-01T00:03:20.000Z. 2 commands ran while the bridge was" in text
    starts = json.loads(site.run("--output", "json").stdout)["starts"]
    assert [start["offline"] for start in starts] == [False, False, True, True]


def test_csv_contains_the_figures_and_reasons(site):
    result = site.record_history().run("--csv")
    assert result.exit_code == 0
    fw, = [row for row in csv.DictReader(io.StringIO(result.stdout)) if row["intake"] == "fw"]  # fmt: skip
    assert (fw["received"], fw["delivered"], fw["held"], fw["queued_again"]) == ("12", "8", "10", "9")
    assert fw["dropped_reasons"] == "2 spool_write_failed"
    assert fw["refused_reasons"] == "1 too\\x1b[31m red"
    assert fw["possible_duplicates"] == "10"
    assert result.stderr.startswith("hash chain intact")


def test_intake_option_selects_one_intake(site):
    result = site.record_history().run("--intake", "fw")
    assert set(table(result.stdout)) == {"fw"}
    assert table(site.run("--intake", "idle").stdout)["idle"]["received"] == 0
    assert table(site.run("--intake", "-").stdout)["(no intake)"]["filtered"] == 3
    wrong = site.run("--intake", "fx")
    assert wrong.exit_code == 2
    assert "fw, idle" in wrong.stderr


def test_period_is_rounded_to_the_nearest_minute_with_a_note(site):
    site.record_history()
    first = site.run("--to", "2026-03-01T00:01:05Z")
    assert (table(first.stdout)["fw"]["quarantined"], table(first.stdout)["fw"]["held"]) == (1, 1)
    assert "The end of" not in first.stdout  # the process had died by then
    early = site.run("--to", "2026-03-01T00:00:55Z")
    assert table(early.stdout)["fw"]["delivered"] == 8
    assert "The report uses those of 2026-03-01T00:01:00Z" in early.stdout
    later = site.run("--from", "2026-03-01T00:00:55Z")
    assert table(later.stdout)["fw"]["carried over"] == 2
    assert table(later.stdout)["fw"]["delivered"] == 0
    nothing = site.run("--from", "2026-04-01")
    assert nothing.exit_code == 0
    assert "the period from 2026-04-01 to now" in nothing.stdout.lower()


def test_report_of_a_running_process_counts_later_receipts(site):
    site.start()
    site.ledger.receive_spooled("fw", 5)
    site.now = MARCH + 60
    site.journal.minute(site.ledger.accounts, {})
    site.journal.receipt(Receipt("fw", [(1, 5, 5)], 5, "", 200, None, None, confirmed=True))
    result = site.run()
    assert table(result.stdout)["fw"] == {"received": 5, "delivered": 0, "dropped": 0, "held": 5}
    assert (
        "a process still runs or was killed after it wrote them. Receipts since then are of 5 events." in result.stdout
    )


@pytest.mark.parametrize(
    ("old", "new"), [(b'"count":8', b'"count":9'), (b'"kind":"receipt"', b'"kind":"receist"'), (b'{"t"', b'{"u"')]
)
def test_changed_line_is_named_and_the_report_is_printed(site, old, new):
    site.record_history()
    path = site.ledger_folder / "2026-03-01.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(old, new)
    path.write_bytes(b"".join(lines))
    result = site.run()
    assert result.exit_code == 1
    assert f"hash chain BROKEN: {path}:2:" in result.stdout
    assert f"report: {path}:2:" in result.stderr
    assert table(result.stdout)["fw"]["dropped"] == 2


def test_unreadable_journal_file_is_named(site):
    site.record_history()
    path = site.ledger_folder / "2026-03-02.jsonl"
    path.mkdir()
    result = site.run()
    assert result.exit_code == 1
    assert f"{path}: not a regular file" in result.stderr
    assert table(result.stdout)["fw"]["received"] == 12


def test_wrong_usage_exits_2(site):
    assert site.run("--from", "yesterday").exit_code == 2
    assert "such as 2026-03-01" in site.run("--from", "yesterday").stderr
    assert site.run("--from", "2026-03-02", "--to", "2026-03-02").exit_code == 2
    site.config.write_text("nonsense: 1\n")
    assert site.run().exit_code == 2


def test_missing_or_empty_journal_is_reported(site):
    result = site.run()
    assert result.exit_code == 1
    assert result.stderr == f"report: the bridge has never run: there is no journal {site.ledger_folder}\n"
    site.ledger_folder.mkdir(parents=True)
    assert "hash chain: the journal has no lines" in site.run().stdout


def test_report_does_not_change_the_journal(site):
    site.record_history()
    path = site.ledger_folder / "2026-03-01.jsonl"
    before = path.read_bytes() + b'{"t":"torn'
    path.write_bytes(before)
    assert site.run().exit_code == 0
    assert path.read_bytes() == before


def test_terminal_table_shows_complete_figures(site):
    from bridge.accounting.report.rows import Report, ReportRow
    from bridge.cli import report_text

    found = Report(rows={"a" * 64: ReportRow(received=10**15, delivered=10**15)})
    drawn = report_text.table(found, whole=True, terminal=True)
    assert drawn.count("1,000,000,000,000,000") == 4
    assert "\x1b[1m" in drawn
