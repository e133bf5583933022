"""The commands of the control socket, by name: what they take, and what they do with a running bridge."""

from collections.abc import Awaitable, Mapping
from ipaddress import ip_network
from typing import Protocol

from bridge.operations import (
    drain,
    quarantine,
    replay,
    spool,
)
from bridge.operations.command import (
    JSON,
    Command,
    CommandError,
    Progress,
    ReloadError,
    WrongRequest,
)
from bridge.operations.session import Session
from bridge.routing.conditions import Network
from bridge.spool.archive_replay import ArchiveChanged
from bridge.spool.partition import EventFilter
from bridge.spool.quarantine import REASONS
from bridge.spool.reprocess import Selection
from bridge.spool.transaction import UnfinishedTransaction


class ReloadResult(Protocol):
    """The result of a reload."""

    @property
    def text(self) -> str:
        """The result in one sentence."""

    @property
    def pause(self) -> float:
        """Seconds that the reactor did nothing else."""


class Reloader(Protocol):
    """Applies another configuration to the running bridge."""

    def run(self) -> Awaitable[ReloadResult]:
        """Reads and applies the configuration file. Raises ReloadError."""

    def set_key(self, intake: str, key: str) -> None:
        """Uses another key for an intake. Raises ReloadError."""


TOLD = (CommandError, ReloadError, UnfinishedTransaction, ArchiveChanged)
"Errors whose text is for the operator."


def on_spool(session: Session) -> Mapping[str, Command]:
    """Those that need no more than a spool."""
    moving: dict[str, Command] = {
        "quarantine-retry": lambda given, progress: quarantine.retry(
            session, _reasons(given), _selection(given), progress
        ),
        "quarantine-purge": lambda given, progress: quarantine.purge(
            session, _reasons(given), _selection(given), progress
        ),
        "spool-purge": lambda given, progress: spool.purge(session, _intakes(given, session), _words(given), progress),
        "spool-move": lambda given, progress: spool.move(
            session,
            _intakes(given, session, but=_target(given, session)),
            _target(given, session),
            _words(given),
            progress,
        ),
        "replay": lambda given, progress: replay.replay(
            session,
            _text(given, "intake"),
            _number(given, "from_ms"),
            _number(given, "to_ms"),
            _number(given, "batches"),
            progress,
        ),
    }
    return {
        **{name: _accounted(session, command) for name, command in moving.items()},
        "replay-count": lambda given, progress: replay.count(
            session, _text(given, "intake"), _number(given, "from_ms"), _number(given, "to_ms"), progress
        ),
    }


def _accounted(session: Session, command: Command) -> Command:
    """The same; however it ends, before it answers the history has what it has moved."""

    async def run(given: JSON, progress: Progress) -> JSON:
        try:
            return await command(given, progress)
        finally:
            await session.account()

    return run


def on_bridge(session: Session, reload: Reloader, draining: drain.Drain) -> Mapping[str, Command]:
    """All of them."""

    async def reloaded(given: JSON, progress: Progress) -> JSON:
        done = await reload.run()
        return {"text": done.text, "pause_seconds": done.pause}

    async def keyed(given: JSON, progress: Progress) -> JSON:
        reload.set_key(_text(given, "intake"), _text(given, "key"))
        return {}

    async def drained(given: JSON, progress: Progress) -> JSON:
        return await draining.run(_number(given, "timeout_seconds"), progress)

    return {**on_spool(session), "reload": reloaded, "key": keyed, "drain": drained}


# --- what they take ---------------------------------------------------------------------------------------------------


def _text(given: JSON, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise WrongRequest(f"{name}: a text is expected")
    return value


def _number(given: JSON, name: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongRequest(f"{name}: a whole number is expected")
    return value


def _maybe(given: JSON, name: str) -> str | None:
    return None if given.get(name) is None else _text(given, name)


def _reasons(given: JSON) -> list[str]:
    value = given.get("reasons")
    if not isinstance(value, list) or not value or not all(each in REASONS for each in value):
        raise WrongRequest(f"reasons: a list of {', '.join(REASONS)} is expected")
    return value


def _selection(given: JSON) -> Selection:
    return Selection(_maybe(given, "intake"), networks(_maybe(given, "source")))


def networks(text: str | None) -> tuple[Network, ...]:
    """An address or network, or none. Raises WrongRequest."""
    if text is None:
        return ()
    try:
        return (ip_network(text),)
    except ValueError:
        raise WrongRequest(f"'{text}' is no address or network, such as 192.0.2.7 or 10.1.0.0/16") from None


def _words(given: JSON) -> EventFilter:
    return EventFilter(_maybe(given, "containing"), _maybe(given, "source"))


def _intakes(given: JSON, session: Session, *, but: str | None = None) -> list[str]:
    intake = _maybe(given, "intake")
    return [name for name in (session.intakes() if intake is None else [intake]) if name != but]


def _target(given: JSON, session: Session) -> str:
    to = _text(given, "to")
    if to not in session.config.intakes:
        raise CommandError(f"intake {to} is not in the configuration: there are {', '.join(session.config.intakes)}")
    return to
