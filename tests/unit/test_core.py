"""The extension module: requests, sizes, what it does with threads and with memory that changes."""

from __future__ import annotations

import threading
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pyarrow as pa
import pytest

from headrace import _core
from headrace._proto import milvus_pb2
from headrace.errors import CellError
from headrace.schema import DataType

ID = _core.Field("id", DataType.INT64)
TEXT = _core.Field("t", DataType.VARCHAR, max_length=100, nullable=True)
VECTOR = _core.Field("v", DataType.FLOAT_VECTOR, dim=4)
META = _core.Field("$meta", DataType.JSON, is_dynamic=True)


def batch(rows: int = 10) -> pa.RecordBatch:
    texts = [None if row % 3 == 0 else "x" * (row % 50) for row in range(rows)]
    values = pa.array(np.arange(4 * rows, dtype=np.float32))
    vectors = pa.FixedSizeListArray.from_arrays(values, 4)
    return pa.record_batch({"id": pa.array(range(rows), pa.int64()), "t": pa.array(texts, pa.string()), "v": vectors})


@pytest.fixture
def packer():
    return _core.Packer([ID, TEXT, VECTOR], collection_name="docs", db_name="db", partition_name="p")


def test_an_insert_carries_names_rows_and_columns_in_field_order(packer):
    request = milvus_pb2.InsertRequest.FromString(packer.pack_insert(batch(), schema_timestamp=7))
    assert (request.db_name, request.collection_name, request.partition_name) == ("db", "docs", "p")
    assert (request.num_rows, request.schema_timestamp) == (10, 7)
    assert [data.field_name for data in request.fields_data] == ["id", "t", "v"]


def test_an_upsert_without_partial_update_is_the_insert(packer):
    assert packer.pack_upsert(batch(), schema_timestamp=7) == packer.pack_insert(batch(), schema_timestamp=7)


def test_partial_update_is_field_nine_of_the_upsert(packer):
    packed = packer.pack_upsert(batch(), partial_update=True)
    assert milvus_pb2.UpsertRequest.FromString(packed).partial_update
    assert packed == packer.pack_insert(batch()) + b"\x48\x01"


@pytest.mark.parametrize("rows", [1, 10, 2_000])
def test_encoded_len_is_the_length_of_the_insert(packer, rows):
    assert packer.encoded_len(batch(rows)) == len(packer.pack_insert(batch(rows)))


def test_rows_fit_as_far_as_the_limit_goes(packer):
    rows = batch(3_000)
    fitting = packer.fit(rows, 1_000, 50_000)
    assert 0 < fitting < 2_000
    assert packer.encoded_len(rows.slice(1_000, fitting)) <= 50_000 < packer.encoded_len(rows.slice(1_000, fitting + 1))
    assert packer.fit(rows, 1_000, 10**9) == 2_000


def test_one_row_always_fits_and_none_where_none_remains(packer):
    assert packer.fit(batch(), 9, 1) == 1
    assert packer.fit(batch(), 10, 1) == 0
    assert packer.fit(batch(), 11, 1) == 0


def test_a_slice_packs_as_a_batch_of_its_rows(packer):
    whole = batch(100)
    rebuilt = pa.record_batch(
        {name: pa.array(whole[name].to_pylist()[17:40], whole[name].type) for name in whole.schema.names}
    )
    assert packer.pack_insert(whole.slice(17, 23)) == packer.pack_insert(rebuilt)


def test_check_lists_the_first_refused_cell_of_each_refused_row(packer):
    texts = pa.array(["a", "x" * 101, "x" * 102, None])
    ids = pa.array([None, 1, None, 3], pa.int64())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0] * 15 + [np.nan], pa.float32()), 4)
    refused = packer.check(pa.record_batch({"id": ids, "t": texts, "v": vectors}))
    assert [(row, field, found) for row, field, _, found, _ in refused] == [
        (0, "id", "null"),
        (1, "t", "101 bytes"),
        (2, "id", "null"),
        (3, "v", "NaN at element 3"),
    ]


def test_check_finds_nothing_in_good_rows(packer):
    assert packer.check(batch()) == []


def test_packing_names_the_lowest_refused_row_whatever_the_column(packer):
    texts = pa.array(["x" * 101, "a"])
    ids = pa.array([0, None], pa.int64())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0] * 8, pa.float32()), 4)
    with pytest.raises(CellError) as caught:
        packer.pack_insert(pa.record_batch({"id": ids, "t": texts, "v": vectors}))
    assert (caught.value.row, caught.value.field) == (0, "t")


def test_the_dynamic_field_leaves_declared_names_alone():
    packer = _core.Packer([ID, META], collection_name="c", declared=["computed"])
    rows = {"id": pa.array([1, 2, 3]), "$meta": pa.array(['{"id":1}', '{"computed":1}', '{"other":1}'])}
    assert [(row, found) for row, _, _, found, _ in packer.check(pa.record_batch(rows))] == [
        (0, "the key 'id'"),
        (1, "the key 'computed'"),
    ]


def test_fields_and_packers_show_what_they_are(packer):
    assert (repr(ID), ID.name) == ('<headrace._core.Field "id">', "id")
    assert repr(packer) == '<headrace._core.Packer ["id", "t", "v"]>'
    with pytest.raises(AttributeError):
        ID.name = "other"


def test_build_info_says_what_was_built():
    info = _core.build_info()
    assert info.keys() == {"version", "profile", "target", "arrow"}
    assert info["profile"] in {"debug", "release"}
    try:
        assert info["version"] == version("headrace")
    except PackageNotFoundError:
        assert info["version"]


def test_anything_with_the_arrow_interface_is_taken(packer):
    class Exporter:
        def __init__(self, inner):
            self.inner = inner

        def __arrow_c_array__(self, requested_schema=None):
            return self.inner.__arrow_c_array__(requested_schema)

    assert packer.pack_insert(Exporter(batch())) == packer.pack_insert(batch())


def test_misaligned_memory_is_read_right():
    values = np.arange(8, dtype=np.float32)
    shifted = np.frombuffer(b"\0" + values.tobytes(), dtype=np.uint8)[1:]
    array = pa.Array.from_buffers(pa.float32(), 8, [None, pa.py_buffer(shifted)])
    vectors = pa.FixedSizeListArray.from_arrays(array, 4)
    assert _core.pack_field(VECTOR, vectors).endswith(values.tobytes())


def test_one_packer_serves_many_threads(packer):
    batches = [batch(rows) for rows in range(1, 60)]
    expected = [packer.pack_insert(rows) for rows in batches]
    results: list[list[bytes]] = [[] for _ in range(4)]

    def pack(out):
        out.extend(packer.pack_insert(rows) for rows in batches)

    threads = [threading.Thread(target=pack, args=(out,)) for out in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4
