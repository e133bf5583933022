"""Tells a vendor's structured data (RFC 5424) from elements that say nothing about the event.

``timeQuality``, ``origin`` and ``meta`` (RFC 5424 section 7) describe the clock, the sender and the message itself.
``SEKOIA@53288`` is what forwarders add. Any other element is data of the device that a parser
needs: a Juniper SRX or NXLog puts all facts there, and only a title into MSG.
"""

import re

from bridge.syslog.grammar import SD_ELEMENT
from bridge.syslog.intake_key import ELEMENT_ID

DESCRIPTIVE_IDS = (b"timeQuality", b"origin", b"meta", ELEMENT_ID)
"SD-IDs of the elements that do not belong to the event."
DESCRIPTIVE = rb"(?:\[(?=(?:" + b"|".join(DESCRIPTIVE_IDS) + rb")[ \]]))"
"Matches the beginning of such an element."

_AFTER_DESCRIPTIVE = re.compile(rb"(?:(?=" + DESCRIPTIVE + b")" + SD_ELEMENT + rb")*+")
_ELEMENT = re.compile(SD_ELEMENT)
_ID = re.compile(rb"\[([^ \]]++)")


def has_vendor_data(data: bytes) -> bool:
    """Returns True if valid structured data has an element of a vendor."""
    found = _AFTER_DESCRIPTIVE.match(data)
    return found is not None and found.end() < len(data)


def vendor_ids(data: bytes) -> list[bytes]:
    """Returns the SD-IDs of the vendors' elements of valid structured data, in their order."""
    found = (_ID.match(element) for element in _ELEMENT.findall(data))
    return [match[1] for match in found if match and match[1] not in DESCRIPTIVE_IDS]


def with_data(msgid: bytes, data: bytes, text: bytes) -> bytes:
    """Returns ``MSGID [SD] MSG`` without the parts that are missing."""
    return b" ".join(part for part in (msgid, data, text) if part)


def auto_text(msgid: bytes, data: bytes, text: bytes) -> bytes:
    """Returns ``MSGID [SD] MSG`` if the structured data has an element of a vendor, else the text alone."""
    return with_data(msgid, data, text) if data and has_vendor_data(data) else text
