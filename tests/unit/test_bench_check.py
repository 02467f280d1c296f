"""What ``make bench-check`` calls a fall."""

import json

import pytest

from benches import check, measure
from benches.check import MOST, compared


def of(*medians):
    """Runs of a bench with one figure."""
    return [{"figure": median} for median in medians]


def fell(kept, *medians):
    """Whether the figure fell."""
    return [one.fell for one in compared({"figure": kept}, of(*medians))] == [True]


def test_a_ratio_falls_that_is_more_than_the_bound_below_the_kept_one():
    kept = 2.0
    assert fell(kept, kept * (1 - MOST) - 0.001)
    assert not fell(kept, kept * (1 - MOST))
    assert not fell(kept, 10 * kept)


def test_the_median_of_the_runs_counts():
    assert not fell(1.0, 0.5, 0.9, 0.95)
    assert fell(1.0, 0.5, 0.6, 0.95)


def test_a_figure_that_no_run_has_any_more_fell():
    (one,) = compared({"gone": 1.0}, of(1.0))
    assert one.now is None
    assert one.fell


def test_a_figure_that_is_new_is_not_compared():
    assert compared({}, of(0.1)) == []


@pytest.mark.parametrize(("then", "runs"), [([0.9], 1), ([0.5, 0.9, 0.9], 3)])
def test_a_bench_is_repeated_only_where_a_ratio_fell(monkeypatch, tmp_path, then, runs):
    monkeypatch.setattr(check, "RESULTS", tmp_path)
    (tmp_path / "packing.json").write_text(json.dumps({"figure": {"median": 1.0}}))
    given = iter(of(*then))
    monkeypatch.setattr(check, "run", lambda _: next(given))
    assert not any(one.fell for one in check.checked("packing"))
    assert len(then) == runs
    assert next(given, None) is None


def test_what_a_bench_keeps_is_what_the_check_reads(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    measure.keep("some", "Some", "a table", {"figure": [3.0, 1.0, 2.0]})
    assert check.medians(tmp_path / "some.json") == {"figure": 2.0}
    assert (tmp_path / "some.md").read_text() == capsys.readouterr().out


def test_the_lower_bound_of_a_median_is_an_ordered_ratio():
    # Fewer than 5 of 15 coins are heads with a probability of 6 %, fewer than 6 with 15 %.
    assert measure.lower_bound(range(1, 16)) == 5
    assert measure.lower_bound([7.0]) == 7.0
