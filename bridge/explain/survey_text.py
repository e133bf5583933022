"""Formats a survey as text or JSON."""

from collections.abc import Iterator, Mapping, Sequence

from bridge.config.faults import printable
from bridge.explain.survey import GroupReport, Survey
from bridge.util.counts import counted

_MAX_CHARACTERS = 300
_MAX_NAMES = 5


def text_of_survey(survey: Survey, skipped: Mapping[str, int], notes: Sequence[str]) -> Iterator[str]:
    """Yields the survey as paragraphs."""
    for group in survey.groups():
        lines = [f"{printable(group.source)}, shape {group.shape}: {counted(group.count, 'frame')}"]
        lines += [f"  {name:<9} {value}" for name, value in _rows(group)]
        yield "\n".join(lines) + "\n"
    yield "\n".join(_totals(survey, skipped, notes))


def json_of_survey(survey: Survey, skipped: Mapping[str, int], notes: Sequence[str]) -> dict[str, object]:
    """Returns the survey as a JSON object."""
    return {
        "frames": survey.frames, "not_grouped": survey.beyond, "skipped": dict(skipped), "notes": list(notes),
        "groups": [_json(group) for group in survey.groups()],
    }  # fmt: skip


def _json(group: GroupReport) -> dict[str, object]:
    identified = group.identification
    return {
        "source": group.source, "shape": group.shape, "frames": group.count, "product": identified.product,
        "confidence": round(identified.confidence, 3), "reason": identified.reason, "runner_up": identified.runner_up,
        "hosts": dict(group.hosts), "apps": dict(group.apps), "offset_seconds": group.offset_seconds,
        "untimed": group.untimed, "zones": dict(group.zones), "format": group.format, "fitting": group.fitting,
        "examined": group.examined, "odd": [frame.decode("utf-8", "backslashreplace") for frame in group.odd],
    }  # fmt: skip


def _rows(group: GroupReport) -> Iterator[tuple[str, str]]:
    identified = group.identification
    if identified.product:
        yield "product", f"{identified.product} ({identified.confidence:.0%}): {printable(identified.reason)}"
    else:
        yield "product", f"unknown: {printable(identified.reason)}"
    yield "host", _listed(group.hosts)
    yield "app", _listed(group.apps)
    yield "time", ", ".join(_time(group))
    if group.format is None:
        yield "format", f"none fits half of the {counted(group.examined, 'examined event')}"
    else:
        share = group.fitting / group.examined
        yield "format", f"{group.format}: {share:.0%} of {group.examined} examined events look like it"
    for frame in group.odd:
        yield "odd", _shown(frame)


def _time(group: GroupReport) -> Iterator[str]:
    if group.untimed == group.count:
        yield "no readable time"
        return
    if group.untimed:
        yield f"no readable time in {group.untimed:,}"
    yield f"zone {_listed(group.zones)} in the message" if group.zones else "no zone in the message"
    if group.offset_seconds is None:
        yield "offset unknown: the capture has no time of reception"
    else:
        yield f"offset {offset_text(group.offset_seconds)}"


def offset_text(seconds: float) -> str:
    """Returns a time offset in words: ``+1h00m (a time zone?)``."""
    size = abs(seconds)
    if size < 60:
        return f"{seconds:+.1f}s"
    minutes = round(size / 60)
    quarter = round(size / 900) * 900
    zone = " (a time zone?)" if abs(size - quarter) < 60 and quarter <= 14 * 3600 else ""
    days, rest = divmod(minutes, 24 * 60)
    text = f"{f'{days}d' if days else ''}{rest // 60}h{rest % 60:02}m"
    return f"{'-' if seconds < 0 else '+'}{text}{zone}"


def _totals(survey: Survey, skipped: Mapping[str, int], notes: Sequence[str]) -> Iterator[str]:
    yield f"{counted(survey.frames, 'frame')} read, {sum(skipped.values()):,} skipped"
    for reason, number in sorted(skipped.items(), key=lambda item: -item[1]):
        yield f"  {number:,} {reason}"
    if survey.beyond:
        yield f"  {survey.beyond:,} of the frames are of further sources and shapes, which are not shown"
    yield from notes


def _listed(names: Sequence[tuple[str, int]]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return ", ".join(f"{printable(name)} ({number:,})" for name, number in names[:_MAX_NAMES]) + more


def _shown(frame: bytes) -> str:
    text = printable(frame.decode("utf-8", "backslashreplace"))
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}..."
