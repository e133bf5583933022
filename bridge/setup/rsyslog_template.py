"""Computes what a template of rsyslog makes of a message, as far as templates for the collector need it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.routing import Facts
from bridge.setup.rsyslog_reading import RsyslogMessage, read_as_rsyslog
from bridge.setup.sent_event import KEY, NotComputed, SentEvent, behind_key

FORWARDER = (
    "<%pri%>1 %timegenerated:::date-rfc3339% %hostname% %app-name% %procid% LOG"
    f' [SEKOIA@53288 intake_key="{KEY}"] %msg:R,ERE,1,FIELD:^[ \\t]*(.*)$--end%\n'
)
"The template of the vendor's forwarder."
FORWARDER_HTTP = (
    '"timestamp": "%timegenerated:::date-rfc3339%", "hostname": "%hostname%", "app_name": "%programname%",'
    ' "procid": "%procid%", "message": "%msg%"'
)
"The template of the vendor's forwarder for an entry with ``protocol: http``."
NOT_COMPUTED = "?"
"Stands in a template for the parameters of a property whose effect is not computed."
_PROPERTY = re.compile(r"%([\w$!.-]+)(?::([^%]*))?%")
_DEVICE_TIMES = ("timereported", "timestamp")
_TIMES = (*_DEVICE_TIMES, "timegenerated")
_VALUES: Mapping[str, Callable[[RsyslogMessage], bytes]] = {
    "msg": lambda message: message.text,
    "rawmsg": lambda message: message.raw,
    "rawmsg-after-pri": lambda message: message.after_pri,
    "syslogtag": lambda message: message.tag,
    "programname": lambda message: message.program,
    "app-name": lambda message: message.app_name,
    "procid": lambda message: message.process,
    "msgid": lambda message: message.message_id,
    "structured-data": lambda message: message.structured_data,
    "hostname": lambda message: message.hostname,
    "source": lambda message: message.hostname,
    "pri": lambda message: message.priority,
    "fromhost-ip": lambda message: message.sender,
    "protocol-version": lambda message: message.version,
}
_WITHOUT_FIRST_BLANKS = re.compile(r"R,ERE,1,\w+:\^\[(?: |\t|\\t)+\]\*\(\.\*\)\$--end")
_WITHOUT_EFFECT = ("", "drop-last-lf", "escape-cc", "space-cc", "drop-cc")
"Options that change nothing, because rsyslog has escaped control characters on reception."


@dataclass(frozen=True, slots=True)
class RsyslogEvents:
    """Computes what rsyslog sends of one message."""

    message: RsyslogMessage

    @classmethod
    def of(cls, frame: bytes, source: str, reads_rfc5424: bool = True) -> "RsyslogEvents":
        """Reads a frame from the address of its sender. rsyslog reads RFC 5424 on every port."""
        return cls(read_as_rsyslog(frame, source.encode()))

    @property
    def facts(self) -> Facts:
        """The fields that rules test."""
        found = self.message
        return Facts(
            found.hostname, found.program, found.process, found.message_id, found.priority, found.text.lstrip(b" ")
        )  # fmt: skip

    def sent(self, template: str) -> SentEvent:
        """Returns the event that a template makes. Raises NotComputed."""
        before, rest = behind_key(template)
        names = [match[1].lower() for match in _PROPERTY.finditer(before)]
        of_device = next((name in _DEVICE_TIMES for name in names if name in _TIMES), False)
        text = _PROPERTY.sub(lambda match: self._value(match[1].lower(), match[2] or ""), rest)
        empty = next((name for name in names if name in _VALUES and not _VALUES[name](self.message)), None)
        note = f"its header is not of RFC 5424, because %{empty}% is empty" if empty else ""
        return SentEvent(text.encode("latin-1").strip(), self.message.time if of_device else b"", note)

    def _value(self, name: str, options: str) -> str:
        if (value := _VALUES.get(name)) is None:
            raise NotComputed(f"the text has %{name}%")
        text = value(self.message).decode("latin-1")
        if _WITHOUT_FIRST_BLANKS.fullmatch(options):
            return text.lstrip(" \t")
        begin, _, rest = options.partition(":")
        end, _, rest = rest.partition(":")
        if begin or end:
            if not (begin.isdigit() and int(begin) and (end.isdigit() or end == "$")):
                raise NotComputed(f"the text has %{name}:{options}%")
            text = text[int(begin) - 1 : None if end == "$" else int(end)]
        for option in rest.lower().split(","):
            if option == "sp-if-no-1st-sp":
                text = "" if text.startswith(" ") else " "
            elif option in ("lowercase", "uppercase"):
                text = text.lower() if option == "lowercase" else text.upper()
            elif option not in _WITHOUT_EFFECT:
                raise NotComputed(f"the text has %{name}:{options}%")
        return text
