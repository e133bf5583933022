"""Whole reads rewritten by one call of PCRE2, the system's own library, whose expressions are machine code.

Python's ``re`` walks an expression step by step: 100 ns for a plain header, some microseconds where a frame may be of
a hundred shapes. What PCRE2 compiles does the same in a fifth, and its ``pcre2_substitute`` puts all matches of a read
into one answer, so that nothing is made for each frame. On Debian, and wherever SELinux, git or glib are, the library
is there; where it is not, who asks has a slower way.

An expression here is of the syntax that both share; see ``_translated`` for what differs.
"""

import ctypes
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

__all__ = ["Cut", "Rewriter", "cutter", "rewriter", "shortener"]

# pcre2.h of 10.30; all later ones keep them.
_NEWLINE_LF = 2
_JIT_COMPLETE = 1
_SUBSTITUTE = 0x100 | 0x200 | 0x400  # GLOBAL, EXTENDED, UNSET_EMPTY

_SONAMES = ("libpcre2-8.so.0", "libpcre2-8.0.dylib")


_NAME = re.compile(rb"\$\{([a-z]+)")


class _Workspace(NamedTuple):
    """What one call works in, kept for the next."""

    match_data: ctypes.c_void_p
    answer: Any
    "An array of characters; a slice of it is bytes."
    length: ctypes.c_size_t


class _Library:
    """The functions that are used of it, with their types (pcre2api(3), pcre2jit(3)), and where they work."""

    _LEAST = 1 << 18
    "Bytes of an answer: twice what a read of a stream may bring. Memory that is not written to is none."
    _MOST_GROUPS = 64

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, size, number, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_char_p
        sizes, result = ctypes.POINTER(ctypes.c_size_t), ctypes.c_int
        self.compile = library.pcre2_compile_8
        self.compile.argtypes = (text, size, number, ctypes.POINTER(result), sizes, pointer)
        self.compile.restype = pointer
        self.number_of = library.pcre2_substring_number_from_name_8
        self.number_of.argtypes = (pointer, text)
        self.jit_compile = library.pcre2_jit_compile_8
        self.jit_compile.argtypes = (pointer, number)
        self.substitute = library.pcre2_substitute_8
        self.substitute.argtypes = (pointer, text, size, size, number, pointer, pointer, text, size, pointer, sizes)
        self.free = library.pcre2_code_free_8
        self.free.argtypes, self.free.restype = (pointer,), None
        self._match_data = library.pcre2_match_data_create_8
        self._match_data.argtypes, self._match_data.restype = (number, pointer), pointer
        self._free_match_data = library.pcre2_match_data_free_8
        self._free_match_data.argtypes, self._free_match_data.restype = (pointer,), None
        context = library.pcre2_compile_context_create_8
        context.argtypes, context.restype = (pointer,), pointer
        newline = library.pcre2_set_newline_8
        newline.argtypes = (pointer, number)
        self.context = pointer(context(None))
        newline(self.context, _NEWLINE_LF)
        self._spare: list[_Workspace] = []

    def workspace(self, size: int) -> _Workspace:
        """One with room for ``size`` bytes; to be given back."""
        # To take from a list and to give back is one step each: no two threads work in the same.
        try:
            space = self._spare.pop()
        except IndexError:
            space = None
        if space is None or len(space.answer) < size:
            if space is not None:
                self._free_match_data(space.match_data)
            match_data = ctypes.c_void_p(self._match_data(self._MOST_GROUPS, None))
            space = _Workspace(match_data, ctypes.create_string_buffer(max(size, self._LEAST)), ctypes.c_size_t())
        return space

    def give_back(self, space: _Workspace) -> None:
        """For the next call."""
        self._spare.append(space)


@cache
def load() -> _Library | None:
    """The library, or None: this machine has none, or one that is older than 2017."""
    for name in _SONAMES:
        try:
            return _Library(ctypes.CDLL(name))
        except (OSError, AttributeError):
            continue
    return None


def _translated(pattern: bytes) -> bytes:
    """An expression of Python's as one of PCRE2's. A bracket costs 32 bytes there, of 65,535 for all of an expression,
    and a letter for the same costs two."""
    for theirs, ours in ((rb"\Z", rb"\z"), (b"[0-9]", rb"\d"), (b"[A-Za-z0-9_]", rb"\w"), (b"[ ]", b" ")):
        pattern = pattern.replace(theirs, ours)
    return pattern


class Rewriter:
    """One expression, and what stands for each of its matches: ``${name}`` is a group, empty where it took no part, and
    ``${name:+then:else}`` asks whether it did. May be called by several threads at once.

    Raises ValueError where PCRE2 does not take the expression: a defect here, never a sender's doing.
    """

    def __init__(self, library: _Library, pattern: bytes, replacement: bytes) -> None:
        self._library = library
        self._code = None
        pattern = _translated(pattern)
        error, at = ctypes.c_int(), ctypes.c_size_t()
        code = library.compile(pattern, len(pattern), 0, error, at, library.context)
        if not code:
            raise ValueError(f"PCRE2 error {error.value} at {at.value}: {pattern[max(0, at.value - 40) :][:80]!r}")
        self._code = ctypes.c_void_p(code)
        # To look a name up costs more than to copy what it names.
        self._replacement = _NAME.sub(lambda name: b"${%d" % library.number_of(code, name[1]), replacement)
        # Where memory may not be both written and run, it is walked step by step, about as quick as Python's.
        library.jit_compile(self._code, _JIT_COMPLETE)

    def __call__(self, block: bytes) -> tuple[bytes, int] | None:
        """The block with all matches replaced, and how many there were; None: a frame is beyond what may be spent on
        it, or the answer is more than twice as long as the block."""
        library = self._library
        space = library.workspace(2 * len(block))
        space.length.value = len(space.answer)
        count: int = library.substitute(
            self._code, block, len(block), 0, _SUBSTITUTE, space.match_data, None,
            self._replacement, len(self._replacement), space.answer, space.length,
        )  # fmt: skip
        found = (space.answer[: space.length.value], count) if count >= 0 else None
        library.give_back(space)
        return found

    def __del__(self) -> None:
        if self._code:
            self._library.free(self._code)


Cut = Callable[[bytes], tuple[bytes, int] | None]


def cutter(pattern: bytes, groups: int = 0) -> Cut:
    """For each match an LF, and each of its ``groups`` with an LF behind it; and how many matches there were. Where
    there is no PCRE2, Python's expressions do the same."""
    if library := load():
        return Rewriter(library, pattern, b"\n" + b"".join(b"$%d\n" % number for number in range(1, groups + 1)))
    template = b"\n" + b"".join(rb"\g<%d>" % number + b"\n" for number in range(1, groups + 1))
    expression = re.compile(pattern)
    return lambda block: expression.subn(template, block)


def shortener(kept: bytes, removed: bytes) -> Cut:
    """For each match of both, one behind the other, the first and an LF; and how many matches there were. A group costs
    PCRE2 as much as all of a plain header; to forget what was matched so far (``\\K``) costs nothing."""
    if library := load():
        return Rewriter(library, kept + rb"\K" + removed, b"\n")
    expression = re.compile(b"(" + kept + b")" + removed)
    return lambda block: expression.subn(rb"\1" + b"\n", block)


def rewriter(pattern: bytes, replacement: bytes) -> Rewriter | None:
    """A rewriter, or None where there is no PCRE2."""
    library = load()
    return Rewriter(library, pattern, replacement) if library else None
