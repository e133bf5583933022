"""Finds the problems of senders that listeners reject: one for each listener and reason."""

from collections.abc import Iterator
from typing import Any

from bridge.monitoring.alarm_kinds import DEGRADED, NOTICE
from bridge.monitoring.problems.problem import Problem, listed, read_moment
from bridge.monitoring.problems.situation import Situation
from bridge.monitoring.rejection_reasons import reason_of
from bridge.util.counts import times

PROBLEM_SECONDS = 7200.0
"Seconds for which rejections are a problem after the last one."
MIN_COUNT = 3
"Rejections for one reason at one listener from which they are a problem. Fewer are often a port scan: a notice."

JSON = dict[str, Any]


def rejection_problems(situation: Situation) -> Iterator[Problem]:
    """Yields the problems of the rejected senders, except those that another problem explains."""
    # The problem client_names says more of these TLS clients.
    known_clients = {(row.get("listener"), row.get("address")) for row in situation.rows("clients_not_in_client_names")}
    found: dict[tuple[str, str], list[JSON]] = {}
    for row in situation.rows("rejected_sources"):
        is_known = row["reason"] == "client_name" and (row["listener"], row["address"]) in known_clients
        if row["seconds_ago"] < PROBLEM_SECONDS and reason_of(row["reason"]).is_problem and not is_known:
            found.setdefault((row["listener"], row["reason"]), []).append(row)
    for (listener, reason), rows in found.items():
        count = sum(row["count"] for row in rows)
        names = [f"{row['name']} ({row['address']})" if row.get("name") else str(row["address"]) for row in rows]
        often = times(count)
        what = f"{listed(names)}: {rows[0]['meaning']}, {often}"
        yield Problem(
            "rejected", f"Listener {listener} rejects {what}", rows[0]["remedy"],
            DEGRADED if count >= MIN_COUNT else NOTICE,
            since=read_moment(min(row["first"] for row in rows)), affected=tuple(str(row["address"]) for row in rows),
            about=f"{listener} {reason}", past=f"Listener {listener} rejected {what}",
        )  # fmt: skip
