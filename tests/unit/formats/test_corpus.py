"""Tests that known inputs of the intakes' parsers, sent as a device would send them, become events of their format."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import FORMATS, table_json
from tests.unit.formats.headers import frame_of

SHARED = Path(__file__).parents[4] / "shared"
CORPUS, REFERENCE = SHARED / "corpora" / "sekoia.jsonl", SHARED / "reference" / "formats.json"
CONTEXT = FrameContext(received=datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))

# Share of a format's known inputs that match its expression. Formats that are not listed match all of theirs.
SHARE = {"vmware-esxi": 75 / 85}

# Folders of the corpus that the reference does not map to a format.
FOLDERS = {"Stormshield/stormshield-endpoint-security": "stormshield-endpoint-security"}

# Formats without input in the corpus, with the reason.
NO_INPUTS = {
    "microsoft-iis": "only one text is public",
    "paloalto-prisma-access": "the same texts as paloalto-ngfw",
    "veeam-backup": "left out of the corpus",
    # The samples of test_json_formats are written after the vendors' documentation.
    **{one.name: "JSON; not in the corpus" for one in table_json.FORMATS if one.name not in FOLDERS.values()},
}

# Inputs whose event does not match the expression, by corpus id, with the reason. There are none at present.
EXCEPTIONS: dict[str, str] = {}

# Formats whose event differs from the known input, with the reason why that is correct.
NOT_IDENTICAL = {
    "alsid": "its parser deletes line ends, and so does the rule",
    "apache-spamassassin": "the line's time is in UTC",
    "checkpoint-firewall": "line ends inside become blanks",
    "cisco-ios": "the sequence number before the date goes with the counters",
    "cisco-ise": "some inputs have time and host before the best form",
    "cisco-nx-os": "some inputs are whole frames; the best form begins at the year",
    "cisco-secure-firewall": "some inputs have time and host, or the PRI, before the best form",
    "cyberwatch-detection": "its parser deletes line ends, and so does the rule",
    "forcepoint-swg": "line ends inside become blanks",
    "haproxy": "its parser deletes line ends, and so does the rule",
    "nozomi-cmc": "line ends inside become blanks",
    "openssh": "one input has time, host and tag before the best form",
    "paloalto-ngfw": "some inputs are whole frames; the best form is the message alone",
    "rsa-securid": "the inputs lack the date, which a relay took for a tag; it is accepted",
    "trellix-epo-on-prem": "line ends between the elements become blanks",
    "ubika-waap": "some inputs have RFC 5424's header, less PRI and version, before the best form",
    "unbound": "the line's time is in UTC",
    "vmware-vcenter": "one input has RFC 5424's header, less PRI and version, before the best form",
    "wallix-bastion": "some inputs have RFC 5424's header, less PRI and version, before the best form",
    "windows": "line ends between the tokens become blanks",
}


def inputs() -> dict[str, list[tuple[str, bytes]]]:
    """Returns the known inputs: format -> (id, text)."""
    if not CORPUS.exists() or not REFERENCE.exists():
        pytest.skip("no ../shared/corpora/sekoia.jsonl")
    by_folder = {row["dir"]: row["slug"] for row in json.loads(REFERENCE.read_text())} | FOLDERS
    found = defaultdict(list)
    for line in CORPUS.read_text().splitlines():
        row = json.loads(line)
        if name := by_folder.get(row["vendor"]):
            found[name].append((row["id"], row["raw"].encode().rstrip(b"\n")))
    return found


def test_corpus_covers_all_formats() -> None:
    assert set(FORMATS) - set(inputs()) == set(NO_INPUTS)


@pytest.mark.parametrize("name", FORMATS)
def test_known_inputs_fit_the_format(name: str) -> None:
    one = FORMATS[name]
    texts = inputs().get(name, [])
    if not texts:
        assert name in NO_INPUTS
        return
    unmatched = []
    for number, text in texts:
        if not one.fits(event_for(one, frame_of(name, text), CONTEXT)):
            unmatched.append(number)
    assert len(unmatched) <= (1 - SHARE.get(name, 1)) * len(texts) + len(EXCEPTIONS.keys() & set(unmatched)), unmatched


@pytest.mark.parametrize("name", FORMATS)
def test_events_are_identical_to_the_known_inputs(name: str) -> None:
    """Asserts that the event equals the known input, unless the format is in ``NOT_IDENTICAL``."""
    one = FORMATS[name]
    changed = [
        number
        for number, text in inputs().get(name, [])
        if event_for(one, frame_of(name, text), CONTEXT) != text.lstrip(b" \n").replace(b"\n", b"#012")
    ]
    assert bool(changed) == (name in NOT_IDENTICAL), changed
