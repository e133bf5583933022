"""Writes the search index: a script with the title, address and text of each section of the site."""

import json
from pathlib import Path

from documentation import html_pages

LONGEST = 4000
"Characters of a section that are searched."


def write(folder: Path) -> None:
    """Writes ``search-index.js`` for the pages in a folder."""
    entries = []
    for name, page in html_pages.read(folder).items():
        title = page.sections[0].title.strip() if page.sections else ""
        for number, section in enumerate(page.sections):
            heading = " ".join(section.title.split())
            entries.append(
                {
                    "url": f"{name}#{section.anchor}" if number else name,
                    "title": f"{title}: {heading}" if number else title,
                    "text": " ".join("".join(section.text).split())[:LONGEST],
                }
            )
    text = json.dumps(entries, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    (folder / "search-index.js").write_text(f"globalThis.searchIndex = {text};\n", encoding="utf-8")
