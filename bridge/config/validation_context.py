"""Defines the context that all validators of one loading share: the fault report and whether secrets are read.

A validator raises ValueError for a fault of its own value. The two exceptions defined here change the place of a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationInfo

from bridge.config.faults import FaultReport
from bridge.config.yaml_tree import Scalar


class FaultAtKey(ValueError):
    """Raised for a fault that is shown at the key, because no part of the value may be shown."""


class Reported(ValueError):
    """Raised when the faults of a value are already in the report, each at its own place."""


@dataclass(frozen=True)
class ValidationContext:
    """The context of one validation; with `secrets` False, no secret or certificate file is read."""

    report: FaultReport
    secrets: bool

    @staticmethod
    def of(info: ValidationInfo) -> ValidationContext:
        """Returns the context of a validator call."""
        assert isinstance(info.context, ValidationContext)
        return info.context

    @staticmethod
    def path(value: Scalar) -> Path:
        """Returns a path of the configuration; a relative path starts at the folder of the file that contains it."""
        if "\0" in value:
            raise ValueError("a path must not contain NUL.")
        return Path(value.place.file).parent / value
