"""What the parsers behind the intakes are tested with, sent as a device would send it, comes out in the right form."""

import json
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.explain.payloads import FrameContext, event_for
from bridge.formats import FORMATS
from tests.unit.formats.headers import frame_of

SHARED = Path(__file__).parents[4] / "shared"
CORPUS, REFERENCE = SHARED / "corpora" / "sekoia.jsonl", SHARED / "reference" / "formats.json"
AROUND = FrameContext(received=datetime(2026, 11, 23, 7, 24, 5, tzinfo=UTC))

# Of the inputs known of a format, those that look like its expression (all of them where it is not named here).
SHARE = {"vmware-esxi": 75 / 85}

# Formats that the corpus has no input of.
WITHOUT = {
    "microsoft-iis": "no text of it is public but one",
    "paloalto-prisma-access": "the same texts as paloalto-ngfw",
    "veeam-backup": "left out of the corpus",
}

# Inputs whose event begins with something else than the expression takes, by the corpus's id, with the reason: none.
EXCEPTIONS: dict[str, str] = {}

# Formats whose event is not the known input to the letter, and why that is right.
NOT_TO_THE_LETTER = {
    "alsid": "its parser deletes line ends; so do we",
    "apache-spamassassin": "the line's time is in UTC",
    "checkpoint-firewall": "line ends inside become blanks",
    "cisco-ios": "the sequence number before the date goes with the counters",
    "cisco-ise": "some inputs have time and host in front of what is the best form",
    "cisco-nx-os": "some inputs are whole frames; the best form begins at the year",
    "cisco-secure-firewall": "some inputs have time and host, or the PRI, in front of what is the best form",
    "cyberwatch-detection": "its parser deletes line ends; so do we",
    "forcepoint-swg": "line ends inside become blanks",
    "haproxy": "its parser deletes line ends; so do we",
    "nozomi-cmc": "line ends inside become blanks",
    "openssh": "one input has time, host and tag in front of what is the best form",
    "paloalto-ngfw": "some inputs are whole frames; the best form is the message alone",
    "rsa-securid": "the inputs lack the date, which a relay took for a tag; it is accepted",
    "trellix-epo-on-prem": "line ends between the elements become blanks",
    "ubika-waap": "some inputs have RFC 5424's header, less PRI and version, in front of the best form",
    "unbound": "the line's time is in UTC",
    "vmware-vcenter": "one input has RFC 5424's header, less PRI and version, in front of the best form",
    "wallix-bastion": "some inputs have RFC 5424's header, less PRI and version, in front of the best form",
    "windows": "line ends between the tokens become blanks",
}


def inputs() -> dict[str, list[tuple[str, bytes]]]:
    """Format -> (id, text)."""
    if not CORPUS.exists() or not REFERENCE.exists():
        pytest.skip("no ../shared/corpora/sekoia.jsonl")
    by_folder = {row["dir"]: row["slug"] for row in json.loads(REFERENCE.read_text())}
    found = defaultdict(list)
    for line in CORPUS.read_text().splitlines():
        row = json.loads(line)
        if name := by_folder.get(row["vendor"]):
            found[name].append((row["id"], row["raw"].encode().rstrip(b"\n")))
    return found


def test_the_corpus_has_them_all() -> None:
    assert set(FORMATS) - set(inputs()) == set(WITHOUT)


@pytest.mark.parametrize("name", FORMATS)
def test_known_inputs_come_out_in_the_form_of_their_parser(name: str) -> None:
    one = FORMATS[name]
    texts = inputs().get(name, [])
    if not texts:
        assert name in WITHOUT
        return
    strange = []
    for number, text in texts:
        if not one.fits(event_for(one, frame_of(name, text), AROUND)):
            strange.append(number)
    assert len(strange) <= (1 - SHARE.get(name, 1)) * len(texts) + len(EXCEPTIONS.keys() & set(strange)), strange


@pytest.mark.parametrize("name", FORMATS)
def test_known_inputs_come_out_to_the_letter(name: str) -> None:
    """A stricter look, where the device's header is all that stands between frame and input."""
    one = FORMATS[name]
    changed = [
        number
        for number, text in inputs().get(name, [])
        if event_for(one, frame_of(name, text), AROUND) != text.lstrip(b" \n").replace(b"\n", b"#012")
    ]
    assert bool(changed) == (name in NOT_TO_THE_LETTER), changed
