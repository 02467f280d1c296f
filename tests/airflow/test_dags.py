"""DAGs that a real Airflow runs into real engines."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess

import pyarrow.parquet as pq
import pytest

import headrace
from headrace import embedded
from headrace.journal_records import JournalReader
from headrace.report import Verdict
from headrace.state import StateLock
from tests.loader.rows import eventually, table
from tests.servers.airflow import Airflow
from tests.servers.linking import ROOT
from tests.servers.milvus235 import Milvus235
from tests.servers.ports import free_ports

pytestmark = pytest.mark.long

SAMPLE = ROOT / "examples" / "wordnet-2k.parquet"
#: Loads slowly in parts, several at once, so that one can be killed while it does.
SLOW = """
from airflow.sdk import DAG
from datetime import timedelta
from headrace.airflow.operators import MilvusFinishOperator, MilvusLoadOperator, MilvusPlanOperator

slowly = {"max_rows_per_second": 200.0, "rpc_timeout": 5.0}
with DAG("slow", schedule="@once", catchup=False, is_paused_upon_creation=False):
    plan = MilvusPlanOperator(task_id="plan", source=SOURCE, collection="slow", create=True, parts=2)
    load = MilvusLoadOperator.partial(
        task_id="load", collection="slow", options=slowly, retries=2, retry_delay=timedelta(0)
    ).expand(part=plan.output)
    finish = MilvusFinishOperator(
        task_id="finish",
        collection="slow",
        source=SOURCE,
        reports=load.output,
        verify="full",
        deferrable=True,
        poll_interval=0.5,
        retries=2,
        retry_delay=timedelta(0),
    )
    load >> finish
"""


def test_the_example_loads_the_sample_in_four_parts(tmp_path):
    lease = embedded.acquire(tmp_path / "a.db")
    try:
        host, _, port = lease.address.rpartition(":")
        with Airflow({"milvus_default": f"milvus://{host}:{port}"}) as airflow:
            airflow.add("example.py", (ROOT / "examples" / "airflow_dag.py").read_text())
            done = airflow.run("dags", "test", "load_wordnet", environ={"HEADRACE_SAMPLE": str(SAMPLE)})
            assert done.status == 0, done.text
            assert "done: 2,000 of 2,000 rows in wordnet" in done.text
            assert "verify sample: ok" in done.text
            assert len(re.findall(r"task_id=load map_index=[0-3]\b", done.text)) >= 4
        with headrace.MilvusClient(f"http://{lease.address}") as client:
            assert client.query("wordnet", output_fields=["count(*)"]) == [{"count(*)": 2000}]
    finally:
        lease.release()


class Standalone:
    """A scheduler, a triggerer and an API server of Airflow's, with SQLite as their database."""

    def __init__(self, airflow, port):
        self._airflow = airflow
        self._port = port
        self._log = airflow.home / "standalone.log"

    def __enter__(self):
        self._process = self._airflow.start("standalone", log=self._log)
        try:
            # A task that begins before its API server does fails.
            self.eventually(self._listens)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def __exit__(self, *exc_info):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)

    def read(self, query):
        """Rows of its database."""
        with contextlib.closing(sqlite3.connect(f"file:{self._airflow.home}/airflow.db?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def eventually(self, condition, seconds=180.0):
        """Return once ``condition()`` holds; a failure shows what Airflow wrote."""
        try:
            eventually(condition, seconds)
        except AssertionError:
            raise AssertionError(self._log.read_text()[-8000:]) from None


def loading(home):
    """The state directories of the parts that have stored some of their rows."""
    found = []
    for journal in home.glob("state/headrace/airflow/slow.load.*/*/journal.sqlite"):
        with contextlib.suppress(headrace.JournalError), JournalReader(journal.parent) as reader:
            files = [file for target in reader.targets() for file in reader.files(target.id)]
            if any(file.settled.get(Verdict.STORED) for file in files):
                found.append(journal.parent)
    return found


def test_a_task_that_is_killed_and_tried_again_stores_each_row_once(tmp_path):
    source = tmp_path / "rows.parquet"
    pq.write_table(table(1200).drop_columns(["sparse"]), source, row_group_size=100)
    port, *others = free_ports(3)
    settings = {
        "api.port": port,
        "core.execution_api_server_url": f"http://127.0.0.1:{port}/execution/",
        "logging.worker_log_server_port": others[0],
        "logging.trigger_log_server_port": others[1],
        "dag_processor.refresh_interval": 1,
    }
    with Milvus235() as server, Airflow({"milvus_default": f"milvus://{server.address}"}, settings) as airflow:
        with Standalone(airflow, port) as running:
            airflow.add("slow.py", f"SOURCE = {str(source)!r}\n{SLOW}")
            running.eventually(lambda: loading(airflow.home))
            holder = StateLock.holder(loading(airflow.home)[0])
            os.kill(int(re.match(r"process (\d+)", holder)[1]), signal.SIGKILL)
            running.eventually(lambda: running.read("SELECT 1 FROM dag_run WHERE state IN ('success', 'failed')"))
            assert running.read("SELECT state FROM dag_run") == [("success",)]
            tries = running.read("SELECT try_number FROM task_instance WHERE task_id = 'load'")
            assert sorted(tries) == [(1,), (2,)]
            assert running.read("SELECT uri FROM asset_event JOIN asset ON asset.id = asset_event.asset_id") == [
                ("milvus://milvus_default/slow",)
            ]
        with headrace.MilvusClient(server.uri) as client:
            # count(*) shows doubles, which a query would hide.
            assert client.query("slow", output_fields=["count(*)"], consistency_level="Strong") == [{"count(*)": 1200}]
