"""From files to a configuration, or to every fault of them: read, join, validate, check, resolve."""

from __future__ import annotations

from pathlib import Path

from bridge.config.checks import check
from bridge.config.faults import Place, Report
from bridge.config.include import Texts
from bridge.config.messages import validated
from bridge.config.model import Config
from bridge.config.reading import Reading
from bridge.config.resolve import resolved
from bridge.config.unsupported import refuse_unsupported


def load(path: Path | str, *, secrets: bool = True) -> Config:
    """The configuration of a file and what it includes; raises ConfigurationError with all faults.

    With `secrets=False` no file of secrets or authorities and no environment is read: such secrets are empty.
    """
    report = Report()
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        report.at(Place(str(path), 1, 1), f"the file cannot be read: {error.strerror}")
        raise report.error() from None
    return _configuration(data, str(path), report, secrets=secrets)


def parse_text(text: str, name: str = "<text>") -> Config:
    """The configuration of a text, for tests and the demo; relative paths begin at the folder of `name`."""
    return _configuration(text.encode("utf-8", "surrogatepass"), name, Report(), secrets=True)


def _configuration(data: bytes, name: str, report: Report, *, secrets: bool) -> Config:
    texts = Texts(report)
    texts.read_main(data, name)
    document = None
    if texts.root is not None:
        document = validated(texts.root, Reading(report, secrets=secrets))
        # A file that could not be read may hold what the others refer to: the checks between keys would mislead.
        if document is not None and texts.whole:
            refuse_unsupported(document, texts.root, report)
            check(document, texts.root, report, files=secrets)
    if report.faults or document is None:
        raise report.error(texts.files)
    return resolved(document, sha256=texts.sha256, files=tuple(Path(file) for file in texts.files))
