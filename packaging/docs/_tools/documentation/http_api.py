"""Generates the reference of the HTTP API from its OpenAPI description."""

from bridge.admin.openapi import PATHS
from documentation.markdown import anchor, code, sentence, table


def markdown() -> str:
    """Returns a chapter for each path with parameters, responses and fields."""
    rows = [(f"[`/{path}`](#path-{anchor(path)})", described.summary) for path, described in PATHS.items()]
    parts = [table(("path", "summary"), [("`/`", "The status page."), *rows]), "\n"]
    for path, described in PATHS.items():
        parts.append(f"(path-{anchor(path)})=\n## `GET /{path}`\n\n{described.summary}\n\n")
        if described.parameters:
            parameters = [(code(name), meaning) for name, meaning in described.parameters.items()]
            parts.append(table(("parameter", "meaning"), parameters) + "\n")
        if len(described.responses) > 1 or described.media_type != "application/json":
            parts.append(
                table(("response", "meaning"), [(str(n), text) for n, text in described.responses.items()]) + "\n"
            )
        if described.fields:
            fields = [(code(name), sentence(meaning)) for name, meaning in described.fields.items()]
            parts.append(table(("field", "meaning"), fields) + "\n")
    return "".join(parts)
