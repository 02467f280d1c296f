"""The joint account of several loads: sums that add up, whatever the parts say, and the worst of their endings."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from headrace import merge_reports
from headrace.report import EXIT_DONE, EXIT_REJECTED, EXIT_UNSENT

VERDICTS = ("stored", "superseded", "skipped", "rejected", "unknown", "unsent")
OTHERS = ("rows_resumed", "rows_possibly_duplicated", "batches", "bytes_sent")


@st.composite
def reports(draw):
    """Reports of some parts of a plan, as documents that add up, in any order."""
    count = draw(st.integers(1, 6))
    numbers = draw(st.lists(st.integers(1, count), min_size=1, max_size=count, unique=True))
    return [draw(report(number, count)) for number in numbers]


@st.composite
def report(draw, number, count):
    rows = {f"rows_{verdict}": draw(st.integers(0, 10**12)) for verdict in VERDICTS}
    unsettled, rejected = rows["rows_unknown"] + rows["rows_unsent"], rows["rows_rejected"]
    status = EXIT_UNSENT if unsettled else EXIT_REJECTED if rejected else EXIT_DONE
    return {
        "collection": "docs",
        "database": "",
        "part": {"plan": "p", "part": number, "of": count},
        "rows_read": sum(rows.values()),
        **rows,
        **{name: draw(st.integers(0, 10**12)) for name in OTHERS},
        "guarantee": draw(st.sampled_from(["effectively-once", "at-least-once"])),
        "retries": draw(st.dictionaries(st.sampled_from(["retry", "throttle"]), st.integers(1, 9))),
        "seconds": draw(st.floats(0, 1e6)),
        "rejects_file": f"/state/{number}/rejects.parquet" if rejected else None,
        "status": "done",
        "exit_status": draw(st.sampled_from([status, 143])) if unsettled else status,
        "state_dir": f"/state/{number}",
        "notes": draw(st.lists(st.sampled_from(["a", "b"]), max_size=2)),
    }


@given(reports(), st.randoms(use_true_random=False))
def test_the_sum_adds_up_and_hides_nothing(found, random):
    merged = merge_reports(found)
    assert merged.rows_read == sum(getattr(merged, f"rows_{verdict}") for verdict in VERDICTS)
    for name in ("rows_read", *(f"rows_{verdict}" for verdict in VERDICTS), *OTHERS):
        assert getattr(merged, name) == sum(one[name] for one in found)
    assert merged.missing == sorted({*range(1, found[0]["part"]["of"] + 1)} - {one["part"]["part"] for one in found})
    unsettled = merged.missing or merged.rows_unknown or merged.rows_unsent
    assert merged.exit_status == (EXIT_UNSENT if unsettled else EXIT_REJECTED if merged.rows_rejected else EXIT_DONE)
    assert merged.ok == (not unsettled and not merged.rows_rejected)
    assert (merged.guarantee == "effectively-once") == all(it["guarantee"] == "effectively-once" for it in found)
    assert {line["part"] for line in merged.parts} == {one["part"]["part"] for one in found}
    assert sorted(merged.rejects_files) == sorted(one["rejects_file"] for one in found if one["rejects_file"])
    shuffled = random.sample(found, len(found))
    again = merge_reports(json.loads(json.dumps(shuffled)))
    for name in ("parts", "missing", "exit_status", "guarantee", "retries", "status", "seconds"):
        assert getattr(again, name) == getattr(merged, name), "in whatever order they come"
