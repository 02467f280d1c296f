"""``headrace report``: a load's report for people who look rather than read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headrace.cli_edge import at_edge, write_document
from headrace.cli_options import quiet_option

if TYPE_CHECKING:
    from headrace.console import Console
    from headrace.signals import Signals

__all__ = ["report"]


@click.command(
    epilog="""\b
Examples:
  headrace report docs --html docs.html
  headrace load docs.parquet --collection docs --create > load.json
  headrace report load.json --html load.html
  headrace report ~/.local/state/headrace/docs-1a2b3c4d5e6f/report.json --html - > load.html
"""
)
@click.argument("file", metavar="FILE")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="OUT",
    help="Write one HTML page with plots, that needs no network and no other file; - for standard output.",
)
@quiet_option
@at_edge
def report(console: Console, _signals: Signals, file: str, html: Path | None) -> int:
    """Show how a load went: its account, and with --html a page with plots.

    FILE is a load's report as JSON (- for standard input), a state directory, or the name of a collection, of which
    the latest load is shown. Exit status 0 whatever became of the load.
    """
    from headrace.report_files import read_report, write_page
    from headrace.report_page import report_page

    found = read_report(file)
    if html is None:
        write_document(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    page = report_page(found)
    if str(html) == "-":
        write_document(page)
        return 0
    write_page(html, page)
    console.line(f"headrace: wrote {html}")
    return 0
