"""Recognises the destination drivers of ``syslog-ng.conf`` that send to the collector with an intake key."""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from bridge.setup.import_receiver import IntakeTarget
from bridge.setup.sent_event import KEY
from bridge.setup.syslog_ng_sources import NETWORK
from bridge.setup.syslog_ng_template import PROTOCOL
from bridge.setup.syslog_ng_tree import SyslogNgNode

_KEY = re.compile(r"""intake_key=\\*["']?([^"'\\\]\s]+)""")
_HEADER_KEY = re.compile(r"(?i)X-SEKOIAIO-INTAKE-KEY:\s*(\S+)")


def intake_target(
    driver: SyslogNgNode, name: str, templates: Mapping[str, str], key: str, title: str
) -> tuple[IntakeTarget | None, str]:
    """Returns the intake of a driver, None without an intake key, and what is lost of the text; blank if nothing is.

    ``name`` is the destination's. ``key`` and ``title`` are those that the log path has set.
    """
    if driver.name == "http":
        found = next(filter(None, map(_HEADER_KEY.search, driver.values("headers"))), None)
        host = urlsplit(driver.one("url")).hostname or ""
        body = driver.one("body")
        sent = templates.get(body, body)
        return (IntakeTarget(found[1], _title(name), host, template=sent) if found else None), ""
    host = next(iter(driver.texts()), "")
    if driver.name not in NETWORK or not host:
        return None, ""
    given = driver.one("template")
    template = templates.get(given, given)
    match = _KEY.search(template)
    if match is None:
        # The key is in the structured data that a rewrite has set; syslog() writes it before the message.
        sent = template or PROTOCOL
        return (IntakeTarget(key, _title(title or name), host, template=sent) if key else None), ""
    payload = _payload_of(template[match.end() :])
    lost = "" if payload else "the text of the template has no counterpart; the message alone is sent"
    sent = template.replace(match[1], KEY)
    return IntakeTarget(match[1], _title(name or title), host, payload or "auto", sent), lost


def _title(name: str) -> str:
    title = re.sub(r"(?i)sekoia(?:[._]?io)?", "", re.sub("^[a-z]_", "", name)).strip("_.-")
    return title or "intake"


def _payload_of(template: str) -> str | None:
    """Returns the payload form of what a template writes behind the structured data, or None."""
    text = template.partition("]")[2].replace("\\n", "").strip()
    names = re.findall(r"\$\{?([A-Za-z_]+)\}?", text)
    if re.sub(r"\$\{?[A-Za-z_]+\}?", "", text).strip():
        return None
    forms: Mapping[tuple[str, ...], str] = {
        ("MSG",): "auto", ("MESSAGE",): "auto", ("MSGONLY",): "auto", ("RAWMSG",): "raw",
        ("MSGHDR", "MSG"): "content", ("MSGHDR", "MESSAGE"): "content",
    }  # fmt: skip
    return forms.get(tuple(names))
