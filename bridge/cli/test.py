"""Implements ``syslog-bridge test``: checks that a configuration handles sample messages as expected.

A file of samples is YAML, with a list of::

    - name: a login on the bastion          # optional
      from: 10.1.8.4                        # the sender; default 127.0.0.1
      listener: tcp                         # default: the first
      client_name: fw.example               # name in a TLS client's certificate
      received: 2026-11-23T07:24:30Z        # default: now
      frame: '<30>Nov 23 07:24:00 gw sshd[7]: accepted'     # or base64:
      expect:                               # only the given keys are compared
        intake: linux                       # null: no intake
        route: logins
        payload: content
        event: 'sshd[7]: accepted'
        event_timestamp: 2026-11-23T07:24:00.000Z           # any RFC 3339 form; null: no time is sent
"""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click
import yaml

from bridge.cli import options
from bridge.cli.options import WRONG_USAGE, CliCommand, configuration_option, example, fail, output_option
from bridge.cli.record import EXPECTED, record_capture
from bridge.config import Config, Listener, load
from bridge.explain.explanation import Explainer, Origin, as_json
from bridge.explain.frames import Cut
from bridge.ingest import from_config as ingest_config
from bridge.routing import Router
from bridge.util.counts import counted, verb
from bridge.util.files import TooLarge, read_regular

KEYS = {"name", "from", "listener", "client_name", "received", "frame", "base64", "expect"}
MOST_BYTES = 16 << 20
"Size of a file of samples, at most."
T = TypeVar("T")
# The loader in C is ten times as fast.
_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@click.command(cls=CliCommand, epilog=example("syslog-bridge test -c bridge.yaml samples.yaml"))
@configuration_option
@click.option("--record", metavar="CAPTURE", type=click.Path(path_type=Path),
              help="Print the samples of a capture as this version handles them: text, samples, or a pcap."
              " - is stdin.")  # fmt: skip
@output_option()
@click.argument("samples", type=click.Path(path_type=Path), nargs=-1)
def test(file: Path, record: Path | None, output: str, samples: tuple[Path, ...]) -> None:
    """Test the configuration with sample messages.

    Each sample in SAMPLES states its expected intake, event and time. These are unit tests for a configuration: the
    command reads no keys and sends nothing. Exit code 1 if a sample does not match its expectation.

    \b
    - from: 10.1.8.4
      frame: '<30>Nov 23 07:24:00 gw sshd[7]: hello'
      expect: {intake: linux, event: 'hello'}

    To try an upgrade on your own messages, record a capture with the installed version, and test it with the new one:

    \b
    syslog-bridge test --record capture.pcap > samples.yaml
    """
    if (record is None) == (not samples):
        raise click.UsageError("give either SAMPLES or --record CAPTURE")
    config = load(file, secrets=False)
    if record is not None:
        record_capture(config, record)
        return
    router = ingest_config.router(config)
    failed: list[dict[str, object]] = []
    count = 0
    for count, sample in enumerate(chain.from_iterable(map(_read, samples)), start=1):
        differences = list(_differences(config, router, sample))
        if not differences:
            continue
        name = sample.get("name", f"sample {count}")
        failed.append({"place": sample["place"], "name": name, "differences": differences})
        if output == "text":
            click.echo("\n".join(f"{sample['place']}: {name}: {text}" for text in differences))
    if output == "json":
        click.echo(json.dumps({"samples": count, "matching": count - len(failed), "failed": failed}, indent=2))
    else:
        match = verb(count, "matches its", "match their")
        click.echo(f"{count - len(failed)} of {counted(count, 'sample')} {match} expectations")
    if failed:
        raise SystemExit(1)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the samples of a file, each with its file and line as ``place``."""
    try:
        node = yaml.compose(read_regular(path, MOST_BYTES), Loader=_LOADER)
    except TooLarge as error:
        fail(f"{path}: the file is {error.strerror}. Is it a list of samples?", WRONG_USAGE)
    except OSError as error:
        fail(f"{path}: {error.strerror}", WRONG_USAGE)
    except yaml.YAMLError as error:
        fail(f"{path}: {error}", WRONG_USAGE)
    if not isinstance(node, yaml.SequenceNode):
        fail(f"{path}:1: must be a list of samples, each starting with '- '", WRONG_USAGE)
    for item in node.value:
        place = f"{path}:{item.start_mark.line + 1}"
        sample = _convert(item)
        if not isinstance(sample, dict) or not isinstance(sample.get("expect"), dict):
            fail(f"{place}: a sample needs frame: and expect:. See syslog-bridge test --help", WRONG_USAGE)
        _check_keys(place, sample, KEYS)
        _check_keys(place, sample["expect"], set(EXPECTED))
        if ("frame" in sample) == ("base64" in sample):
            fail(f"{place}: a sample needs either frame: or base64:", WRONG_USAGE)
        yield {**sample, "place": place}


def _convert(node: yaml.Node) -> Any:
    """Converts a node to Python values. Scalars stay text; an unquoted null, ~ or empty value is None."""
    if isinstance(node, yaml.MappingNode):
        return {str(_convert(key)): _convert(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_convert(item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)
    return None if not node.style and node.value in ("null", "~", "") else node.value


def _check_keys(place: str, given: dict[str, Any], keys: set[str]) -> None:
    for key in given:
        if key not in keys:
            fail(f"{place}: unknown key {key}. Valid keys are {', '.join(sorted(keys))}", WRONG_USAGE)


def _differences(config: Config, router: Router, sample: dict[str, Any]) -> Iterator[str]:
    """Yields a text for each value that differs from its expectation."""
    place = sample["place"]
    origin = Origin(
        _listener(config, sample), _parsed(place, options.address, sample.get("from")) or IPv4Address("127.0.0.1"),
        (sample["client_name"],) if sample.get("client_name") else (),
    )  # fmt: skip
    received = _parsed(place, options.time, sample.get("received")) or datetime.now(UTC)
    explainer = Explainer(config, origin, received=received, strict=True, router=router)
    explanation = explainer.explain(Cut(_frame(sample), "given as a sample"))
    if explanation is None:
        yield "the frame is empty, so it is not a message"
        return
    result = as_json(explanation)
    for key, expected in sample["expect"].items():
        actual = result[key]
        same = actual == expected
        if key == "event_timestamp" and actual and expected:
            same = _parsed(place, options.time, str(actual)) == _parsed(place, options.time, expected)
        if not same:
            yield f"{key} is {_shown(actual)}, expected {_shown(expected)}"
    yield from (note for note in explanation.notes if result["intake"] is None and explanation.disposition is None)


def _listener(config: Config, sample: dict[str, Any]) -> Listener:
    name = sample.get("listener")
    for listener in config.listeners:
        if name in (None, listener.name):
            return listener
    names = ", ".join(listener.name for listener in config.listeners)
    fail(f"{sample['place']}: there is no listener {name}. The listeners are {names}", WRONG_USAGE)


def _frame(sample: dict[str, Any]) -> bytes:
    if "frame" in sample:
        return str(sample["frame"]).encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(str(sample["base64"]), validate=True)
    except binascii.Error:
        fail(f"{sample['place']}: base64: not valid base64", WRONG_USAGE)


def _parsed(place: str, parse: Callable[[str], T], text: str | None) -> T | None:
    if text is None:
        return None
    try:
        return parse(text)
    except click.BadParameter as error:
        fail(f"{place}: {error.message}", WRONG_USAGE)


def _shown(value: object) -> str:
    return "none" if value is None else repr(value)
