"""Loads a configuration: reads, joins, renames old keys, validates, checks, resolves. Reports all faults at once."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bridge.config.checks import check
from bridge.config.faults import ConfigurationError, Fault, FaultReport, Place, ValidationContext, in_order
from bridge.config.include import Texts
from bridge.config.lints import lint
from bridge.config.machine_findings import MachineFinding, placed
from bridge.config.model import Config, resolved
from bridge.config.model_errors import validated
from bridge.config.renames import rename_keys
from bridge.config.unsent_data_lints import SourceWithUnsentData, lint_unsent_data
from bridge.config.yaml_tree import LARGEST, Entries, Scalar
from bridge.util.file_access import to_read
from bridge.util.files import TooLarge, read_regular


def load(path: Path | str, *, secrets: bool = True) -> Config:
    """Loads the configuration of a file and its included files. Raises ConfigurationError with all faults.

    With `secrets=False`, no secret, CA or certificate file and no environment variable is read; secrets are then empty.
    """
    return _configuration(read_bytes(path), str(path), secrets=secrets)[0]


def load_with_places(path: Path | str) -> tuple[Config, Entries]:
    """Loads a configuration without its secrets; returns it with the tree of its text. Raises ConfigurationError."""
    return _configuration(read_bytes(path), str(path), secrets=False)


def linted(
    path: Path | str, *, secrets: bool = True,
    unsent_data: Callable[[Config], Sequence[SourceWithUnsentData]] = lambda config: (),
    machine: Callable[[Config], Sequence[MachineFinding]] = lambda config: (),
) -> tuple[Config, list[Fault]]:  # fmt: skip
    """Loads a configuration as `load` does; returns it with warnings on settings that are valid but doubtful.

    `unsent_data` asks the bridge that runs with the configuration, and `machine` checks this machine. With
    `secrets=False` they are not called.
    """
    config, root = _configuration(read_bytes(path), str(path), secrets=secrets)
    found = [*config.old_names, *lint(config, root, secrets=secrets)]
    if secrets:
        findings = machine(config)
        if errors := [placed(finding, root) for finding in findings if finding.error]:
            raise ConfigurationError(errors)
        found += [placed(finding, root) for finding in findings]
        found += [Fault(*place, text) for place, text in lint_unsent_data(config, root, unsent_data(config))]
    return config, found


def key_file(path: Path | str, intake: str) -> Path | Fault:
    """Returns the file that holds an intake's key, or a Fault if the key is not in a file.

    Raises ConfigurationError if the configuration cannot be read.
    """
    report = FaultReport()
    texts = Texts(report)
    texts.read_main(read_bytes(path), str(path))
    if report.faults or texts.root is None:
        raise report.error(texts.files)
    intakes = texts.root.get("intakes")
    section = intakes.get(intake) if isinstance(intakes, Entries) else None
    given = section.get("intake_key") if isinstance(section, Entries) else None
    name = given.get("file") if isinstance(given, Entries) else None
    if isinstance(name, Scalar):
        return name.path()
    place = section.place_of("intake_key") if isinstance(section, Entries) else Place(str(path), 1, 1)
    return Fault(*place, "the key is not in a file. Write intake_key: {file: PATH}.")


def read_bytes(path: Path | str) -> bytes:
    """Reads a configuration file. Raises ConfigurationError if it cannot be read."""
    try:
        return read_regular(Path(path), LARGEST)
    except TooLarge as error:
        fault = Fault(str(path), 1, 1, f"the file is {error.strerror}. Is it a configuration?")
        raise ConfigurationError([fault]) from None
    except OSError as error:
        text = f"cannot read the file: {error.strerror}."
        if isinstance(error, FileNotFoundError):
            text += " Run sudo syslog-bridge setup to write one, or name another file with -c FILE."
        elif isinstance(error, IsADirectoryError):
            text += f" Name the file in it, such as {Path(path) / 'bridge.yaml'}."
        elif isinstance(error, PermissionError):
            text += f" {to_read(Path(path))}"
        raise ConfigurationError([Fault(str(path), 1, 1, text)]) from None


def parse_text(text: str, name: str = "<text>") -> Config:
    """Loads a configuration from a text, for tests and the demo. Relative paths start at the folder of `name`."""
    return _configuration(text.encode("utf-8", "surrogatepass"), name, secrets=True)[0]


def load_again(texts: Mapping[str, bytes]) -> Config:
    """Loads a configuration from the ``texts`` of an earlier one. Raises ConfigurationError.

    Secrets, certificates and lists of addresses are read from their files as they are now.
    """
    report = FaultReport()
    found = Texts(report)
    found.read_again(texts)
    return _validated(found, report, secrets=True)[0]


def _configuration(data: bytes, name: str, *, secrets: bool) -> tuple[Config, Entries]:
    report = FaultReport()
    texts = Texts(report)
    texts.read_main(data, name)
    return _validated(texts, report, secrets=secrets)


def _validated(texts: Texts, report: FaultReport, *, secrets: bool) -> tuple[Config, Entries]:
    document = None
    if texts.root is not None:
        rename_keys(texts.root, report)
        document = validated(texts.root, ValidationContext(report, secrets=secrets))
        # Skip these checks if a file could not be read: the other files may refer to its contents.
        if document is not None and texts.whole:
            check(document, texts.root, report, files=secrets)
    if report.faults or document is None or texts.root is None:
        raise report.error(texts.files)
    config = resolved(
        document, texts.root, sha256=texts.sha256, texts=texts.contents,
        old_names=tuple(in_order(report.warnings, texts.files)),
    )  # fmt: skip
    return config, texts.root
