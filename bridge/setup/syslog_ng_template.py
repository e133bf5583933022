"""Computes what a template of syslog-ng makes of a message, as far as templates for the collector need it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.routing import Facts
from bridge.setup.sent_event import KEY, NotComputed, SentEvent, behind_key
from bridge.setup.syslog_ng_reading import SyslogNgMessage, read_as_syslog_ng

PROTOCOL = f'<$PRI>1 $ISODATE $HOST $PROGRAM $PID $MSGID [SEKOIA@53288 intake_key="{KEY}"] $MESSAGE'
"What the driver ``syslog()`` sends, with structured data that a rewrite rule has set."
_MACRO = re.compile(r"\$(?:\{([A-Za-z_.]+)\}|([A-Za-z_]+)|(\())")
_TIME = re.compile(r"(R_|S_|C_|P_)?(?:ISODATE|FULLDATE|DATE|UNIXTIME|STAMP)")
_VALUES: Mapping[str, Callable[[SyslogNgMessage], bytes]] = {
    "MSG": lambda message: message.message,
    "MESSAGE": lambda message: message.message,
    "MSGONLY": lambda message: message.message,
    "MSGHDR": lambda message: message.header,
    "PROGRAM": lambda message: message.program,
    "PID": lambda message: message.process,
    "HOST": lambda message: message.host,
    "FULLHOST": lambda message: message.host,
    "PRI": lambda message: message.priority,
    "MSGID": lambda message: message.message_id,
}


@dataclass(frozen=True, slots=True)
class SyslogNgEvents:
    """Computes what syslog-ng sends of one message."""

    message: SyslogNgMessage

    @classmethod
    def of(cls, frame: bytes, source: str, reads_rfc5424: bool, *, keeps_hostname: bool) -> "SyslogNgEvents":
        """Reads a frame from the address of its sender."""
        sender = source.encode()
        return cls(
            read_as_syslog_ng(frame, sender, reads_rfc5424=reads_rfc5424, keeps_hostname=keeps_hostname)
        )  # fmt: skip

    @property
    def facts(self) -> Facts:
        """The fields that filters test."""
        found = self.message
        return Facts(found.host, found.program, found.process, found.message_id, found.priority, found.message)

    def sent(self, template: str) -> SentEvent:
        """Returns the event that a template makes. Raises NotComputed."""
        if self.message.refused:
            raise NotComputed("syslog-ng cannot read the message, and sends one of its own about that")
        before, rest = behind_key(template)
        times = [match[1] for macro in _MACRO.finditer(before) if (match := _TIME.fullmatch(_name(macro)))]
        of_device = bool(times) and times[0] in (None, "S_")
        text = _MACRO.sub(self._value, rest.replace("\\n", "\n"))
        return SentEvent(text.encode("latin-1").strip(), self.message.time if of_device else b"")

    def _value(self, macro: re.Match[str]) -> str:
        value = _VALUES.get(_name(macro))
        if value is None:
            raise NotComputed(f"the text has {macro[0]}")
        return value(self.message).decode("latin-1")


def _name(macro: re.Match[str]) -> str:
    return macro[1] or macro[2] or ""
