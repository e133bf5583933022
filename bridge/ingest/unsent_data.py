"""Finds structured data of vendors that the payload form of an intake leaves out, from samples of a sender's messages.

``message``, ``content`` and ``line`` have no structured data. An intake's parser that expects only the text wants that;
an SRX or NXLog loses all facts. A format of the intake answers the question, so its intake is not examined.
"""

import re
from datetime import UTC
from functools import cache
from typing import NamedTuple

from bridge import formats
from bridge.batching.payload import EventContext, refined_events
from bridge.formats import FORMATS, Format
from bridge.routing import Disposition, Profile
from bridge.routing.conditions import Facts
from bridge.routing.profile import needs_of
from bridge.syslog import parser
from bridge.syslog.frames import block_of
from bridge.syslog.grammar import Header
from bridge.syslog.intake_key import without_key
from bridge.syslog.reader import read_columns
from bridge.syslog.structured_data import vendor_ids

WITHOUT_DATA = ("message", "content", "line")
"Payload forms that have no structured data."
EXAMINED = 8192
"Bytes of a message that are examined."
SAME_TEXT = 20
"Examined messages with one text after which the text counts as constant."
_MOST_IDS = 5
_LONGEST_ID = 64

_PRODUCT = re.compile(rb"[^@]++@[0-9]++")
"The name and the enterprise number of an SD-ID, which may be followed by numbers of the device."
_OTHER_FORMATS = {b"Originator@6876": "vmware-esxi"}
"Products whose format has an example with the data in its text."


class UnsentData(NamedTuple):
    """The SD-IDs of a message that its event does not have."""

    ids: tuple[str, ...]
    payload: str
    chosen: bool
    "True if the configuration names the payload form."
    format: str | None
    "The format whose parser reads such messages, as far as known."
    text: int = 0
    "Hash of the text of the first message."
    repeats: int = 0
    "Examined messages with the same text, up to ``SAME_TEXT``; -1 once a message had another text."

    @property
    def same_text(self) -> bool:
        """True if all texts of the sender are the same, so that only the data tells its messages apart."""
        return self.repeats >= SAME_TEXT


def unsent_data(
    frame: bytes, header: Header, profile: Profile, known: UnsentData | None, *, examined: int
) -> UnsentData | None:
    """Returns the data of a message that are not sent, or None. ``header`` is that of its first ``examined`` bytes;
    ``known`` is the result for an earlier message of the sender."""
    if b" [" not in frame[:examined]:
        return None
    if len(frame) > examined:
        # The data may be longer than that.
        header = parser.read(frame[:EXAMINED])
    if not header.structured_data or not header.msg.strip(b" \t"):
        # An event without a text has the data.
        return None
    ids = tuple(
        name[:_LONGEST_ID].decode("utf-8", "replace") for name in vendor_ids(header.structured_data)[:_MOST_IDS]
    )
    if not ids:
        return None
    facts = Facts(
        hostname=header.hostname, app_name=header.app_name, procid=header.procid, msgid=header.msgid,
        priority=header.priority, text=header.msg.lstrip(b" \t"),
    )  # fmt: skip
    with profile.not_counting():
        disposition = profile.find(facts)
    if disposition.kind != "deliver" or disposition.format is not None or disposition.payload not in WITHOUT_DATA:
        return None
    if known is not None and (known.ids, known.payload, known.chosen) == (ids, disposition.payload, disposition.chosen):
        return _with_text(known, header.msg)
    fitting = _fitting(frame[:EXAMINED], header)
    return UnsentData(ids, disposition.payload, disposition.chosen, fitting, hash(header.msg))


def _with_text(known: UnsentData, text: bytes) -> UnsentData:
    """Records the text of a further message."""
    if not 0 <= known.repeats < SAME_TEXT:
        return known if known.repeats < 0 or hash(text) == known.text else known._replace(repeats=-1)
    return known._replace(repeats=known.repeats + 1 if hash(text) == known.text else -1)


def _fitting(frame: bytes, header: Header) -> str | None:
    """Returns the format of the product that has written the data, if the event in its form would match it."""
    for name in vendor_ids(header.structured_data):
        product = _PRODUCT.match(name)
        found = _formats_by_product().get(product[0]) if product else None
        if found is not None and found.fits(_event(found, without_key(frame))):
            return found.name
    return None


@cache
def _formats_by_product() -> dict[bytes, Format]:
    """Returns the formats by the name and number in the SD-IDs of their examples."""
    found = {name: formats.find(one) for name, one in _OTHER_FORMATS.items()}
    for text_format in FORMATS.values():
        for name in vendor_ids(parser.read(text_format.example).structured_data):
            if product := _PRODUCT.match(name):
                found.setdefault(product[0], text_format)
    return found


def _event(text_format: Format, frame: bytes) -> bytes:
    disposition = Disposition("deliver", "", payload=text_format.payload, format=text_format.name, refined=True)
    columns = read_columns(block_of([frame]), needs_of(disposition))
    context = EventContext((0,) * columns.count, b"-", UTC, 0, {})
    return refined_events(text_format.rule, text_format.payload, columns, context)[0] if columns.count else b""
