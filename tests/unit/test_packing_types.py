"""Every data type from every form that holds it packs to the bytes of its canonical column."""

from __future__ import annotations

from uuid import UUID

import ml_dtypes
import numpy as np
import pyarrow as pa
import pytest
from scipy import sparse

from headrace._proto import schema_pb2
from headrace.casts import canonical_type, packs_as_is, plain
from headrace.columns import to_batch
from headrace.errors import CellError, SchemaError
from headrace.packing import pack_field
from headrace.schema import DataType, FieldSchema
from tests.arrow_versions import canonical

DIM = 16
HALVES = np.array([np.arange(DIM), -np.arange(DIM) / 8], np.float16)
BRAIN = HALVES.astype(ml_dtypes.bfloat16)
SMALL = np.array([np.arange(DIM) - 8, 127 - np.arange(DIM)], np.int8)
BITS = np.array([np.arange(DIM) % 3 == 0, np.arange(DIM) % 5 == 1])
PACKED = np.packbits(BITS, axis=1)
FLOATS = HALVES.astype(np.float32)

FLOAT = FieldSchema("f", DataType.FLOAT_VECTOR, dim=DIM)
FLOAT16 = FieldSchema("f", DataType.FLOAT16_VECTOR, dim=DIM)
BFLOAT16 = FieldSchema("f", DataType.BFLOAT16_VECTOR, dim=DIM)
INT8 = FieldSchema("f", DataType.INT8_VECTOR, dim=DIM)
BINARY = FieldSchema("f", DataType.BINARY_VECTOR, dim=DIM)
SPARSE = FieldSchema("f", DataType.SPARSE_FLOAT_VECTOR)
GEOMETRY = FieldSchema("f", DataType.GEOMETRY)
TIMESTAMPTZ = FieldSchema("f", DataType.TIMESTAMPTZ)
VARCHAR = FieldSchema("f", DataType.VARCHAR, max_length=40)
TEXT = FieldSchema("f", DataType.TEXT)
JSON = FieldSchema("f", DataType.JSON)
BOOL = FieldSchema("f", DataType.BOOL)
INT64 = FieldSchema("f", DataType.INT64)
ARRAY = FieldSchema("f", DataType.ARRAY, element_type=DataType.INT64, max_capacity=8)


def rows_of_bytes(matrix: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in matrix]


#: The canonical column of two rows, and numpy, scipy and Python forms of the same rows.
FORMS = [
    (FLOAT, pa.array(FLOATS.tolist(), pa.list_(pa.float32(), DIM)), [FLOATS, HALVES, BRAIN, FLOATS.tolist()]),
    (
        FLOAT16,
        pa.FixedSizeListArray.from_arrays(pa.array(HALVES.ravel()), DIM),
        [HALVES, list(HALVES), rows_of_bytes(HALVES), HALVES.view(np.uint8)],
    ),
    (
        BFLOAT16,
        pa.array(rows_of_bytes(BRAIN), pa.binary(2 * DIM)),
        [BRAIN, list(BRAIN), rows_of_bytes(BRAIN), BRAIN.view(np.uint16), BRAIN.view(np.uint8)],
    ),
    (
        INT8,
        pa.array(SMALL.tolist(), pa.list_(pa.int8(), DIM)),
        [SMALL, SMALL.tolist(), list(SMALL), rows_of_bytes(SMALL)],
    ),
    (
        BINARY,
        pa.array(rows_of_bytes(PACKED), pa.binary(DIM // 8)),
        [PACKED, BITS, BITS.tolist(), PACKED.tolist(), rows_of_bytes(PACKED), list(PACKED), list(BITS)],
    ),
]


def matrix_forms(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """The same values in other layouts of memory."""
    forms = {
        "fortran": np.asfortranarray(matrix),
        "every other row": np.repeat(matrix, 2, axis=0)[::2],
        "every other column": np.repeat(matrix, 2, axis=1)[:, ::2],
        "reversed twice": np.flip(np.flip(matrix, 0).copy(), 0),
    }
    if matrix.dtype.itemsize > 1 and matrix.dtype.kind != "V":
        forms["byte-swapped"] = matrix.astype(matrix.dtype.newbyteorder(">"))
    return forms


@pytest.mark.parametrize(("field", "canonical", "forms"), FORMS, ids=[str(field.dtype.name) for field, _, _ in FORMS])
def test_numpy_and_python_vectors_pack_like_the_canonical_column(field, canonical, forms):
    assert canonical.type == canonical_type(field)
    expected = pack_field(field, canonical)
    for form in forms:
        assert pack_field(field, form) == expected
        if isinstance(form, np.ndarray):
            for name, other in matrix_forms(form).items():
                assert pack_field(field, other) == expected, name


def test_the_bytes_of_vectors_are_those_of_the_array():
    slots = [
        (FLOAT16, HALVES, "float16_vector"),
        (BFLOAT16, BRAIN, "bfloat16_vector"),
        (INT8, SMALL, "int8_vector"),
        (BINARY, PACKED, "binary_vector"),
    ]
    for field, matrix, slot in slots:
        message = schema_pb2.FieldData.FromString(pack_field(field, matrix))
        assert (message.type, message.vectors.dim) == (field.dtype, DIM)
        assert getattr(message.vectors, slot) == matrix.tobytes()


def test_geometries_and_times_travel_as_text():
    wkt = schema_pb2.FieldData.FromString(pack_field(GEOMETRY, ["POINT (1 2)", "POINT EMPTY"]))
    assert list(wkt.scalars.geometry_wkt_data.data) == ["POINT (1 2)", "POINT EMPTY"]
    instants = np.array(["2025-05-01T23:59:59.5", "1969-12-31T00:00:00"], "M8[ms]")
    naive = schema_pb2.FieldData.FromString(pack_field(TIMESTAMPTZ, instants))
    assert list(naive.scalars.string_data.data) == ["2025-05-01T23:59:59.500", "1969-12-31T00:00:00.000"]
    zoned = pa.array(instants).cast(pa.timestamp("s", "Europe/Berlin"), safe=False)
    message = schema_pb2.FieldData.FromString(pack_field(TIMESTAMPTZ, zoned))
    assert list(message.scalars.string_data.data) == ["2025-05-01T23:59:59Z", "1969-12-31T00:00:00Z"]


# Arrow layouts


def views(values: pa.Array) -> list[pa.Array]:
    """Lists, or bytes, or texts, as every type of the same rows."""
    kind = values.type
    if pa.types.is_fixed_size_list(kind):
        item, rows = kind.value_type, range(len(values) + 1)
        bounds = np.array(rows) * kind.list_size
        sizes = np.diff(bounds)
        return [
            values,
            pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values.values),
            pa.LargeListArray.from_arrays(pa.array(bounds, pa.int64()), values.values),
            pa.ListViewArray.from_arrays(pa.array(bounds[:-1], pa.int32()), pa.array(sizes, pa.int32()), values.values),
            pa.LargeListViewArray.from_arrays(pa.array(bounds[:-1]), pa.array(sizes), values.values),
            pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(item, [kind.list_size]), values),
        ]
    types = [pa.string(), pa.large_string(), pa.string_view()]
    if pa.types.is_fixed_size_binary(kind):
        types = [kind, pa.binary(), pa.large_binary(), pa.binary_view()]
    return [pa.array(values.to_pylist(), target) for target in types]


def wrapped(values: pa.Array) -> list[pa.Array]:
    """The same rows as they are, sliced, and behind a dictionary and run ends."""
    twice = values if pa.types.is_run_end_encoded(values.type) else pa.concat_arrays([values, values])
    indices = pa.array(range(len(values)), pa.int8())
    ends = range(1, len(values) + 1)
    return [
        values,
        twice.slice(len(values), len(values)),
        pa.DictionaryArray.from_arrays(indices, values),
        pa.RunEndEncodedArray.from_arrays(ends, values, pa.run_end_encoded(pa.int32(), values.type)),
    ]


TEXTS = pa.array(["POINT (1 2)", "2025-05-01T23:59:59Z"])
COLUMNS = [
    (FLOAT, pa.FixedSizeListArray.from_arrays(pa.array(FLOATS.ravel()), DIM)),
    (FLOAT16, pa.FixedSizeListArray.from_arrays(pa.array(HALVES.ravel()), DIM)),
    (FLOAT16, pa.array(rows_of_bytes(HALVES), pa.binary(2 * DIM))),
    (BFLOAT16, pa.array(rows_of_bytes(BRAIN), pa.binary(2 * DIM))),
    (BFLOAT16, pa.FixedSizeListArray.from_arrays(pa.array(BRAIN.view(np.uint16).ravel()), DIM)),
    (INT8, pa.FixedSizeListArray.from_arrays(pa.array(SMALL.ravel()), DIM)),
    (INT8, pa.array(rows_of_bytes(SMALL), pa.binary(DIM))),
    (BINARY, pa.array(rows_of_bytes(PACKED), pa.binary(DIM // 8))),
    (BINARY, pa.FixedSizeListArray.from_arrays(pa.array(PACKED.ravel()), DIM // 8)),
    (VARCHAR, TEXTS),
    (TEXT, TEXTS),
    (GEOMETRY, TEXTS),
    (TIMESTAMPTZ, TEXTS),
    (JSON, pa.array(['{"a":1}', "[1, 2]"])),
    (ARRAY, pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))),
]


@pytest.mark.parametrize(("field", "column"), COLUMNS, ids=[f"{f.dtype.name} of {c.type}" for f, c in COLUMNS])
def test_every_arrow_layout_packs_alike_and_without_a_cast(field, column):
    expected = pack_field(field, column)
    for view in views(column):
        for form in wrapped(view):
            assert packs_as_is(form.type, field), form.type
            assert pack_field(field, form) == expected, form.type
            assert pack_field(field, pa.chunked_array([form[:0], form, form[:0]])) == expected, form.type
            assert pack_field(field, plain(form)) == expected, form.type


def test_chunks_are_joined():
    column = pa.chunked_array([pa.array(["a", "b"]), pa.array([], pa.string()), pa.array(["c"])])
    assert pack_field(VARCHAR, column) == pack_field(VARCHAR, ["a", "b", "c"])
    encoded = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c"]).dictionary_encode()])
    assert pack_field(VARCHAR, encoded) == pack_field(VARCHAR, ["a", "b", "c"])
    # Arrow cannot join these as dictionaries.
    with_null = [pa.DictionaryArray.from_arrays([1], pa.array([None, word])) for word in "ab"]
    assert pack_field(VARCHAR, pa.chunked_array(with_null)) == pack_field(VARCHAR, ["a", "b"])
    table = pa.table({"f": pa.chunked_array(with_null)})
    assert to_batch(table).to_pydict() == {"f": ["a", "b"]}


def test_canonical_extension_types_are_their_storage_but_bools_in_bytes():
    documents = pa.array(['{"a":1}'])
    assert pack_field(JSON, canonical("json", documents)) == pack_field(JSON, documents)
    flags = canonical("bool8", pa.array([1, 0, 7], pa.int8()))
    assert pack_field(BOOL, flags) == pack_field(BOOL, [True, False, True])
    uuid = UUID("30313233-3435-3637-3839-616263646566")
    assert pack_field(VARCHAR, canonical("uuid", pa.array([uuid.bytes], pa.binary(16)))) == pack_field(
        VARCHAR, [str(uuid)]
    )


# Sparse


ROWS = [{1: 0.5, 7: 0.25}, {}, {3: 2.0}]


def sparse_columns() -> list[object]:
    dense = np.zeros((3, 9), np.float32)
    for row, entries in enumerate(ROWS):
        dense[row, list(entries)] = list(entries.values())
    csr = sparse.csr_matrix(dense)
    pairs = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
    as_pairs = pa.array([[{"index": i, "value": v} for i, v in row.items()] for row in ROWS], pairs)
    return [
        *(getattr(csr, f"to{name}")() for name in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")),
        *(getattr(sparse, f"{name}_array")(dense) for name in ("csr", "csc", "coo")),
        list(ROWS),
        as_pairs,
        pa.array([list(row.items()) for row in ROWS], pa.map_(pa.int64(), pa.float32())),
        pa.ListViewArray.from_arrays(as_pairs.offsets[:-1], pa.array([2, 0, 1], pa.int32()), as_pairs.values),
    ]


def test_sparse_matrices_of_every_format_pack_alike():
    columns = sparse_columns()
    expected = pack_field(SPARSE, columns[0])
    for column in columns:
        assert pack_field(SPARSE, column) == expected, type(column)


@pytest.mark.parametrize("form", ["coo", "csc", "csr", "bsr"])
def test_an_index_that_stands_twice_is_refused_by_row_and_not_summed(form):
    values = np.array([0.5, 0.25, 1, 2], np.float32)
    matrix = {
        "coo": lambda: sparse.coo_matrix((values, ([2, 0, 2, 2], [3, 1, 5, 3])), shape=(3, 6)),
        "csc": lambda: sparse.csc_matrix((values, [0, 2, 2, 2], [0, 0, 1, 1, 3, 3, 4]), shape=(3, 6)),
        "csr": lambda: sparse.csr_matrix((values, [1, 3, 5, 3], [0, 1, 1, 4]), shape=(3, 6)),
        "bsr": lambda: sparse.bsr_matrix((np.ones((2, 3, 3), np.float32), [1, 1], [0, 2]), shape=(3, 6)),
    }[form]()
    refused = 0 if form == "bsr" else 2
    with pytest.raises(CellError, match=f"row {refused}, field 'f': expected each index once, found "):
        pack_field(SPARSE, matrix)


# Refused


@pytest.mark.parametrize(
    ("field", "column", "message"),
    [
        (FLOAT16, FLOATS, "expected lists of float16, or their bytes, for FLOAT16_VECTOR(16), found a column of "
         "fixed_size_list<item: float>[16]; convert the vectors first, with .astype(numpy.float16): it rounds"),
        (FLOAT16, BRAIN, "expected lists of float16, or their bytes, for FLOAT16_VECTOR(16), found a column of "),
        (BFLOAT16, FLOATS.astype(np.float64), "expected lists of bfloat16, or their bytes, for BFLOAT16_VECTOR(16), "),
        (BFLOAT16, HALVES, "convert the vectors first, with .astype(ml_dtypes.bfloat16): it rounds"),
        (INT8, FLOATS, "expected lists of integers, or their bytes, for INT8_VECTOR(16), found a column of "),
        (BINARY, FLOATS, "expected lists of bools, or packed bytes, for BINARY_VECTOR(16), found a column of "),
        (FLOAT16, HALVES[:, 1:], "expected vectors of 16 numbers, found a column of fixed_size_list<item: halffloat>"),
        (BINARY, BITS[:, 1:], "expected vectors of 16 bools, found a column of fixed_size_list<item: bool>[15]"),
        (BFLOAT16, pa.array([b"a"], pa.binary(1)), "expected vectors of 32 bytes, found a column of fixed_size_b"),
        (GEOMETRY, pa.array([b"\x01"]), "expected a column of strings in WKT for GEOMETRY, found a column of binary"),
        (TIMESTAMPTZ, np.array([0]), "expected a column of timestamps, or of strings in ISO 8601 for TIMESTAMPTZ"),
    ],
)  # fmt: skip
def test_nothing_is_rounded_or_guessed(field, column, message):
    with pytest.raises(SchemaError) as caught:
        pack_field(field, column)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("field", "matrix"), [(FLOAT, FLOATS), (FLOAT16, HALVES), (BFLOAT16, BRAIN)], ids=["float32", "float16", "bfloat16"]
)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused_in_every_width(field, matrix, value):
    bad = matrix.copy()
    bad[1, 5] = value
    with pytest.raises(CellError, match=r"row 1, field 'f': expected finite values, found .* at element 5"):
        pack_field(field, bad)


def test_integers_that_no_int8_holds_are_refused():
    assert pack_field(INT8, SMALL.astype(np.int64).tolist()) == pack_field(INT8, SMALL)
    refused = "row 1, field .f.: expected an integer from -128 to 127, found 128 at element 0"
    with pytest.raises(CellError, match=refused):
        pack_field(INT8, (SMALL.astype(np.int64) + 1).tolist())


@pytest.mark.parametrize(
    "document",
    ["[" * 2_000 + "]" * 2_000, '{"a":' * 10_000 + "1" + "}" * 10_000, "1e999", '{"a":1,"a":2}', r'"\ud800"'],
    ids=["arrays", "objects", "large", "twice", "surrogate"],
)
def test_what_the_syntax_allows_in_a_document_is_left_to_the_server(document):
    packed = schema_pb2.FieldData.FromString(pack_field(JSON, pa.array([document])))
    assert list(packed.scalars.json_data.data) == [document.encode()]
