"""What the tests share that Airflow's interpreters run: a scripted server behind a connection, a file, a context.

A plugin of pytest: its fixtures are theirs.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from headrace.airflow.operators import MilvusLoadOperator
from tests.fake_milvus import FakeMilvus
from tests.loader.rows import table

try:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import TaskDeferred
    from airflow.sdk.io import attach
except ImportError:  # Airflow 2
    from airflow.exceptions import TaskDeferred
    from airflow.io.store import attach
    from airflow.models import Connection

__all__ = ["NOBODY", "SMALL", "Connection", "TaskDeferred", "attach", "context", "load", "states"]

SMALL = {"batch_bytes": 4096, "rpc_timeout": 20.0, "max_in_flight": 1, "give_up_after": 0.3}

NOBODY = json.dumps({"conn_type": "milvus", "host": "127.0.0.1", "port": 1, "extra": {"timeout": 0.1}})


@pytest.fixture
def fake(monkeypatch):
    with FakeMilvus() as server:
        address = server.uri.removeprefix("http://")
        monkeypatch.setenv("AIRFLOW_CONN_MILVUS_DEFAULT", f"milvus://root:Milvus@{address}")
        yield server


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "rows.parquet"
    pq.write_table(table(1000), path, row_group_size=100)
    return str(path)


def context(map_index=-1, try_number=1, run_id="run"):
    instance = SimpleNamespace(dag_id="dag", task_id="load", run_id=run_id, map_index=map_index, try_number=try_number)
    return {"ti": instance}


def load(tmp_path, **given):
    given = {"collection": "docs", "create": True, "options": SMALL, **given}
    return MilvusLoadOperator(task_id="load", state_dir=str(tmp_path / "state"), **given)


def states(tmp_path):
    return sorted((tmp_path / "state").glob("*"))
