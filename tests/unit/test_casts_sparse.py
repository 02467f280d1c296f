"""The layouts of sparse vectors pass as they are, or become one that the packer reads."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.casts import find_cast
from headrace.casts.sparse import sparse_layout
from headrace.errors import SchemaError
from headrace.schema import DataType, FieldSchema

FIELD = FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)
I32, F32, F64 = pa.int32(), pa.float32(), pa.float64()
ROWS = [{1: 0.5, 7: 0.25}, {}, None, {3: 1.5}]


def pairs(index=I32, value=F32, names=("index", "value"), make=pa.list_):
    return make(pa.struct(list(zip(names, (index, value), strict=True))))


def halves(index=I32, value=F32, names=("indices", "values"), make=pa.list_):
    return pa.struct(list(zip(names, (make(index), make(value)), strict=True)))


def column(kind: pa.DataType, rows=ROWS) -> pa.Array:
    """Sparse rows in any of the layouts."""
    if "halffloat" in str(kind):
        # Older pyarrow makes half floats of nothing but numpy's.
        rows = [r if r is None else {index: np.float16(value) for index, value in r.items()} for r in rows]
    if pa.types.is_struct(kind):
        first, second = kind.field(0), kind.field(1)
        swapped = pa.types.is_floating(first.type.value_type)
        cells = [None if r is None else [list(r), list(r.values())][:: -1 if swapped else 1] for r in rows]
        return pa.array([None if c is None else {first.name: c[0], second.name: c[1]} for c in cells], kind)
    if pa.types.is_map(kind):
        return pa.array([None if r is None else list(r.items()) for r in rows], kind)
    first, second = (kind.value_type.field(i) for i in range(2))
    swapped = pa.types.is_floating(first.type)
    return pa.array(
        [None if r is None else [dict(zip((first.name, second.name), (v, i) if swapped else (i, v), strict=True))
                                 for i, v in r.items()] for r in rows],
        kind,
    )  # fmt: skip


def read(array: pa.Array) -> list[dict[int, float] | None]:
    """What a conformed column means, whichever canonical layout it has."""
    out: list[dict[int, float] | None] = []
    for cell in array.to_pylist():
        if cell is None:
            out.append(None)
        elif isinstance(cell, dict):
            indices, values = cell.values()
            out.append(dict(zip(indices, values, strict=True)))
        else:
            out.append(dict(tuple(pair.values()) if isinstance(pair, dict) else pair for pair in cell))
    return out


def cast(array: pa.Array):
    plan = find_cast(array.type, FIELD)
    converted, refused = (array, []) if plan.run is None else plan.run(array)
    converted.validate(full=True)
    assert sparse_layout(converted.type).canonical
    return converted, {cell.row: cell.found for cell in refused}


CANONICAL = [
    *(pairs(index) for index in (pa.int32(), pa.uint32(), pa.int64(), pa.uint64())),
    pairs(names=("a", "b")),
    pairs(make=pa.large_list),
    pa.map_(pa.int32(), F32),
    pa.map_(pa.uint64(), F32),
    halves(),
    halves(pa.int64(), make=pa.large_list),
]
OTHERS = [
    pairs(pa.int8()),
    pairs(pa.uint16(), F64),
    pairs(value=F64),
    pairs(value=pa.float16()),
    pairs(value=F64, make=pa.large_list),
    pairs(F32, pa.int32(), names=("value", "index")),
    pa.map_(pa.int16(), F32),
    pa.map_(pa.int32(), F64),
    halves(value=F64),
    halves(pa.uint8()),
    halves(F32, pa.int64(), names=("values", "indices")),
    halves(pa.int32(), F64, make=pa.large_list),
]


@pytest.mark.parametrize("kind", CANONICAL, ids=str)
def test_canonical_layouts_pass_without_work(kind):
    assert find_cast(kind, FIELD).run is None


@pytest.mark.parametrize("kind", OTHERS, ids=str)
@pytest.mark.parametrize(("start", "rows"), [(0, 4), (1, 3), (2, 1), (4, 0)])
def test_other_layouts_mean_the_same_afterwards(kind, start, rows):
    converted, refused = cast(column(kind).slice(start, rows))
    assert (read(converted), refused) == (ROWS[start : start + rows], {})


def test_fixed_numbers_of_entries_become_lists():
    fixed = pa.array([[{"index": 1, "value": 0.5}], [{"index": 2, "value": 1.5}]], pa.list_(pairs().value_type, 1))
    assert read(cast(fixed.slice(1))[0]) == [{2: 1.5}]
    struct = pa.array(
        [{"indices": [1], "values": [0.5]}],
        pa.struct([("indices", pa.list_(pa.int32(), 1)), ("values", pa.list_(F32, 1))]),
    )
    assert read(cast(struct)[0]) == [{1: 0.5}]


@pytest.mark.parametrize("kind", [pairs(value=F64), pa.map_(pa.int32(), F64), halves(value=F64)], ids=str)
def test_overflow_is_refused_with_its_place(kind):
    array = column(kind, [{1: 0.5}, {2: 1.0, 3: 1e300}, None, {4: -1e300}])
    converted, refused = cast(array)
    assert refused == {1: "1e+300 at element 1", 3: "-1e+300 at element 0"}
    assert read(converted)[0] == {1: 0.5}


@pytest.mark.parametrize(
    ("names", "cell"), [(("index", "value"), (7, 5)), (("value", "index"), (5, 7)), (("Values", "KEY"), (5, 7))]
)
def test_names_tell_integer_values_from_indices(names, cell):
    rows = [[dict(zip(names, cell, strict=True))]]
    assert read(cast(pa.array(rows, pairs(pa.int16(), pa.int16(), names)))[0]) == [{7: 5.0}]
    lists = [{name: [number] for name, number in rows[0][0].items()}]
    assert read(cast(pa.array(lists, halves(pa.int16(), pa.int16(), names)))[0]) == [{7: 5.0}]


def test_swapped_children_are_noted():
    assert (
        find_cast(pairs(F32, pa.int32(), names=("w", "t")), FIELD).note == "'t' is taken as the index, 'w' as the value"
    )
    assert "narrowed" in find_cast(pairs(value=F64), FIELD).note


@pytest.mark.parametrize(
    "kind",
    [
        pa.list_(F32),
        pa.list_(pa.int64()),
        pa.string(),
        pa.map_(pa.string(), F32),
        pairs(F32, F32),
        pairs(pa.int64(), pa.int64(), names=("a", "b")),
        pairs(pa.int64(), pa.int64(), names=("index", "count")),
        halves(I32, I32, names=("values", "values_")),
        pa.list_(pa.struct([("a", pa.int32())])),
        pa.struct([("indices", pa.int32()), ("values", F32)]),
        pa.list_(pa.struct([("a", pa.int32()), ("b", pa.string())])),
    ],
    ids=str,
)
def test_no_sparse_vector_from_other_columns(kind):
    with pytest.raises(SchemaError) as caught:
        find_cast(kind, FIELD)
    assert str(caught.value) == (
        "field 's': expected sparse vectors (list<struct<index, value>>, map<index, value> or "
        f"struct<indices, values>), found a column of {kind}; choose another column or convert it"
    )


@given(
    rows=st.lists(
        st.one_of(st.none(), st.dictionaries(st.integers(0, 100), st.floats(-100, 100, width=16), max_size=4)),
        max_size=8,
    ),
    kind=st.sampled_from(OTHERS),
    start=st.integers(0, 3),
)
def test_any_sparse_rows_survive(rows, kind, start):
    converted, refused = cast(column(kind, rows).slice(start))
    assert (read(converted), refused) == (rows[start:], {})
