"""Reads built HTML pages: their anchors, links, sections and whatever a strict Content-Security-Policy forbids."""

import posixpath
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_VOID = {"meta", "link", "img", "input", "br", "hr", "col", "wbr", "source"}
_HEADINGS = {"h1", "h2", "h3", "h4"}


@dataclass
class PageSection:
    """A section of a page: its anchor, its heading and its text without that of inner sections."""

    anchor: str
    title: str = ""
    text: list[str] = field(default_factory=list)


class HtmlPage(HTMLParser):
    """Parses one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        "Addresses of scripts, styles and images."
        self.forbidden: list[str] = []
        "Inline scripts, inline styles and event handlers."
        self.sections: list[PageSection] = []
        self._open: list[tuple[str, PageSection | None]] = []
        self._heading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self.links += [given["href"]] if tag == "a" and "href" in given else []
        self.loaded += [given[name] for name in ("src", "href") if name in given and tag != "a"]
        if tag == "style" or (tag == "script" and "src" not in given) or "style" in given:
            self.forbidden.append(f"<{tag}> inline")
        self.forbidden += [f"<{tag} {name}>" for name in given if name.startswith("on")]
        section = PageSection(given.get("id", "")) if tag == "section" else None
        if section is not None:
            self.sections.append(section)
        self._heading = self._heading or (tag in _HEADINGS and self._section() is not None)
        if tag not in _VOID:
            self._open.append((tag, section))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            if self._open.pop()[0] == tag:
                break
        self._heading = self._heading and tag not in _HEADINGS

    def handle_data(self, data: str) -> None:
        section = self._section()
        if section is None or any(tag == "script" for tag, _ in self._open):
            return
        if self._heading:
            section.title += "" if data == "#" else data
        else:
            section.text.append(data)

    def _section(self) -> PageSection | None:
        return next((section for _, section in reversed(self._open) if section is not None), None)


def read(folder: Path) -> dict[str, HtmlPage]:
    """Returns all pages of a folder by their path below it."""
    return {
        str(path.relative_to(folder)): HtmlPage(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.html"))
    }


def faults(folder: Path) -> list[str]:
    """Returns dead links, missing files and inline scripts, each with its page."""
    pages, found = read(folder), []
    for name, page in pages.items():
        found += [f"{name}: {each}" for each in page.forbidden]
        for link in page.loaded + page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                found += [f"{name}: loads {link} from elsewhere"] if link in page.loaded else []
                continue
            target = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
            )
            if target in pages:
                if parts.fragment and unquote(parts.fragment) not in pages[target].ids:
                    found.append(f"{name}: {link}: no such anchor")
            elif not (folder / target).is_file():
                found.append(f"{name}: {link}: no such file")
    return found


def outside(folder: Path) -> dict[str, list[str]]:
    """Returns the links to other sites with the pages that have them."""
    found: dict[str, list[str]] = {}
    for name, page in read(folder).items():
        for link in page.links:
            if urlsplit(link).netloc:
                found.setdefault(link, []).append(name)
    return found
