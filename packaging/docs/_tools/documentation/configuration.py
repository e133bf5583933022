"""Generates the configuration reference from the models that validate a configuration.

Type, bounds and default come from the models; meaning, example and caution from ``bridge.config.descriptions``.
"""

import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import AfterValidator, PlainValidator

from bridge.config import addresses, fields, networks, redact_section, secret, units
from bridge.config.descriptions import describe
from bridge.config.document import Document
from bridge.config.fields import Section
from bridge.config.listener_sections import ONLY_FOR
from documentation.markdown import anchor, block

_TYPES: dict[object, str] = {
    units.duration: "duration",
    units.duration_or_never: "duration or `never`",
    units.size: "size",
    units.size_or_share: "size, or a share of the filesystem such as `80%`",
    units.rate_share: "share from `1%` to `90%`",
    units.rate: "rate such as `5000/s`",
    units.volume: "volume such as `20GB/day`",
    units.bandwidth: "bandwidth such as `10Mbit/s`",
    fields._integer: "whole number",
    fields._number: "number",
    fields._flag: "`true` or `false`",
    fields._text: "text",
    fields._name: "text of 1 to 64 characters",
    fields._path: "path",
    fields._socket_path: "path of at most 107 bytes",
    fields._mode: "octal permissions",
    fields._severity: "`emerg`, `alert`, `crit`, `err`, `warning`, `notice`, `info`, `debug`, or 0 to 7",
    fields._format: "name of a [format](payloads.md#formats)",
    fields._fingerprint: "SHA-256 fingerprint",
    fields._queue_prefix: "1 to 64 of `A-Z a-z 0-9 _ . -`",
    fields._cipher_suite: "name of a cipher suite",
    fields._regex: "regular expression (PCRE2)",
    fields._facility: "facility, such as `auth` or `local0`, or 0 to 23",
    redact_section._pattern: "name of a [pattern](redaction.md)",
    redact_section._replacement: "text of `A-Z a-z 0-9 _ . : @ # * + -`",
    fields.intake_name: "name of an intake",
    fields.time_zone: "time zone such as `Europe/Paris`",
    addresses.address: "address and port",
    addresses.base_url: "URL, `https://HOST`",
    addresses.amqp_url: "URL, `amqps://HOST`",
    addresses.proxy_url: "URL, `http://HOST:PORT`",
    addresses.mirror_target: "URL, `udp://HOST:PORT` or `tcp://HOST:PORT`",
    networks.networks: "addresses and networks, or `{file: PATH}`",
    secret.secret: "[secret](secrets.md)",
    secret.header_secret: "[secret](secrets.md)",
    secret.intake_key: "[secret](secrets.md)",
}
"The description of each value parser, by the parser function."


@dataclass(frozen=True)
class Key:
    """A key of the configuration: its path, such as ``collector.timeout``, and what the models know about it."""

    path: str
    type: str
    default: str
    only_for: tuple[str, ...] = ()


def all_keys() -> list[Key]:
    """Returns all keys in the order of the models."""
    return list(_keys(Document, ""))


def markdown() -> str:
    """Returns the reference: a chapter for each section, with an anchor for each key."""
    parts: list[str] = []
    chapter = None
    keys = [key for key in all_keys() if ".except." not in key.path]
    # First the keys of the top level, wherever the models have them, so that they are one chapter.
    for key in sorted(keys, key=lambda key: not _is_at_top(key)):
        head = key.path.split(".")[0].removesuffix("[]")
        here = "Top level" if _is_at_top(key) else head
        if here != chapter:
            parts.append(f"## {here if here == 'Top level' else f'`{here}`'}\n\n")
            chapter = here
        text = describe(key.path)
        assert text is not None, f"bridge/config/descriptions.yaml has no text for {key.path}"
        if _is_section(key):
            at_top = key.path.removesuffix("[]") == here
            parts.append(f"{text.meaning}\n\n" if at_top else f"### `{key.path}`\n\n{text.meaning}\n\n")
            continue
        parts.append(f"({anchor(f'key-{key.path}')})=\n### `{key.path}`\n\n")
        facts = [key.type] + ([f"default `{key.default}`"] if key.default else [])
        if key.only_for:
            facts.append(f"only for {', '.join(f'`{kind}`' for kind in key.only_for)}")
        parts.append(f"*{'; '.join(facts)}*\n\n{text.meaning}\n\n")
        if text.example:
            parts.append(block("yaml", text.example) + "\n")
        if text.caution:
            parts.append(f"**Caution:** {text.caution}\n\n")
    return "".join(parts)


def _is_at_top(key: Key) -> bool:
    """Returns True if a key is in no section."""
    return not _is_section(key) and "." not in key.path and not key.path.endswith("[]")


def _is_section(key: Key) -> bool:
    return key.type == "section"


def _keys(section: type[Section], prefix: str) -> Iterator[Key]:
    for name, field in section.model_fields.items():
        written = field.alias or name
        path = f"{prefix}{written}"
        inner, many = _section_of(field.annotation, field.metadata)
        if inner is not None:
            path += "[]" if many == "list" else ".NAME" if many == "mapping" else ""
            yield Key(path.removesuffix(".NAME"), "section", "")
            yield from _keys(inner, f"{path}.")
            continue
        only_for = ONLY_FOR.get(written, ()) if prefix == "listeners[]." else ()
        type_text = _type(field.annotation, field.metadata)
        yield Key(path, type_text, _default(field.default, type_text), tuple(only_for))


def _section_of(annotation: object, metadata: list[object]) -> tuple[type[Section] | None, str]:
    """Returns the section model of a field, and whether it is one section, a list or a mapping of them."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _section_of(arguments[0], [*arguments[1:], *metadata])
    if origin in (Union, types.UnionType):
        given = [one for one in arguments if one is not type(None)]
        return _section_of(given[0], metadata) if len(given) == 1 else (None, "")
    if origin is tuple:
        return (_section_of(arguments[0], [])[0], "list")
    if origin is dict:
        return (_section_of(arguments[1], [])[0], "mapping")
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, ""
    return None, ""


def _type(annotation: object, metadata: list[object]) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0], [*arguments[1:], *metadata])
    found, bounds = "", ""
    for each in metadata:
        if isinstance(each, PlainValidator):
            found = found or _validator(each.func)
            assert found, f"no description of the values of {each.func}: add it to _TYPES"
        elif isinstance(each, AfterValidator):
            closure = _closure(each.func)
            if "low" in closure:
                bounds = f" from `{closure['low']}` to `{closure['high']}`"
    if found:
        return found + bounds
    if origin in (Union, types.UnionType):
        return _type(next(one for one in arguments if one is not type(None)), metadata) + bounds
    if origin is tuple:
        return f"one or a list: {_type(arguments[0], [])}"
    return "text"


def _validator(function: object) -> str:
    if function in _TYPES:
        return _TYPES[function]
    closure = _closure(function)
    if "choices" in closure:
        return " ".join(f"`{choice}`" for choice in closure["choices"])
    return _validator(closure["parse"]) if "parse" in closure else ""


def _closure(function: object) -> dict[str, Any]:
    return dict(inspect.getclosurevars(function).nonlocals) if inspect.isfunction(function) else {}


def _default(value: object, type_text: str) -> str:
    """Returns a default as it is written in a file; empty if there is none."""
    if value is None:
        return "never" if "`never`" in type_text else ""
    if value in ((), "") or value == Path():
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return units.as_written(value)
    if isinstance(value, int) and type_text.startswith("octal"):
        return f"{value:04o}"
    if isinstance(value, int) and type_text.startswith("size"):
        return next(f"{value // size}{unit}" for unit, size in reversed(units.SIZES.items()) if value % size == 0)
    return f"{value:g}" if isinstance(value, float) else str(value)
