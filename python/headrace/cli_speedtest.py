"""``headrace speedtest``: what a server takes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from headrace.cli_edge import at_edge, write_document
from headrace.cli_options import endpoint_options, quiet_option
from headrace.cli_values import endpoint_of

if TYPE_CHECKING:
    from headrace.console import Console
    from headrace.signals import Signals

__all__ = ["speedtest"]


@click.command(
    short_help="Find what a server takes.",
    epilog="""\b
Examples:
  headrace speedtest --uri http://localhost:19530
  headrace speedtest --uri https://milvus:19530 --dim 1536 --seconds 20 --yes
""",
)
@quiet_option
@endpoint_options
@click.option("--dim", type=click.IntRange(2, 32_768), default=768, show_default=True, help="Elements of a vector.")
@click.option(
    "--seconds",
    type=click.FloatRange(1, 50),
    default=30.0,
    show_default=True,
    help="How long to send; the first half is the search for the best setting.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether the temporary collection may be made.")
@at_edge
def speedtest(console: Console, signals: Signals, dim: int, seconds: float, *, yes: bool, **values: Any) -> int:
    """Find what a server takes: rows per second, and the requests in flight and their size that it likes best.

    Random vectors are loaded into a temporary collection, which is removed again, also after Ctrl-C.
    """
    endpoint = endpoint_of(values)

    from headrace import progress
    from headrace.quantities import count, number_of, size
    from headrace.speedtest import SpeedTest

    view = progress.view(console)
    test = SpeedTest(endpoint, dim=dim, seconds=seconds, progress=view)
    _ask(test.collection, endpoint.uri, yes=yes)
    with view:
        view.line(f"headrace: temporary collection {test.collection} at {endpoint.uri}")
        signals.stop = test.stop
        report = test.run()
    write_document(report.to_json())
    console.line(f"headrace: {report.status}: {count(report.rows)} rows of {dim} float32 in {report.uri}")
    rates = f"{count(report.rows_per_second)} rows/s, {size(report.bytes_per_second)}/s in the second half"
    console.line(f"  speed      {rates}")
    best = report.concurrency
    console.line(
        f"  best       {number_of(best['in_flight'], 'request')} in flight, {size(best['request_bytes'])} each"
    )
    if report.latency_ms:
        console.line(f"  latency    {report.latency_ms['p50']:,.0f} ms, p99 {report.latency_ms['p99']:,.0f} ms")
    console.line(f"  collection {'removed' if report.removed else report.collection + ' is left: drop it'}")
    return report.exit_status


def _ask(collection: str, uri: str, *, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("speedtest makes a temporary collection: --yes says that it may")
    if not click.confirm(f"Make the temporary collection {collection} at {uri}, and remove it?", err=True):
        from headrace.errors import ConfigError

        raise ConfigError("speedtest: nothing was made")
