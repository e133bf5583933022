"""Finds the spool's directory in a configuration without validating the rest."""

from pathlib import Path

from bridge.config.faults import FaultReport
from bridge.config.include import Texts
from bridge.config.yaml_tree import LARGEST, Entries, Scalar
from bridge.util.files import read_regular

DEFAULT_DIRECTORY = Path("/var/lib/syslog-bridge/spool")
"The directory if the configuration names none."


def spool_directory(file: Path) -> Path | None:
    """Returns the directory of the spool, as ``load`` would; None if only ``load`` can tell, or explain why not.

    Does not import the models, and finds the directory also if another key of the configuration is invalid.
    """
    report = FaultReport()
    texts = Texts(report)
    try:
        texts.read_main(read_regular(file, LARGEST), str(file))
    except OSError:
        return None
    if texts.root is None or report.faults:
        return None
    section = texts.root.get("spool", Entries(texts.root.place))
    if not isinstance(section, Entries):
        return None
    if "directory" not in section:
        return DEFAULT_DIRECTORY
    directory = section["directory"]
    return directory.path() if isinstance(directory, Scalar) and directory and "\0" not in directory else None
