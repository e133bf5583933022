"""Binds the functions of the system's PCRE2 library that the bridge uses (pcre2api(3), pcre2jit(3)).

Debian has the library, and so has any system with SELinux, git or glib. ``load`` returns None without it.
"""

import ctypes
from functools import cache
from typing import Any, NamedTuple

# Constants of pcre2.h, version 10.30. Later versions keep them.
NEVER_UTF = 0x1000
NOT_EMPTY = 0x4
JIT_COMPLETE = 1
NO_MATCH, NO_MEMORY = -1, -48
_NEWLINE_LF = 2
_JIT_STACK = (32 * 1024, 1024 * 1024)
"First and largest size in bytes of the stack for backtracking."

_SONAMES = ("libpcre2-8.so.0", "libpcre2-8.0.dylib")


class Workspace(NamedTuple):
    """The buffers of one call, which are reused by later calls."""

    match_data: ctypes.c_void_p
    output: Any
    "A ctypes array of characters. A slice of it is ``bytes``."
    length: ctypes.c_size_t


class Searcher(NamedTuple):
    """The memory of one search, which is reused by later ones."""

    match_data: ctypes.c_void_p
    span: Any
    "A ctypes pointer to the offsets of the match: its start and its end."
    contexts: list[ctypes.c_void_p]
    "One context for each match limit."
    limits: tuple[int, ...]


class Library:
    """The used functions of the library with their types (pcre2api(3), pcre2jit(3)), and the workspaces."""

    _MIN_OUTPUT = 1 << 18
    "Minimum size of an output buffer, in bytes: twice a stream read. Pages that are not written to take no memory."
    _MAX_GROUPS = 64

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, size, number, text = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.c_char_p
        sizes, result = ctypes.POINTER(ctypes.c_size_t), ctypes.c_int
        self.compile = library.pcre2_compile_8
        self.compile.argtypes = (text, size, number, ctypes.POINTER(result), sizes, pointer)
        self.compile.restype = pointer
        self.group_number = library.pcre2_substring_number_from_name_8
        self.group_number.argtypes = (pointer, text)
        self.jit_compile = library.pcre2_jit_compile_8
        self.jit_compile.argtypes = (pointer, number)
        self.substitute = library.pcre2_substitute_8
        self.substitute.argtypes = (pointer, text, size, size, number, pointer, pointer, text, size, pointer, sizes)
        self.match = library.pcre2_match_8
        self.match.argtypes, self.match.restype = (pointer, text, size, size, number, pointer, pointer), result
        self.free = library.pcre2_code_free_8
        self.free.argtypes, self.free.restype = (pointer,), None
        self._match_data = library.pcre2_match_data_create_8
        self._match_data.argtypes, self._match_data.restype = (number, pointer), pointer
        self._free_match_data = library.pcre2_match_data_free_8
        self._free_match_data.argtypes, self._free_match_data.restype = (pointer,), None
        self._span = library.pcre2_get_ovector_pointer_8
        self._span.argtypes, self._span.restype = (pointer,), sizes
        self._match_context = library.pcre2_match_context_create_8
        self._match_context.argtypes, self._match_context.restype = (pointer,), pointer
        self._set_match_limit = library.pcre2_set_match_limit_8
        self._set_match_limit.argtypes = (pointer, number)
        self._jit_stack = library.pcre2_jit_stack_create_8
        self._jit_stack.argtypes, self._jit_stack.restype = (size, size, pointer), pointer
        self._assign_jit_stack = library.pcre2_jit_stack_assign_8
        self._assign_jit_stack.argtypes, self._assign_jit_stack.restype = (pointer, pointer, pointer), None
        self._error_message = library.pcre2_get_error_message_8
        self._error_message.argtypes = (result, text, size)
        context = library.pcre2_compile_context_create_8
        context.argtypes, context.restype = (pointer,), pointer
        newline = library.pcre2_set_newline_8
        newline.argtypes = (pointer, number)
        self.context = pointer(context(None))
        newline(self.context, _NEWLINE_LF)
        self._spare: list[Workspace] = []
        self._spare_searchers: dict[tuple[int, ...], list[Searcher]] = {}

    def workspace(self, size: int) -> Workspace:
        """Returns a workspace with room for ``size`` bytes of output. The caller must ``release`` it."""
        # ``pop`` and ``append`` of a list are atomic, so two threads never get the same workspace.
        try:
            space = self._spare.pop()
        except IndexError:
            space = None
        if space is None or len(space.output) < size:
            if space is not None:
                self._free_match_data(space.match_data)
            match_data = ctypes.c_void_p(self._match_data(self._MAX_GROUPS, None))
            space = Workspace(match_data, ctypes.create_string_buffer(max(size, self._MIN_OUTPUT)), ctypes.c_size_t())
        return space

    def release(self, space: Workspace) -> None:
        """Makes a workspace available to later calls."""
        self._spare.append(space)

    def searcher(self, limits: tuple[int, ...]) -> Searcher:
        """Returns the memory for searches with one of these match limits. The caller must ``release_searcher`` it."""
        try:
            return self._spare_searchers.setdefault(limits, []).pop()
        except IndexError:
            pass
        match_data = ctypes.c_void_p(self._match_data(1, None))
        stack = self._jit_stack(*_JIT_STACK, None)
        contexts = [ctypes.c_void_p(self._match_context(None)) for _ in limits]
        for context, limit in zip(contexts, limits, strict=True):
            self._set_match_limit(context, limit)
            self._assign_jit_stack(context, None, stack)
        return Searcher(match_data, self._span(match_data), contexts, limits)

    def release_searcher(self, searcher: Searcher) -> None:
        """Makes a searcher available to later searches."""
        self._spare_searchers[searcher.limits].append(searcher)

    def error_message(self, number: int) -> str:
        """Returns the text of an error number."""
        text = ctypes.create_string_buffer(256)
        self._error_message(number, text, len(text))
        return text.value.decode("ascii", "replace")


@cache
def load() -> Library | None:
    """Returns the library, or None if the system has none or one from before 2017."""
    for name in _SONAMES:
        try:
            return Library(ctypes.CDLL(name))
        except (OSError, AttributeError):
            continue
    return None
