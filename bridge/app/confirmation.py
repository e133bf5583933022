"""Waits for the operator to confirm a new configuration, and goes back to the previous one if that does not happen.

There are three states. 1. Nothing waits. 2. A new configuration is in use and waits for ``confirm`` until a time. A
reload without a time keeps this state and the time, so that a reload by a script does not confirm. 3. The time has
passed: the previous configuration is in use, and the new one is still on disk. The next successful reload ends this.
"""
# mypy: disallow-untyped-calls=False

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from bridge.app import unconfirmed
from bridge.app.process import Process
from bridge.app.unconfirmed import Unconfirmed
from bridge.config import Config
from bridge.config.secret import holds_secret
from bridge.operations.command import ReloadError
from bridge.util.alarms import AlarmSink
from bridge.util.os_errors import described

REMEDY = 'run "syslog-bridge reload --confirmed" to keep it'

WRITE_TIMEOUT = 5.0
"Seconds to wait for the file."

log = Logger(namespace="app")


class Confirmation:
    """The wait of one bridge. ``waiting``: what a start found; ``revert`` starts the return to the previous one."""

    def __init__(
        self, process: Process, alarms: AlarmSink, folder: Path, waiting: Unconfirmed | None,
        revert: Callable[[], object],
    ) -> None:  # fmt: skip
        self._process = process
        self._alarms = alarms
        self._folder = folder
        self._waiting = waiting
        self._revert = revert
        self._timer: IDelayedCall | None = None
        self._has_secret = False
        "True if the texts of the previous configuration contain a secret."

    def start(self) -> None:
        """Continues the wait that the start found. Otherwise removes what an earlier process left."""
        if self._waiting is None:
            removed = defer.ensureDeferred(self._remove())
            removed.addErrback(lambda failure: log.failure("defect while starting", failure))
        elif self._waiting.until is None:
            self._report_rejected()
        else:
            self._wait(self._waiting.until)

    def stop(self) -> None:
        """Stops the timer. The file stays for the next start."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    @property
    def previous(self) -> Unconfirmed:
        """Returns what to go back to. Raises ReloadError if no configuration waits."""
        if self._waiting is None or self._waiting.until is None:
            raise ReloadError(["no configuration waits for a confirmation"])
        return self._waiting

    async def applied(self, before: Config, after: Config, within: float | None) -> str:
        """Begins, keeps or ends the wait after a reload. Returns a sentence for the operator, or "".

        ``within`` is the time to confirm in seconds, or None if the operator gave none.
        """
        waiting = self._waiting if self._waiting is not None and self._waiting.until is not None else None
        if waiting is None:
            good, texts, until = before.sha256, before.texts, None
        else:
            good, texts, until = waiting.previous_sha256, waiting.texts, waiting.until
        if within is not None:
            until = self._process.wall() + within
        if until is None or after.sha256 == good:
            await self._end("the confirmed configuration is in use")
            return "" if within is None else "This configuration was in use already: there is nothing to confirm"
        if waiting is None:
            # Searches each text for each secret: a thread, as a large configuration takes a second.
            reactor = self._process.reactor
            self._has_secret = await deferToThreadPool(
                reactor, reactor.getThreadPool(), holds_secret, before, texts.values()
            )
        self._waiting = Unconfirmed(after.sha256, good, texts, until)
        self._wait(until)
        return f"{_until(until)}: {REMEDY}{await self._keep()}"

    async def confirm(self) -> str:
        """Keeps the configuration in use. Raises ReloadError if none waits."""
        _ = self.previous
        await self._end("the configuration is confirmed")
        return "the configuration is confirmed"

    async def reverted(self) -> None:
        """Notes that the previous configuration is in use again."""
        self.stop()
        self._waiting = replace(self.previous, until=None)
        self._alarms.off("reload", "confirmation", "the previous configuration is in use again")
        self._report_rejected()
        if not self._has_secret:
            await self._write()

    def _report_rejected(self) -> None:
        text = "the configuration on disk was not confirmed in time: the previous one is in use"
        remedy = 'correct the configuration and run "syslog-bridge reload --confirm 5m", or "syslog-bridge reload"'
        self._alarms.on("reload", "configuration", text, remedy=f"{remedy} to use it as it is")

    def _wait(self, until: float) -> None:
        self.stop()
        text = f"the configuration is not confirmed. {_until(until)}"
        self._alarms.on("reload", "confirmation", text, remedy=REMEDY)
        left = max(0.0, until - self._process.wall())
        self._timer = self._process.reactor.callLater(left, self._revert)

    async def _end(self, text: str) -> None:
        self.stop()
        self._alarms.off("reload", "confirmation", text)
        if self._waiting is not None:
            self._waiting = None
            await self._remove()

    async def _keep(self) -> str:
        """Writes the file. Returns what the operator must know about a restart, or ""."""
        if self._has_secret:
            # Keys are never in the spool.
            await self._remove()
            return (
                ". A restart uses the configuration on disk: the previous one contains a secret, so it is not stored in"
                " the spool"
            )
        await self._write()
        return ""

    async def _write(self) -> None:
        if self._waiting is not None:
            await self._run(partial(unconfirmed.write, self._folder, self._waiting))

    async def _remove(self) -> None:
        await self._run(partial(unconfirmed.remove, self._folder))

    async def _run(self, job: Callable[[], None]) -> None:
        """Runs a job in the spool thread and logs its error. A disk that hangs must not keep the operator waiting."""
        done = self._process.spool_thread.run(job)
        done.addTimeout(WRITE_TIMEOUT, self._process.reactor, onTimeoutCancel=lambda result, seconds: None)
        try:
            await done
        except OSError as error:
            log.warn("reload: {why}", why=described(error))


def _until(until: float) -> str:
    when = datetime.fromtimestamp(until, UTC).strftime("%H:%M:%S UTC")
    return f"The previous configuration is used again at {when}"
