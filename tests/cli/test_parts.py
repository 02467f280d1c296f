"""``headrace plan``, ``prepare``, ``load --part``, ``report --merge`` and ``finish``, as on several machines."""

from __future__ import annotations

import json

import pytest


def on(fake, *more):
    return ("--collection", "c", "--uri", fake.uri, *more)


def test_a_source_is_loaded_in_parts_by_commands_of_their_own(headrace, fake, source):
    planned = headrace.run("plan", source, "--parts", "2")
    assert (planned.status, planned.err) == (0, "headrace: 100 rows of 1 file in 2 parts\n")
    plan = headrace.directory / "plan.json"
    plan.write_text(planned.out)
    prepared = headrace.run("prepare", "--plan", plan, *on(fake))
    assert (prepared.status, prepared.document["created"]) == (0, True)
    assert prepared.err.startswith("headrace: collection c is created; key id; indexes: vector (COSINE)")
    assert [line.split()[0] for line in prepared.err.splitlines()[3:]] == ["id", "text", "vector"]
    started = [
        headrace.start("load", "--plan", plan, "--part", number, *on(fake, "--first-attempt")) for number in (1, 2)
    ]
    loads = [headrace.wait(process) for process in started]
    assert [done.status for done in loads] == [0, 0]
    assert [done.document["mode"] for done in loads] == ["insert", "insert"]
    for number, done in enumerate(loads):
        (headrace.directory / f"{number}.json").write_text(done.out)
    merged = headrace.run("report", "--merge", headrace.directory / "0.json", loads[1].document["state_dir"])
    assert merged.status == 0
    assert (merged.document["rows_read"], merged.document["rows_stored"]) == (100, 100)
    assert merged.err == "headrace: done: 100 of 100 rows in c\n"
    finished = headrace.run("finish", "--plan", plan, *on(fake, "--verify", "full", "--report", "0.json"))
    assert (finished.status, finished.document["report"]["missing"]) == (4, [2])
    assert finished.document["verify"]["status"] == "ok"
    assert "collection c: 100 rows, in memory; indexes: vector Finished; verify full: ok" in finished.err


def test_parts_of_a_source_need_no_plan(headrace, fake, source):
    done = headrace.run("load", source, "--part", "3/3", *on(fake, "--create"))
    assert (done.status, done.document["part"]["part"], done.document["rows_stored"]) == (0, 3, 33)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("load",), "Missing argument 'SOURCE...', or --plan FILE."),
        (("load", "--plan", "b"), "--plan: say with --part which part to load"),
        (("finish", "a", "--plan", "b"), "SOURCE, --plan: give one of them"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(headrace, fake, arguments, said):
    done = headrace.run(*arguments, *on(fake))
    assert done.status == 2
    assert said in done.err


def test_what_is_no_plan_is_refused_with_a_document(headrace, fake, source):
    (headrace.directory / "plan.json").write_text(json.dumps({"parts": []}))
    done = headrace.run("load", "--plan", "plan.json", "--part", "1", *on(fake))
    assert (done.status, done.document["error"]) == (2, "ConfigError")
