"""Sends the requests of an open status page and of Prometheus, at their intervals.

    python -m tests.bench.looking PORT

Ends by itself when the bridge no longer answers.
"""

from __future__ import annotations

import http.client
import sys
import time

INTERVALS = {
    "/api/status?sources=0": 2.0,
    "/api/sources?offset=0&limit=50&find=&only=&sort=events": 3.0,
    "/api/source?address=127.0.0.1&listener=tcp": 3.0,
    "/api/unrouted": 5.0,
    "/api/log": 5.0,
    "/api/history?span=hour": 5.0,
    "/api/quarantine": 10.0,
    "/metrics": 15.0,
}
"""Path -> seconds between requests."""


def main(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    due = dict.fromkeys(INTERVALS, 0.0)
    failures = 0
    while failures < 3:
        path = min(due, key=lambda one: due[one])
        time.sleep(max(0.0, due[path] - time.monotonic()))
        due[path] = time.monotonic() + INTERVALS[path]
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            failures = 0 if response.status == 200 else failures + 1
        except (OSError, http.client.HTTPException):
            connection.close()
            failures += 1


if __name__ == "__main__":
    main(int(sys.argv[1]))
