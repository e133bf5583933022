"""Maps the names of commands to operations and checks their parameters.

The control socket of a running bridge offers them (``on_bridge``). Without one, ``run_on_files`` runs those that need
only a spool.
"""

import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from ipaddress import ip_network
from typing import Any

from twisted.internet import defer
from twisted.python.failure import Failure

from bridge.config import Config
from bridge.operations import quarantine, replay, spool
from bridge.operations.actions import ActionLog
from bridge.operations.command import JSON, Command, CommandError, Progress, WrongRequest
from bridge.operations.operator import local_operator
from bridge.operations.session import Session, offline_session
from bridge.routing.conditions import Network
from bridge.spool.partition import EventFilter
from bridge.spool.quarantine import REASONS
from bridge.spool.reprocess import Selection

_ZONE = re.compile("%[^/]*")
"The zone of a link-local address, such as ``%eth0`` (RFC 4007). It is not part of the address."


def on_spool(session: Session) -> Mapping[str, Command]:
    """Returns the commands that need only a spool."""

    async def move(given: JSON, progress: Progress) -> JSON:
        to = _target(given, session)
        return await spool.move(session, _intakes(given, session, but=to), to, _event_filter(given), progress)

    async def purge(given: JSON, progress: Progress) -> JSON:
        if not given.get("unreadable"):
            return await spool.purge(session, _intakes(given, session), _event_filter(given), progress)
        if _event_filter(given):
            raise WrongRequest("unreadable: the text of these events is not known, so it cannot be combined")
        return await spool.purge_unreadable(session, _intakes(given, session), progress)

    moving: dict[str, Command] = {
        "quarantine-retry": lambda given, progress: quarantine.retry(session, *_frames(given), progress),
        "quarantine-purge": lambda given, progress: quarantine.purge(session, *_frames(given), progress),
        "spool-purge": purge,
        "spool-move": move,
        "replay": lambda given, progress: replay.replay(session, *_period(given), _number(given, "batches"), progress),
    }
    return {
        **{name: _with_accounting(session, command) for name, command in moving.items()},
        "replay-count": lambda given, progress: replay.count(session, *_period(given), progress),
    }


def _with_accounting(session: Session, command: Command) -> Command:
    """Wraps a command so that the journal records the moved events before it responds, even if it fails."""

    async def run(given: JSON, progress: Progress) -> JSON:
        try:
            return await command(given, progress)
        finally:
            await session.write_accounts()

    return run


def on_bridge(
    session: Session,
    reload: Callable[[float | None], Awaitable[JSON]],
    confirm: Callable[[], Awaitable[JSON]],
    set_key: Callable[[str, str], None],
    drain: Callable[[float, Progress], Coroutine[Any, Any, JSON]],
) -> Mapping[str, Command]:
    """Returns all commands of a running bridge.

    ``reload`` applies the configuration file, and goes back to the previous one after the given seconds unless
    ``confirm`` is called; ``set_key`` uses another key for an intake. They raise ReloadError.
    """

    async def run_reload(given: JSON, progress: Progress) -> JSON:
        if given.get("confirmed"):
            return await confirm()
        return await reload(None if given.get("confirm_seconds") is None else _number(given, "confirm_seconds"))

    async def run_set_key(given: JSON, progress: Progress) -> JSON:
        set_key(_text(given, "intake"), _text(given, "key"))
        return {}

    return {
        **on_spool(session),
        "reload": run_reload,
        "key": run_set_key,
        "drain": lambda given, progress: drain(_number(given, "timeout_seconds"), progress),
    }


def run_on_files(
    config: Config, command: str, given: JSON, progress: Progress, on_note: Callable[[str], object]
) -> JSON:
    """Runs a command on the spool of a configuration, with the spool's lock, and returns its result.

    Besides the commands of ``on_spool``, ``key`` records that the key of an intake was written to its file. ``on_note``
    receives messages for the operator about the state of the spool. Raises BridgeError or OSError.
    """
    with offline_session(config, on_note) as session:

        def write(name: str, fields: JSON) -> "defer.Deferred[None]":
            return defer.execute(session.record_action, name, fields)

        async def note_key(given: JSON, progress: Progress) -> JSON:
            return {}

        run = {**on_spool(session), "key": note_key}[command]
        actions = ActionLog(write, time.time)
        outcomes: list[JSON | Failure] = []
        running = defer.ensureDeferred(actions.run(command, run, given, progress, local_operator()))
        running.addBoth(outcomes.append)
        # All jobs of this session run at once.
        (outcome,) = outcomes
        if isinstance(outcome, Failure):
            outcome.raiseException()
        return outcome


# --- parameters -------------------------------------------------------------------------------------------------------


def _text(given: JSON, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise WrongRequest(f"{name}: must be a non-empty string")
    return value


def _number(given: JSON, name: str) -> int:
    value = given.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongRequest(f"{name}: must be an integer")
    return value


def _optional_text(given: JSON, name: str) -> str | None:
    return None if given.get(name) is None else _text(given, name)


def _frames(given: JSON) -> tuple[list[str], Selection]:
    reasons = given.get("reasons")
    if not isinstance(reasons, list) or not reasons or not all(each in REASONS for each in reasons):
        raise WrongRequest(f"reasons: must be a non-empty list of {', '.join(REASONS)}")
    return reasons, Selection(_optional_text(given, "intake"), networks(_optional_text(given, "source")))


def _period(given: JSON) -> tuple[str, int, int]:
    return _text(given, "intake"), _number(given, "from_ms"), _number(given, "to_ms")


def networks(text: str | None) -> tuple[Network, ...]:
    """Parses an address or network, without its zone; None gives an empty tuple. Raises WrongRequest."""
    if text is None:
        return ()
    try:
        return (ip_network(_ZONE.sub("", text)),)
    except ValueError:
        raise WrongRequest(f"'{text}' is not an address or network, such as 192.0.2.7 or 10.1.0.0/16") from None


def _event_filter(given: JSON) -> EventFilter:
    return EventFilter(_optional_text(given, "containing"), _optional_text(given, "source"))


def _intakes(given: JSON, session: Session, *, but: str | None = None) -> list[str]:
    intake = _optional_text(given, "intake")
    return [name for name in (session.backlogs.intakes() if intake is None else [intake]) if name != but]


def _target(given: JSON, session: Session) -> str:
    to = _text(given, "to")
    if to not in session.config.intakes:
        raise CommandError(
            f"intake {to} is not in the configuration. Its intakes are {', '.join(session.config.intakes)}"
        )
    return to
