"""Rewrites a socket read with one call of the system's PCRE2 library, which compiles expressions to machine code.

Python's ``re`` interprets an expression: 100 ns for a plain header, several microseconds if a frame may have any of a
hundred shapes. PCRE2's compiled code takes a fifth of that. ``pcre2_substitute`` replaces all matches of a read into
one output, so no object is created per frame. Without the library, callers use a slower method.

Expressions use the syntax that ``re`` and PCRE2 share. ``_translated`` converts the differences.
"""

import ctypes
import re
from collections.abc import Callable, Mapping

from bridge.util.pcre2 import JIT_COMPLETE, NO_MEMORY, Library, load

_SUBSTITUTE = 0x100 | 0x200 | 0x400  # GLOBAL, EXTENDED, UNSET_EMPTY

_NAME = re.compile(rb"\$\{([a-z]+)")


def _translated(pattern: bytes) -> bytes:
    """Translates an expression from Python's syntax to PCRE2's.

    Character classes are shortened as well: PCRE2 needs 32 bytes for one in brackets and two for an escape such as
    ``\\d``, and a compiled expression may have 65,535 bytes.
    """
    for python, pcre2 in ((rb"\Z", rb"\z"), (b"[0-9]", rb"\d"), (b"[A-Za-z0-9_]", rb"\w"), (b"[ ]", b" ")):
        pattern = pattern.replace(python, pcre2)
    return pattern


class Rewriter:
    """Replaces all matches of an expression. Several threads may call it at once.

    In the replacement, ``${name}`` is a group, empty if it did not take part in the match. ``${name:+then:else}`` is
    ``then`` if the group took part, otherwise ``else``.

    Raises ValueError if PCRE2 rejects the expression. That is a defect in this program and never caused by a sender.
    """

    def __init__(self, library: Library, pattern: bytes, replacement: bytes) -> None:
        self._library = library
        self._code = None
        pattern = _translated(pattern)
        error, at = ctypes.c_int(), ctypes.c_size_t()
        code = library.compile(pattern, len(pattern), 0, error, at, library.context)
        if not code:
            raise ValueError(f"PCRE2 error {error.value} at {at.value}: {pattern[max(0, at.value - 40) :][:80]!r}")
        self._code = ctypes.c_void_p(code)
        # Looking up a group's name costs more than copying the group, so names become numbers.
        self._replacement = _NAME.sub(lambda name: b"${%d" % library.group_number(code, name[1]), replacement)
        # If the system forbids memory that is both writable and executable, PCRE2 interprets the expression. That is
        # about as fast as Python's ``re``.
        library.jit_compile(self._code, JIT_COMPLETE)

    def __call__(self, block: bytes) -> tuple[bytes, int] | None:
        """Returns the block with all matches replaced, and the number of matches.

        Returns None if a frame exceeds PCRE2's match limits, or if the output is much longer than the block.
        """
        count, output = self._substitute(block, 2 * len(block))
        if count == NO_MEMORY:
            # A block of tiny frames: an empty one is a single byte, and its replacement a few.
            count, output = self._substitute(block, 8 * len(block))
        return (output, count) if count >= 0 else None

    def _substitute(self, block: bytes, room: int) -> tuple[int, bytes]:
        """Returns the number of matches, or a negative error, and the block with all matches replaced."""
        library = self._library
        space = library.workspace(room)
        space.length.value = len(space.output)
        count: int = library.substitute(
            self._code, block, len(block), 0, _SUBSTITUTE, space.match_data, None,
            self._replacement, len(self._replacement), space.output, space.length,
        )  # fmt: skip
        output = space.output[: space.length.value] if count >= 0 else b""
        library.release(space)
        return count, output

    def __del__(self) -> None:
        if self._code:
            self._library.free(self._code)


Cut = Callable[[bytes], tuple[bytes, int] | None]


def cutter(pattern: bytes, groups: int = 0, kept: bytes = b"") -> Cut:
    """Returns a function that replaces each match by an LF, its first ``groups`` groups, each followed by an LF, and
    the group named ``kept``, which may be unset.

    The function also returns the number of matches. Without PCRE2 it uses Python's ``re``.
    """
    if library := load():
        replacement = b"\n" + b"".join(b"$%d\n" % number for number in range(1, groups + 1))
        return Rewriter(library, pattern, replacement + (b"${" + kept + b"}" if kept else b""))
    template = b"\n" + b"".join(rb"\g<%d>" % number + b"\n" for number in range(1, groups + 1))
    template += rb"\g<" + kept + b">" if kept else b""
    expression = re.compile(pattern)
    return lambda block: expression.subn(template, block)


def shortener(kept: bytes, removed: bytes) -> Cut:
    """Returns a function that removes ``removed`` after each match of ``kept`` and puts an LF there.

    The function also returns the number of matches. In PCRE2 a group costs as much as a whole plain header, while
    resetting the start of the match (``\\K``) costs nothing.
    """
    if library := load():
        return Rewriter(library, kept + rb"\K" + removed, b"\n")
    expression = re.compile(b"(" + kept + b")" + removed)
    return lambda block: expression.subn(rb"\1" + b"\n", block)


def rewriter(pattern: bytes, replacement: bytes) -> Rewriter | None:
    """Returns a Rewriter, or None if the system has no PCRE2."""
    library = load()
    return Rewriter(library, pattern, replacement) if library else None


def with_calls(pattern: bytes, parts: Mapping[bytes, bytes]) -> bytes:
    """Replaces parts of an expression by calls of the groups of their names, for PCRE2 only.

    A part that occurs in many places is compiled once: a compiled expression may have 65,535 bytes.
    """
    for name, part in parts.items():
        pattern = pattern.replace(part, b"(?&" + name + b")")
    return pattern


def definitions(parts: Mapping[bytes, bytes]) -> bytes:
    """Returns the groups that ``with_calls`` calls. Where they are written, they match nothing."""
    return b"(?(DEFINE)" + b"".join(b"(?<" + name + b">" + part + b")" for name, part in parts.items()) + b")"
