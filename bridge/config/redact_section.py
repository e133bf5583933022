"""Defines the section `redact`: what is replaced in messages before anything else sees them."""

import re
from typing import Annotated

from pydantic import BeforeValidator

from bridge.config import fields
from bridge.config.faults import shown, suggestion
from bridge.config.fields import Section, of_text
from bridge.config.yaml_tree import Scalar
from bridge.redaction.patterns import PATTERNS

REPLACEMENT = "REDACTED"
REPLACEMENTS = r"[A-Za-z0-9_.:@#*+-]{1,64}"
"None of these characters has to be escaped in JSON, key=value texts or structured data."


def _pattern(text: Scalar) -> str:
    if text in PATTERNS:
        return str(text)
    raise ValueError(
        f"unknown pattern {shown(text)}{suggestion(text, PATTERNS, f'. Write one of {_LISTED}, or regex:.')}"
    )


_LISTED = ", ".join(PATTERNS)


def _replacement(text: Scalar) -> str:
    if not re.fullmatch(REPLACEMENTS, text):
        raise ValueError(
            "invalid replacement. Write 1 to 64 of A-Z a-z 0-9 _ . : @ # * + -, which every format can hold."
        )
    return str(text)


PatternName = Annotated[str, of_text(_pattern)]
PatternNames = Annotated[tuple[PatternName, ...], BeforeValidator(fields.one_or_list)]


class RedactEntry(Section):
    """An entry of `redact`; exactly one of `pattern` (names) and `regex` is given.

    `regex` is a regular expression of PCRE2, applied to bytes, with a match limit. Without `source`, the entry applies
    to every sender. `name` is the label of its counters, by default the pattern.
    """

    name: fields.Name = ""
    pattern: PatternNames = ()
    regex: fields.Regex | None = None
    replacement: Annotated[str, of_text(_replacement)] = REPLACEMENT
    source: fields.Networks = ()
