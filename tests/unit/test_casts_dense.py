"""Columns become dense vectors of every type: on the same buffers where they can be, rows that do not fit by name."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.casts import canonical_type, find_cast, packs_as_is
from headrace.errors import SchemaError
from headrace.schema import DataType, FieldSchema
from tests.arrow_versions import arrow_array

FLOAT = FieldSchema("v", DataType.FLOAT_VECTOR, dim=4)
FLOAT16 = FieldSchema("v", DataType.FLOAT16_VECTOR, dim=4)
BFLOAT16 = FieldSchema("v", DataType.BFLOAT16_VECTOR, dim=4)
INT8 = FieldSchema("v", DataType.INT8_VECTOR, dim=4)
BINARY = FieldSchema("v", DataType.BINARY_VECTOR, dim=16)


def cast(array: pa.Array, field: FieldSchema):
    plan = find_cast(array.type, field)
    converted, refused = (array, []) if plan.run is None else plan.run(array)
    converted.validate(full=True)
    assert (len(converted), converted.type) == (len(array), canonical_type(field))
    return converted, {cell.row: (cell.expected, cell.found) for cell in refused}


@pytest.mark.parametrize("field", [FLOAT, FLOAT16, BFLOAT16, INT8, BINARY], ids=lambda field: field.dtype.name)
def test_canonical_columns_pass_without_work(field):
    plan = find_cast(canonical_type(field), field)
    assert (plan.run, plan.note, plan.lossless) == (None, "", True)


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (FLOAT16, pa.list_(pa.float16())),
        (FLOAT16, pa.binary(8)),
        (FLOAT16, pa.large_binary()),
        (FLOAT16, pa.list_(pa.uint8(), 8)),
        (BFLOAT16, pa.list_(pa.uint16())),
        (BFLOAT16, pa.list_(pa.binary(2), 4)),
        (BFLOAT16, pa.binary()),
        (INT8, pa.large_list(pa.int8())),
        (INT8, pa.binary(4)),
        (BINARY, pa.list_(pa.uint8(), 2)),
        (BINARY, pa.binary()),
    ],
)
def test_vectors_of_one_length_keep_their_memory(field, kind):
    content = pa.py_buffer(np.arange(64, dtype=np.uint8).tobytes())
    items = 2 if field is BINARY else 4
    if pa.types.is_fixed_size_binary(kind):
        array = pa.Array.from_buffers(kind, 64 // kind.byte_width, [None, content])
    elif pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        width = {FLOAT16: 8, BFLOAT16: 8, BINARY: 2}[field]
        offsets = np.arange(0, 65, width, dtype=np.int64 if pa.types.is_large_binary(kind) else np.int32)
        array = pa.Array.from_buffers(kind, 64 // width, [None, pa.py_buffer(offsets), content])
    else:
        item = kind.value_type
        size = item.byte_width if pa.types.is_fixed_size_binary(item) else item.bit_width // 8
        child = pa.Array.from_buffers(item, 64 // size, [None, content])
        if pa.types.is_fixed_size_list(kind):
            array = pa.FixedSizeListArray.from_arrays(child, kind.list_size)
        else:
            large = pa.types.is_large_list(kind)
            bounds = pa.array(range(0, len(child) + 1, items), pa.int64() if large else pa.int32())
            array = (pa.LargeListArray if large else pa.ListArray).from_arrays(bounds, child)
    converted, refused = cast(array, field)
    assert refused == {}
    found = converted.buffers()[1] if pa.types.is_fixed_size_binary(converted.type) else converted.values.buffers()[1]
    assert (found.address, found.size) == (content.address, 64)


def test_rows_of_another_length_are_refused_in_their_own_words():
    assert cast(pa.array([[1, 2, 3, 4], [1], None], pa.list_(pa.int8())), INT8)[1] == {
        1: ("a vector of 4 numbers", "1 number")
    }
    assert cast(pa.array([b"12345678", b"1", None, b""]), FLOAT16)[1] == {
        1: ("a vector of 8 bytes", "1 byte"),
        3: ("a vector of 8 bytes", "0 bytes"),
    }
    assert cast(pa.array([[True] * 16, [False] * 15], pa.list_(pa.bool_())), BINARY)[1] == {
        1: ("a vector of 16 bools", "15 bools")
    }


def test_the_other_rows_are_right_beside_refused_and_null_ones():
    converted, refused = cast(pa.array([b"ab", b"abc", None, b"cd"]), BINARY)
    assert list(refused) == [1]
    assert [converted[row].as_py() for row in (0, 2, 3)] == [b"ab", None, b"cd"]
    converted, refused = cast(pa.array([[True] * 16, None, [False] * 15 + [True]], pa.list_(pa.bool_())), BINARY)
    assert (converted.to_pylist(), refused) == ([b"\xff\xff", None, b"\x00\x01"], {})


def test_bits_are_packed_from_the_highest():
    bits = [True] + [False] * 7 + [False] * 7 + [True]
    for kind in (pa.list_(pa.bool_()), pa.list_(pa.bool_(), 16)):
        assert cast(pa.array([bits, bits], kind).slice(1), BINARY)[0].to_pylist() == [b"\x80\x01"]


@pytest.mark.parametrize("kind", [pa.int16(), pa.int64(), pa.uint8(), pa.uint64()])
def test_wider_integers_fit_or_are_refused_by_row(kind):
    array = pa.array([[1, 2, 3, 4], [0, 0, 128, 200], None, [127, 0, 0, 0]], pa.list_(kind))
    plan = find_cast(array.type, INT8)
    assert (plan.lossless, bool(plan.note)) == (False, True)
    converted, refused = cast(array, INT8)
    assert refused == {1: ("an integer from -128 to 127", "128 at element 2")}
    assert [converted[row].as_py() for row in (0, 2, 3)] == [[1, 2, 3, 4], None, [127, 0, 0, 0]]


def test_integers_are_packed_bytes_where_they_fit():
    converted, refused = cast(pa.array([[1, 255], [256, 0]], pa.list_(pa.int64())), BINARY)
    assert refused == {1: ("an integer from 0 to 255", "256 at element 0")}
    assert converted[0].as_py() == b"\x01\xff"


def test_bfloat16_widens_to_float():
    patterns = np.array([[0x3F80, 0xC000, 0x0000, 0x7F80]], np.uint16)
    child = pa.array(patterns.ravel()).cast(pa.uint16())
    pairs = pa.Array.from_buffers(pa.binary(2), 4, child.buffers())
    converted, refused = cast(pa.FixedSizeListArray.from_arrays(pairs, 4), FLOAT)
    assert (converted.to_pylist(), refused) == ([[1.0, -2.0, 0.0, float("inf")]], {})


@pytest.mark.parametrize(
    ("field", "kind"),
    [(BFLOAT16, pa.list_(pa.uint16())), (BINARY, pa.list_(pa.uint8())), (BINARY, pa.list_(pa.bool_()))],
)
def test_nulls_inside_a_vector_of_bytes_are_refused(field, kind):
    width = 16 if kind.value_type == pa.bool_() else 4 if field is BFLOAT16 else 2
    one = True if pa.types.is_boolean(kind.value_type) else 1
    array = pa.array([[one] * width, [one] * (width - 1) + [None]], kind)
    assert cast(array, field)[1] == {1: ("a vector without nulls", f"null at element {width - 1}")}


@pytest.mark.parametrize("field", [FLOAT16, INT8], ids=lambda field: field.dtype.name)
def test_nulls_inside_a_list_stay_for_the_packer_to_refuse(field):
    kind = canonical_type(field).value_type
    converted, refused = cast(arrow_array([[1, None, 3, 4], [5, 6, 7, 8]], pa.list_(kind)), field)
    assert (converted.to_pylist(), refused) == ([[1, None, 3, 4], [5, 6, 7, 8]], {})


def test_bytes_at_an_odd_address_are_read_right():
    content = pa.py_buffer(b"x" + np.array([1, 2, 3, 4], "<f2").tobytes())
    array = pa.Array.from_buffers(pa.binary(), 1, [None, pa.py_buffer(np.array([1, 9], np.int32)), content])
    converted, _ = cast(array, FLOAT16)
    assert converted.to_pylist() == [[1, 2, 3, 4]]
    assert converted.values.buffers()[1].address % 2 == 0


@pytest.mark.parametrize("field", [FLOAT, FLOAT16, BFLOAT16, INT8, BINARY], ids=lambda field: field.dtype.name)
def test_columns_of_nulls_and_without_rows(field):
    assert cast(pa.nulls(2), field)[0].to_pylist() == [None, None]
    for kind in (pa.list_(pa.null()), canonical_type(field), pa.null()):
        assert len(cast(pa.array([], kind), field)[0]) == 0
    if field is not FLOAT:
        for kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
            assert len(cast(pa.array([], kind), field)[0]) == 0


@given(
    rows=st.lists(st.none() | st.binary(max_size=3) | st.just(b"ab")),
    kind=st.sampled_from([pa.binary(), pa.large_binary(), pa.binary_view()]),
    start=st.integers(0, 3),
)
def test_any_bytes_are_vectors_or_refused(rows, kind, start):
    array = pa.array(rows, kind).slice(start)
    converted, refused = cast(array, BINARY)
    for row, value in enumerate(array.to_pylist()):
        assert (row in refused) is (value is not None and len(value) != 2)
        if row not in refused:
            assert converted[row].as_py() == value


@pytest.mark.parametrize(
    "wrap", [lambda kind: kind, lambda kind: pa.dictionary(pa.int32(), kind)], ids=["", "dictionary"]
)
def test_tensors_in_another_order_are_refused(wrap):
    field = FieldSchema("v", DataType.FLOAT_VECTOR, dim=6)
    kind = wrap(pa.fixed_shape_tensor(pa.float32(), [2, 3], permutation=[1, 0]))
    assert not packs_as_is(kind, field)
    with pytest.raises(
        SchemaError, match="field 'v': expected tensors in row-major order, found a column of extension"
    ):
        find_cast(kind, field)
    assert packs_as_is(wrap(pa.fixed_shape_tensor(pa.float32(), [2, 3], permutation=[0, 1])), field)


@pytest.mark.parametrize("field", [FLOAT16, BFLOAT16], ids=lambda field: field.dtype.name)
@pytest.mark.parametrize(("item", "rounds"), [(pa.int8(), False), (pa.int16(), True), (pa.float32(), True)], ids=str)
def test_the_way_to_halves_says_whether_it_rounds(field, item, rounds):
    with pytest.raises(SchemaError, match=r"convert the vectors first, with \.astype") as caught:
        find_cast(pa.list_(item, 4), field)
    assert str(caught.value).endswith(": it rounds") == rounds
