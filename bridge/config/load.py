"""From files to a configuration, or to every fault of them: read, join, validate, check, resolve."""

from __future__ import annotations

from pathlib import Path

from bridge.config.checks import check
from bridge.config.faults import Fault, FaultReport, Place
from bridge.config.include import Texts
from bridge.config.lints import lint
from bridge.config.model import Config
from bridge.config.model_errors import validated
from bridge.config.resolve import resolved
from bridge.config.validation_context import ValidationContext
from bridge.config.yaml_tree import Entries, Scalar


def load(path: Path | str, *, secrets: bool = True) -> Config:
    """The configuration of a file and what it includes; raises ConfigurationError with all faults.

    With `secrets=False` no file of secrets or authorities and no environment is read: such secrets are empty.
    """
    report = FaultReport()
    data = _read(path, report)
    return _configuration(data, str(path), report, secrets=secrets)[0]


def linted(path: Path | str, *, secrets: bool = True) -> tuple[Config, list[Fault]]:
    """The same, with what is right by the letter but probably not what was meant."""
    report = FaultReport()
    data = _read(path, report)
    config, root = _configuration(data, str(path), report, secrets=secrets)
    return config, lint(config, root, secrets=secrets)


def key_file(path: Path | str, intake: str) -> Path | Fault:
    """The file that holds an intake's key, or why there is none. Raises ConfigurationError where the configuration
    cannot be read."""
    report = FaultReport()
    data = _read(path, report)
    texts = Texts(report)
    texts.read_main(data, str(path))
    if report.faults or texts.root is None:
        raise report.error(texts.files)
    intakes = texts.root.get("intakes")
    section = intakes.get(intake) if isinstance(intakes, Entries) else None
    given = section.get("intake_key") if isinstance(section, Entries) else None
    name = given.get("file") if isinstance(given, Entries) else None
    if isinstance(name, Scalar):
        return ValidationContext(report, secrets=False).path(name)
    place = section.place_of("intake_key") if isinstance(section, Entries) else Place(str(path), 1, 1)
    return Fault(place.file, place.line, place.column, "the key is not in a file: give it as intake_key: {file: PATH}")


def _read(path: Path | str, report: FaultReport) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        report.at(Place(str(path), 1, 1), f"the file cannot be read: {error.strerror}")
        raise report.error() from None


def parse_text(text: str, name: str = "<text>") -> Config:
    """The configuration of a text, for tests and the demo; relative paths begin at the folder of `name`."""
    return _configuration(text.encode("utf-8", "surrogatepass"), name, FaultReport(), secrets=True)[0]


def _configuration(data: bytes, name: str, report: FaultReport, *, secrets: bool) -> tuple[Config, Entries]:
    texts = Texts(report)
    texts.read_main(data, name)
    document = None
    if texts.root is not None:
        document = validated(texts.root, ValidationContext(report, secrets=secrets))
        # A file that could not be read may hold what the others refer to: the checks between keys would mislead.
        if document is not None and texts.whole:
            check(document, texts.root, report, files=secrets)
    if report.faults or document is None or texts.root is None:
        raise report.error(texts.files)
    config = resolved(document, sha256=texts.sha256, files=tuple(Path(file) for file in texts.files))
    return config, texts.root
