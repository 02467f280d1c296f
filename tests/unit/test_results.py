from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from headrace import results
from headrace._proto import milvus_pb2
from headrace.decoding import split_columns
from headrace.errors import SchemaError
from headrace.results import Hit, QueryResult, SearchPage, SearchResult, dynamic_keys
from headrace.schema import DataType
from tests.arrow_versions import arrow_array
from tests.fake.encoding import encode_column

SPARSE = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
VECTORS = np.arange(12, dtype=np.float32).reshape(6, 2)


def columns():
    dense = pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 2)
    sparse = pa.array([[{"index": n, "value": 0.5}] if n % 2 else [] for n in range(6)], SPARSE)
    return [
        encode_column("v", DataType.FLOAT_VECTOR, dense, dim=2),
        encode_column("id", DataType.INT64, pa.array(range(6))),
        encode_column("s", DataType.SPARSE_FLOAT_VECTOR, sparse),
        encode_column("half", DataType.FLOAT16_VECTOR, arrow_array([[1, 2]] * 6, pa.list_(pa.float16(), 2)), dim=2),
        encode_column("brain", DataType.BFLOAT16_VECTOR, pa.array([b"\x80\x3f\x00\x40"] * 6, pa.binary(4)), dim=2),
        encode_column("bits", DataType.BINARY_VECTOR, pa.array([b"\x81"] * 6, pa.binary(1)), dim=8),
        encode_column("small", DataType.INT8_VECTOR, pa.array([[-1, 1]] * 6, pa.list_(pa.int8(), 2)), dim=2),
        encode_column("text", DataType.VARCHAR, pa.array([f"t{n}" for n in range(6)])),
        encode_column(
            "$meta", DataType.JSON, pa.array([json.dumps({"a": n, "b": None}) for n in range(6)]), is_dynamic=True
        ),
    ]


def batch_of(messages):
    raw = milvus_pb2.QueryResults(fields_data=messages).SerializeToString()
    return split_columns(milvus_pb2.QueryResults, raw, [2], method="Query")[1].batch()


@pytest.fixture
def large(monkeypatch):
    """Results count as large, so that their rows wait for the first look."""
    monkeypatch.setattr(results, "_FEW_BYTES", -1)


@pytest.fixture
def result(large):
    return QueryResult(batch_of(columns()))


@pytest.fixture
def hits(large):
    fields = batch_of(columns())
    return SearchResult("id", list(range(6)), [0.5 * n for n in range(6)], [4, 0, 2], fields=fields)


def test_rows_are_dicts_with_the_dynamic_keys_last(result):
    first = {"v": [0.0, 1.0], "id": 0, "s": {}, "half": [b"\x00<\x00@"], "brain": [b"\x80\x3f\x00\x40"]}
    first |= {"bits": [b"\x81"], "small": [b"\xff\x01"], "text": "t0", "a": 0, "b": None}
    assert result[0] == first
    assert list(result[0]) == list(first)
    assert result[-1]["s"] == {5: 0.5}


@pytest.mark.parametrize(
    "read",
    [
        list,
        lambda found: found[:],
        lambda found: [found[at] for at in range(len(found))],
        lambda found: list(reversed(found))[::-1],
        lambda found: found + found[:0],
        lambda found: found.copy(),
        lambda found: [*(), *found],
        lambda found: list(QueryResult.empty()) + found,
        lambda found: found if found == QueryResult(batch_of(columns())) else None,
        lambda found: found if list(QueryResult(batch_of(columns()))) == found else None,
        copy.copy,
        copy.deepcopy,
        lambda found: pickle.loads(pickle.dumps(found)),
        lambda found: found if found == list(QueryResult(batch_of(columns()))) else None,
        lambda found: [*found],
        lambda found: sorted(found, key=lambda row: row["id"]),
        lambda found: found if found.index(dict(QueryResult(batch_of(columns()))[3])) == 3 else None,
        lambda found: pd.DataFrame(found).to_dict("records"),
    ],
)
def test_a_result_is_a_list_however_it_is_read(result, read):
    assert len(result) == 6
    assert bool(result)
    assert [row["id"] for row in read(result)] == list(range(6))


def test_a_result_can_be_changed_like_a_list(result):
    result.append({"id": 9})
    del result[0]
    result.reverse()
    assert [row["id"] for row in result] == [9, 5, 4, 3, 2, 1]
    assert json.loads(json.dumps([row["id"] for row in result])) == [9, 5, 4, 3, 2, 1]


def test_memory_of_a_small_result_holds_its_rows():
    # pyarrow reads a list without asking it.
    found = pa.array(QueryResult(batch_of(columns()[1:2])))
    assert found.to_pylist() == [{"id": n} for n in range(6)]
    (hits,) = SearchResult("id", [3], [0.5], [1], fields=batch_of([]))
    assert pa.array(hits)[0]["distance"].as_py() == 0.5


def test_memory_of_a_large_result_is_taken_for_no_value(result, hits):
    for found in (result, hits[0]):
        with pytest.raises(pa.ArrowInvalid, match=r"a row that is not made yet: give list\(result\)"):
            pa.array(found)
        assert pa.array([row["id"] for row in found]).to_pylist() == [row["id"] for row in found]


def test_json_sees_the_rows_of_a_result():
    found = QueryResult(batch_of(columns()[1:2]))
    assert json.dumps(found) == json.dumps([{"id": n} for n in range(6)])


def test_rows_print_as_in_guides():
    count = encode_column("count(*)", DataType.INT64, pa.array([6802]))
    assert str(QueryResult(batch_of([count]))) == "data: [\"{'count(*)': 6802}\"]"
    assert (
        repr(QueryResult(batch_of([count]), extra={"cost": 3}))
        == "data: [\"{'count(*)': 6802}\"], extra_info: {'cost': 3}"
    )
    many = QueryResult(batch_of([encode_column("id", DataType.INT64, pa.array(range(11)))]))
    assert str(many).endswith("\"{'id': 9}\"] ...")


def test_no_rows():
    assert (QueryResult.empty(), len(QueryResult.empty())) == ([], 0)
    assert str(QueryResult.empty()) == "data: []"


def test_columns_are_given_without_making_rows(result):
    assert result.to_arrow().column_names == ["v", "id", "s", "half", "brain", "bits", "small", "text", "$meta"]
    assert result.to_arrow().column("text").to_pylist() == [f"t{n}" for n in range(6)]
    shapes = {"v": "<f4", "half": "<f2", "brain": "<u2", "small": "|i1", "bits": "|u1"}
    for name, dtype in shapes.items():
        found = result.to_numpy(name)
        assert (found.dtype.str, found.shape) == (dtype, (6, 1 if name == "bits" else 2))
    assert np.array_equal(result.to_numpy("v"), VECTORS)
    assert result.to_numpy("id").tolist() == list(range(6))
    assert result._make is not None
    with pytest.raises(SchemaError, match="column 's': expected a column of one length a row, found sparse vectors"):
        result.to_numpy("s")
    with pytest.raises(KeyError):
        result.to_numpy("nothing")


def test_an_array_of_vectors_shares_the_memory_of_the_column(result):
    column = result.to_arrow().column("v").chunk(0)
    assert result.to_numpy("v").ctypes.data == column.values.buffers()[1].address


def test_hits_are_dicts_of_key_distance_and_entity(hits):
    assert [len(found) for found in hits] == [4, 0, 2]
    hit = hits[2][1]
    assert (hit["id"], hit["distance"], hit["entity"]["text"], hit["text"], hit["a"]) == (5, 2.5, "t5", "t5", 5)
    assert (hit.id, hit.pk, hit.distance, hit.score, hit.entity.get("text"), hit.text) == (5, 5, 2.5, 2.5, "t5", "t5")
    assert (hit.get("text"), hit.get("nothing"), hit.get("nothing", 7), hit.fields["text"]) == ("t5", None, 7, "t5")
    assert hit["entity"]["bits"] == b"\x81"
    assert list(hit["entity"]) == ["id", "text", "v", "s", "half", "brain", "bits", "small", "a", "b"]
    assert hits[0].ids == [0, 1, 2, 3]
    assert hits[0].distances == [0, 0.5, 1, 1.5]
    with pytest.raises(KeyError):
        hit["nothing"]
    with pytest.raises(AttributeError):
        _ = hit.nothing


def test_a_key_of_another_name_is_found_under_both():
    hit = Hit("pk", 7, 0.5, {"text": "t"})
    assert (dict(hit), hit["pk"], hit["id"], hit.id) == ({"pk": 7, "distance": 0.5, "entity": {"text": "t"}}, 7, 7, 7)


def test_hits_print_as_in_guides():
    found = SearchResult("id", [1, 2], [0.5, 0.25], [2], fields=QueryResult.empty()._batch)
    shown = "[{'id': 1, 'distance': 0.5, 'entity': {}}, {'id': 2, 'distance': 0.25, 'entity': {}}]"
    assert str(found) == f"data: [{shown}]"
    assert str(found[0]) == shown
    assert found == [[{"id": 1, "distance": 0.5, "entity": {}}, {"id": 2, "distance": 0.25, "entity": {}}]]
    many = SearchResult("id", list(range(12)), [0.0] * 12, [12], fields=QueryResult.empty()._batch)
    assert str(many[0]).endswith(" ... and 2 entities remaining")


def test_hits_survive_pickling(hits):
    assert pickle.loads(pickle.dumps(hits)) == [list(found) for found in hits]


def test_hits_are_given_as_columns(hits):
    table = hits.to_arrow()
    assert table.column_names[:3] == ["query", "id", "distance"]
    assert table.column("query").to_pylist() == [0, 0, 0, 0, 2, 2]
    assert table.column("distance").to_pylist() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert table.column("text").to_pylist() == [f"t{n}" for n in range(6)]
    assert np.array_equal(hits.to_numpy("v"), VECTORS)
    with pytest.raises(KeyError):
        hits.to_numpy("nothing")


def test_what_was_marked_stands_in_each_hit():
    marked = [{"text": {"fragments": [f"<em>{n}</em>"], "scores": [0.5]}} for n in range(3)]
    found = SearchResult("id", [7, 8, 9], [1.0] * 3, [2, 1], fields=batch_of([]), highlights=marked)
    assert [hit["highlight"]["text"]["fragments"] for hits in found for hit in hits] == [
        ["<em>0</em>"],
        ["<em>1</em>"],
        ["<em>2</em>"],
    ]


def test_a_page_gives_keys_and_distances(hits):
    page = SearchPage(hits[0][:2])
    assert (page.ids(), page.distances()) == ([0, 1], [0, 0.5])


@pytest.mark.parametrize(
    ("asked", "keys"), [(["id", "a"], {"a"}), (["id", "$meta"], set()), (["id"], set()), (["id", "a", "$meta"], set())]
)
def test_keys_of_the_dynamic_field_are_those_that_no_field_has(asked, keys):
    assert dynamic_keys(asked, ["id", "$meta"]) == keys


def test_only_the_dynamic_keys_that_were_asked_for_are_shown():
    found = QueryResult(batch_of(columns()), dynamic_keys={"a"})
    assert "a" in found[0]
    assert "b" not in found[0]
