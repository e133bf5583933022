"""``syslog-bridge test``: messages with what is expected of them, held against a configuration.

A file of samples is YAML, a list of::

    - name: a login on the bastion          # optional
      from: 10.1.8.4                        # the sender; default 127.0.0.1
      listener: tcp                         # default: the first
      client_name: fw.example               # of a TLS client's certificate
      received: 2026-11-23T07:24:30Z        # default: now
      frame: '<30>Nov 23 07:24:00 gw sshd[7]: accepted'     # or base64:
      expect:                               # what is named is compared, nothing else
        intake: linux                       # null: none
        route: logins
        payload: content
        event: 'sshd[7]: accepted'
        event_timestamp: 2026-11-23T07:24:00.000Z           # any notation of the moment; null: none
"""

import base64
import binascii
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import click
import yaml

from bridge.cli import options
from bridge.cli.options import WRONG_USAGE, configuration_option, loaded
from bridge.config import Config, Listener
from bridge.explain.explanation import Explainer, as_json
from bridge.explain.frames import Cut
from bridge.routing import Router

KEYS = {"name", "from", "listener", "client_name", "received", "frame", "base64", "expect"}
EXPECTED = {"intake", "route", "payload", "event", "event_timestamp"}


class SampleError(Exception):
    """A file of samples is not what it should be; the text has its line."""


@click.command(epilog="\b\nExample:\n  syslog-bridge test -c bridge.yaml samples.yaml")
@configuration_option
@click.argument("samples", type=click.Path(path_type=Path), nargs=-1, required=True)
def test(file: Path, samples: tuple[Path, ...]) -> None:
    """Hold messages against a configuration: each in SAMPLES says where it should go, as what text, with what time.

    Unit tests for a site's configuration: no key is read and nothing is sent. Exit code 1 if one goes elsewhere.

    \b
    - {from: 10.1.8.4, frame: '<30>Nov 23 07:24:00 gw sshd[7]: hello', expect: {intake: linux, event: 'hello'}}
    """
    config = loaded(file, secrets=False)
    router = _router(config)
    failures = count = 0
    for path in samples:
        try:
            for place, sample in _read(path):
                count += 1
                wrong = list(_compared(config, router, sample))
                failures += bool(wrong)
                for text in wrong:
                    click.echo(f"{place}: {sample.get('name', f'sample {count}')}: {text}")
        except (SampleError, click.UsageError) as error:
            click.echo(str(error), err=True)
            raise SystemExit(WRONG_USAGE) from None
    click.echo(f"{count - failures} of {count} samples are as expected")
    if failures:
        raise SystemExit(1)


def _router(config: Config) -> Router:
    return Router(
        routes=config.routes, intakes=config.intakes,
        listeners={known.name: known.intake for known in config.listeners}, sources=config.sources,
        unrouted=config.unrouted, timezone=config.timezone,
    )  # fmt: skip


def _read(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The samples of a file, each with its place."""
    try:
        node = yaml.compose(path.read_bytes(), Loader=yaml.BaseLoader)
    except OSError as error:
        raise SampleError(f"{path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SampleError(f"{path}: {error}") from None
    if not isinstance(node, yaml.SequenceNode):
        raise SampleError(f"{path}:1: a list of samples is expected, each begun with '- '")
    for item in node.value:
        place = f"{path}:{item.start_mark.line + 1}"
        sample = _plain(item)
        if not isinstance(sample, dict) or not isinstance(sample.get("expect"), dict):
            raise SampleError(f"{place}: a sample has frame: and expect:, see syslog-bridge test --help")
        _known(place, sample, KEYS)
        _known(place, sample["expect"], EXPECTED)
        if ("frame" in sample) == ("base64" in sample):
            raise SampleError(f"{place}: give the message as frame: or as base64:")
        yield place, {**sample, "place": place}


def _plain(node: yaml.Node) -> Any:
    """Texts as they are written; a plain null, ~ or nothing is None."""
    if isinstance(node, yaml.MappingNode):
        return {str(_plain(key)): _plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    assert isinstance(node, yaml.ScalarNode)
    return None if node.style is None and node.value in ("null", "~", "") else node.value


def _known(place: str, given: dict[str, Any], keys: set[str]) -> None:
    for key in given:
        if key not in keys:
            raise SampleError(f"{place}: {key}: not known here; there are {', '.join(sorted(keys))}")


def _compared(config: Config, router: Router, sample: dict[str, Any]) -> Iterator[str]:
    """What is otherwise than expected."""
    place = sample["place"]
    explainer = Explainer(
        config, listener=_listener(config, sample), strict=True, router=router,
        source=_asked(place, options.address, sample.get("from")) or IPv4Address("127.0.0.1"),
        received=_asked(place, options.time, sample.get("received")) or datetime.now(UTC),
        client=(sample["client_name"],) if sample.get("client_name") else (),
    )  # fmt: skip
    explanation = explainer.explain(Cut(_frame(sample), "given as a sample"))
    if explanation is None:
        yield "the frame holds nothing, so it is none"
        return
    found = as_json(explanation)
    for key, wanted in sample["expect"].items():
        is_ = found[key]
        same = is_ == wanted
        if key == "event_timestamp" and is_ and wanted:
            same = _asked(place, options.time, str(is_)) == _asked(place, options.time, wanted)
        if not same:
            yield f"{key} is {_shown(is_)}, expected {_shown(wanted)}"
    yield from (note for note in explanation.notes if found["intake"] is None and explanation.disposition is None)


def _listener(config: Config, sample: dict[str, Any]) -> Listener:
    name = sample.get("listener")
    for listener in config.listeners:
        if name in (None, listener.name):
            return listener
    names = ", ".join(listener.name for listener in config.listeners)
    raise SampleError(f"{sample['place']}: there is no listener {name}; there are {names}")


def _frame(sample: dict[str, Any]) -> bytes:
    if "frame" in sample:
        return str(sample["frame"]).encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(str(sample["base64"]), validate=True)
    except binascii.Error:
        raise SampleError(f"{sample['place']}: base64: this is none") from None


def _asked(place: str, parse: Any, text: str | None) -> Any:
    if text is None:
        return None
    try:
        return parse(text)
    except click.BadParameter as error:
        raise SampleError(f"{place}: {error.message}") from None


def _shown(value: object) -> str:
    return "none" if value is None else repr(value)
