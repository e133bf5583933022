"""Defines the top-level keys of a configuration and finds the section model at a path."""

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from bridge.config import fields, units
from bridge.config.collector_section import CollectorSection, IntakeSection
from bridge.config.fields import Section
from bridge.config.gateway_sections import (
    AdminSection,
    BatchSection,
    ClusterSection,
    LedgerSection,
    SpoolSection,
    TimestampsSection,
)
from bridge.config.listener_sections import Listener, SourceFacts
from bridge.config.redact_section import RedactEntry
from bridge.config.routes import Hold, Route, Unrouted, UnroutedChoice


class Document(Section):
    """A configuration as written, with all included files joined."""

    include: fields.Texts | None = None
    timezone: fields.Zone = ZoneInfo("UTC")
    collector: CollectorSection = CollectorSection()
    listeners: Annotated[tuple[Listener, ...], fields.SECTIONS] = ()
    max_frame_size: Annotated[fields.Size, fields.within("480B", "1MiB", units.size)] = 250 << 10
    oversize: Annotated[Literal["quarantine", "truncate"], fields.of_choice("quarantine", "truncate")] = "quarantine"
    sources: Annotated[tuple[SourceFacts, ...], fields.SECTIONS] = ()
    redact: Annotated[tuple[RedactEntry, ...], fields.SECTIONS] = ()
    intakes: dict[fields.IntakeKey, IntakeSection] = {}  # noqa: RUF012  the model is frozen
    routes: Annotated[tuple[Route, ...], fields.SECTIONS] = ()
    unrouted: UnroutedChoice = Unrouted(hold=Hold())
    timestamps: TimestampsSection = TimestampsSection()
    batch: BatchSection = BatchSection()
    spool: SpoolSection = SpoolSection()
    cluster: ClusterSection | None = None
    ledger: LedgerSection = LedgerSection()
    admin: AdminSection = AdminSection()


def section_at(path: Sequence[str | int]) -> type[Section] | None:
    """Returns the section model at a path of keys and indices, or None if the path leads to no section."""
    found: object = Document
    for step in path:
        if isinstance(found, type) and issubclass(found, Section):
            found = next((_bare(annotation) for key, annotation in _fields(found) if key == step), None)
        else:
            arguments = get_args(found)
            found = _bare(arguments[1 if get_origin(found) is dict else 0]) if arguments else None
    return found if isinstance(found, type) and issubclass(found, Section) else None


def keys_of(section: type[Section]) -> list[str]:
    """Returns the keys of a section, as they are written in a file."""
    return [key for key, _ in _fields(section)]


def sections_with_key(key: str) -> list[str]:
    """Returns the names of the sections that have a key; "" stands for the top level."""
    sections: dict[str, type[Section]] = {
        "": Document, "intakes": IntakeSection, "listeners": Listener, "sources": SourceFacts, "routes": Route,
        "collector": CollectorSection, "batch": BatchSection, "timestamps": TimestampsSection, "spool": SpoolSection,
        "cluster": ClusterSection, "admin": AdminSection, "redact": RedactEntry,
    }  # fmt: skip
    return [name for name, section in sections.items() if key in keys_of(section)]


def _fields(section: type[Section]) -> Iterator[tuple[str, object]]:
    for name, field in section.model_fields.items():
        yield field.alias or name, _bare(field.annotation)


def _bare(annotation: object) -> object:
    """Strips Annotated and Optional from an annotation."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _bare(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return _bare(next(one for one in get_args(annotation) if one is not type(None)))
    return annotation
