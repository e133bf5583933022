"""Builds the site and the man pages into a folder: ``python -m documentation.build OUTPUT``.

Warnings are errors. The pages are copied before their generated parts are filled in, so the checkout does not change.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import Request, urlopen

from sphinx.cmd.build import main as sphinx

from bridge.admin.openapi import openapi
from documentation import generated, html_pages, man, search_index

DOCS = Path(__file__).parents[2]


def main() -> int:
    """Builds, checks and reports. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="packaging/docs/build", description="Builds the documentation.")
    parser.add_argument("--output", type=Path, default=DOCS.parents[1] / "dist/docs", help="folder for html/ and man/")
    parser.add_argument("--external", action="store_true", help="also request every link to another site")
    given = parser.parse_args()
    started = time.monotonic()
    html = given.output / "html"
    for folder in (html, given.output / "man"):
        shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as work:
        source = Path(work) / "source"
        prepare(source)
        code = sphinx(["-b", "html", "-q", "-W", "--keep-going", "-d", f"{work}/doctrees", str(source), str(html)])
    if code:
        return code
    _finish(html)
    man.write(given.output / "man")
    faults = html_pages.faults(html) + (_unreachable(html) if given.external else [])
    for fault in faults:
        sys.stderr.write(f"packaging/docs/build: {fault}\n")
    pages = len(list(html.rglob("*.html")))
    took = time.monotonic() - started
    sys.stdout.write(f"{pages} pages in {html}, man pages in {given.output / 'man'}, {took:.0f} s\n")
    return 1 if faults else 0


def prepare(source: Path) -> None:
    """Copies the pages to a folder and fills in their generated parts."""
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("_tools", "_data", "__pycache__"))
    for page in source.rglob("*.md"):
        page.write_text(generated.filled(page.read_text(encoding="utf-8")), encoding="utf-8")


def _finish(html: Path) -> None:
    """Adds the search index and the OpenAPI document, and removes what Sphinx needs for itself only."""
    for name in (".buildinfo", ".buildinfo.bak", "objects.inv", "searchindex.js"):
        (html / name).unlink(missing_ok=True)
    ours = {path.name for path in (DOCS / "_theme/syslog_bridge/static").iterdir()}
    for path in (html / "_static").iterdir():
        if path.name not in ours:
            path.unlink() if path.is_file() else shutil.rmtree(path)
    (html / "openapi.json").write_text(json.dumps(openapi(), indent=1) + "\n", encoding="utf-8")
    search_index.write(html)


def _unreachable(html: Path) -> list[str]:
    found = []
    for link, pages in html_pages.outside(html).items():
        try:
            with urlopen(Request(link, headers={"User-Agent": "syslog-bridge documentation"}), timeout=20):
                pass
        except OSError as error:
            found.append(f"{pages[0]}: {link}: {error}")
    return found


if __name__ == "__main__":
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    sys.exit(main())
