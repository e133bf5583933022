"""The types that the sections' fields are declared with: what a written value must look like, and what it becomes.

The validators take the tree's nodes. Everything that is no mapping or list of sections is read by a function of ours
from the text as written, so pydantic converts nothing.
"""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, PlainValidator, ValidationInfo

from bridge import formats
from bridge.config import (
    addresses,
    networks,
    secret,
    units,
)
from bridge.config.faults import nearest, shown
from bridge.config.secret import Secret
from bridge.config.validation_context import ValidationContext
from bridge.config.yaml_tree import Entries, Items, Scalar

T = TypeVar("T", int, float, timedelta)

# Names that the spool uses for itself beside the intakes' folders.
SPOOL_NAMES = ("format", "lock", "control.sock")
SEVERITIES = {
    name: number
    for number, names in enumerate(
        (
            ("emerg", "emergency", "panic"),
            ("alert",),
            ("crit", "critical"),
            ("err", "error"),
            ("warning", "warn"),
            ("notice",),
            ("info", "informational"),
            ("debug",),
        )
    )
    for name in names
}
_INTAKE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


def of_text(parse: Callable[[Scalar], Any]) -> PlainValidator:
    """A field that is written as one value, read by `parse`."""

    def validate(value: object) -> Any:
        if not isinstance(value, Scalar):
            raise ValueError(f"one value is expected here, not a {'list' if isinstance(value, Items) else 'mapping'}")
        return parse(value)

    return PlainValidator(validate)


def of_choice(*choices: str) -> PlainValidator:
    """A field that is one of a few words."""

    def parse(text: Scalar) -> str:
        if text in choices:
            return str(text)
        # As close as a slip of the finger, no closer: who writes newest-first does not mean oldest-first.
        meant = nearest(text, choices, closeness=0.84)
        hint = f"did you mean {meant}?" if meant else f"write {_either(choices)}"
        raise ValueError(f"{shown(text)} is not known here: {hint}")

    return of_text(parse)


def within(low: str, high: str, parse: Callable[[str], T]) -> AfterValidator:
    """Bounds, written as the operator would."""
    lowest, highest = parse(low), parse(high)

    def validate(value: T | None) -> T | None:
        # None is `never`, where that may be written.
        if value is not None and not lowest <= value <= highest:
            raise ValueError(f"out of bounds: write {low} to {high}")
        return value

    return AfterValidator(validate)


def _either(choices: tuple[str, ...]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _text(text: Scalar) -> str:
    if not text:
        raise ValueError("an empty text matches nothing: remove it")
    return str(text)


def _name(text: Scalar) -> str:
    if not text.isprintable() or text != text.strip() or not 1 <= len(text) <= 64:
        raise ValueError("a name has 1 to 64 printable characters and no blank at its ends")
    return str(text)


def intake_name(text: str) -> str:
    """The name of an intake: it names folders and metrics. Not quoted in a fault: a key may stand in its place."""
    if not _INTAKE_NAME.fullmatch(text):
        raise ValueError("an intake's name has 1 to 64 of a-z 0-9 _ . - and begins with a letter or digit")
    if text in SPOOL_NAMES:
        raise ValueError(f"the spool uses the name {text} for itself: choose another")
    return str(text)


def _integer(text: Scalar) -> int:
    return int(_digits(text, "0|[1-9][0-9]{0,17}", "a whole number in plain digits, such as 20000"))


def _number(text: Scalar) -> float:
    return float(
        _digits(text, r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?", "a number in plain digits, such as 20 or 0.5")
    )


def _digits(text: Scalar, pattern: str, want: str) -> str:
    if not text.plain and re.fullmatch(pattern, text):
        raise ValueError(f"a number stands without quotes: write {text}")
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{shown(text)} is not {want}")
    return text


def number(text: str) -> float:
    """A bound for `within`."""
    return float(text)


def _flag(text: Scalar) -> bool:
    if text not in ("true", "false") or not text.plain:
        raise ValueError(f"{shown(text)}: write true or false")
    return text == "true"


def time_zone(text: str) -> ZoneInfo:
    """A place of the time zone database."""
    # OSError: a folder of the database ("America"), or one that cannot be read; ValueError: no name at all ("../UTC").
    try:
        return ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        pass
    if re.fullmatch(r"(?:UTC|GMT)?[+-][0-9:]+", text):
        raise ValueError(f"{shown(text)} is an offset: write a place such as Europe/Paris, or Etc/GMT-2 for +02:00")
    meant = nearest(text, zoneinfo.available_timezones(), closeness=0.8)
    raise ValueError(
        f"{shown(text)} is no time zone: {f'did you mean {meant}?' if meant else 'write Europe/Paris or UTC'}"
    )


def _format(text: Scalar) -> str:
    try:
        return formats.find(text).name
    except formats.UnknownFormat as error:
        raise ValueError(f"{shown(text)} is no format: {error.hint}") from None


def _severity(text: Scalar) -> int:
    if re.fullmatch("[0-7]", text):
        return int(text)
    if text in SEVERITIES:
        return SEVERITIES[text]
    meant = nearest(text, SEVERITIES)
    hint = (
        f"did you mean {meant}?" if meant else "write emerg, alert, crit, err, warning, notice, info, debug or 0 to 7"
    )
    raise ValueError(f"{shown(text)} is no severity: {hint}")


def _fingerprint(text: Scalar) -> str:
    # As openssl prints it (`sha256 Fingerprint=AB:CD:...`), as RFC 5425 writes it (`sha-256:AB:CD:...`), or bare.
    digits = re.sub(r"^sha-?256( fingerprint=|:)", "", text.lower()).replace(":", "")
    if not re.fullmatch("[0-9a-f]{64}", digits):
        how = "openssl x509 -in CERTIFICATE -noout -fingerprint -sha256"
        raise ValueError(f"no SHA-256 fingerprint of a certificate, 64 hexadecimal digits: {how}")
    return digits


def _queue_prefix(text: Scalar) -> str:
    # Of AMQP's letters those that need no thought in a permission's regular expression, and no ':', which is ours.
    if not re.fullmatch("[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", text):
        raise ValueError("a part of a queue's name has 1 to 64 of A-Z a-z 0-9 _ . -")
    return str(text)


def _path(text: Scalar) -> Path:
    if not text:
        raise ValueError("a path is expected")
    return ValidationContext.path(text)


def _socket_path(text: Scalar) -> Path:
    path = _path(text)
    if len(str(path).encode()) > 107:
        raise ValueError("the path of a socket has 107 bytes at most")
    return path


def _mode(text: Scalar) -> int:
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError(f"{shown(text)} is no mode: write who may send as octal digits, such as 0666 or 0660")
    return int(text, 8)


def _authorities(path: Path, info: ValidationInfo) -> Path:
    # A configuration that is read without its secrets is read off the machine, where these files are not either.
    if ValidationContext.of(info).secrets:
        try:
            with path.open("rb") as file:
                data = file.read(4 << 20)
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None
        if b"-----BEGIN CERTIFICATE-----" not in data:
            raise ValueError(f"{path} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")
    return path


def _several(value: object) -> tuple[Any, ...]:
    """A list, or one value where a list may stand."""
    if isinstance(value, Scalar):
        return (value,)
    if not isinstance(value, Items):
        raise ValueError("one value or a list is expected here, not a mapping")
    if not value and not value.pruned:
        raise ValueError("an empty list matches nothing: remove the key")
    return tuple(value)


def _sections(value: object) -> tuple[Any, ...]:
    if not isinstance(value, Items):
        what = "a mapping" if isinstance(value, Entries) else "one value"
        raise ValueError(f"a list is expected here, each entry begun with '- ', not {what}")
    return tuple(value)


def _networks(value: object, info: ValidationInfo) -> tuple[addresses.Network, ...]:
    return networks.networks(value, ValidationContext.of(info))


def _secret(value: object, info: ValidationInfo) -> Secret:
    return secret.secret(value, ValidationContext.of(info))


def _header_secret(value: object, info: ValidationInfo) -> Secret:
    return secret.header_secret(value, ValidationContext.of(info))


PayloadName = Literal["message", "content", "device", "line", "structured", "raw", "rfc5424", "json"]
TimestampName = Literal["event", "received", "none"]

Text = Annotated[str, of_text(_text)]
Name = Annotated[str, of_text(_name)]
IntakeName = Annotated[str, of_text(intake_name)]
IntakeKey = Annotated[str, PlainValidator(intake_name)]  # as the key of a mapping, where it is no Scalar
Texts = Annotated[tuple[Text, ...], BeforeValidator(_several)]
SECTIONS = BeforeValidator(_sections)
Integer = Annotated[int, of_text(_integer)]
Number = Annotated[float, of_text(_number)]
Flag = Annotated[bool, of_text(_flag)]
Duration = Annotated[timedelta, of_text(units.duration)]
DurationOrNever = Annotated[timedelta | None, of_text(units.duration_or_never)]
Size = Annotated[int, of_text(units.size)]
SizeOrShare = Annotated[int | units.Share, of_text(units.size_or_share)]
Rate = Annotated[int, of_text(units.rate)]
Volume = Annotated[int, of_text(units.volume)]
Bandwidth = Annotated[int, of_text(units.bandwidth)]
Zone = Annotated[ZoneInfo, of_text(time_zone)]
Format = Annotated[str, of_text(_format)]
Severity = Annotated[int, of_text(_severity)]
FilePath = Annotated[Path, of_text(_path)]
Authorities = Annotated[Path, of_text(_path), AfterValidator(_authorities)]
Fingerprint = Annotated[str, of_text(_fingerprint)]
Fingerprints = Annotated[tuple[Fingerprint, ...], BeforeValidator(_several)]
SocketPath = Annotated[Path, of_text(_socket_path)]
Mode = Annotated[int, of_text(_mode)]
CopyTo = Annotated[addresses.CopyTarget, of_text(addresses.copy_target)]
CopyTargets = Annotated[tuple[CopyTo, ...], BeforeValidator(_several)]
ListenAddress = Annotated[addresses.Address, of_text(addresses.address)]
BaseUrl = Annotated[str, of_text(addresses.base_url)]
BaseUrls = Annotated[tuple[BaseUrl, ...], BeforeValidator(_several)]
BrokerUrl = Annotated[str, of_text(addresses.amqp_url)]
BrokerUrls = Annotated[tuple[BrokerUrl, ...], BeforeValidator(_several)]
QueuePrefix = Annotated[str, of_text(_queue_prefix)]
ProxyUrl = Annotated[str, of_text(addresses.proxy_url)]
Networks = Annotated[tuple[addresses.Network, ...], PlainValidator(_networks)]
AnySecret = Annotated[Secret, PlainValidator(_secret)]
HeaderSecret = Annotated[Secret, PlainValidator(_header_secret)]
Payload = Annotated[PayloadName, of_choice(*get_args(PayloadName))]
Timestamp = Annotated[TimestampName, of_choice(*get_args(TimestampName))]
