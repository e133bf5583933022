"""Fills in the generated parts of pages: a table or chapter replaces each marker ``<!-- generated: NAME -->``."""

import re
from collections.abc import Callable, Mapping

from documentation import alarms, commands, configuration, contact, formats, http_api, log_lines, metrics

PARTS: Mapping[str, Callable[[], str]] = {
    "alerts": alarms.alerts_markdown,
    "commands": commands.markdown,
    "configuration": configuration.markdown,
    "contact": contact.markdown,
    "formats": formats.formats_markdown,
    "http-api": http_api.markdown,
    "log-lines": log_lines.markdown,
    "metrics": metrics.markdown,
    "problems": alarms.problems_markdown,
    "products": formats.products_markdown,
    "rejections": alarms.rejections_markdown,
}
"The generated parts by the name in their marker."

MARKER = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)


def filled(page: str) -> str:
    """Returns the text of a page with its generated parts. Raises KeyError for an unknown name."""
    return MARKER.sub(lambda marker: PARTS[marker[1]](), page)
