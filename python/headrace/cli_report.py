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
    short_help="Show how a load went, as a page with plots.",
    epilog="""\b
Examples:
  headrace report docs
  headrace load docs.parquet --collection docs --create > load.json
  headrace report load.json --html load.html
  headrace report ~/.local/state/headrace/docs-1a2b3c4d5e6f/report.json --html - > load.html
  headrace report --merge part-1.json part-2.json part-3.json
  headrace report --merge STATE_DIR/part-*
""",
)
@click.argument("reports", nargs=-1, required=True, metavar="REPORT...")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="OUT",
    help="Where the page goes; - for standard output. [default: REPORT's name with .html]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report that is meant, and make no page.")
@click.option(
    "--merge", is_flag=True, help="Join the reports of parts, or of loads into one collection, into one account."
)
@quiet_option
@at_edge
def report(
    console: Console, _signals: Signals, reports: tuple[str, ...], html: Path | None, *, as_json: bool, merge: bool
) -> int:
    """Show how a load went as one HTML page with plots, that needs no network and no other file.

    With --json the report itself is printed, with --merge the accounts of several are joined into one.

    A REPORT is what `headrace load` printed (- for standard input), a state directory, or the name of a collection, of
    which the latest load is shown. The exit status is 0 whatever became of the load; with --merge it is the worst of
    theirs, and 4 where a part has no report.
    """
    if merge + as_json + (html is not None) > 1:
        raise click.UsageError("--merge, --json, --html: give one of them")
    if merge:
        return _merge(console, reports)
    if len(reports) > 1:
        raise click.UsageError("several REPORTs: give one, or --merge")

    from headrace.report_files import page_of, read_report, write_page
    from headrace.report_page import GENERATOR, report_page

    found = read_report(reports[0])
    if as_json:
        write_document(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    page, path = report_page(found), html or page_of(reports[0])
    if html is not None and html.exists() and Path(reports[0]).exists() and html.samefile(reports[0]):
        raise click.UsageError(f"--html {html}: that is the report; name another file for its page")
    if str(path) == "-":
        write_document(page)
        return 0
    write_page(path, page, over=GENERATOR if html is None else None)
    console.line(f"headrace: wrote {path}")
    return 0


def _merge(console: Console, reports: tuple[str, ...]) -> int:
    from headrace.merging import merge_reports

    found = merge_reports(reports)
    write_document(found.to_json())
    console.line(f"headrace: {found.sentence()}")
    return found.exit_status
