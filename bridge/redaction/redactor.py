"""Redacts the messages of a read: replaces what the rules of ``redact:`` find in MSG and in structured data values.

A ``Redactor`` takes and returns whole frames, so everything behind it sees redacted messages only: routes, payloads,
quarantine, samples and mirrors. The rest of a header stays, as routing and parsing need it. All rules look at the
original text, so their order does not matter where their matches do not overlap.

A frame whose search exceeds the match limit of an expression is *failed*: it may not be sent.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bridge.redaction.patterns import Pattern
from bridge.redaction.structure import Part, replaced, replaced_values
from bridge.syslog.frames import BLANK, Frames, block_of, list_of
from bridge.syslog.intake_key import has_key, without_key
from bridge.syslog.reader import read_columns
from bridge.util.expression import Expression, LimitExceeded

_NEEDS = frozenset(("msg", "structured_data"))


class RedactionRule:
    """Holds one rule: a named pattern or the expression of an operator, and what replaces its matches."""

    __slots__ = ("_expression", "_is_valid", "candidates", "name", "replacement")

    def __init__(self, name: str, finds: Pattern | Expression, replacement: str) -> None:
        self.name = name
        self.replacement = replacement.encode("ascii")
        self._is_valid: Callable[[bytes], bool] | None = None
        self.candidates: Expression | None = None
        "Finds every frame in which the rule can match. None: that may be any frame."
        if isinstance(finds, Expression):
            self._expression = finds
        else:
            self._is_valid = finds.is_valid
            self._expression = Expression(finds.expression, limited=False)
            self.candidates = Expression(f"(?:{finds.body})", limited=False)

    def parts(self, text: bytes) -> list[Part]:
        """Returns what the rule replaces in a text. Raises LimitExceeded."""
        return [
            Part(start, end, self.replacement)
            for start, end in self._expression.spans(text)
            if self._is_valid is None or self._is_valid(text[start:end])
        ]


class _Failed(Exception):
    """Raised if a rule exceeds its match limit on a message."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class Redacted(NamedTuple):
    """The result of redacting the frames of a read."""

    frames: Frames
    "All frames but the failed ones, in their order."
    counts: Counter[str]
    "Replaced matches by rule."
    failed: Sequence[tuple[bytes, str]] = ()
    "The failed frames as they were received, each with the rule that failed."
    failed_rows: Sequence[int] = ()
    "The numbers of the failed frames in the read."


class Redactor:
    """Applies the rules for one sender. Several threads may use it at once."""

    def __init__(self, rules: Sequence[RedactionRule]) -> None:
        self._rules = rules
        self._candidates = [rule.candidates for rule in rules if rule.candidates is not None]
        self._any_frame = len(self._candidates) < len(rules)

    def redact(self, frames: Frames) -> Redacted:
        """Redacts the frames of a read. Their number stays the same but for failed frames."""
        candidates = self._candidate_rows(frames)
        counts: Counter[str] = Counter()
        if not candidates:
            return Redacted(frames, counts)
        each = list(list_of(frames))
        failed: dict[int, str] = {}
        for row, message in zip(candidates, _messages([each[row] for row in candidates]), strict=True):
            try:
                each[row] = self._redacted(message, counts)
            except _Failed as error:
                failed[row] = error.rule
        if not failed:
            return Redacted(_as(frames, each) if counts else frames, counts)
        rest = [frame for row, frame in enumerate(each) if row not in failed]
        return Redacted(_as(frames, rest), counts, [(each[row], rule) for row, rule in failed.items()], list(failed))

    def _candidate_rows(self, frames: Frames) -> list[int]:
        """Returns the numbers of the frames in which a rule can match, without blank ones."""
        # A key may stand within a match.
        if self._any_frame or isinstance(frames, list) or has_key(frames):
            return [row for row, frame in enumerate(list_of(frames)) if frame.strip(BLANK)]
        return sorted({row for expression in self._candidates for row in expression.rows(frames)})

    def _redacted(self, message: "_Message", counts: Counter[str]) -> bytes:
        """Returns the frame of a message, redacted. Raises _Failed; then nothing is counted."""
        found: Counter[str] = Counter()
        text, data = message.text, message.data
        new_text = replaced(text, parts) if (parts := self._parts(text, found)) else text
        new_data = replaced_values(data, parts) if data and (parts := self._parts(data, found)) else data
        if new_text is text and new_data is data:
            return message.frame
        counts.update(found)
        return message.changed(new_text, new_data)

    def _parts(self, text: bytes, found: Counter[str]) -> list[Part]:
        """Returns what all rules replace in a text. Parts that overlap are one, with the replacement of the first."""
        parts: list[Part] = []
        for rule in self._rules:
            try:
                of_rule = rule.parts(text)
            except LimitExceeded:
                raise _Failed(rule.name) from None
            if of_rule:
                found[rule.name] += len(of_rule)
                parts += of_rule
        if len(parts) < 2:
            return parts
        parts.sort(key=lambda part: (part.start, -part.end))
        merged = [parts[0]]
        for part in parts[1:]:
            last = merged[-1]
            if part.start < last.end:
                merged[-1] = last._replace(end=max(last.end, part.end))
            else:
                merged.append(part)
        return merged


class _Message(NamedTuple):
    frame: bytes
    data_end: int
    text_start: int
    text: bytes
    "MSG."
    data: bytes
    "The structured data."

    def changed(self, text: bytes, data: bytes) -> bytes:
        """Returns the frame with another MSG and other structured data."""
        frame, data_start = self.frame, self.data_end - len(self.data)
        between, rest = frame[self.data_end : self.text_start], frame[self.text_start + len(self.text) :]
        return frame[:data_start] + data + between + text + rest


def _messages(frames: list[bytes]) -> list[_Message]:
    """Returns MSG and structured data of frames, none of which is blank."""
    if has_key(frames):
        # The element with the key stands before MSG or within it, so what is parsed is the frame without it.
        frames = [without_key(frame) for frame in frames]
    columns = read_columns(block_of(frames), _NEEDS)
    return list(map(_message, frames, columns["msg"], columns["structured_data"]))


def _message(frame: bytes, text: bytes, data: bytes) -> _Message:
    """Returns the places of MSG and structured data in a frame. A frame that they are not found in is all MSG."""
    end = len(frame) if frame.endswith(text) else len(frame.rstrip(BLANK))
    start = end - len(text)
    data_end = frame.rfind(data, 0, max(start, 0)) + len(data) if data else 0
    if not frame.startswith(text, start) or (data and data_end < len(data)):
        return _Message(frame, 0, 0, frame, b"")
    return _Message(frame, data_end, start, text, data)


def _as(frames: Frames, changed: list[bytes]) -> Frames:
    """Returns changed frames as a block if they were one."""
    return block_of(changed) if isinstance(frames, bytes) else changed
