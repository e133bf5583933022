"""Keeps old spellings of options: they work as before, and the help shows only the new ones."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.parser import _OptionParser


class RenamedOption(click.Option):
    """An option with old spellings, which are parsed and not shown.

    ``old``: each old spelling, and the value that it stands for; None if it takes a value, or is a flag, as the option
    itself. ``--json`` for ``--output json`` is ``{"--json": "json"}``. If several are given, the last one is used.
    """

    def __init__(self, *arguments: Any, old: Mapping[str, str | None], **attributes: Any) -> None:
        super().__init__(*arguments, **attributes)
        self._old = old

    def add_to_parser(self, parser: "_OptionParser", ctx: click.Context) -> None:
        """Adds the option and its old spellings to the parser of click."""
        shown = self.opts
        self.opts = [*shown, *(name for name, value in self._old.items() if value is None)]
        try:
            super().add_to_parser(parser, ctx)
        finally:
            self.opts = shown
        for name, value in self._old.items():
            if value is not None:
                parser.add_option(obj=self, opts=[name], dest=self.name, action="store_const", nargs=0, const=value)
