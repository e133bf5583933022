"""Describes the HTTP API as an OpenAPI document. A test compares it with the paths that ``Routes`` serves."""

from collections.abc import Mapping
from dataclasses import dataclass

from bridge import __version__
from bridge.monitoring.sources import MAX_ROWS, SORTS

JSON = dict[str, object]


@dataclass(frozen=True, slots=True)
class PathDescription:
    """Describes a path: its summary, its query parameters with their meanings, and the fields of its response."""

    summary: str
    parameters: Mapping[str, str]
    responses: Mapping[int, str]
    fields: Mapping[str, str]
    media_type: str = "application/json"


def _json(summary: str, fields: Mapping[str, str], parameters: Mapping[str, str] | None = None) -> PathDescription:
    return PathDescription(summary, parameters or {}, {200: "JSON"}, fields)


def _text(summary: str, responses: Mapping[int, str]) -> PathDescription:
    return PathDescription(summary, {}, responses, {}, "text/plain")


PATHS: Mapping[str, PathDescription] = {
    "healthz": _text("Answers while the process works. Needs no token.", {200: "The process works."}),
    "readyz": _text(
        "Says whether messages can be taken. Needs no token. With it, the body lists the problems.",
        {200: "The listeners are bound and the spool has room.", 503: "Messages cannot be taken; the body says why."},
    ),
    "metrics": _text("Returns all metrics in the Prometheus text format.", {200: "The metrics."}),
    "api/status": _json(
        "Returns the whole status.",
        {
            "headline": "`state` (healthy, degraded, critical), `text`, `problems`, and those that have `ended`",
            "ledger": "the counters whose sums are equal at any moment; `dropped` by reason",
            "intakes": "`name state backlog_events backlog_bytes oldest_seconds last_error` of each intake, and more",
            "sources": "`address listener name route intake events last_seen clock_offset_seconds` of each sender",
            "unrouted": "senders of messages that no route matches",
            "kernel_drops": "datagrams that the kernel dropped, by listener",
            "quarantine": "number of held frames by reason",
            "spool": "`bytes`, `limit_bytes`, `full_in_seconds`, and the intakes that are `full`",
            "alarms": "current alarms: `kind`, `about` and `text`",
            "certificates": "seconds until each certificate expires",
            "rates": "events per second: `received` and `delivered`",
        },
        {"sources": f"Number of senders in the response, 0 to {MAX_ROWS}."},
    ),
    "api/sources": _json(
        "Returns senders, a page at a time.",
        {
            "sources": "the rows of this page, as in `/api/status`",
            "total": "number of senders",
            "matching": "number of senders that match the request",
            "offset": "number of rows that were skipped",
        },
        {
            "offset": "Number of rows to skip.",
            "limit": f"Number of rows, 1 to {MAX_ROWS}; 100 by default.",
            "sort": f"Order: {', '.join(SORTS)}.",
            "only": "unrouted, clock or silent; all senders by default.",
            "find": "A part of address, name, listener, route or intake.",
            "intake": "Name of an intake.",
        },
    ),
    "api/source": _json(
        "Returns one sender with its last messages, as received, as parsed and as sent.",
        {
            "address": "the address",
            "seen": "a row for each listener that received from it, with its messages",
            "rejections": "why listeners rejected it",
            "usual_rate": "its usual rate, if `alert_if_rate_below` is set",
        },
        {"address": "Address or name of the sender.", "listener": "Name of a listener; all by default."},
    ),
    "api/unrouted": _json(
        "Returns unrouted senders with a sample, the product and a suggested route.",
        {"unrouted": "a row for each sender, the busiest first", "total": "number of unrouted senders"},
    ),
    "api/quarantine": _json(
        "Returns the latest entries of the quarantine.",
        {"held": "number of held frames by reason", "last": "the latest entries"},
    ),
    "api/log": _json("Returns the last lines of the log.", {"log": "the lines: time, level, logger and text"}),
    "api/intake_history": _json(
        "Returns events per second of intakes.",
        {
            "step": "seconds between two values",
            "time": "times, in seconds since the epoch",
            "intakes": "the series of each intake",
        },
        {"names": "Names of at most 50 intakes, separated by commas.", "span": "hour (default) or day."},
    ),
    "api/history": _json(
        "Returns the rates of the whole gateway.",
        {
            "step": "seconds between two values",
            "time": "times, in seconds since the epoch",
            "received": "received events per second",
            "delivered": "delivered events per second",
        },
        {"span": "hour (default) or day."},
    ),
    "api/openapi.json": _json("Returns this description.", {"paths": "the paths"}),
}
"All paths of the admin endpoint, without the leading slash."


def openapi() -> JSON:
    """Returns the OpenAPI document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "syslog-bridge",
            "version": __version__,
            "description": "Status and metrics of a gateway. The API changes nothing; every path answers to GET only.",
        },
        "servers": [{"url": "http://127.0.0.1:8514"}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{}, {"token": []}],
        "paths": {f"/{path}": {"get": _operation(path, described)} for path, described in PATHS.items()},
    }


def _operation(path: str, described: PathDescription) -> JSON:
    schema: JSON = {"type": "string"}
    if described.media_type == "application/json":
        properties = {name: {"description": meaning} for name, meaning in described.fields.items()}
        schema = {"type": "object", "properties": properties}
    return {
        "operationId": path.removeprefix("api/").removesuffix(".json"),
        "summary": described.summary,
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": meaning, "schema": {"type": "string"}}
            for name, meaning in described.parameters.items()
        ],
        "responses": {
            str(status): {"description": meaning, "content": {described.media_type: {"schema": schema}}}
            for status, meaning in described.responses.items()
        },
    }
