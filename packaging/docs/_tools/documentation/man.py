"""Generates the man pages syslog-bridge(1) and syslog-bridge.yaml(5) from the commands and the configuration."""

import re
from datetime import UTC, datetime
from os import environ
from pathlib import Path

import click

from bridge import __version__
from bridge.config.descriptions import describe
from documentation import commands, configuration

_END = r"""
.SH EXIT STATUS
.TP
.B 0
Success.
.TP
.B 1
Failure.
.TP
.B 2
Usage or configuration error.
.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
Stop accepting, write what was read to disk, wait for responses, and exit within ten seconds.
.TP
.B SIGHUP
Reload the configuration, keys and certificates.
.SH ENVIRONMENT
.TP
.B SYSLOG_BRIDGE_CONFIG
Configuration file, if no option names one.
.TP
.B NO_COLOR
Removes colours on a terminal.
.SH FILES
.TP
.I /etc/syslog\-bridge/bridge.yaml
The configuration; see
.BR syslog\-bridge.yaml (5).
.TP
.I /etc/syslog\-bridge/keys/
Intake keys, one file each. Root writes them, the service's group may read them.
.TP
.I /var/lib/syslog\-bridge/spool/
Events that wait for delivery, the quarantine and the ledger.
.TP
.I /usr/share/syslog\-bridge/html/index.html
The documentation.
.SH SEE ALSO
.BR syslog\-bridge.yaml (5),
.BR systemctl (1),
.BR journalctl (1)
"""


def write(folder: Path) -> None:
    """Writes both pages to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "syslog-bridge.1").write_text(commands_page(), encoding="utf-8")
    (folder / "syslog-bridge.yaml.5").write_text(configuration_page(), encoding="utf-8")


def commands_page() -> str:
    """Returns syslog-bridge(1): each command once, with its options."""
    parts = [_title("SYSLOG-BRIDGE", 1, "System administration")]
    parts.append(".SH NAME\nsyslog\\-bridge \\- receive syslog and deliver it to SEKOIA.IO's HTTPS log collector\n")
    parts.append(".SH SYNOPSIS\n.B syslog\\-bridge\n.I COMMAND\n[\\fIOPTIONS\\fR]\n")
    parts.append(
        ".SH DESCRIPTION\nReceives syslog over UDP, TCP, TLS, RELP, HTTPS and Unix sockets, selects the intake of each"
        " message, buffers every event on disk, and posts it over HTTPS with the timestamp of the device. Results go"
        " to standard output, everything else to standard error.\n.SH COMMANDS\n"
    )
    parts += [_command(name, command) for name, command in commands.all_commands()]
    return "".join(parts) + _END.lstrip("\n")


def configuration_page() -> str:
    """Returns syslog-bridge.yaml(5): each key with its type, default and meaning."""
    parts = [_title("SYSLOG-BRIDGE.YAML", 5, "File formats")]
    parts.append(".SH NAME\nsyslog\\-bridge.yaml \\- configuration of syslog\\-bridge\n.SH DESCRIPTION\n")
    parts.append(
        "A YAML file, by default\n.IR /etc/syslog\\-bridge/bridge.yaml .\nDurations: 500ms 1s 5m 2h 7d never. Sizes:"
        ' 64KiB 5MB 10GB. Relative paths start at the folder of the file.\n.BR "syslog\\-bridge check"\nreports'
        " every error with its place.\n.SH KEYS\n"
    )
    for key in configuration.all_keys():
        text = describe(key.path)
        if ".except." in key.path or text is None:
            continue
        default = f" Default: {key.default}." if key.default else ""
        kind = "" if key.type == "section" else f"{_plain(key.type)}.{default} "
        caution = f" Caution: {_plain(text.caution)}" if text.caution else ""
        parts.append(f".TP\n.B {_escape(key.path)}\n{_escape(kind + _plain(text.meaning) + caution)}\n")
    return "".join(parts) + ".SH SEE ALSO\n.BR syslog\\-bridge (1)\n"


def _command(name: str, command: click.Command) -> str:
    parts = [f".SS {_escape(name)}\n.B {_escape(commands.usage(name, command))}\n.PP\n"]
    for paragraph in (command.help or "").replace("\b", "").strip().split("\n\n"):
        parts.append(f"{_escape(' '.join(paragraph.split()))}\n.PP\n")
    for written, text in commands.options(command):
        parts.append(f".TP\n.B {_escape(written)}\n{_escape(text)}\n")
    return "".join(parts)


def _title(name: str, section: int, manual: str) -> str:
    epoch = environ.get("SOURCE_DATE_EPOCH")
    day = (datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)).date()
    return f'.TH {_escape(name)} {section} {day} "syslog-bridge {__version__}" "{manual}"\n'


def _plain(text: str) -> str:
    """Removes the marks of Markdown."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).replace("`", "")


def _escape(text: str) -> str:
    """Escapes a text for roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())
