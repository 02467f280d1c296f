"""What goes before and after mapped loads, and waits, run by Airflow's own interpreter (see test_operators.py)."""

from __future__ import annotations

import asyncio
import json

import pytest

from headrace.airflow.compat import AirflowException, AirflowFailException
from headrace.airflow.operators import MilvusFinishOperator, MilvusPlanOperator
from headrace.airflow.sensors import MilvusCollectionSensor
from headrace.airflow.triggers import MilvusCollectionTrigger
from tests.airflow.inside.surroundings import SMALL, TaskDeferred, context, load


def test_parts_are_inserted_at_the_first_try_and_upserted_later(fake, source, tmp_path):
    plan = MilvusPlanOperator(task_id="plan", source=source, collection="docs", create=True, parts=2)
    parts = plan.execute({})
    assert json.loads(json.dumps(parts)) == parts
    first = load(tmp_path, part=parts[0], create=False).execute(context(0))
    second = load(tmp_path, part=parts[1], create=False).execute(context(1, try_number=2))
    assert (first["mode"], second["mode"]) == ("insert", "upsert")
    finish = MilvusFinishOperator(
        task_id="finish", collection="docs", reports=[first, second], source=source, verify="full", deferrable=False
    )
    done = finish.execute({})
    assert (done["rows"], done["loaded"], done["report"]["rows_stored"]) == (1000, True, 1000)
    incomplete = MilvusFinishOperator(task_id="f", collection="docs", reports=[first], deferrable=False)
    with pytest.raises(AirflowFailException, match="no report of part 2"):
        incomplete.execute({})


def test_the_report_of_one_load_is_enough_and_that_of_none_is_not(fake, source, tmp_path):
    report = load(tmp_path, source=source).execute(context())
    finish = {"task_id": "f", "collection": "docs", "deferrable": False}
    assert MilvusFinishOperator(reports=report, **finish).execute({})["report"]["rows_stored"] == 1000
    with pytest.raises(AirflowFailException, match="reports: expected what the loads returned, found none"):
        MilvusFinishOperator(reports=[], **finish).execute({})


def test_a_plan_has_at_most_as_many_parts_as_airflow_maps(fake, source, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "3")
    assert len(MilvusPlanOperator(task_id="plan", source=source, collection="docs", parts=10).execute({})) == 3
    assert "docs" not in fake.collections


def test_a_difference_fails_the_end_for_good(fake, source, tmp_path):
    load(tmp_path, source=source, options={**SMALL, "limit": 500}).execute(context())
    finish = MilvusFinishOperator(task_id="f", collection="docs", source=source, verify="count", deferrable=False)
    with pytest.raises(AirflowFailException, match="differs"):
        finish.execute({})


def fired(trigger):
    async def first():
        return await anext(trigger.run())

    return asyncio.run(first()).payload


def test_the_end_waits_in_the_triggerer_where_that_is_wanted(fake, source, tmp_path):
    load(tmp_path, source=source).execute(context())
    finish = MilvusFinishOperator(task_id="f", collection="docs", deferrable=True, poll_interval=0.01)
    with pytest.raises(TaskDeferred) as deferred:
        finish.execute({})
    assert len(fake.calls_of("Flush")) == 1
    path, arguments = deferred.value.trigger.serialize()
    assert path == "headrace.airflow.triggers.MilvusCollectionTrigger"
    event = fired(MilvusCollectionTrigger(**arguments))
    assert (event["status"], event["state"]["indexed"]) == ("ready", True)
    assert finish.execute_complete({}, event)["rows"] == 1000
    assert len(fake.calls_of("Flush")) == 1
    with pytest.raises(AirflowException, match="gone"):
        finish.execute_complete({}, {"status": "error", "message": "gone"})


def test_the_sensor_waits_for_rows_index_and_memory(fake, source, tmp_path):
    sensor = MilvusCollectionSensor(task_id="s", collection="docs", rows=1000, indexed=True, loaded=True)
    assert not sensor.poke({})
    load(tmp_path, source=source).execute(context())
    assert sensor.poke({})
    assert not MilvusCollectionSensor(task_id="s", collection="docs", rows=1001).poke({})
    fake.collections["docs"].loaded = False
    assert not sensor.poke({})


def test_the_sensor_defers_where_that_is_wanted(fake, source, tmp_path):
    sensor = MilvusCollectionSensor(task_id="s", collection="docs", rows=1, deferrable=True, poke_interval=0.01)
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    load(tmp_path, source=source).execute(context())
    event = fired(deferred.value.trigger)
    assert event["state"]["rows"] == 1000
    assert sensor.execute_complete({}, event) is None
    assert sensor.execute({}) is None, "nothing to wait for any more"


def test_a_server_that_refuses_ends_the_wait(fake):
    trigger = MilvusCollectionTrigger("no such name!", "milvus_default", rows=1)
    fake.always("DescribeCollection", refuse_description)
    assert fired(trigger)["status"] == "error"


async def refuse_description(call):
    from tests.fake.behaviours import refuse

    return await refuse(1100, "invalid collection name")(call)
