"""Reads the operators' commands that the journal records."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

MOST_ACTIONS = 10_000
"Most actions of a report; the newest are kept."

UNFINISHED = "started"
"State of a command whose end the journal does not have: it still runs, or its process was killed."


@dataclass(frozen=True, slots=True)
class Action:
    """An operator's command. ``time`` is its begin, ``ended`` its end or None."""

    time: str
    ended: str | None
    command: str
    state: str
    arguments: Mapping[str, Any]
    result: str
    user: Mapping[str, Any] = field(default_factory=dict)
    "``via``, ``uid``, ``user``, ``pid``, ``login_uid``, ``login`` and ``said``, as in the journal."

    @property
    def who(self) -> str:
        """Returns the user in words: the login if the kernel knows it, else who has started the command as it says."""
        if self.user.get("via") == "signal":
            return "unknown (SIGHUP)"
        if self.user.get("via") == "timer":
            return "the bridge itself"
        said = self.user.get("said") or {}
        runs_as = _name(self.user.get("user"), self.user.get("uid"))
        if self.user.get("login_uid") is not None:
            name, how = _name(self.user.get("login"), self.user["login_uid"]), "login"
        else:
            name, how = said.get("sudo_user") or _name(said.get("user"), said.get("uid")), "as the client says"
        return runs_as if name in (runs_as, "unknown") else f"{runs_as}, {name} ({how})"


class Actions:
    """Collects the actions of a journal: the line of an end replaces that of its begin."""

    def __init__(self) -> None:
        self._by_id: dict[int, Action] = {}
        self.left_out = 0
        "Older actions that are left out."

    def take(self, line: Mapping[str, Any], *, inside: bool) -> None:
        """Adds a line of the journal. ``inside``: its time is within the period. Raises KeyError, TypeError,
        AttributeError if its format is invalid."""
        given = line["action"]
        number, time, state = given["id"], line["t"], given["state"]
        begun = self._by_id.get(number)
        if begun is not None:
            self._by_id[number] = replace(begun, ended=time, state=state, result=str(given["result"]))
            return
        if not inside:
            return
        if len(self._by_id) >= MOST_ACTIONS:
            del self._by_id[next(iter(self._by_id))]
            self.left_out += 1
        user = {name: given.get(name) for name in ("via", "uid", "user", "pid", "login_uid", "login", "said")}
        ended = None if state == UNFINISHED else time
        self._by_id[number] = Action(
            time, ended, line["command"], state, dict(given["arguments"]), str(given.get("result", "")), user
        )

    def all(self) -> list[Action]:
        """Returns the actions, the oldest first."""
        return list(self._by_id.values())


def _name(name: object, uid: object) -> str:
    return str(name) if name else "unknown" if uid is None else f"uid {uid}"
