"""Lists the parsing decisions: what the parser does where the RFCs leave a choice or devices do something else.

``explain`` names the decision that gave each field. The numbers are stable: a new decision gets the next number.
"""

from typing import NamedTuple


class Decision(NamedTuple):
    """A parsing decision."""

    number: int
    name: str
    text: str
    "One sentence for the operator."
    source: str = ""
    "Section of the RFC that the decision applies or departs from."


DECISIONS: dict[int, Decision] = {
    decision.number: decision
    for decision in (
        Decision(1, "nothing is lost",
            "Text that cannot be read as a header stays in msg, unchanged; a frame without a header is all msg."),
        Decision(2, "PRI",
            "PRI is <0> to <191> without leading zeros; anything else in angle brackets is text, blanks around"
            " the PRI and an octet count before it are removed.", "RFC 5424 section 6.2.1"),
        Decision(3, "no PRI",
            "Without a PRI, priority, facility and severity are unknown, and the rest is read as usual.",
            "RFC 3164 section 4.3.3"),
        Decision(4, "false version",
            "A 1 after the PRI starts RFC 5424 only if the whole header holds; otherwise the frame is read as RFC"
            " 3164 or as a device's own layout.", "RFC 5424 section 6"),
        Decision(5, "RFC 5424",
            "RFC 5424 is read as it is written, but without limits of length; malformed structured data stays at"
            " the beginning of msg.", "RFC 5424 section 6"),
        Decision(6, "tag or text",
            "A tag ends at a colon or at [pid]; words without either have no tag, so all of them are msg.",
            "RFC 3164 section 4.1.3"),
        Decision(7, "no host",
            "A header without a host leaves hostname empty; the source of the event is the sender.",
            "RFC 3164 section 4.1.2"),
        Decision(8, "timestamps",
            "Many layouts of time are read; a missing year is the one nearest to reception, a missing zone is the"
            " one configured for the source.", "RFC 3164 section 4.1.2"),
        Decision(9, "Cisco headers",
            "Message counters and the origin-id belong to the header; the mnemonic is app_name and also stays in"
            " msg."),
        Decision(10, "key=value",
            "In a text of key=value pairs without a header, host and time come from the keys of the device; all"
            " of the text is msg."),
        Decision(11, "prefixes of relays and blades",
            "A blade, a level word or a note of forwarding before the tag is not part of host or tag."),
        Decision(12, "CEF, LEEF and Snare",
            "The message begins at CEF:, LEEF: or MSWinEventLog as sent, and these words are not a tag."),
        Decision(13, "bytes",
            "Bytes that are not UTF-8 pass through unchanged; a NUL or line end at the end of a frame is removed."),
        Decision(14, "linear time",
            "The time to read a frame grows only with its length, whatever its bytes."),
        Decision(15, "tag",
            "Layouts of known devices come first; then a tag is a word before [pid], or the name of a program"
            " before a colon; JSON, quoted text and addresses are not tags.", "RFC 3164 section 4.1.3"),
        Decision(16, "host",
            "A host is a name or an address; a level in upper case, a time and a zone are not, and a number is"
            " one only before a tag.", "RFC 3164 section 4.1.2"),
        Decision(17, "second time",
            "A second time is the device's, after a relay's, only if a host and a tag or a known layout follow"
            " it; otherwise it is text of the application."),
        Decision(18, "host written twice",
            "A host that is written twice is one host; an address after the host is skipped only before a known"
            " daemon or a tag with [pid]."),
        Decision(19, "more Cisco headers",
            "Nodes of IOS-XR, EMBLEM, origins of several words, structured data between counters, task names and"
            " Dell's units are read as headers of Cisco."),
        Decision(20, "look-alikes of RFC 5424",
            "A header like RFC 5424 with fields missing or out of place is read as far as its fields can be"
            " distinguished."),
        Decision(21, "members of JSON",
            "Of a JSON text of unknown origin only the time of the outermost object is used; a hostname in it is"
            " data that a client may have chosen."),
        Decision(22, "byte order mark and facility.level",
            "A byte order mark before the PRI or the octet count, and <facility.level> after the time, are"
            " removed."),
        Decision(23, "framing",
            "After a wrong octet count, the next frame begins where a count leads exactly to another frame.",
            "RFC 6587 section 3.4.1"),
    )
}  # fmt: skip
"All decisions by number."
