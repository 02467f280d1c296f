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
from tests.servers.airflow import NEWEST, OLDEST, Airflow
from tests.servers.linking import ROOT
from tests.servers.milvus235 import Milvus235
from tests.servers.ports import free_ports

pytestmark = pytest.mark.long

SAMPLE = ROOT / "examples" / "wordnet-2k.parquet"
#: Loads slowly in parts, several at once, until there is the file FAST.
SLOW = """
from airflow.sdk import DAG
from datetime import timedelta
from pathlib import Path
from headrace.airflow.operators import MilvusFinishOperator, MilvusLoadOperator, MilvusPlanOperator

options = {"max_rows_per_second": 2000.0 if Path(FAST).exists() else 20.0, "rpc_timeout": 5.0, "batch_bytes": 4096}
with DAG("slow", schedule="@once", catchup=False, is_paused_upon_creation=False):
    plan = MilvusPlanOperator(task_id="plan", source=SOURCE, collection="slow", create=True, parts=2)
    load = MilvusLoadOperator.partial(
        task_id="load", collection="slow", options=options, retries=2, retry_delay=timedelta(0)
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


@pytest.mark.parametrize("release", [NEWEST, OLDEST])
def test_the_example_loads_the_sample_in_four_parts(tmp_path, release):
    program = (ROOT / "examples" / "airflow_dag.py").read_text()
    if release == OLDEST:
        program = program.replace("from airflow.sdk import DAG", "from airflow import DAG")
    lease = embedded.acquire(tmp_path / "a.db")
    try:
        host, _, port = lease.address.rpartition(":")
        with Airflow({"milvus_default": f"milvus://root:Sesame-open@{host}:{port}"}, release=release) as airflow:
            airflow.add("example.py", program)
            done = airflow.run("dags", "test", "load_wordnet", environ={"HEADRACE_SAMPLE": str(SAMPLE)})
            assert done.status == 0, done.text
            assert "done: 2,000 of 2,000 rows in wordnet" in done.text
            assert "verify sample: ok" in done.text
            assert set(re.findall(r"/load_wordnet\.load\.(\d)-\w+/part", done.text)) == {"0", "1", "2", "3"}
            assert "Sesame" not in done.text
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


def test_tasks_that_are_killed_and_cleared_store_each_row_once(tmp_path):
    source, fast = tmp_path / "rows.parquet", tmp_path / "fast"
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
            airflow.add("slow.py", f"SOURCE, FAST = {str(source)!r}, {str(fast)!r}\n{SLOW}")
            running.eventually(lambda: len(loading(airflow.home)) == 2)
            first, second = loading(airflow.home)
            os.kill(int(re.match(r"process (\d+)", StateLock.holder(first))[1]), signal.SIGKILL)
            fast.touch()
            running.eventually(lambda: (2,) in running.read("SELECT try_number FROM task_instance"))
            # Airflow ends what is cleared while it runs with SIGTERM, and five seconds later with SIGKILL.
            airflow.check("tasks", "clear", "slow", "--task-regex", "load", "--yes")
            running.eventually(lambda: any("stopped by SIGTERM" in text for text in logs(airflow.home)))
            assert StateLock.holder(second) is None
            running.eventually(lambda: running.read("SELECT 1 FROM dag_run WHERE state IN ('success', 'failed')"))
            assert running.read("SELECT state FROM dag_run") == [("success",)]
            tries = running.read("SELECT try_number FROM task_instance WHERE task_id = 'load'")
            assert sorted(tries) == [(2,), (3,)]
            assert ("milvus://milvus_default/slow",) in running.read(
                "SELECT uri FROM asset_event JOIN asset ON asset.id = asset_event.asset_id"
            )
        with headrace.MilvusClient(server.uri) as client:
            # count(*) shows doubles, which a query would hide.
            assert client.query("slow", output_fields=["count(*)"], consistency_level="Strong") == [{"count(*)": 1200}]


def logs(home):
    """What the tries of the loads wrote."""
    return [path.read_text() for path in home.glob("logs/**/task_id=load/**/*.log")]
