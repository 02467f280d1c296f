"""The ``headrace`` command: load, inspect, verify, status, and the commands about parts of a source.

Standard output carries exactly one JSON document, everything for people goes to standard error. Only click is
imported here; what a command needs is imported when it runs, so that ``--help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from headrace.cli_config import Commands, config_option
from headrace.cli_dump import dump
from headrace.cli_edge import at_edge, write_document
from headrace.cli_options import (
    Age,
    create_options,
    endpoint_options,
    load_options,
    mapping_options,
    quiet_option,
    source_options,
    version_option,
)
from headrace.cli_parts import finish, part_options, plan, planned_source, prepare
from headrace.cli_report import report
from headrace.cli_speedtest import speedtest
from headrace.cli_values import endpoint_of, options_of, schema_of, source_of
from headrace.cli_verify import verify

if TYPE_CHECKING:
    from pathlib import Path

    from headrace.console import Console
    from headrace.signals import Signals

__all__ = ["command", "main"]

_STATUSES = """\b
Exit status:
  0    done, and proven where that was asked for
  1    unexpected: a bug, please report it
  2    usage, configuration or input refused before anything was sent
  3    finished, but rows were rejected; they are in the rejects file
  4    rows are unsent or their fate is unknown: run the same command again
  5    verification found a difference
  130  ended by SIGINT (143: by SIGTERM); rows unsent
"""


@click.group(
    cls=Commands,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "auto_envvar_prefix": "HEADRACE",
    },
    epilog="""\b
Examples:
  headrace load docs.parquet --collection docs --uri ./docs.db --create --verify sample
  headrace inspect 'embeddings/*.parquet'
  headrace verify docs.parquet --collection docs --uri ./docs.db --level full
  headrace status docs
""",
)
@version_option
@config_option
def command() -> None:
    """Load embeddings into Milvus: fast, without tuning, with an account of every row.

    Options come from the command line, else from the environment (HEADRACE_LOAD_MAX_REJECTS for --max-rejects of load;
    MILVUS_URI, MILVUS_TOKEN and MILVUS_DB for every command), else from the settings file, else they have a default.
    Standard output gets one JSON document (the report), standard error everything for people.
    """


@command.command(
    epilog="""\b
Examples:
  headrace load docs.parquet --collection docs --uri ./docs.db --create
  headrace load 'part-*.parquet' extra/ --collection docs --create --key doc_id --verify sample
  MILVUS_TOKEN=root:Milvus headrace load docs.arrow --collection docs --uri https://milvus:19530
  headrace load docs.parquet --collection docs --map emb:vector --drop score --set lang=en
  headrace load 's3://bucket/docs/*.parquet' --collection docs --part 2/3
  headrace load docs.parquet --collection docs --dry-run --quiet | jq .rows_rejected

"""
    + _STATUSES
)
@part_options
@click.option("--collection", required=True, metavar="NAME", help="The collection (or alias) to load into.")
@endpoint_options
@mapping_options
@create_options
@load_options
@click.option("--show-files", is_flag=True, help="Show each file that is being loaded, too, while it is.")
@at_edge
def load(
    console: Console,
    signals: Signals,
    sources: tuple[str, ...],
    collection: str,
    *,
    plan_file: Path | None,
    part: str | None,
    first_attempt: bool,
    show_files: bool,
    **values: Any,
) -> int:
    """Load SOURCE... into a collection and account for every row.

    A SOURCE is a file (Parquet, Arrow IPC, Feather, npy, npz, JSON lines, CSV, HDF5, big-ann), a directory of them,
    a glob, a URI such as s3://BUCKET/PATH, or @LIST, a text file with one of these a line. An existing collection is
    used as it is; with --create a missing one is made from the source's columns, and every vector is indexed.

    The same command again goes on where the last one ended, whatever ended it: rows that are stored are passed over
    once some of them were read back, and files that are new are loaded.

    With --part one part is loaded and others, on other machines, load the rest; see `headrace plan`.
    """
    endpoint, options, schema = endpoint_of(values), options_of(values), schema_of(values)
    source = planned_source(sources, plan_file, part, options)

    from headrace import progress, summary
    from headrace.loader import LoadJob

    with progress.view(console) as view:
        job = LoadJob(
            source,
            collection=collection,
            endpoint=endpoint,
            options=options,
            schema=schema,
            progress=view,
            announce=lambda line: view.line(f"headrace: {line}"),
            first_attempt=first_attempt,
            planned=lambda plan, target: view.line(
                summary.plan_text(plan, target, options=options, width=console.width)
            ),
        )
        view.files = job.files_at_work if show_files else None
        signals.stop = job.stop
        report = job.run()
    write_document(report.to_json())
    for line in summary.report_lines(report):
        console.line(line)
    return report.exit_status


@command.command(
    epilog="""\b
Examples:
  headrace inspect docs.parquet
  headrace inspect 'part-*.parquet' --key doc_id --vector embedding
  headrace inspect docs.parquet --collection docs --uri http://localhost:19530
"""
)
@source_options
@click.option("--collection", metavar="NAME", help="Also compare with this collection on the server.")
@endpoint_options
@mapping_options
@create_options
@at_edge
def inspect(
    console: Console, _signals: Signals, sources: tuple[str, ...], collection: str | None, **values: Any
) -> int:
    """Show what a load of SOURCE... would do: files, rows, columns, fields, bytes.

    Nothing is written anywhere. With --collection the server is asked whether the collection exists and how the
    columns fit it; otherwise the collection that --create would make is shown.
    """
    endpoint = endpoint_of(values) if collection is not None else None
    options = options_of(values)

    from headrace.inspection import inspect_source
    from headrace.inspection_text import inspection_lines

    schema, source = schema_of(values), source_of(sources)
    found = inspect_source(source, options=options, collection=collection, endpoint=endpoint, schema=schema)
    write_document(found.to_json())
    for line in inspection_lines(found, width=console.width):
        console.line(line)
    if found.problem is not None:
        console.error(found.problem)
    return found.exit_status


@command.command(
    epilog="""\b
Examples:
  headrace status
  headrace status docs
  headrace status --older-than 30d --remove
"""
)
@click.argument("journals", nargs=-1, metavar="[JOURNAL]...")
@quiet_option
@click.option("--older-than", type=Age(), default=0.0, metavar="AGE", help="Only journals not written to for so long.")
@click.option("--remove", is_flag=True, help="Remove them, with the rejects and the report beside them.")
@at_edge
def status(console: Console, _signals: Signals, journals: tuple[str, ...], older_than: float, *, remove: bool) -> int:
    """Show what earlier loads left: which files went where, and what became of their rows.

    A JOURNAL is a collection's name or a state directory; without one all journals of this user are listed. Without
    its journal the next load sends every row again.
    """
    if remove and not (journals or older_than):
        raise click.UsageError("--remove: name journals, or give --older-than")

    from headrace.journals import find_journals, journals_json, remove_journals
    from headrace.summary import journal_lines

    found = find_journals(journals, older_than=older_than)
    lines = journal_lines(found, files=bool(journals), width=console.width)
    removed, refusals = remove_journals(found) if remove else ([], [])
    # In a terminal the document comes first, so that what people read stays in sight.
    write_document(journals_json(found, removed))
    for line in lines:
        console.line(line)
    for directory in removed:
        console.line(f"headrace: removed {directory}")
    for refusal in refusals:
        console.error(refusal)
    return 2 if refusals else 0


for _command in (dump, finish, plan, prepare, report, speedtest, verify):
    command.add_command(_command)


def main(arguments: list[str] | None = None) -> None:
    """Run the command and end the process with its exit status."""
    # gRPC writes its own lines to standard error where a connection fails; the command says it in one.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        status = command.main(arguments, prog_name="headrace", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except click.Abort:
        status = 130
    sys.exit(status)
