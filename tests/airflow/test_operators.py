"""The operators inside a real Airflow: its own interpreter runs ``inside`` against scripted servers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.loader.rows import table
from tests.servers.airflow import NEWEST, OLDEST, Airflow
from tests.servers.linking import ROOT
from tests.servers.s3 import s3_server

pytestmark = pytest.mark.long

INSIDE = Path(__file__).parent / "inside"
PLUGIN = "tests.airflow.inside.surroundings"
_FORM = """
import json, sys
from airflow.providers_manager import ProvidersManager
manager = ProvidersManager()
hook = manager.hooks["milvus"]
widgets = manager.connection_form_widgets.items()
fields = [info.field_name for name, info in widgets if name.startswith("extra__milvus__")]
behaviour = manager.field_behaviours["milvus"]
json.dump([hook.hook_name, hook.connection_testable, fields, behaviour["relabeling"]], open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module", params=[NEWEST, OLDEST])
def airflow(request):
    with Airflow(release=request.param) as home:
        yield home


def test_hook_operators_sensor_and_trigger(airflow, tmp_path):
    pq.write_table(table(1000), tmp_path / "rows.parquet", row_group_size=100)
    quiet = ["-p", "no:cacheprovider", "--noconftest", "-c", "/dev/null", "--rootdir", airflow.home]
    tests = [
        "-p",
        "tests.airflow.inside.surroundings",
        *(INSIDE / f"{name}.py" for name in ("arguments", "ends", "loads")),
    ]
    with s3_server() as store:
        store.put(tmp_path / "rows.parquet", "rows.parquet")
        secrets = {"login": store.options["access_key"], "password": store.options["secret_key"]}
        extra = {"endpoint_url": store.options["endpoint_url"]}
        connection = json.dumps({"conn_type": "aws", "extra": extra, **secrets})
        environ = {"PYTHONPATH": str(ROOT), "AIRFLOW_CONN_STORE": connection}
        done = airflow.python("-m", "pytest", "-q", *quiet, "-p", PLUGIN, *tests, environ=environ)
    assert done.status == 0, done.text


def test_the_package_installs_beside_airflow_and_changes_none_of_its_versions(airflow):
    assert set(airflow.constraints) <= set(airflow.python("-m", "pip", "freeze").out.splitlines())
    done = airflow.python("-m", "pip", "check")
    assert "headrace" not in done.text, done.text


def test_airflow_finds_the_provider_and_tests_its_connection(airflow, fake):
    assert re.search(
        r"^milvus +\| headrace\.airflow\.hooks\.MilvusHook ", airflow.check("providers", "hooks").out, re.M
    )
    address = fake.uri.removeprefix("http://")
    environ = {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled", "AIRFLOW_CONN_PLACE": f"milvus://root:Sesame@{address}"}
    done = airflow.run("connections", "test", "place", environ=environ)
    assert "Connection success!" in done.text
    assert fake.calls_of("GetVersion")
    assert "Sesame" not in done.text


def test_airflow_shows_the_form_of_the_connection(airflow, tmp_path):
    done = airflow.python("-c", _FORM, tmp_path / "form.json")
    assert done.status == 0, done.text
    name, testable, fields, relabeling = json.loads((tmp_path / "form.json").read_text())
    assert (name, testable) == ("Milvus", True)
    assert {"secure", "token", "ca_cert"} <= set(fields)
    assert relabeling["schema"] == "Database"


def test_airflow_is_not_imported_with_headrace(airflow):
    program = "import sys, headrace, headrace.airflow; headrace.load; sys.exit('airflow' in sys.modules)"
    assert airflow.python("-c", program).status == 0
