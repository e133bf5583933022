"""Finds the programs of the header that a route has to name, because the sender may send something else as well."""

import re
from collections.abc import Mapping, Sequence

from bridge.explain.products import PRODUCTS, Identification, Product, identify
from bridge.explain.products.traits import traits_of

LEAST = 3
"Messages that a part needs."
CISCO = "%*"
"Glob of the programs of Cisco's messages, which are their mnemonics."
_PROGRAM = re.compile(rb"[A-Za-z][A-Za-z0-9_/-]{1,31}")
MAX_PROGRAMS = 8


def distinguishing_programs(by_shape: Mapping[str, Sequence[bytes]]) -> dict[tuple[str, ...], Sequence[bytes]]:
    """Returns the parts of a sender's messages by the programs that a route has to name; empty if they do not differ.

    A route cannot name a shape of header. So a shape that is of one product with a text format becomes a part if its
    programs occur in no other shape. All other messages are the part without programs.
    """
    named = {shape: _programs(frames) for shape, frames in by_shape.items()}
    parts: dict[tuple[str, ...], Sequence[bytes]] = {}
    rest: list[bytes] = []
    for shape, frames in by_shape.items():
        programs = named[shape]
        others = {program for other, found in named.items() if other != shape for program in found}
        usable = programs and not programs & others and None not in programs and len(programs) <= MAX_PROGRAMS
        if usable and len(frames) >= LEAST and identify(frames).format:
            parts[tuple(sorted(filter(None, programs)))] = frames
        else:
            rest += frames
    if parts and rest:
        parts[()] = rest
    return parts if len(parts) > 1 else {}


def _programs(frames: Sequence[bytes]) -> set[str | None]:
    """Returns the programs of a shape. None stands for one that a configuration cannot name."""
    found: set[str | None] = set()
    for frame in frames:
        traits = traits_of(frame)
        if traits.mnemonic:
            found.add(CISCO)
        else:
            found.add(traits.program.decode() if _PROGRAM.fullmatch(traits.program) else None)
    return found


def programs_to_name(identified: Identification, frames: Sequence[bytes]) -> tuple[str, ...]:
    """Returns the programs of a product that is software on a host: the host may send messages of other programs.

    The programs are those of the table that occur in the frames: ``postfix/*``, not ``postfix/smtpd``. Messages of
    other programs are then held. Empty for the product of a device.
    """
    row = next((each for each in PRODUCTS if each.name == identified.product), None)
    if row is None or not _is_software(row):
        return ()
    named = {traits_of(frame).program.decode("utf-8", "replace") for frame in frames}
    listed = dict.fromkeys(program for one in row.signatures for program in one.programs.split("|") if program)
    found = [program for program in listed if any(_is(program, name) for name in named)]
    globs = tuple(program[:-1] for program in found if program.endswith("*"))
    needed = tuple(program for program in found if program.endswith("*") or not program.startswith(globs))
    return needed if len(needed) <= MAX_PROGRAMS else ()


def _is_software(row: Product) -> bool:
    return row.daemon or (not row.appliance and all(one.programs for one in row.signatures))


def _is(program: str, name: str) -> bool:
    return name.startswith(program[:-1]) if program.endswith("*") else name == program
