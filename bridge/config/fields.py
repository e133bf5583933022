"""Defines the base of all sections and the types of their fields: each one parses and validates a written value.

The validators receive nodes of the tree. A function of this package parses every value from its text, except mappings
and lists of sections, so pydantic converts nothing.
"""

import re
import zoneinfo
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainValidator, ValidationInfo

from bridge import formats
from bridge.config import addresses, networks, secret, units
from bridge.config.faults import ValidationContext, shown, suggestion
from bridge.config.secret import Secret
from bridge.config.yaml_tree import Entries, Items, Scalar
from bridge.config.zone_hints import unknown_zone
from bridge.tls import pem, suites
from bridge.util.expression import Expression, ExpressionError, MissingLibrary
from bridge.util.file_access import to_install, to_read
from bridge.util.files import read_regular

T = TypeVar("T", int, float, timedelta)

# Names that the spool uses itself, in the directory that also holds one folder per intake.
SPOOL_NAMES = ("format", "lock", "control.sock")
# Names of the severities 0 to 7.
_SEVERITIES = (
    "emerg emergency panic", "alert", "crit critical", "err error", "warning warn", "notice", "info informational",
    "debug",
)  # fmt: skip
SEVERITIES = {name: number for number, names in enumerate(_SEVERITIES) for name in names.split()}
# Names of the facilities 0 to 23, as in RFC 5424 section 6.2.1, syslog.conf(5) and `explain`.
_FACILITIES = (
    "kern kernel", "user", "mail", "daemon", "auth security", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
    "local7",
)  # fmt: skip
FACILITIES = {name: number for number, names in enumerate(_FACILITIES) for name in names.split()}
_INTAKE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
UNKNOWN_INTAKE = "INTAKE"
"Stands for the name of an intake in a route that a command suggests. It is not a valid name."
LONGEST_REGEX = 4096
"Characters of a regular expression, at most."


class Section(BaseModel):
    """An immutable mapping of the configuration: its keys are the fields; unknown keys are rejected."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


def of_text(parse: Callable[[Scalar], Any]) -> PlainValidator:
    """Makes the validator of a field that holds a single value, which `parse` reads."""

    def validate(value: object) -> Any:
        if not isinstance(value, Scalar):
            found = "list" if isinstance(value, Items) else "mapping"
            raise ValueError(f"expected a single value here, not a {found}.")
        return parse(value)

    return PlainValidator(validate)


def of_choice(*choices: str) -> PlainValidator:
    """Makes the validator of a field that holds one of a few words."""

    def parse(text: Scalar) -> str:
        if text in choices:
            return str(text)
        # Suggest only what a typing error explains: newest-first is not meant as oldest-first.
        hint = suggestion(text, choices, f". Write {', '.join(choices[:-1])} or {choices[-1]}.", closeness=0.84)
        raise ValueError(f"unknown value {shown(text)}{hint}")

    return of_text(parse)


def within(low: str, high: str, parse: Callable[[str], T]) -> AfterValidator:
    """Makes a validator of a range whose bounds are written as in a configuration, so that errors can quote them."""
    lowest, highest = parse(low), parse(high)

    def validate(value: T | None) -> T | None:
        # None stands for `never`, in fields that allow it.
        if value is not None and not lowest <= value <= highest:
            raise ValueError(f"out of range. Write {low} to {high}.")
        return value

    return AfterValidator(validate)


def _text(text: Scalar) -> str:
    if not text:
        raise ValueError("an empty text matches nothing. Remove it.")
    return str(text)


def _name(text: Scalar) -> str:
    if not text.isprintable() or text != text.strip() or not 1 <= len(text) <= 64:
        raise ValueError("invalid name. Write 1 to 64 printable characters, without spaces at either end.")
    return str(text)


def intake_name(text: str) -> str:
    """Validates the name of an intake, which is used for folders and metrics.

    No error quotes it, because an intake key may have been pasted in its place.
    """
    if text == UNKNOWN_INTAKE:
        raise ValueError(f"{UNKNOWN_INTAKE} stands for a name. Write the name of an intake in its place.")
    if not _INTAKE_NAME.fullmatch(text):
        raise ValueError("invalid intake name. Write 1 to 64 of a-z 0-9 _ . - and begin with a letter or digit.")
    if text in SPOOL_NAMES:
        raise ValueError(f"the name {text} is reserved for the spool. Choose another name.")
    return str(text)


def _integer(text: Scalar) -> int:
    return int(_digits(text, "0|[1-9][0-9]{0,17}", "a whole number", "20000"))


def _number(text: Scalar) -> float:
    return float(_digits(text, r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?", "a number", "20 or 0.5"))


def _digits(text: Scalar, pattern: str, expected: str, example: str) -> str:
    if not text.plain and re.fullmatch(pattern, text):
        raise ValueError(f"a number must not be in quotes. Write {text}.")
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{shown(text)} is not {expected}. Write decimal digits only, for example {example}.")
    return text


def _flag(text: Scalar) -> bool:
    if text not in ("true", "false") or not text.plain:
        raise ValueError(f"{shown(text)} is not a boolean. Write true or false, without quotes.")
    return text == "true"


def time_zone(text: str) -> ZoneInfo:
    """Looks up a zone of the time zone database."""
    # OSError: a folder of the database ("America") or an unreadable one. ValueError: an invalid name ("../UTC").
    with suppress(zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo(text)
    raise ValueError(unknown_zone(text))


def _format(text: Scalar) -> str:
    try:
        return formats.find(text).name
    except formats.UnknownFormat as error:
        raise ValueError(f"unknown format {shown(text)}: {error.hint}") from None


def _severity(text: Scalar) -> int:
    return _number_of(text, "severity", SEVERITIES, "emerg, alert, crit, err, warning, notice, info, debug or 0 to 7")


def _facility(text: Scalar) -> int:
    return _number_of(text, "facility", FACILITIES, "a name such as auth, daemon or local0, or 0 to 23")


def _number_of(text: Scalar, kind: str, numbers: Mapping[str, int], choices: str) -> int:
    """Returns the number of a severity or facility, which is given by name or number; `choices` is for the fault."""
    if text in numbers:
        return numbers[text]
    if text in map(str, numbers.values()):
        return int(text)
    raise ValueError(f"unknown {kind} {shown(text)}{suggestion(text, numbers, f'. Write {choices}.')}")


def _regex(text: Scalar) -> Expression:
    if len(text) > LONGEST_REGEX:
        raise ValueError(f"the regular expression is longer than {LONGEST_REGEX} characters. Write several.")
    try:
        return Expression(_text(text))
    except ExpressionError as error:
        raise ValueError(f"not a regular expression of PCRE2: {error}.") from None
    except MissingLibrary as error:
        raise ValueError(f"{error}.") from None


def _fingerprint(text: Scalar) -> str:
    # Accepts openssl's form (`sha256 Fingerprint=AB:CD:...`), RFC 5425's (`sha-256:AB:CD:...`) and plain digits.
    digits = re.sub(r"^sha-?256( fingerprint=|:)", "", text.lower()).replace(":", "")
    if not re.fullmatch("[0-9a-f]{64}", digits):
        command = "openssl x509 -in CERTIFICATE -noout -fingerprint -sha256"
        raise ValueError(f'not a SHA-256 fingerprint (64 hexadecimal digits). Run "{command}" to print it.')
    return digits


def _cipher_suite(text: Scalar) -> str:
    name = suites.named(text)
    if name not in suites.SUITES:
        otherwise = f". Known suites: {', '.join((*suites.TLS_1_3, *suites.STRONG))}; more with legacy_ciphers."
        raise ValueError(
            f"unknown cipher suite {shown(text)}{suggestion(name, suites.SUITES, otherwise, closeness=0.9)}"
        )
    return name


def _queue_prefix(text: Scalar) -> str:
    # AMQP allows more characters. These need hardly any escaping in a permission's regular expression. A colon is
    # excluded because the bridge uses it itself in queue names.
    if not re.fullmatch("[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}", text):
        raise ValueError("invalid queue name. Write 1 to 64 of A-Z a-z 0-9 _ . - and do not begin with a dot.")
    return str(text)


def _path(text: Scalar) -> Path:
    if not text:
        raise ValueError("the path is empty. Write a path.")
    return text.path()


def _socket_path(text: Scalar) -> Path:
    path = _path(text)
    if len(str(path).encode()) > 107:
        raise ValueError("the path of a Unix socket must not exceed 107 bytes. Choose a shorter path.")
    return path


def _mode(text: Scalar) -> int:
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError(f"invalid mode {shown(text)}. Write octal permissions, for example 0666 or 0660.")
    return int(text, 8)


def _authorities(path: Path, info: ValidationInfo) -> Path:
    # A configuration that is read without its secrets is read on another machine, which lacks these files too.
    if ValidationContext.of(info).secrets:
        try:
            data = read_regular(path, pem.LARGEST)
        except OSError as error:
            hint = to_read(path) if isinstance(error, PermissionError) else to_install(path)
            raise ValueError(f"cannot read {path}: {error.strerror}. {hint}") from None
        if b"-----BEGIN CERTIFICATE-----" not in data:
            raise ValueError(f"{path} contains no PEM certificate (-----BEGIN CERTIFICATE-----).")
    return path


def one_or_list(value: object) -> tuple[Any, ...]:
    """Returns the items of a list, or a single value as a list of one."""
    if isinstance(value, Scalar):
        return (value,)
    if not isinstance(value, Items):
        raise ValueError("expected a single value or a list here, not a mapping.")
    if not value and not value.pruned:
        raise ValueError("an empty list matches nothing. Remove the key.")
    return tuple(value)


def _sections(value: object) -> tuple[Any, ...]:
    if not isinstance(value, Items):
        found = "a mapping" if isinstance(value, Entries) else "a single value"
        raise ValueError(f"expected a list here, not {found}. Begin each entry with '- '.")
    return tuple(value)


PayloadName = Literal["message", "auto", "content", "device", "line", "structured", "raw", "rfc5424", "json"]
TimestampName = Literal["event", "received", "none"]

Text = Annotated[str, of_text(_text)]
Name = Annotated[str, of_text(_name)]
IntakeName = Annotated[str, of_text(intake_name)]
IntakeKey = Annotated[str, PlainValidator(intake_name)]  # an intake's name as the key of a mapping: str, not Scalar
Texts = Annotated[tuple[Text, ...], BeforeValidator(one_or_list)]
SECTIONS = BeforeValidator(_sections)
Integer = Annotated[int, of_text(_integer)]
Number = Annotated[float, of_text(_number)]
Flag = Annotated[bool, of_text(_flag)]
Duration = Annotated[timedelta, of_text(units.duration)]
DurationOrNever = Annotated[timedelta | None, of_text(units.duration_or_never)]
Size = Annotated[int, of_text(units.size)]
SizeOrShare = Annotated[int | units.Share, of_text(units.size_or_share)]
RateShare = Annotated[units.Share, of_text(units.rate_share)]
Rate = Annotated[int, of_text(units.rate)]
Volume = Annotated[int, of_text(units.volume)]
Bandwidth = Annotated[int, of_text(units.bandwidth)]
Zone = Annotated[ZoneInfo, of_text(time_zone)]
Format = Annotated[str, of_text(_format)]
Severity = Annotated[int, of_text(_severity)]
Facility = Annotated[int, of_text(_facility)]
Facilities = Annotated[tuple[Facility, ...], BeforeValidator(one_or_list)]
Regex = Annotated[Expression, of_text(_regex)]
Regexes = Annotated[tuple[Regex, ...], BeforeValidator(one_or_list)]
FilePath = Annotated[Path, of_text(_path)]
Authorities = Annotated[Path, of_text(_path), AfterValidator(_authorities)]
CipherSuites = Annotated[tuple[Annotated[str, of_text(_cipher_suite)], ...], BeforeValidator(one_or_list)]
Fingerprint = Annotated[str, of_text(_fingerprint)]
Fingerprints = Annotated[tuple[Fingerprint, ...], BeforeValidator(one_or_list)]
SocketPath = Annotated[Path, of_text(_socket_path)]
Mode = Annotated[int, of_text(_mode)]
MirrorTo = Annotated[addresses.MirrorTarget, of_text(addresses.mirror_target)]
MirrorTargets = Annotated[tuple[MirrorTo, ...], BeforeValidator(one_or_list)]
ListenAddress = Annotated[addresses.Address, of_text(addresses.address)]
BaseUrl = Annotated[str, of_text(addresses.base_url)]
BaseUrls = Annotated[tuple[BaseUrl, ...], BeforeValidator(one_or_list)]
BrokerUrl = Annotated[str, of_text(addresses.amqp_url)]
BrokerUrls = Annotated[tuple[BrokerUrl, ...], BeforeValidator(one_or_list)]
QueuePrefix = Annotated[str, of_text(_queue_prefix)]
ProxyUrl = Annotated[str, of_text(addresses.proxy_url)]
Networks = Annotated[tuple[addresses.Network, ...], PlainValidator(networks.networks)]
AnySecret = Annotated[Secret, PlainValidator(secret.secret)]
HeaderSecret = Annotated[Secret, PlainValidator(secret.header_secret)]
IntakeKeySecret = Annotated[Secret, PlainValidator(secret.intake_key)]
Payload = Annotated[PayloadName, of_choice(*get_args(PayloadName))]
Timestamp = Annotated[TimestampName, of_choice(*get_args(TimestampName))]
