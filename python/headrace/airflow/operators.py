"""Operators: divide a source into parts, load it or a part of it, and finish what many tasks have loaded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from headrace import operations as ops
from headrace.airflow.base import MilvusOperator, failure
from headrace.airflow.compat import AirflowException, AirflowFailException
from headrace.airflow.defaults import most_mapped, task_state_dir
from headrace.airflow.finishing import MilvusFinishOperator
from headrace.airflow.hooks import MilvusHook
from headrace.airflow.storage import file_options, plain_paths
from headrace.calls import drive_sync
from headrace.config import Endpoint, LoadOptions, Mode, VerifyLevel
from headrace.errors import HeadraceError
from headrace.job import LoadJob
from headrace.plans import PlanPart, plan
from headrace.preparing import prepare_collection
from headrace.rejects import RejectLimit
from headrace.report import EXIT_DIFFERENT, EXIT_DONE, EXIT_REJECTED, LoadReport, Progress
from headrace.transport import SyncTransport

__all__ = ["MilvusFinishOperator", "MilvusLoadOperator", "MilvusPlanOperator"]

#: Airflow kills a task five seconds after it has asked it to end.
_KILL_GRACE = 3.0


class MilvusPlanOperator(MilvusOperator):
    """Divide files into parts for mapped :class:`MilvusLoadOperator` tasks, and create the collection for them.

    Returns the parts as a list, for ``MilvusLoadOperator.partial(...).expand(part=plan.output)``. They are at most as
    many as Airflow maps a task to (``core.max_map_length``). No data goes through XCom: a part names row ranges.

    :param source: paths, globs, directories or URIs of the files; one, or a list (templated)
    :param collection: the collection that they are loaded into (templated)
    :param milvus_conn_id: the connection to the server (templated)
    :param source_conn_id: the connection to the object store of the files (templated)
    :param create: create the collection with its indexes where it is missing; first tries of the parts then insert
    :param parts: how many parts; by default as few as there can be with at most ``rows_per_part`` rows each
    :param rows_per_part: most rows of a part (1,000,000)
    :param key: the column that is the primary key (templated)
    :param options: other fields of :class:`headrace.LoadOptions` that decide the schema: ``metric``, ``vector`` ...
    """

    template_fields: Sequence[str] = ("source", "collection", "milvus_conn_id", "source_conn_id", "key")
    ui_color = "#e8f4fd"

    def __init__(
        self,
        *,
        source: str | list[str],
        collection: str,
        milvus_conn_id: str = MilvusHook.default_conn_name,
        source_conn_id: str | None = None,
        create: bool = False,
        parts: int | None = None,
        rows_per_part: int | None = None,
        key: str | None = None,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(collection=collection, milvus_conn_id=milvus_conn_id, emits_asset=False, **kwargs)
        self.source = source
        self.source_conn_id = source_conn_id
        self.create = create
        self.parts = parts
        self.rows_per_part = rows_per_part
        self.key = key
        self.options = options

    def execute(self, context: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - Airflow's signature
        """Make the plan, and the collection where that is asked for.

        Raises:
            AirflowException: If a file cannot be read, or the server not be reached.
            AirflowFailException: If another try cannot help.
        """
        try:
            given = {**file_options(self.source_conn_id), "key": self.key, **(self.options or {})}
            paths = plain_paths(self.source, given)
            found = plan(paths, parts=self.parts, rows_per_part=self.rows_per_part, **given)
            if len(found.parts) > (most := most_mapped()):
                found = plan(paths, parts=most, **given)
            if self.create:
                options = LoadOptions(**given)
                made = prepare_collection(found, collection=self.collection, endpoint=self.endpoint, options=options)
                self.log.info("%s", made.sentence())
        except HeadraceError as error:
            raise failure(error) from error
        self.log.info(
            "plan %s: %s rows of %d files in %d parts", found.id, found.rows, len(found.files), len(found.parts)
        )
        return [part.to_dict() for part in found.parts]


class MilvusLoadOperator(MilvusOperator):
    """Load files, or one part of them, into a collection; the task succeeds only when every row is accounted for.

    Returns the report (a dict) as XCom. The task fails when rows are unsent or unknown, and then a retry goes on where
    this try ended; it fails for good when more rows than ``max_rejects`` were refused (they are in the rejects file
    that the message names), what was read back differs, or columns and fields do not fit.

    Rows are upserted by key, except into a collection that this task creates, or on the first try of a part whose
    collection :class:`MilvusPlanOperator` created. The journal of what is stored lies in ``state_dir``, by dag, task,
    run and map index, and is removed on success, so that a cleared task loads again. Where that directory does not
    outlive the worker, a retry sends the whole part again, by upsert.

    :param source: paths, globs, directories or URIs of the files; one, or a list (templated)
    :param part: instead of ``source``: an element of what :class:`MilvusPlanOperator` returns
    :param collection: the collection (templated)
    :param milvus_conn_id: the connection to the server (templated)
    :param source_conn_id: the connection to the object store of the files: ``aws``, ``google_cloud_platform``,
        ``wasb``, ``adls`` (templated)
    :param mode: ``auto``, ``insert`` or ``upsert``
    :param key: the column that is the primary key (templated)
    :param create: create the collection from the source's columns where it is missing
    :param verify: what to prove at the end: ``none``, ``count``, ``sample`` or ``full``; of parts ``none``
    :param max_rejects: how many refused rows the task bears: a number, or a share such as ``0.5%``
    :param partition_name: the partition (templated)
    :param state_dir: the directory for journals (templated); by default ``$XDG_STATE_HOME/headrace/airflow``
    :param progress_interval: seconds between two lines of progress in the task's log
    :param options: other fields of :class:`headrace.LoadOptions`
    """

    template_fields: Sequence[str] = (
        "source",
        "part",
        "collection",
        "milvus_conn_id",
        "source_conn_id",
        "key",
        "partition_name",
        "state_dir",
    )
    ui_color = "#d0e8f7"

    def __init__(
        self,
        *,
        collection: str,
        source: str | list[str] | None = None,
        part: dict[str, Any] | None = None,
        milvus_conn_id: str = MilvusHook.default_conn_name,
        source_conn_id: str | None = None,
        mode: Mode = "auto",
        key: str | None = None,
        create: bool = False,
        verify: VerifyLevel = "none",
        max_rejects: int | str = 0,
        partition_name: str = "",
        state_dir: str | None = None,
        progress_interval: float = 10.0,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(collection=collection, milvus_conn_id=milvus_conn_id, emits_asset=source is not None, **kwargs)
        self.source = source
        self.source_conn_id = source_conn_id
        self.part = part
        self.mode = mode
        self.key = key
        self.create = create
        self.verify = verify
        self.max_rejects = max_rejects
        self.partition_name = partition_name
        self.state_dir = state_dir
        self.progress_interval = progress_interval
        self.options = options
        self._job: LoadJob | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Load, and return the report.

        Raises:
            AirflowException: If rows are unsent or unknown: a retry goes on.
            AirflowFailException: If another try cannot help.
        """
        if (self.source is None) == (self.part is None):
            raise AirflowFailException("MilvusLoadOperator: expected a source or a part, found both or none")
        try:
            self._job = job = self._make_job(context)
            report = job.run()
        except HeadraceError as error:
            raise failure(error) from error
        finally:
            self._job = None
        self._check(report)
        _forget(job.state_dir, keep=report.rejects_file is not None)
        return report.to_dict()

    def on_kill(self) -> None:
        """Stop: the journal is closed within five seconds, and a retry goes on from it."""
        if self._job is not None:
            self._job.stop("SIGTERM", grace=_KILL_GRACE)

    def _make_job(self, context: Any) -> LoadJob:
        endpoint = self.endpoint
        part = None if self.part is None else PlanPart.from_dict(self.part)
        given = {**file_options(self.source_conn_id), **(self.options or {})}
        options = LoadOptions(
            mode=self._choose_mode(endpoint) if part is None else self.mode,
            key=self.key,
            create=self.create,
            verify=self.verify,
            max_rejects=self.max_rejects,
            partition_name=self.partition_name,
            state_dir=task_state_dir(self.state_dir, context),
            **given,
        )
        return LoadJob(
            plain_paths(self.source, given) if part is None else part,
            collection=self.collection,
            endpoint=endpoint,
            options=options,
            progress=_logged(self.log.info, self.progress_interval),
            announce=lambda line: self.log.info("%s", line),
            first_attempt=context["ti"].try_number == 1,
        )

    def _choose_mode(self, endpoint: Endpoint) -> Mode:
        """Upsert wherever the collection exists and rows have keys: an earlier try may have written into it."""
        if self.mode != "auto":
            return self.mode
        with SyncTransport(endpoint) as transport:
            info = drive_sync(transport, ops.describe_collection(self.collection))
        return "auto" if info is None or info.schema.auto_id else "upsert"

    def _check(self, report: LoadReport) -> None:
        if too_many := RejectLimit(self.max_rejects).exceeded(report.rows_rejected, report.rows_read):
            raise AirflowFailException(f"{too_many}; the refused rows are in {report.rejects_file}")
        if report.exit_status == EXIT_DIFFERENT:
            raise AirflowFailException(f"{report.status}: {report.verify}")
        if report.exit_status not in (EXIT_DONE, EXIT_REJECTED):
            left = f"{report.rows_unsent} unsent and {report.rows_unknown} unknown of {report.rows_read} rows"
            raise AirflowException(f"{report.status}; {left}; a retry goes on from {report.journal}")
        if report.rows_rejected:
            self.log.warning("%d rows were refused, see %s", report.rows_rejected, report.rejects_file)
        self.log.info("%s: %d rows stored, %s", report.status, report.rows_stored, report.mode_reason)


def _logged(log: Callable[..., None], interval: float) -> Callable[[Progress], None]:
    """Write a line of progress into the log every ``interval`` seconds."""
    last = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal last
        if time.monotonic() - last < interval:
            return
        last = time.monotonic()
        total = "" if progress.rows_total is None else f" of {progress.rows_total:,}"
        speed = progress.rows_stored / progress.seconds if progress.seconds else 0.0
        log("%s: %s%s rows stored, %s rows/s", progress.phase, f"{progress.rows_stored:,}", total, f"{speed:,.0f}")

    return show


def _forget(directory: Path, *, keep: bool) -> None:
    """Remove the journal of a load that is done, so that the same task loads again when it is cleared."""
    if keep:
        for path in directory.glob("journal*"):
            path.unlink()
    else:
        shutil.rmtree(directory, ignore_errors=True)
