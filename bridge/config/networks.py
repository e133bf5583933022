"""Parses lists of senders: addresses and networks in the configuration, or in a separate file, one per line."""

from pydantic import ValidationInfo

from bridge.config.addresses import Network, network
from bridge.config.faults import Place, Reported, ValidationContext
from bridge.config.yaml_tree import Entries, Items, Node, Scalar
from bridge.util.files import TooLarge, read_regular

_LARGEST = 4 << 20  # maximum bytes of a list file


def networks(value: object, info: ValidationInfo) -> tuple[Network, ...]:
    """Parses an address, a network, `{file: PATH}` or a list of these. Each fault is reported at its own place.

    Raises Reported after such faults, ValueError if the value as a whole is invalid.
    """
    reading = ValidationContext.of(info)
    if isinstance(value, Items):
        if not value:
            raise ValueError("an empty list matches no sender. Remove the key, or list addresses.")
        entries: list[tuple[Node, Place]] = list(zip(value, value.places, strict=True))
    elif isinstance(value, Scalar | Entries):
        entries = [(value, value.place)]
    else:
        raise ValueError("expected an address, a network or a list of them here.")
    faulty = False
    found: list[Network] = []
    for entry, place in entries:
        try:
            found += _entry(entry, reading)
        except Reported:
            faulty = True
        except ValueError as error:
            reading.report.at(place, str(error))
            faulty = True
    if faulty:
        raise Reported
    return tuple(found)


def _entry(entry: Node, reading: ValidationContext) -> list[Network]:
    if isinstance(entry, Scalar):
        return [network(entry)]
    if not isinstance(entry, Entries) or set(entry) != {"file"} or not isinstance(path := entry["file"], Scalar):
        raise ValueError("expected an address, a network or {file: PATH} here.")
    return _read_list(path, reading)


def _read_list(value: Scalar, reading: ValidationContext) -> list[Network]:
    path = value.path()
    try:
        data = read_regular(path, _LARGEST)
    except TooLarge as error:
        raise ValueError(f"the list {path} is {error.strerror}. Split it into several files.") from None
    except OSError as error:
        raise ValueError(f"cannot read the list {path}: {error.strerror}.") from None
    found: list[Network] = []
    faulty = False
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        text = line.partition("#")[0]
        if not text.strip():
            continue
        try:
            found.append(network(text.strip()))
        except ValueError as error:
            # Quote a line only if it looks like an address: the path may be that of a key file.
            like_address = text.strip()[0].isdigit() and "." in text
            message = str(error) if like_address else "this line is not an address or network."
            reading.report.at(Place(str(path), number, len(text) - len(text.lstrip()) + 1), message)
            faulty = True
    if faulty:
        raise Reported
    if not found:
        raise ValueError(f"the list {path} is empty and would match no sender. Add addresses, or remove the key.")
    return found
