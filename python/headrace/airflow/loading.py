"""The operator that loads."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from headrace import operations as ops
from headrace.airflow.base import MilvusOperator, Source, failure
from headrace.airflow.compat import AirflowException, AirflowFailException
from headrace.airflow.defaults import task_state_dir
from headrace.airflow.hooks import MilvusHook
from headrace.airflow.options import collection_schema
from headrace.calls import drive_sync
from headrace.config import Endpoint, LoadOptions, Mode, VerifyLevel
from headrace.errors import HeadraceError
from headrace.job import LoadJob
from headrace.plans import PlanPart
from headrace.progress import Rate, describe
from headrace.quantities import number_of
from headrace.rejects import RejectLimit
from headrace.report import EXIT_DIFFERENT, EXIT_DONE, EXIT_REJECTED, LoadReport, Progress
from headrace.transport import SyncTransport

__all__ = ["MilvusLoadOperator"]

#: Airflow kills a task five seconds after it has asked it to end.
_KILL_GRACE = 3.0


class MilvusLoadOperator(MilvusOperator):
    """Load files, or one part of them, into a collection; the task succeeds only when every row is accounted for.

    Returns the report (a dict) as XCom. The task fails when rows are unsent or unknown, and then a retry goes on where
    this try ended; it fails for good when more rows than ``max_rejects`` were refused (they are in the rejects file
    that the message names), what was read back differs, or columns and fields do not fit.

    Rows are upserted by key, except into a collection that this task creates, or on the first try of a part whose
    collection :class:`MilvusPlanOperator` created. The journal of what is stored lies in ``state_dir``, by dag, task,
    run and map index, and is removed on success, so that a cleared task loads again. Where that directory does not
    outlive the worker, a retry sends the whole part again, by upsert.

    A killed task sends nothing more, and closes its journal within five seconds.

    :param source: paths, globs, directories, URIs or ``ObjectStoragePath``s of the files; one, or a list (templated)
    :param part: instead of ``source``: an element of what :class:`MilvusPlanOperator` returned (templated)
    :param collection: the collection (templated)
    :param milvus_conn_id: the connection to the server (templated)
    :param source_conn_id: the connection to the object store of the files: ``aws``, ``google_cloud_platform``,
        ``wasb``, ``adls`` (templated)
    :param mode: ``auto``, ``insert`` or ``upsert``
    :param key: the column that is the primary key (templated)
    :param mapping: how columns become fields: a dict (or its JSON text) with any of ``map`` (column to field), ``only``
        and ``drop`` (columns), ``set`` (field to value), ``cast`` (column to type), ``truncate`` (field to bytes, or to
        None for the field's own length), ``vector``, ``dim``, ``key``, ``partition_name``; each means what it does in
        :class:`headrace.LoadOptions` (templated)
    :param create: create the collection with its indexes where it is missing
    :param schema: the schema to create it with, as ``describe_collection`` gives it: a dict, or the path of a JSON or
        YAML file; by default one that follows from the columns (templated)
    :param verify: what to prove at the end: ``none``, ``count``, ``sample`` or ``full``; of parts ``none``
    :param max_rejects: how many refused rows the task bears: a number, or a share such as ``0.5%``
    :param partition_name: the partition (templated)
    :param state_dir: the directory for journals (templated); by default ``$XDG_STATE_HOME/headrace/airflow``
    :param progress_interval: seconds between two lines of progress in the task's log
    :param options: other fields of :class:`headrace.LoadOptions`, such as ``metric``, ``nice``, ``limit``,
        ``max_rows_per_second``, ``source_options``
    """

    template_fields: Sequence[str] = (
        "source",
        "part",
        "collection",
        "milvus_conn_id",
        "source_conn_id",
        "key",
        "mapping",
        "schema",
        "partition_name",
        "state_dir",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"part": "json", "mapping": "json", "schema": "json"}
    ui_color = "#d0e8f7"
    own_options = ("create", "key", "max_rejects", "mode", "partition_name", "state_dir", "verify")

    def __init__(
        self,
        *,
        collection: str,
        source: Source | list[Source] | None = None,
        part: dict[str, Any] | None = None,
        milvus_conn_id: str = MilvusHook.default_conn_name,
        source_conn_id: str | None = None,
        mode: Mode = "auto",
        key: str | None = None,
        mapping: dict[str, Any] | str | None = None,
        create: bool = False,
        schema: dict[str, Any] | str | None = None,
        verify: VerifyLevel = "none",
        max_rejects: int | str = 0,
        partition_name: str = "",
        state_dir: str | None = None,
        progress_interval: float = 10.0,
        options: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            source=source,
            collection=collection,
            milvus_conn_id=milvus_conn_id,
            source_conn_id=source_conn_id,
            key=key,
            mapping=mapping,
            options=options,
            emits_asset=source is not None,
            **kwargs,
        )
        self.part = part
        self.mode = mode
        self.create = create
        self.schema = schema
        self.verify = verify
        self.max_rejects = max_rejects
        self.partition_name = partition_name
        self.state_dir = state_dir
        self.progress_interval = progress_interval
        self._job: LoadJob | None = None
        self._killed = False

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
            if self._killed:
                raise AirflowException("killed before anything was sent")
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
        self._killed = True
        if self._job is not None:
            self._job.stop("SIGTERM", grace=_KILL_GRACE)

    def _make_job(self, context: Any) -> LoadJob:
        endpoint = self.endpoint
        part = None if self.part is None else PlanPart.from_dict(self.part)
        paths, given = self.given(
            mode=self._choose_mode(endpoint) if part is None else self.mode,
            create=self.create,
            verify=self.verify,
            max_rejects=self.max_rejects,
            partition_name=self.partition_name,
            state_dir=task_state_dir(self.state_dir, context),
        )
        return LoadJob(
            paths if part is None else part,
            collection=self.collection,
            endpoint=endpoint,
            options=LoadOptions(**given),
            schema=collection_schema(self.schema),
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
            left = f"{report.rows_unsent:,} unsent and {report.rows_unknown:,} unknown of {report.rows_read:,} rows"
            raise AirflowException(f"{report.status}; {left}; a retry goes on from {report.journal}")
        if report.rows_rejected:
            self.log.warning("%s refused, see %s", number_of(report.rows_rejected, "row"), report.rejects_file)
        stored = f"{number_of(report.rows_stored, 'row')} stored"
        if report.dry_run:
            stored = f"{number_of(report.would_store['rows'], 'row')} would be stored"
        self.log.info("%s: %s, %s", report.status, stored, report.mode_reason)


def _logged(log: Callable[..., None], interval: float) -> Callable[[Progress], None]:
    """Write a line of progress into the log every ``interval`` seconds."""
    last, rate = time.monotonic(), Rate()

    def show(progress: Progress) -> None:
        nonlocal last
        rate.update(progress)
        if time.monotonic() - last < interval:
            return
        last = time.monotonic()
        log("%s", describe(progress, rate))

    return show


def _forget(directory: Path, *, keep: bool) -> None:
    """Remove the journal of a load that is done, so that the same task loads again when it is cleared."""
    if keep:
        for path in directory.glob("journal*"):
            path.unlink()
    else:
        shutil.rmtree(directory, ignore_errors=True)
