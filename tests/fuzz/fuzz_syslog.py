"""Fuzzes the parser and the framer, guided by coverage. Run it by hand:

    python -m venv /tmp/fuzz && /tmp/fuzz/bin/pip install atheris hypothesis pytest tzdata
    mkdir -p /tmp/corpus && PYTHONPATH=. /tmp/fuzz/bin/python tests/fuzz/fuzz_syslog.py /tmp/corpus -max_total_time=300

The script first fills the directory with the samples. Add each finding to ``FINDINGS`` in
``tests/unit/syslog/test_fuzzer_findings.py``.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["bridge.syslog"]):
    from bridge.syslog.frames import list_of
    from bridge.syslog.framing import StreamFramer

from tests.unit.syslog.accounting import assert_fast_equals_reference
from tests.unit.syslog.mutation import SEEDS, check

MODES = ("auto", "lf", "octet-counted")


def check_parser(frame: bytes) -> None:
    """Asserts that nothing is lost and that the fast reader equals the reference parser."""
    check(frame)
    if frame.strip(b" \t\r\n\0"):
        assert_fast_equals_reference(frame)


def framed(mode: str, pieces: list[bytes]) -> list[object]:
    """Returns all frames of a stream that arrives in these pieces."""
    framer = StreamFramer(mode, 1000)
    frames: list[object] = []
    for piece in pieces:
        frames += list_of(framer.feed(piece))
        assert framer._cutter.size <= 4300
    rest, unfinished = framer.close()
    return [f for f in frames + list_of(rest) if f.strip(b" \t\r\n\0")] + framer.oversize + [unfinished]


def check_stream(mode: str, step: int, data: bytes) -> None:
    """Asserts that the frames do not depend on how the stream is read."""
    pieces = [data[i : i + step] for i in range(0, len(data), step)]
    assert framed(mode, [data]) == framed(mode, pieces)


def run_input(data: bytes) -> None:
    """Runs one input; its first byte selects the test."""
    if data[:1] > b"\xf0":
        check_stream(MODES[data[0] % 3], 1 + data[0] % 7, data[1:])
    else:
        check_parser(data)


def main() -> None:
    """Fills the corpus, then fuzzes."""
    folder = next((Path(arg) for arg in sys.argv[1:] if not arg.startswith("-")), None)
    if folder:
        for i, seed in enumerate(SEEDS):
            (folder / f"sample-{i}").write_bytes(seed)
        for i in range(0, len(SEEDS), 3):
            some = SEEDS[i : i + 3]
            (folder / f"lines-{i}").write_bytes(b"\xf3" + b"\n".join(some) + b"\n")
            (folder / f"counted-{i}").write_bytes(b"\xf5" + b"".join(b"%d %b" % (len(s), s) for s in some))
            (folder / f"wrong-{i}").write_bytes(b"\xf3" + b"".join(b"%d %b" % (len(s) - 1, s) for s in some))
    atheris.Setup(sys.argv, run_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
