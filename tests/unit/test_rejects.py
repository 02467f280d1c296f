"""The rejects file holds any row, names where it came from, and is private."""

from __future__ import annotations

import stat

import pyarrow as pa
import pyarrow.parquet as pq

from headrace.rejects import Reject, RejectLimit, RejectsFile

BATCH = pa.record_batch(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "v": pa.FixedSizeListArray.from_arrays(pa.array([0.0, 1.0, float("nan"), 2.0, 3.0, 4.0], pa.float32()), 2),
    }
)


def reject(index, row):
    return Reject(index, "a.parquet", row, "v", "finite values", "nan", "mend it")


def test_keeps_each_refused_row_with_its_place_and_reason(tmp_path):
    rejects = RejectsFile(tmp_path)
    assert rejects.path is None
    rejects.add(BATCH, [])
    assert list(tmp_path.iterdir()) == []
    rejects.add(BATCH, [reject(1, 11)])
    rejects.add(BATCH, [reject(0, 20), reject(2, 22)])
    rejects.close()
    rows = pq.read_table(rejects.path).to_pylist()
    assert [(row["_source"], row["_row"], row["_field"], row["id"]) for row in rows] == [
        ("a.parquet", 11, "v", 2),
        ("a.parquet", 20, "v", 1),
        ("a.parquet", 22, "v", 3),
    ]
    assert rows[1]["_expected"] == "finite values"
    assert rows[1]["v"] == [0.0, 1.0]


def test_a_refused_row_may_have_no_vector(tmp_path):
    vectors = pa.array([[0.0, 1.0], None, [2.0, 3.0], None], pa.list_(pa.float32(), 2))
    rejects = RejectsFile(tmp_path)
    rejects.add(pa.record_batch({"v": vectors}), [reject(0, 0), reject(1, 1), reject(2, 2)])
    rejects.close()
    assert pq.read_table(rejects.path)["v"].to_pylist() == [[0.0, 1.0], None, [2.0, 3.0]]


def test_only_the_owner_may_read_it(tmp_path):
    rejects = RejectsFile(tmp_path)
    rejects.add(BATCH, [reject(0, 0)])
    rejects.close()
    assert stat.S_IMODE(rejects.path.stat().st_mode) == 0o600


def test_rows_of_another_shape_go_to_a_second_file(tmp_path):
    rejects = RejectsFile(tmp_path)
    rejects.add(BATCH, [reject(0, 0)])
    rejects.add(BATCH.select(["id"]), [reject(1, 1)])
    rejects.close()
    assert [path.name for path in rejects.paths] == ["rejects.parquet", "rejects-2.parquet"]
    assert pq.read_table(rejects.paths[1])["id"].to_pylist() == [2]


def test_the_limit_is_the_larger_of_100_rows_and_a_thousandth():
    assert RejectLimit().exceeded(100, 1000) is None
    assert RejectLimit().exceeded(101, 1000) is not None
    assert RejectLimit().exceeded(500, 500_000) is None
    assert RejectLimit(0).exceeded(0, 10) is None
    expected = (
        "rejects: expected at most 0 refused rows, found 1; "
        "look into the rejects file, mend the source or raise --max-rejects"
    )
    assert RejectLimit(0).exceeded(1, 10) == expected


def test_what_an_earlier_run_refused_stays(tmp_path):
    (tmp_path / "rejects.parquet").write_text("before")
    rejects = RejectsFile(tmp_path)
    rejects.add(pa.record_batch({"id": [1]}), [Reject(0, "s", 0, "id", "x", "y", "z")])
    rejects.close()
    assert rejects.path == tmp_path / "rejects-2.parquet"
    assert (tmp_path / "rejects.parquet").read_text() == "before"


def test_a_share_counts_of_ten_thousand_rows_at_least():
    assert RejectLimit("1%").exceeded(100, 10) is None
    assert RejectLimit("1%").exceeded(101, 10) is not None
    assert RejectLimit("1%").exceeded(1000, 100_000) is None
    assert RejectLimit("0%").exceeded(1, 10**9) is not None


def test_the_reasons_of_a_file_that_is_loaded_again_are_replaced(tmp_path):
    first = RejectsFile(tmp_path)
    first.add(BATCH, [reject(0, 0)])
    first.close()
    (tmp_path / "again").mkdir()
    again = RejectsFile(tmp_path / "again")
    again.add(pq.read_table(first.path).to_batches()[0], [reject(0, 5)])
    again.close()
    assert pq.read_table(again.path).schema.names == pq.read_table(first.path).schema.names
    assert pq.read_table(again.path)["_row"].to_pylist() == [5]
