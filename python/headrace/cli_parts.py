"""The commands about parts of a source (plan, prepare, finish, report), and the options of a load of one part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from headrace.cli_edge import at_edge, write_document
from headrace.cli_options import (
    create_options,
    endpoint_options,
    file_options,
    mapping_options,
    quiet_option,
    source_options,
)
from headrace.cli_values import endpoint_of, options_of, schema_of, source_of
from headrace.quantities import number_of

if TYPE_CHECKING:
    from headrace.config import LoadOptions
    from headrace.console import Console
    from headrace.signals import Signals

__all__ = ["finish", "part_options", "plan", "planned_source", "prepare"]

F = TypeVar("F", bound=Callable[..., Any])

_plan_option: Callable[[F], F] = click.option(
    "--plan",
    "plan_file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="What `headrace plan` printed, instead of SOURCE.",
)
_some_sources: Callable[[F], F] = click.argument("sources", nargs=-1, metavar="[SOURCE]...")


def part_options(function: F) -> F:
    """The source of a load: files, or one part of them."""
    for option in (
        click.option(
            "--first-attempt",
            is_flag=True,
            help="Nobody ever began to load this part: insert, where `headrace prepare --plan` created the collection. "
            "[default: parts are upserted]",
        ),
        click.option(
            "--part",
            metavar="N|N/M",
            help="Load one part only: number N of the plan, or of SOURCE the Nth of M, on each of M machines.",
        ),
        _plan_option,
        quiet_option,
        file_options,
        _some_sources,
    ):
        function = option(function)
    return function


def planned_source(sources: tuple[str, ...], plan_file: Path | None, part: str | None, options: LoadOptions) -> object:
    """What to load: the paths, or one part of them or of a plan.

    Raises:
        click.UsageError: If what was given does not go together.
    """
    if sources and plan_file is not None:
        raise click.UsageError("SOURCE, --plan: give one of them")
    if not sources and plan_file is None:
        raise _no_source()
    if plan_file is not None and part is None:
        raise click.UsageError("--plan: say with --part which part to load")
    if part is None:
        return source_of(sources)

    from headrace.plans import Plan, choose_source

    return choose_source(source_of(sources) if plan_file is None else Plan.read(plan_file), part, options)


def _no_source() -> click.UsageError:
    return click.UsageError("Missing argument 'SOURCE...', or --plan FILE.")


def _whole(sources: tuple[str, ...], plan_file: Path | None) -> object:
    """The files, or the plan of them, or None where neither was given."""
    if sources and plan_file is not None:
        raise click.UsageError("SOURCE, --plan: give one of them")
    if plan_file is None:
        return source_of(sources) if sources else None

    from headrace.plans import Plan

    return Plan.read(plan_file)


@click.command(
    epilog="""\b
Examples:
  headrace plan 's3://bucket/docs/*.parquet' > plan.json
  headrace prepare --plan plan.json --collection docs
  headrace load --plan plan.json --part 1 --collection docs      (and so on, on as many machines as you like)
  headrace finish --plan plan.json --collection docs --verify sample --report 1.json --report 2.json
"""
)
@source_options
@click.option("--parts", type=click.IntRange(min=1), metavar="N", help="Divide into N parts.")
@click.option(
    "--rows-per-part",
    type=click.IntRange(min=1),
    metavar="N",
    help="Divide into parts of at most N rows, but 1,000 parts at most. [default: 1,000,000]",
)
@at_edge
def plan(
    console: Console,
    _signals: Signals,
    sources: tuple[str, ...],
    parts: int | None,
    rows_per_part: int | None,
    **values: Any,
) -> int:
    """Divide SOURCE... into parts that machines can load apart, and print the plan.

    The plan pins the files: a part whose file has changed since is refused. Its parts hold every row exactly once,
    and are about equal in bytes. No server is asked.
    """
    from headrace.plans import plan as make_plan

    found = make_plan(list(sources), parts=parts, rows_per_part=rows_per_part, **_given(values))
    write_document(found.to_json())
    rows = "rows unknown" if found.rows is None else number_of(found.rows, "row")
    console.line(f"headrace: {rows} of {number_of(len(found.files), 'file')} in {number_of(len(found.parts), 'part')}")
    return 0


@click.command(
    epilog="""\b
Examples:
  headrace prepare 'docs/*.parquet' --collection docs --key doc_id
  headrace prepare --plan plan.json --collection docs
"""
)
@_some_sources
@file_options
@_plan_option
@quiet_option
@click.option("--collection", required=True, metavar="NAME", help="The collection to create.")
@endpoint_options
@mapping_options
@create_options
@at_edge
def prepare(
    console: Console,
    _signals: Signals,
    sources: tuple[str, ...],
    plan_file: Path | None,
    collection: str,
    **values: Any,
) -> int:
    """Make the collection for SOURCE... (or a plan) with its indexes, before its parts are loaded.

    Where the collection exists it is compared with the source's columns and left as it is. Several machines may do
    this at once: one of them creates the collection, the others find it.
    """
    endpoint, options, schema = endpoint_of(values), options_of(values), schema_of(values)
    if (source := _whole(sources, plan_file)) is None:
        raise _no_source()

    from headrace.preparing import prepare_collection
    from headrace.summary import mapping_table

    found = prepare_collection(source, collection=collection, endpoint=endpoint, options=options, schema=schema)
    write_document(found.to_json())
    console.line(f"headrace: {found.sentence()}")
    console.line(mapping_table(found.mapping, console.width))
    for note in found.notes:
        console.line(f"  note: {note}")
    return 0


@click.command(
    epilog="""\b
Examples:
  headrace finish --collection docs
  headrace finish --plan plan.json --collection docs --verify count --report part-1/ --report part-2/
"""
)
@_some_sources
@file_options
@_plan_option
@quiet_option
@click.option("--collection", required=True, metavar="NAME", help="The collection (or alias) that was loaded into.")
@endpoint_options
@mapping_options
@click.option(
    "--verify",
    type=click.Choice(["none", "count", "sample", "full"]),
    default="none",
    show_default=True,
    help="Compare SOURCE, or the plan's files, with the collection.",
)
@click.option("--key", metavar="COLUMN", help="The source's key column, where its name is not the key field's.")
@click.option("--partition", "partition_name", metavar="NAME", help="Look in this partition only.")
@click.option("--partition-column", metavar="COLUMN", help="The column that names each row's partition.")
@click.option("--no-flush", is_flag=True, help="Do not seal what was written first.")
@click.option("--no-load", is_flag=True, help="Do not load the collection into memory.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=86_400.0,
    metavar="SECONDS",
    help="How long the indexes may take to be built. [default: a day]",
)
@click.option(
    "--report", "reports", multiple=True, metavar="FILE", help="A part's report, or its directory; several times."
)
@at_edge
def finish(
    console: Console,
    _signals: Signals,
    sources: tuple[str, ...],
    plan_file: Path | None,
    collection: str,
    *,
    no_flush: bool,
    no_load: bool,
    **values: Any,
) -> int:
    """After the last part: flush, wait for the indexes, load the collection into memory, and verify.

    May be run again; nothing here changes a row. The exit status is 5 if the comparison finds a difference, else that
    of the joint account of the reports.
    """
    from headrace.finishing import finish as finish_load

    endpoint = endpoint_of(values)
    source = _whole(sources, plan_file)
    found = finish_load(
        source, collection=collection, endpoint=endpoint, flush=not no_flush, load=not no_load, **_given(values)
    )
    write_document(found.to_json())
    if found.report is not None:
        console.line(f"headrace: {found.report.sentence()}")
    console.line(f"headrace: {found.sentence()}")
    return found.exit_status


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
