"""The operator that follows mapped loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from headrace import operations as ops
from headrace.airflow.base import MilvusOperator, Source, failure
from headrace.airflow.compat import AirflowException, AirflowFailException
from headrace.airflow.defaults import default_deferrable
from headrace.airflow.hooks import MilvusHook
from headrace.airflow.triggers import MilvusCollectionTrigger
from headrace.calls import drive_sync
from headrace.config import VerifyLevel
from headrace.errors import ConfigError, HeadraceError, explain
from headrace.finishing import FinishReport, finish
from headrace.rejects import RejectLimit
from headrace.report import EXIT_DONE, EXIT_REJECTED
from headrace.transport import SyncTransport

__all__ = ["MilvusFinishOperator"]


class MilvusFinishOperator(MilvusOperator):
    """After mapped loads: flush, wait for the indexes, load the collection into memory, verify, join the reports.

    Returns what was found (a dict) as XCom, the joint account of the parts in it. The task fails for good where the
    comparison finds a difference, or the account is not complete.

    :param collection: the collection (templated)
    :param milvus_conn_id: the connection to the server (templated)
    :param reports: what :class:`MilvusLoadOperator` returned, mapped or not (``load.output``), to be joined; a part
        that is missing fails the task (templated)
    :param source: what was loaded, where it is to be verified (templated)
    :param source_conn_id: the connection to the object store of ``source`` (templated)
    :param verify: compare ``source`` with the collection: ``none``, ``count``, ``sample`` or ``full``
    :param key: the source's key column, where its name is not the key field's (templated)
    :param mapping: how columns became fields, for the comparison; as for :class:`MilvusLoadOperator` (templated)
    :param options: other fields of :class:`headrace.LoadOptions` that the rows were loaded with: ``ids``, ``metadata``,
        ``limit``, ``source_options``
    :param flush: seal what was written first
    :param load: load the collection into memory
    :param timeout: seconds that the indexes may take, and the loading
    :param max_rejects: how many refused rows the joint account bears: a number, or a share such as ``0.5%``
    :param deferrable: wait for the indexes in the triggerer instead of in a worker slot; by default
        ``operators.default_deferrable``
    :param poll_interval: seconds between two looks of the triggerer
    """

    template_fields: Sequence[str] = (
        "collection",
        "milvus_conn_id",
        "reports",
        "source",
        "source_conn_id",
        "key",
        "mapping",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"reports": "json", "mapping": "json"}
    ui_color = "#b8dcf1"
    own_options = ("key", "max_rejects", "verify")

    def __init__(
        self,
        *,
        collection: str,
        milvus_conn_id: str = MilvusHook.default_conn_name,
        reports: Any = None,
        source: Source | list[Source] | None = None,
        source_conn_id: str | None = None,
        verify: VerifyLevel = "none",
        key: str | None = None,
        mapping: dict[str, Any] | str | None = None,
        options: dict[str, Any] | None = None,
        flush: bool = True,
        load: bool = True,
        timeout: float = 86_400.0,
        max_rejects: int | str = 0,
        deferrable: bool | None = None,
        poll_interval: float = 10.0,
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
            emits_asset=True,
            **kwargs,
        )
        self.reports = reports
        self.verify = verify
        self.flush = flush
        self.load = load
        self.timeout = timeout
        self.max_rejects = max_rejects
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self.poll_interval = poll_interval

    def execute(self, context: Any) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Finish, or wait in the triggerer first.

        Raises:
            AirflowException: If the server cannot be asked, or is not done in time.
            AirflowFailException: If another try cannot help.
        """
        if self.deferrable:
            if self.flush:
                self._flush()
            trigger = MilvusCollectionTrigger(
                collection=self.collection,
                milvus_conn_id=self.milvus_conn_id,
                indexed=True,
                poll_interval=self.poll_interval,
            )
            self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        return self._finish(flush=self.flush)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """What follows once the indexes are built.

        Raises:
            AirflowException: As :meth:`execute`.
        """
        if event["status"] != "ready":
            raise AirflowException(event["message"])
        return self._finish(flush=False)

    def _flush(self) -> None:
        try:
            with SyncTransport(self.endpoint) as transport:
                drive_sync(transport, ops.flush(self.collection))
        except HeadraceError as error:
            raise failure(error) from error

    def _finish(self, *, flush: bool) -> dict[str, Any]:
        try:
            paths, given = self.given()
            found = finish(
                paths,
                collection=self.collection,
                endpoint=self.endpoint,
                verify=self.verify,
                flush=flush,
                load=self.load,
                timeout=self.timeout,
                reports=_listed(self.reports),
                **given,
            )
        except HeadraceError as error:
            raise failure(error) from error
        self._check(found)
        return found.to_dict()

    def _check(self, found: FinishReport) -> None:
        self.log.info("%s", found.sentence())
        if found.verify is not None and found.verify["status"] == "mismatch":
            raise AirflowFailException(f"what was read back differs: {found.verify}")
        if (report := found.report) is None:
            return
        self.log.info("%s", report.sentence())
        if too_many := RejectLimit(self.max_rejects).exceeded(report.rows_rejected, report.rows_read):
            raise AirflowFailException(f"{too_many}; the refused rows are in {', '.join(report.rejects_files)}")
        if report.exit_status not in (EXIT_DONE, EXIT_REJECTED):
            raise AirflowFailException(report.sentence())


def _listed(reports: Any) -> Sequence[Any]:
    """The reports one by one; none only where none were asked for."""
    if reports is None:
        return ()
    if isinstance(reports, Mapping):
        return [reports]
    # What mapped tasks returned is fetched lazily, one by one; a slice is fetched at once.
    if found := [*reports[:]]:
        return found
    expected, remedy = "what the loads returned", "give load.output, and let the loads push their XCom"
    raise ConfigError(explain("reports", expected, "none", remedy))
