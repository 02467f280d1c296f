"""Scalar columns become scalar fields: exactly, or the row is refused."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.casts import canonical_type, find_cast
from headrace.casts.numeric import convert_numbers
from headrace.errors import SchemaError
from headrace.schema import DataType, FieldSchema

TYPES = {"INT8": pa.int8(), "INT16": pa.int16(), "INT32": pa.int32(), "INT64": pa.int64()}
FLOATS = {"FLOAT": pa.float32(), "DOUBLE": pa.float64()}


def field(dtype: str, **options) -> FieldSchema:
    if dtype == "VARCHAR":
        options.setdefault("max_length", 100)
    return FieldSchema("f", DataType[dtype], **options)


def cast(array: pa.Array, dtype: str):
    """The column as the field, and row to found of the refused ones; those rows' values are arbitrary."""
    plan = find_cast(array.type, field(dtype))
    converted, refused = (array, []) if plan.run is None else plan.run(array)
    assert len(converted) == len(array)
    return converted, {cell.row: cell.found for cell in refused}


PASSES = [
    (pa.bool_(), "BOOL"),
    (pa.int8(), "INT8"),
    (pa.int64(), "INT64"),
    (pa.float32(), "FLOAT"),
    (pa.float64(), "DOUBLE"),
    (pa.string(), "VARCHAR"),
    (pa.large_string(), "VARCHAR"),
    (pa.string(), "TEXT"),
    (pa.large_string(), "TEXT"),
    (pa.string(), "JSON"),
    (pa.large_string(), "JSON"),
    (pa.binary(), "JSON"),
    (pa.large_binary(), "JSON"),
]


@pytest.mark.parametrize(("kind", "dtype"), PASSES)
def test_canonical_columns_pass_without_work(kind, dtype):
    assert find_cast(kind, field(dtype)).run is None


@pytest.mark.parametrize(
    ("source", "dtype", "lossless"),
    [
        (pa.int8(), "INT64", True),
        (pa.uint8(), "INT16", True),
        (pa.uint32(), "INT64", True),
        (pa.uint64(), "INT64", False),
        (pa.int64(), "INT8", False),
        (pa.int16(), "FLOAT", True),
        (pa.int32(), "FLOAT", False),
        (pa.int32(), "DOUBLE", True),
        (pa.int64(), "DOUBLE", False),
        (pa.float16(), "FLOAT", True),
        (pa.float32(), "DOUBLE", True),
        (pa.float64(), "FLOAT", False),
        (pa.float64(), "INT64", False),
    ],
)
def test_a_cast_says_whether_it_may_lose(source, dtype, lossless):
    plan = find_cast(source, field(dtype))
    assert plan.lossless is lossless
    assert bool(plan.note) is not lossless


@pytest.mark.parametrize(
    ("values", "source", "dtype", "refused"),
    [
        ([1, -128, 127, None], pa.int64(), "INT8", {}),
        ([1, -129, 128, None], pa.int64(), "INT8", {1: "-129", 2: "128"}),
        ([0, 2**63 - 1, 2**63], pa.uint64(), "INT64", {2: str(2**63)}),
        ([-1, 40000], pa.int32(), "INT16", {1: "40000"}),
        ([1.0, 1.5, math.nan, math.inf, None], pa.float64(), "INT64", {1: "1.5", 2: "nan", 3: "inf"}),
        ([2.0**63, -(2.0**63)], pa.float64(), "INT64", {0: repr(2.0**63)}),
        ([127.0, 128.0], pa.float32(), "INT8", {1: "128.0"}),
        ([2**24, 2**24 + 1, -(2**24) - 1, 2**25], pa.int32(), "FLOAT", {1: "16777217", 2: "-16777217"}),
        ([2**53 + 1, 2**62, -(2**63), None], pa.int64(), "DOUBLE", {0: str(2**53 + 1)}),
        ([2**64 - 1, 2**63], pa.uint64(), "DOUBLE", {0: str(2**64 - 1)}),
        ([1e300, 1.1, None, -1e300], pa.float64(), "FLOAT", {0: "1e+300", 3: "-1e+300"}),
        ([3.4028235e38, 3.5e38], pa.float64(), "FLOAT", {1: "3.5e+38"}),
    ],
)
def test_numbers_fit_or_are_refused(values, source, dtype, refused):
    array = pa.array(values, source)
    converted, found = cast(array, dtype)
    assert found == refused
    target = {**TYPES, **FLOATS}[dtype]
    assert converted.type == target
    for row, value in enumerate(values):
        if row not in refused:
            kept = converted[row].as_py()
            assert kept == value if dtype != "FLOAT" or value is None else np.float32(value) == kept


def test_nan_and_infinity_stay_for_the_packer_to_judge():
    converted, refused = cast(pa.array([math.nan, math.inf, -math.inf]), "FLOAT")
    assert refused == {}
    assert [str(value) for value in converted.to_pylist()] == ["nan", "inf", "-inf"]


def test_what_lies_under_a_null_is_not_judged():
    hidden = pa.Array.from_buffers(
        pa.float64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1.5, 1e300]).tobytes())]
    )
    converted, refused = cast(hidden, "FLOAT")
    assert (converted.to_pylist(), refused) == ([1.5, None], {})
    converted, refused = cast(hidden.fill_null(1e300).slice(0, 1), "FLOAT")
    assert (converted.to_pylist(), refused) == ([1.5], {})


@pytest.mark.parametrize("dtype", [*TYPES, *FLOATS])
@given(
    values=st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-200, 200)), max_size=20),
    start=st.integers(0, 3),
)
def test_any_integers_fit_exactly_or_are_refused(dtype, values, start):
    array = pa.array(values, pa.int64()).slice(start)
    converted, bad = convert_numbers(array, {**TYPES, **FLOATS}[dtype])
    refused = set() if bad is None else set(bad.tolist())
    for row, value in enumerate(array.to_pylist()):
        if value is None:
            fits = True
        elif dtype in TYPES:
            bits = TYPES[dtype].bit_width - 1
            fits = -(2**bits) <= value < 2**bits
        else:
            fits = int(np.float32(value) if dtype == "FLOAT" else float(value)) == value
        assert (row not in refused) is fits
        if fits:
            assert converted[row].as_py() == value


@given(
    values=st.lists(st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)), max_size=20),
    start=st.integers(0, 3),
)
def test_any_floats_are_rounded_or_refused(values, start):
    array = pa.array(values, pa.float64()).slice(start)
    converted, bad = convert_numbers(array, pa.float32())
    refused = set() if bad is None else set(bad.tolist())
    for row, value in enumerate(array.to_pylist()):
        if value is None:
            assert row not in refused
            assert converted[row].as_py() is None
            continue
        with np.errstate(over="ignore"):
            rounded = np.float32(value)
        assert (row in refused) is bool(np.isinf(rounded))
        if row not in refused:
            assert converted[row].as_py() == rounded


def test_a_refused_number_says_what_would_fit():
    plan = find_cast(pa.int64(), field("INT8"))
    _, refused = plan.run(pa.array([300]))
    assert (refused[0].expected, refused[0].remedy) == (
        "an integer from -128 to 127",
        "correct the value or use a wider field",
    )


@pytest.mark.parametrize(
    ("source", "dtype"),
    [
        (pa.string(), "INT64"),
        (pa.int64(), "VARCHAR"),
        (pa.int64(), "BOOL"),
        (pa.bool_(), "INT8"),
        (pa.binary(), "VARCHAR"),
        (pa.binary(), "TEXT"),
        (pa.timestamp("us"), "INT32"),
        (pa.decimal128(10, 2), "DOUBLE"),
        (pa.list_(pa.int64()), "INT64"),
        (pa.binary(4), "JSON"),
        (pa.timestamp("us"), "JSON"),
        (pa.struct([("t", pa.date32())]), "JSON"),
    ],
)
def test_no_cast_that_is_not_safe(source, dtype):
    with pytest.raises(SchemaError) as caught:
        find_cast(source, field(dtype))
    assert f"found a column of {source}; " in str(caught.value)
    assert ("cast the column with --cast" in str(caught.value)) == (dtype != "JSON")
    assert caught.value.field == "f"


# Wrapped columns


def test_dictionary_columns_become_their_values():
    array = pa.array(["a", "b", "a", None]).dictionary_encode().slice(1)
    converted, refused = cast(array, "VARCHAR")
    assert (converted.to_pylist(), refused) == (["b", "a", None], {})
    converted, refused = cast(pa.array([1, 300, 300]).dictionary_encode(), "INT8")
    assert sorted(refused) == [1, 2]


def test_run_end_columns_become_their_values():
    converted, _ = cast(pc.run_end_encode(pa.array([1, 1, 2])), "INT64")
    assert converted.to_pylist() == [1, 1, 2]


def test_string_views_become_strings():
    converted, _ = cast(pa.array(["a", None], pa.string_view()), "VARCHAR")
    assert (converted.type, converted.to_pylist()) == (pa.large_string(), ["a", None])


def test_columns_without_values_are_null():
    for dtype in ("INT8", "VARCHAR", "JSON"):
        converted, refused = cast(pa.nulls(2), dtype)
        assert (converted.type, converted.null_count, refused) == (canonical_type(field(dtype)), 2, {})


# JSON


@pytest.mark.parametrize(
    ("array", "texts"),
    [
        (pa.array([{"a": 1, "b": None}, None]), ['{"a":1,"b":null}', None]),
        (pa.array([[1, 2], []]), ["[1,2]", "[]"]),
        (pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())), ['{"k":1}', "{}"]),
        (pa.array([[(7, {"x": [("y", 1)]})]], pa.map_(pa.int8(), pa.struct([("x", pa.map_(pa.string(), pa.int8()))]))),
         ['{"7":{"x":{"y":1}}}']),
        (pa.array([[{"a": "é"}]]), ['[{"a":"é"}]']),
        (pa.array(np.array([1.5], np.float16)), ["1.5"]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([3]), ["3"]),
        (pa.array([["x"], None]).slice(1), [None]),
        (pa.array(["x", "y"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())), None),
    ],
)  # fmt: skip
def test_nested_columns_become_json_text(array, texts):
    converted, refused = cast(array, "JSON")
    assert refused == {}
    if texts is None:
        # Text is taken as a document, also where it was encoded.
        texts = array.to_pylist()
    assert converted.to_pylist() == texts


def test_rows_that_json_cannot_say_are_refused():
    array = pa.array([{"a": 1.0}, {"a": math.nan}, {"a": math.inf}])
    converted, refused = cast(array, "JSON")
    assert refused == {1: "NaN or infinity", 2: "NaN or infinity"}
    assert converted[0].as_py() == '{"a":1.0}'


def test_rows_with_broken_text_are_refused_alone():
    broken = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(np.array([0, 1, 2], np.int32).tobytes()), pa.py_buffer(b"a\xff")]
    )
    converted, refused = cast(pa.StructArray.from_arrays([broken], names=["t"]), "JSON")
    assert refused == {1: "bytes that are not"}
    assert converted[0].as_py() == '{"t":"a"}'


# Types that cannot be written


def test_fields_of_later_types_are_refused_by_name():
    unknown = FieldSchema("f", DataType.UNKNOWN)
    with pytest.raises(SchemaError) as caught:
        find_cast(pa.string(), unknown)
    assert str(caught.value) == (
        "field 'f': expected a type that this version of headrace writes, found UNKNOWN; "
        "leave the field out if it is nullable, or load it with pymilvus"
    )
