"""The operators inside a real Airflow: its own interpreter runs ``inside/operators.py`` against scripted servers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.servers.airflow import Airflow
from tests.servers.linking import ROOT

pytestmark = pytest.mark.long

INSIDE = Path(__file__).parent / "inside"
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


@pytest.fixture(scope="module")
def airflow():
    with Airflow() as home:
        yield home


def test_hook_operators_sensor_and_trigger(airflow):
    quiet = ["-p", "no:cacheprovider", "--noconftest", "-c", "/dev/null", "--rootdir", airflow.home]
    done = airflow.python("-m", "pytest", "-q", *quiet, INSIDE / "operators.py", environ={"PYTHONPATH": str(ROOT)})
    assert done.status == 0, done.text


def test_the_package_goes_with_airflows_own_requirements(airflow):
    done = airflow.python("-m", "pip", "check")
    assert "headrace" not in done.text, done.text


def test_airflow_finds_the_provider_and_shows_the_form_of_its_connection(airflow, tmp_path):
    assert "headrace" in airflow.check("providers", "list").out
    done = airflow.python("-c", _FORM, tmp_path / "form.json")
    assert done.status == 0, done.text
    name, testable, fields, relabeling = json.loads((tmp_path / "form.json").read_text())
    assert (name, testable) == ("Milvus", True)
    assert {"secure", "token", "ca_cert"} <= set(fields)
    assert relabeling["schema"] == "Database"


def test_airflow_is_not_imported_with_headrace(airflow):
    program = "import sys, headrace, headrace.airflow; headrace.load; sys.exit('airflow' in sys.modules)"
    assert airflow.python("-c", program).status == 0
