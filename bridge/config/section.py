"""Defines the base class of all configuration sections."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """An immutable mapping of the configuration: its keys are the fields; unknown keys are rejected."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )
