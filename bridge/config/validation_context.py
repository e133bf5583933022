"""What the validators of one reading share: the report, where relative paths begin, whether secrets are read.

A validator raises ValueError for a fault of its own value; the two exceptions here say where else a fault belongs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationInfo

from bridge.config.faults import FaultReport
from bridge.config.yaml_tree import Scalar


class FaultAtKey(ValueError):
    """A fault shown at the key, because nothing of the value may be pointed at."""


class Reported(ValueError):
    """The value's faults are in the report already, at places of their own."""


@dataclass(frozen=True)
class ValidationContext:
    """The context of one validation."""

    report: FaultReport
    secrets: bool

    @staticmethod
    def of(info: ValidationInfo) -> ValidationContext:
        """The reading that a validator is called for."""
        assert isinstance(info.context, ValidationContext)
        return info.context

    @staticmethod
    def path(value: Scalar) -> Path:
        """A path of the configuration: relative ones begin at the folder of the file that holds them."""
        if "\0" in value:
            raise ValueError("a path holds no NUL")
        return Path(value.place.file).parent / value
