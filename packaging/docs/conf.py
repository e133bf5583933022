"""Configures Sphinx. ``sh packaging/docs/build`` runs it on a copy of the pages with the generated parts filled in."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder

from bridge import __version__

project = "syslog-bridge"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_*"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
templates_path: list[str] = []
html_theme = "syslog_bridge"
html_theme_path = [str(Path(__file__).parent / "_theme")]
html_title = "syslog-bridge"
html_additional_pages = {"search": "search.html"}
html_use_index = False
html_domain_indices = False
html_copy_source = False
html_show_sphinx = False
html_permalinks_icon = "#"
smartquotes = False
highlight_language = "text"


class Pages(StandaloneHTMLBuilder):
    """Writes pages without Sphinx's own search, whose scripts a strict Content-Security-Policy forbids."""

    search = False


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers the builder."""
    app.add_builder(Pages, override=True)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
