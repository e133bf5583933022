"""Generates the JSON Schema of a configuration file, for editors and CI, from the models that validate it.

The schema covers keys, types, allowed words and structure. It cannot compare keys with each other or see whether files
exist; ``syslog-bridge check`` does that.
"""

import inspect
import types
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import PlainValidator

from bridge.config import addresses, fields, networks, redact_section, secret, units
from bridge.config.descriptions import describe
from bridge.config.document import Document
from bridge.config.fields import Section
from bridge.config.renames import RENAMES
from bridge.config.routes import Unrouted
from bridge.redaction.patterns import PATTERNS

JSON = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_DURATION: JSON = {"type": "string", "pattern": f"^[0-9]+({'|'.join(units.DURATIONS)})$"}
_SIZE: JSON = {"type": "string", "pattern": f"^[0-9]+({'|'.join(units.SIZES)})$"}
_TEXT: JSON = {"type": "string", "minLength": 1}
_SCALAR: JSON = {"type": ["string", "number", "boolean"]}
"A value that the bridge reads as text, although YAML may parse it as a number or boolean."


def _text_or(*forms: str) -> JSON:
    """Returns the schema of a text, or a mapping with one of the keys."""
    mappings: list[JSON] = [
        {"type": "object", "properties": {form: {"type": "string"}}, "required": [form], "additionalProperties": False}
        for form in forms
    ]
    return {"oneOf": [{"type": "string"}, *mappings]}


def _one_or_many(item: JSON) -> JSON:
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


_PARSERS: dict[object, JSON] = {
    units.duration: _DURATION,
    units.duration_or_never: {"anyOf": [_DURATION, {"const": "never"}]},
    units.size: _SIZE,
    units.size_or_share: {"anyOf": [_SIZE, {"type": "string", "pattern": "^[0-9]{1,3}%$"}]},
    units.rate_share: {"type": "string", "pattern": "^[0-9]{1,2}%$"},
    fields._integer: {"type": "integer"},
    fields._number: {"type": "number"},
    fields._flag: {"type": "boolean"},
    fields._severity: {"anyOf": [{"enum": sorted(fields.SEVERITIES)}, {"type": "integer", "maximum": 7}]},
    fields._facility: {"anyOf": [{"enum": sorted(fields.FACILITIES)}, {"type": "integer", "maximum": 23}]},
    fields._regex: {**_TEXT, "maxLength": fields.LONGEST_REGEX},
    redact_section._pattern: {"enum": list(PATTERNS)},
    redact_section._replacement: {"type": "string", "pattern": f"^{redact_section.REPLACEMENTS}$"},
    fields._cipher_suite: _TEXT,
    fields._format: _TEXT,
    fields._mode: {"type": ["string", "integer"]},
    fields.intake_name: {"type": "string", "pattern": f"^{fields._INTAKE_NAME.pattern}$"},
    addresses.base_url: {"type": "string", "pattern": "^https?://"},
    addresses.amqp_url: {"type": "string", "pattern": "^amqps?://"},
    fields._queue_prefix: _TEXT,
    addresses.proxy_url: {"type": "string", "pattern": "^http://"},
    networks.networks: _one_or_many(_text_or("file")),
    secret.secret: _text_or("file", "credential", "env"),
    secret.header_secret: _text_or("file", "credential", "env"),
    secret.intake_key: _text_or("file", "credential", "env"),
}  # fmt: skip
"The schema of each value parser, by the parser function."


def schema() -> JSON:
    """Returns the complete JSON Schema."""
    document = _section(Document, "")
    document["properties"]["include"] = _one_or_many(_TEXT)
    unrouted = _section(Unrouted, "unrouted.")
    document["properties"]["unrouted"] = {"anyOf": [{"enum": ["hold", "drop"]}, unrouted]}
    # Sections that have moved come first in the list, and last here: their old keys are then in the copy as well.
    for rename in reversed(RENAMES):
        known = _properties(document, rename.new.split("."))
        deprecated = known[rename.new_key] | {"deprecated": True, "description": rename.warning}
        _properties(document, rename.old.split("."))[rename.old_key] = deprecated
    return {"$schema": DIALECT, "title": "syslog-bridge configuration", **document}


def _properties(schema: JSON, path: Sequence[str]) -> JSON:
    """Returns the properties of the section that has the last key of a path."""
    for key in path[:-1]:
        each = schema.get("items") or schema.get("additionalProperties")
        schema = each if key == "*" and isinstance(each, dict) else schema["properties"][key]
        # A section that may be null.
        schema = next((each for each in schema.get("anyOf", ()) if each.get("type") == "object"), schema)
    properties: JSON = schema["properties"]
    return properties


def _section(section: type[Section], prefix: str) -> JSON:
    """Returns the schema of a section. ``prefix`` begins the paths of its keys, such as ``spool.archive.``."""
    schema: JSON = {"type": "object", "additionalProperties": False, "properties": {}}
    if section.__doc__:
        schema["description"] = " ".join(section.__doc__.split())
    for name, field in section.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        value = _value(field.annotation, field.metadata, path)
        if (described := describe(path)) is not None:
            value = {**value, "description": described.meaning}
        schema["properties"][field.alias or name] = value
    return schema


def _value(annotation: object, metadata: list[object], path: str) -> JSON:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _value(arguments[0], [*arguments[1:], *metadata], path)
    for each in metadata:
        if isinstance(each, PlainValidator) and (known := _validator_schema(each.func)) is not None:
            return known
    if origin in (Union, types.UnionType):
        given = [_value(one, metadata, path) for one in arguments if one is not type(None)]
        return {"anyOf": [*given, {"type": "null"}]} if type(None) in arguments else {"anyOf": given}
    if origin is tuple:
        item = _value(arguments[0], [], f"{path}[]")
        return {"type": "array", "items": item} if fields.SECTIONS in metadata else _one_or_many(item)
    if origin is dict:
        key, value = arguments
        names, values = _value(key, [], path), _value(value, [], f"{path}.NAME")
        return {"type": "object", "propertyNames": names, "additionalProperties": values}
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return _section(annotation, f"{path}.")
    return dict(_SCALAR)


def _validator_schema(function: object) -> JSON | None:
    """Returns the schema of a validator of this package, found through the parser in its closure; None if unknown."""
    if function in _PARSERS:
        return dict(_PARSERS[function])
    if not inspect.isfunction(function):
        return None
    closure = inspect.getclosurevars(function).nonlocals
    if "choices" in closure:
        return {"enum": list(closure["choices"])}
    if "parse" in closure:
        return _validator_schema(closure["parse"]) or dict(_SCALAR)
    return None
