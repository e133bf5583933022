"""Completes parts of configurations, such as examples in the documentation, so that they can be checked."""

from __future__ import annotations

from typing import Any

import yaml


def completed(part: str) -> str:
    """Returns a complete configuration with the keys of a part. The part may be any mapping of top-level keys."""
    given: dict[str, Any] = yaml.safe_load(part)
    whole: dict[str, Any] = {
        "collector": {"region": "FRA1"},
        "listeners": [{"name": name, "udp": f"127.0.0.1:{5500 + n}"} for n, name in enumerate(("udp", "tcp"))],
        "intakes": {},
        "routes": [],
        "spool": {"directory": "/var/lib/syslog-bridge/spool"},
    }
    for key, value in given.items():
        whole[key] = {**whole[key], **value} if isinstance(value, dict) and isinstance(whole.get(key), dict) else value
    if "url" in whole["collector"]:
        whole["collector"].pop("region", None)
    for name in [*_intakes_named(whole), "events"]:
        whole["intakes"].setdefault(name, {"intake_key": {"file": f"keys/{name}"}})
    if not any("intake" in route for route in whole["routes"]):
        whole["routes"].append({"name": "last", "intake": next(iter(whole["intakes"])), "source": "0.0.0.0/0"})
    return yaml.safe_dump(whole, sort_keys=False)


def _intakes_named(value: object) -> list[str]:
    """Returns the names of intakes that a configuration refers to."""
    if isinstance(value, dict):
        own = [value["intake"]] if isinstance(value.get("intake"), str) else []
        return own + [name for each in value.values() for name in _intakes_named(each)]
    return [name for each in value for name in _intakes_named(each)] if isinstance(value, list) else []
