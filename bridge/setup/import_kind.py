"""Recognises whose configuration a file is, and imports it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from bridge.config.faults import FaultReport, printable
from bridge.config.yaml_tree import LARGEST
from bridge.setup.compose_file import NAMES, ComposeFile, parse_compose
from bridge.setup.forwarder_import import import_forwarder_files
from bridge.setup.import_files import read_text
from bridge.setup.import_receiver import ABOUT_CONDITIONS, ReceiverDraft
from bridge.setup.import_result import DEFAULT_REGION, Imported, ImportedIntakes, host_of, place_of_host
from bridge.setup.rsyslog_import import read_rsyslog
from bridge.setup.rsyslog_template import RsyslogEvents
from bridge.setup.sent_event import Reader
from bridge.setup.syslog_ng_import import read_syslog_ng
from bridge.setup.syslog_ng_template import SyslogNgEvents
from bridge.util.errors import BridgeError
from bridge.util.files import read_regular

Kind = Literal["forwarder", "rsyslog", "syslog-ng"]
KINDS: Sequence[Kind] = ("forwarder", "rsyslog", "syslog-ng")

_SYSLOG_NG = re.compile(r"(?m)^\s*(?:@version\s*:|(?:source|destination|log|filter|rewrite)\s*[\w.-]*\s*\{)")
_RSYSLOG = re.compile(
    r"(?mi)^\s*(?:(?:input|module|ruleset|action|template|global|include)\s*\(|\$[A-Za-z]\w+[ \t]|if\s*[($]"
    r"|[\w*,]+\.[\w*=!]+[ \t]+[@/-])"
)
_YAML = re.compile(r"(?m)^\s*(?:intakes\s*:|---)")


def kind_of(text: str) -> Kind:
    """Returns whose configuration a text is; the forwarder's if nothing tells."""
    if _YAML.search(text):
        return "forwarder"
    if _SYSLOG_NG.search(text):
        return "syslog-ng"
    return "rsyslog" if _RSYSLOG.search(text) else "forwarder"


def import_file(file: Path, kind: Kind | None, compose: Path | None, collector: Mapping[str, str] | None) -> Imported:
    """Imports a configuration. ``collector`` is the region or URL that the operator chose.

    Raises OSError for the files that the operator named, and BridgeError.
    """
    kind = kind or kind_of(read_text(file))
    if kind == "forwarder":
        return _forwarder(file, compose, collector)
    draft = ReceiverDraft(replaced=collector is not None)
    reader: Reader = RsyslogEvents.of
    if kind == "rsyslog":
        read_rsyslog([file], draft)
    else:
        reader = partial(SyslogNgEvents.of, keeps_hostname=read_syslog_ng(file, draft))
    return replace(_receiver(file, draft, collector), reader=reader)


def _forwarder(file: Path, given: Path | None, collector: Mapping[str, str] | None) -> Imported:
    report = FaultReport()
    data = read_regular(file, LARGEST)
    beside = given or next((path for name in NAMES if (path := file.with_name(name)).exists()), None)
    compose = ComposeFile() if beside is None else parse_compose(read_regular(beside, LARGEST), beside, report)
    found = import_forwarder_files(data, file, compose, collector, report)
    if report.faults:
        raise report.error((str(file),))
    if not found.ports:
        raise BridgeError(f"{file}: no entry receives messages, so no listener can be created")
    return found


def _receiver(file: Path, draft: ReceiverDraft, given: Mapping[str, str] | None) -> Imported:
    unknown = [host for host in draft.hosts if place_of_host(host) is None]
    if unknown and given is None:
        raise BridgeError(
            f"{file}: the destination {printable(unknown[0])[:60]} is not a region of the collector",
            "Give the collector that its messages end at with --region or --url.",
        )
    collector = given or next(filter(None, map(place_of_host, draft.hosts)), {"region": DEFAULT_REGION})
    intakes = ImportedIntakes()
    built = draft.build(intakes, collector)
    not_carried = draft.not_carried(intakes.keys.values())
    if not built.ports or not intakes.keys:
        listed = "".join(f"\n  {line}" for line in not_carried[:20])
        raise BridgeError(
            f"{file}: no listener leads to a destination with an intake key, so nothing can be imported",
            f"Import the file that has them, or choose --kind.{listed}",
        )
    result = Imported(
        collector, None, built.ports, built.routes, intakes.keys, intakes.drafts, not_carried=not_carried,
        differing=draft.differing(intakes.keys.values()), changes=[*_changes(collector, intakes), *built.notes],
    )  # fmt: skip
    return result


def _changes(collector: Mapping[str, str], intakes: ImportedIntakes) -> list[str]:
    changes = [
        f"firewall: the bridge sends HTTPS, TCP 443 to {host_of(collector)}, instead of syslog; test it with"
        " `syslog-bridge check --connect`",
        "event time: the device's time; if times have no zone, set timezone: for all senders or sources: for some",
        *ABOUT_CONDITIONS,
        "each message goes to one intake: that of the first route that matches",
        "keys: each key is in its own file, keys/NAME, not in the configuration; a reload reads changed keys",
    ]
    if placeholders := intakes.placeholders():
        changes.append(
            f"keys: {', '.join(placeholders)}: not 16 letters and digits, so probably a placeholder;"
            " test all keys with `syslog-bridge check --send-test`"
        )
    return changes


def cut_over(kind: Kind) -> Sequence[str]:
    """Returns the steps to replace the imported server by the bridge."""
    start = "start the bridge on the same ports; check that `syslog-bridge status` shows every device as a source"
    if kind == "forwarder":
        return (
            "check the configuration: `syslog-bridge check -c FILE --connect --send-test`",
            "stop the forwarder with `docker compose stop`; its disk queue keeps the events that it has not sent",
            start,
            "start the forwarder again with other host ports (ports: in docker-compose.yml) until its queue is empty",
        )
    return (
        "check the configuration: `syslog-bridge check -c FILE --connect --send-test`",
        f"remove the listeners from the configuration of {kind}, and restart it; it sends what is still in its queues",
        start,
    )
