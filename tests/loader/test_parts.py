"""Parts of one source, loaded by several workers: prepared once, each row stored once, one account at the end."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import headrace
from headrace import ConfigError, MilvusException
from headrace.journals import find_journals
from tests.fake.behaviours import refuse, refuse_rows
from tests.loader.rows import counts, interrupted, load, rows_sent, table, write_parquet, writes


@pytest.fixture
def source(tmp_path):
    """Two files of 1,000 rows together."""
    (tmp_path / "source").mkdir()
    write_parquet(tmp_path / "source" / "a.parquet", 700)
    write_parquet(tmp_path / "source" / "b.parquet", 300, start=700)
    return tmp_path / "source"


def prepare(fake, source, **options):
    return headrace.prepare(source, collection="docs", uri=fake.uri, **options)


def load_all(fake, sources, **options):
    """Every one of ``sources`` at once, each by a worker of its own."""
    with ThreadPoolExecutor(len(sources)) as workers:
        return list(workers.map(lambda one: load(fake, one, create=False, **options), sources))


def methods(fake):
    return {call.method for call in writes(fake)}


def test_workers_that_load_parts_at_once_store_every_row_once(fake, source):
    plan = headrace.plan(source, parts=4)
    assert prepare(fake, plan).created
    reports = load_all(fake, plan.parts)
    assert fake.collections["docs"].keys() == Counter(range(1000))
    assert {report.journal for report in reports} == {str(Path(it.state_dir) / "journal.sqlite") for it in reports}
    assert len({report.state_dir for report in reports}) == 4
    assert methods(fake) == {"Upsert"}
    merged = headrace.merge_reports(reports)
    assert counts(merged) == {"stored": 1000}
    assert (merged.status, merged.exit_status, merged.guarantee) == ("done", 0, "effectively-once")
    assert [line["part"] for line in merged.parts] == [1, 2, 3, 4]
    sent = len(writes(fake))
    again = load_all(fake, plan.parts)
    assert all(report.already_complete for report in again)
    assert len(writes(fake)) == sent


def test_parts_need_no_plan(fake, source):
    reports = [load(fake, source, part=f"{number}/3") for number in (1, 2, 3)]
    assert [report.part["part"] for report in reports] == [1, 2, 3]
    assert [report.created for report in reports] == [True, False, False]
    assert not fake.collections["docs"].loaded, "that is for the end, and done once"
    assert counts(headrace.merge_reports(reports)) == {"stored": 1000}
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_state_directory_that_is_given_holds_one_for_each_part(fake, source, tmp_path):
    plan = headrace.plan(source, parts=2)
    reports = [load(fake, plan, part=number, state_dir=tmp_path / "state") for number in (1, 2)]
    assert [report.state_dir for report in reports] == [f"{tmp_path}/state/part-{n}-of-2" for n in (1, 2)]
    merged = headrace.merge_reports([tmp_path / "state" / f"part-{n}-of-2" for n in (1, 2)])
    assert merged.rows_stored == 1000


def test_a_first_attempt_inserts_where_the_collection_was_made_for_its_plan(fake, source):
    plan, other = headrace.plan(source, parts=2), headrace.plan(source, parts=2)
    prepare(fake, plan)
    first = load(fake, plan.parts[0], first_attempt=True)
    assert (first.mode, methods(fake)) == ("insert", {"Insert"})
    assert first.mode_reason == "the collection was created for this plan, and this is the part's first attempt"
    assert load(fake, other.parts[1], first_attempt=True).mode == "upsert"
    assert fake.collections["docs"].keys() == Counter(range(1000))


def test_a_part_that_was_interrupted_goes_on_where_it_ended(fake, source):
    plan = headrace.plan(source, parts=2)
    prepare(fake, plan)
    other = load(fake, plan.parts[1])
    first = interrupted(fake, plan.parts[0], create=False)
    assert headrace.merge_reports([first, other]).exit_status == 4
    sent = len(writes(fake))
    second = load(fake, plan.parts[0])
    assert second.rows_resumed == first.rows_stored > 0
    assert rows_sent(writes(fake)[sent:]) == second.rows_read - first.rows_stored
    assert fake.collections["docs"].keys() == Counter(range(1000))
    merged = headrace.merge_reports([second, other])
    assert (merged.exit_status, merged.rows_resumed) == (0, first.rows_stored)


def test_a_first_attempt_that_was_interrupted_is_none_any_more(fake, source):
    plan = headrace.plan(source, parts=2)
    prepare(fake, plan)
    interrupted(fake, plan.parts[0], create=False, first_attempt=True)
    assert load(fake, plan.parts[0], first_attempt=True).mode == "upsert"


def test_a_part_whose_rows_are_all_settled_is_finished(fake, source):
    plan = headrace.plan(source, parts=2)
    report = load(fake, plan.parts[1])
    (journal,) = find_journals([report.state_dir])
    assert journal.finished
    assert sum(file.verdicts["stored"] for file in journal.files) == report.rows_stored


def test_rejected_rows_are_in_the_joint_account(fake, source):
    plan = headrace.plan(source, parts=2)
    prepare(fake, plan)
    fake.always("Upsert", refuse_rows(lambda row: row["id"] in (3, 900)))
    merged = headrace.merge_reports([load(fake, part, check=False) for part in plan.parts])
    assert counts(merged) == {"stored": 998, "rejected": 2}
    assert (merged.exit_status, len(merged.rejects_files)) == (3, 2)
    assert merged.status == "finished, 2 rows rejected"


def test_numbered_keys_are_those_of_the_whole_source(fake, source):
    plan = headrace.plan(source, parts=3)
    for part in plan.parts:
        load(fake, part, key="@row")
    assert fake.collections["docs"].keys() == Counter(range(1000))
    key = fake.collections["docs"].schema.primary_key.name
    assert [row for row in fake.collections["docs"].dicts() if row["text"] != f"row {row[key]}"] == []


def test_a_column_to_leave_out_may_come_later(fake, tmp_path):
    """As in a load: the first rows of JSON lines do not tell all columns."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "vector": [0.5, 1.5]}\n')
    assert prepare(fake, path, drop=["later"]).created
    assert counts(load(fake, path, drop=["later"])) == {"stored": 1}


def test_of_several_that_prepare_at_once_one_creates(fake, source):
    plan = headrace.plan(source)
    with ThreadPoolExecutor(4) as workers:
        found = list(workers.map(lambda _: prepare(fake, plan), range(4)))
    assert sum(one.created for one in found) == 1
    assert {one.plan for one in found} == {plan.id}
    assert {index["field"] for index in found[0].indexes} == {"dense", "sparse"}
    again = prepare(fake, headrace.plan(source))
    assert (again.created, again.plan) == (False, plan.id)


def test_whoever_comes_second_to_create_finds_the_first_ones_collection(fake, source):
    plan = headrace.plan(source)
    raced = []

    async def create_first(call):
        if not raced:
            raced.append(call)
            call.apply()
            return await refuse(65535, "create duplicate collection with different parameters")(call)
        return call.apply()

    fake.always("CreateCollection", create_first)
    found = prepare(fake, plan)
    assert found.created, "the mark tells whose it is, whatever was answered"


def test_what_died_between_collection_and_indexes_is_finished(fake, source):
    plan = headrace.plan(source)
    prepare(fake, plan)
    fake.collections["docs"].indexes.clear()
    assert {index["field"] for index in prepare(fake, plan).indexes} == {"dense", "sparse"}


def test_a_refused_creation_is_an_error(fake, source):
    fake.always("CreateCollection", refuse(5, "no more collections"))
    with pytest.raises(MilvusException, match="no more collections"):
        prepare(fake, source)


def test_finishing_indexes_loads_and_verifies(fake, source):
    plan = headrace.plan(source, parts=2)
    prepare(fake, plan)
    reports = load_all(fake, plan.parts)
    found = headrace.finish(plan, collection="docs", uri=fake.uri, verify="full", reports=reports)
    assert (found.rows, found.loaded, found.exit_status) == (1000, True, 0)
    assert (found.verify["status"], found.verify["checked"]) == ("ok", 1000)
    assert [index["state"] for index in found.indexes] == ["Finished", "Finished"]
    assert found.report.rows_stored == 1000
    assert len(fake.calls_of("Flush")) == 1


def test_finishing_verifies_what_was_mapped(fake, source):
    plan, mapped = headrace.plan(source, parts=2), {"map": {"text": "title"}, "set": {"lang": "en"}, "drop": ["sparse"]}
    prepare(fake, plan, **mapped)
    load_all(fake, plan.parts, **mapped)
    found = headrace.finish(plan, collection="docs", uri=fake.uri, verify="full", **mapped)
    assert (found.verify["status"], found.verify["checked"]) == ("ok", 1000)


def test_finishing_finds_what_is_not_there(fake, source):
    plan = headrace.plan(source, parts=2)
    prepare(fake, plan)
    report = load(fake, plan.parts[0])
    found = headrace.finish(plan, collection="docs", uri=fake.uri, verify="count", reports=[report])
    assert (found.verify["status"], found.exit_status) == ("mismatch", 5)
    assert found.report.missing == [2]
    assert headrace.finish(collection="docs", uri=fake.uri, reports=[report]).exit_status == 4
    with pytest.raises(ConfigError, match="verify full: expected the source that was loaded"):
        headrace.finish(collection="docs", uri=fake.uri, verify="full")


def test_a_part_is_not_verified_while_others_write(fake, source):
    with pytest.raises(ConfigError, match="part-1-of-2, and others that write meanwhile; verify at the end"):
        load(fake, source, part="1/2", verify="count")


def test_reports_that_do_not_belong_together_are_refused(fake, source, tmp_path):
    plan = headrace.plan(source, parts=2)
    one, whole = load(fake, plan.parts[0]), load(fake, source)
    with pytest.raises(ConfigError, match="part 1 of 2: expected each part once, found a second report of part 1"):
        headrace.merge_reports([one, one.to_dict()])
    with pytest.raises(ConfigError, match="expected plan"):
        headrace.merge_reports([one, whole])
    with pytest.raises(ConfigError, match="a report that adds up, found verdicts for"):
        headrace.merge_reports([{**one.to_dict(), "rows_stored": 1}])
    with pytest.raises(ConfigError, match="expected at least one report"):
        headrace.merge_reports([])
    for bad in (tmp_path / "nothing", {"rows_read": 1}):
        with pytest.raises(ConfigError, match="expected the report of a load"):
            headrace.merge_reports([bad])


def test_loads_that_are_no_parts_are_merged_too(fake):
    reports = [load(fake, table(100, start=start)) for start in (0, 100)]
    merged = headrace.merge_reports(reports)
    assert (counts(merged), merged.plan, merged.missing) == ({"stored": 200}, "", [])
