"""``headrace dump``: a collection into a Parquet file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from headrace.cli_edge import at_edge, write_document
from headrace.cli_options import endpoint_options, quiet_option
from headrace.cli_values import endpoint_of

if TYPE_CHECKING:
    from headrace.console import Console
    from headrace.signals import Signals

__all__ = ["dump"]


@click.command(
    short_help="Write a collection into one Parquet file.",
    epilog="""\b
Examples:
  headrace dump docs docs.parquet --uri ./docs.db
  headrace dump docs docs.parquet --uri http://old:19530
  headrace load docs.parquet --collection docs --uri http://new:19530 --create --verify full

Exit status: as of load; 5 where the server counts other rows than were read. Run the same command again to go on
where a run ended.
""",
)
@click.argument("collection")
@click.argument("path", metavar="OUT.parquet", type=click.Path(dir_okay=False))
@quiet_option
@endpoint_options
@click.option("--partition", "partition_name", default="", metavar="NAME", help="Only the rows of this partition.")
@click.option("--again", is_flag=True, help="Replace the file, and forget what an earlier run read.")
@at_edge
def dump(
    console: Console,
    signals: Signals,
    collection: str,
    path: str,
    partition_name: str,
    *,
    again: bool,
    **values: Any,
) -> int:
    """Write every row of COLLECTION into one Parquet file, which can be loaded again.

    Rows are read by ascending key with strong consistency; the file appears when it is complete. The collection must
    be loaded into memory. Rows that others write meanwhile may be in the file or not. The file is a local one: what
    a stopped run left of it is gone on with.
    """
    endpoint = endpoint_of(values)

    from headrace import progress
    from headrace.dumping import DumpJob
    from headrace.quantities import count, duration, number_of, size

    with progress.view(console) as view:
        job = DumpJob(collection, path, endpoint=endpoint, partition_name=partition_name, again=again, progress=view)
        signals.stop = job.stop
        report = job.run()
    write_document(report.to_json())
    console.line(f"headrace: {report.status}: {number_of(report.rows, 'row')} of {report.collection} in {report.path}")
    if report.rows_resumed:
        console.line(f"  resumed    {number_of(report.rows_resumed, 'row')} that earlier runs had read")
    speed = f"{duration(report.seconds)}, {count(report.rows_per_second)} rows/s, {size(report.bytes)} on disk"
    console.line(f"  speed      {speed}")
    if report.metrics:
        metrics = ", ".join(f"{field} {metric}" for field, metric in sorted(report.metrics.items()))
        console.line(f"  metrics    {metrics}; a collection that is made from the file gets these indexes")
    if report.left_out:
        console.line(f"  left out   {', '.join(report.left_out)}: the server computes and keeps them")
    return report.exit_status
