"""``headrace verify``: a source against a collection, its repair, and the proof from the journal alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headrace.cli_edge import at_edge, write_document
from headrace.cli_options import endpoint_options, file_options, mapping_options, quiet_option
from headrace.cli_values import endpoint_of, options_of, source_of

if TYPE_CHECKING:
    from headrace.config import Endpoint, LoadOptions
    from headrace.console import Console
    from headrace.signals import Signals
    from headrace.verifying import Level

__all__ = ["verify"]

#: Options that say something about a source, and so nothing with ``--journal``.
_OF_SOURCES = ("ids", "metadata", "source_options", "level", "repair", "key", "limit")
_OF_COLUMNS = ("map", "only", "drop", "set", "cast")


@click.command(
    epilog="""\b
Examples:
  headrace verify docs.parquet --collection docs --uri ./docs.db
  headrace verify 'part-*.parquet' --collection docs --level count
  headrace verify 'part-*.parquet' --collection docs --repair
  headrace verify --journal --collection docs --uri ./docs.db

\b
Exit status:
  0    nothing differs; whether that is proof says the "status": "ok", or "not applicable"
  1    unexpected: a bug, please report it
  2    usage, configuration or input refused
  3    repaired, but rows were rejected; they are in the rejects file
  4    no answer from the server, or a repair that did not come to its end: run the same command again
  5    something differs
  130  ended by SIGINT (143: by SIGTERM)

"""
)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@file_options
@quiet_option
@click.option("--collection", required=True, metavar="NAME", help="The collection (or alias) to compare with.")
@click.option(
    "--level",
    type=click.Choice(["count", "sample", "full"]),
    help="count: every key is there once. sample: random rows bit for bit, and each found by its own vectors. "
    "full: every value of every row. [default: full]",
)
@click.option(
    "--journal",
    is_flag=True,
    help="Prove the number of rows from the journal of the loads into this collection, without a SOURCE.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Send what is missing, doubled or different again, exactly those rows, as upserts, and verify them again.",
)
@endpoint_options
@mapping_options
@click.option("--key", metavar="COLUMN", help="The source's key column, where its name is not the key field's.")
@click.option("--partition", "partition_name", metavar="NAME", help="Look in this partition only.")
@click.option("--partition-column", metavar="COLUMN", help="The column that names each row's partition.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", help="Compare at most N rows.")
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The --state-dir of the load, where it had one: for --journal and --repair.",
)
@at_edge
def verify(
    console: Console, signals: Signals, sources: tuple[str, ...], collection: str, *, journal: bool, **values: Any
) -> int:
    """Compare SOURCE... with what a collection holds, row by row.

    Rows of the collection that SOURCE does not have are no difference. Where a key stands twice in SOURCE its last
    row counts. Nothing is written, except with --repair.
    """
    _check(sources, journal=journal)
    endpoint = endpoint_of(values)
    if journal:
        return _recount(console, collection, endpoint, options_of(values))
    level: Level = values.pop("level") or "full"
    repair: bool = values.pop("repair")

    from headrace import summary
    from headrace.verifying import verify_source

    found = verify_source(
        source_of(sources),
        collection=collection,
        level=level,
        endpoint=endpoint,
        options=options_of(values),
        repair=repair,
        stoppable=lambda stop: setattr(signals, "stop", stop),
    )
    write_document(found.to_json())
    for line in summary.verification_lines(found):
        console.line(line)
    return found.exit_status


def _check(sources: tuple[str, ...], *, journal: bool) -> None:
    if not journal and not sources:
        raise click.UsageError("Missing argument 'SOURCE...': name what was loaded, or give --journal.")
    context = click.get_current_context()
    given = ["SOURCE"] if sources else []
    given += [
        option.opts[0]
        for option in context.command.params
        if option.name in _OF_SOURCES + _OF_COLUMNS
        and context.get_parameter_source(option.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if journal and given:
        raise click.UsageError(f"--journal goes without {', '.join(given)}")


def _recount(console: Console, collection: str, endpoint: Endpoint, options: LoadOptions) -> int:
    from headrace import summary
    from headrace.recounting import recount

    found = recount(
        collection=collection,
        endpoint=endpoint,
        partition_name=options.place,
        state_dir=options.state_dir,
    )
    write_document(found.to_json())
    for line in summary.recount_lines(found):
        console.line(line)
    return found.exit_status
