"""Prints the effective configuration, including defaults, with masked secrets."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from bridge.config.addresses import Address
from bridge.config.fields import Section
from bridge.config.listener_sections import KINDS, ONLY_FOR
from bridge.config.model import Config
from bridge.config.secret import Secret
from bridge.config.units import Share, as_written
from bridge.util.expression import Expression

MASK = "****"


def effective(config: Config) -> str:
    """Returns the configuration as YAML: durations and shares as written in files, sizes in bytes, secrets ``****``."""
    plain: Any = _plain(config)
    for name in ("sha256", "files", "texts", "paste_places", "old_names"):
        del plain[name]
    for intake in plain["intakes"].values():
        intake.update(intake.pop("destination"))
        del intake["name"]
        if urls := intake.pop("urls", None):
            intake["url"] = urls
    for listener in plain["listeners"]:
        kind = next(kind for kind in KINDS if kind in listener)
        for key in [key for key, kinds in ONLY_FOR.items() if kind not in kinds]:
            listener.pop(key, None)
        if "mode" in listener:
            listener["mode"] = f"{listener['mode']:04o}"
    for route in plain["routes"]:
        if "except_" in route:
            route["except"] = route.pop("except_")
    head = "# For reading, not a configuration file: it has every default, and secrets are masked.\n"
    head += f"# The effective configuration of {', '.join(map(str, config.files))}; sha256 {config.sha256}\n"
    return head + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120)


def _plain(value: object) -> object:
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, timedelta):
        return as_written(value)
    if isinstance(value, str | Expression | Share | Path | ZoneInfo | Address | IPv4Network | IPv6Network):
        # The second str() is needed: a zone's name may be a Scalar, a subclass of str, which safe_dump cannot write.
        return str(str(value))
    if isinstance(value, Section):
        found = {name: getattr(value, name) for name in type(value).model_fields}
        # Omit keys that are not given and have no default.
        return {name: _plain(each) for name, each in found.items() if each is not None and each not in ((), "")}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | frozenset | set):
        return [_plain(each) for each in value]
    return value
