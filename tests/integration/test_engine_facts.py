"""What engines do with values at the border of what Milvus defines: the facts that ``docs/packing.md`` states.

The requests are made by hand, because most of them are such as headrace never sends. When one of these tests fails, an
engine has changed, and the page with it.
"""

from __future__ import annotations

import struct

import pytest

import headrace
from headrace import MilvusException
from headrace._proto import milvus_pb2, schema_pb2
from headrace.schema import CollectionSchema, DataType, FieldSchema
from headrace.zeros import zeros_text
from tests.integration.edges import KEY
from tests.integration.readback import connect, count, create
from tests.integration.writing import call, send

NAN, INFINITY = float("nan"), float("inf")
VECTOR = FieldSchema("v", DataType.FLOAT_VECTOR, dim=2)
#: What becomes of a value that the engine refuses.
REFUSED = None


def insert(server, collection, key, *columns):
    """Insert one row."""
    request = milvus_pb2.InsertRequest(collection_name=collection, num_rows=1)
    request.fields_data.add(type=DataType.INT64, field_name=KEY.name).scalars.long_data.data.append(key)
    request.fields_data.extend(columns)
    return send(server, "Insert", request.SerializeToString())


def stored(server, collection, key, name):
    """The message of one row's field: what the server sends, before a client makes something else of it."""
    request = milvus_pb2.QueryRequest(collection_name=collection, expr=f"id == {key}", output_fields=[name])
    answer = milvus_pb2.QueryResults.FromString(call(server, "Query", request.SerializeToString()))
    (field,) = [field for field in answer.fields_data if field.field_name == name]
    return field


def outcomes(server, client, collection, rows, value_of):
    """What becomes of each row: ``value_of`` of what is stored, or REFUSED, and then nothing is stored."""
    found, kept = {}, 0
    for key, (case, sent) in enumerate(rows.items()):
        try:
            insert(server, collection, key, *sent)
        except MilvusException:
            found[case] = REFUSED
        else:
            kept += 1
            found[case] = value_of(stored(server, collection, key, sent[-1].field_name))
        assert count(client, collection) == kept, case
    return found


def sparse(*pairs):
    return b"".join(struct.pack("<If", *pair) for pair in pairs)


ONE = sparse((1, 0.5))
SPARSE = {
    "an explicit zero": sparse((1, 0.5), (7, 0.0)),
    "an explicit minus zero": sparse((1, 0.5), (7, -0.0)),
    "nothing but a zero": sparse((7, 0.0)),
    "no entry": b"",
    "indices out of order": sparse((7, 0.25), (1, 0.5)),
    "an index twice": sparse((1, 0.5), (1, 0.25)),
    "a negative value": sparse((1, 0.5), (7, -0.25)),
    "not a number": sparse((1, NAN)),
    "infinity": sparse((1, INFINITY)),
    "the largest index": sparse((2**32 - 2, 0.5)),
    "an index too large": sparse((2**32 - 1, 0.5)),
}
#: Milvus Lite 2.5.1 keeps the bytes that it gets, whatever they are.
SPARSE_IN_LITE_2_5 = SPARSE
SPARSE_IN_LITE_3_2 = {
    "an explicit zero": ONE,
    "an explicit minus zero": ONE,
    "nothing but a zero": REFUSED,
    "no entry": REFUSED,
    "indices out of order": sparse((1, 0.5), (7, 0.25)),
    "an index twice": sparse((1, 0.25)),
    "a negative value": REFUSED,
    "not a number": REFUSED,
    "infinity": REFUSED,
    "the largest index": sparse((2**32 - 2, 0.5)),
    "an index too large": REFUSED,
}


def sparse_column(contents):
    data = schema_pb2.FieldData(type=DataType.SPARSE_FLOAT_VECTOR, field_name="s")
    data.vectors.sparse_float_vector.contents.append(contents)
    return data


def sparse_contents(data):
    (contents,) = data.vectors.sparse_float_vector.contents
    return contents


@pytest.mark.parametrize(
    ("server", "expected"), [("lite322", SPARSE_IN_LITE_3_2), ("lite251", SPARSE_IN_LITE_2_5)], indirect=["server"]
)
def test_sparse_rows_are_stored_as(server, expected, collection):
    columns = {case: [sparse_column(contents)] for case, contents in SPARSE.items()}
    with connect(server) as client:
        create(client, collection, CollectionSchema([KEY, FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)]))
        assert outcomes(server, client, collection, columns, sparse_contents) == expected


@pytest.mark.parametrize(
    ("server", "kept"),
    [("lite322", {"an explicit zero"}), ("lite251", {"an explicit zero", "nothing but a zero", "no entry"})],
    indirect=["server"],
)
def test_a_sparse_row_is_found_by_what_is_not_zero(server, kept, collection):
    cases = sorted(kept)
    with connect(server) as client:
        create(client, collection, CollectionSchema([KEY, FieldSchema("s", DataType.SPARSE_FLOAT_VECTOR)]))
        for key, case in enumerate(cases):
            insert(server, collection, key, sparse_column(SPARSE[case]))

        def found_by(token):
            (hits,) = client.search(collection, [{token: 1.0}], anns_field="s", consistency_level="Strong")
            return [(cases[hit["id"]], hit["distance"]) for hit in hits]

        assert found_by(1) == [("an explicit zero", 0.5)]
        assert found_by(7) == []


def vector_column(values=(0.0, 0.0)):
    data = schema_pb2.FieldData(type=VECTOR.dtype, field_name=VECTOR.name)
    data.vectors.dim = VECTOR.dim
    data.vectors.float_vector.data.extend(values)
    return data


def half_column(dtype, hexadecimal):
    data = schema_pb2.FieldData(type=dtype, field_name="v")
    data.vectors.dim = 2
    setattr(data.vectors, dtype.name.lower(), bytes.fromhex(hexadecimal))
    return data


FLOATS = {"not a number": [vector_column([NAN, 1.0])], "infinity": [vector_column([1.0, INFINITY])]}
HALVES = {
    dtype: {"not a number": [half_column(dtype, nan)], "infinity": [half_column(dtype, infinity)]}
    for dtype, nan, infinity in (
        (DataType.FLOAT16_VECTOR, "007e003c", "003c007c"),
        (DataType.BFLOAT16_VECTOR, "c07f803f", "803f807f"),
    )
}


@pytest.mark.parametrize(
    ("server", "dtype", "columns", "are_kept"),
    [
        ("lite322", DataType.FLOAT_VECTOR, FLOATS, True),
        ("lite251", DataType.FLOAT_VECTOR, FLOATS, True),
        *(("lite251", dtype, columns, True) for dtype, columns in HALVES.items()),
        ("milvus235", DataType.FLOAT_VECTOR, FLOATS, False),
    ],
    indirect=["server"],
)
def test_milvus_refuses_vectors_that_are_not_finite_and_milvus_lite_keeps_them(
    server, dtype, columns, are_kept, collection
):
    with connect(server) as client:
        create(client, collection, CollectionSchema([KEY, FieldSchema("v", dtype, dim=2)]))
        found = outcomes(server, client, collection, columns, lambda data: data.vectors.SerializeToString())
    sent = {case: data.vectors.SerializeToString() for case, (data,) in columns.items()}
    assert found == (sent if are_kept else dict.fromkeys(columns, REFUSED))


#: By COSINE: what a search for a vector that has a direction says of one that has none.
UNRELATED, MISSED = 0.0, None


@pytest.mark.parametrize(
    ("server", "found"),
    [("lite322", UNRELATED), ("lite251", UNRELATED), ("milvus235", MISSED)],
    indirect=["server"],
)
def test_a_vector_of_zeros_is_by_cosine(server, found, collection):
    rows = [{"id": key, "v": vector} for key, vector in enumerate(([1.0, 0.0], [0.0, 0.0], [0.0, 1.0]))]
    report = headrace.load(rows, collection=collection, uri=server.uri, create=True, metric="COSINE")
    assert report.notes == [f"1 {zeros_text('v')}"]
    with connect(server) as client:
        (hits,) = client.search(collection, [[1.0, 0.0]], anns_field="v", limit=3, consistency_level="Strong")
    assert {hit["id"]: hit["distance"] for hit in hits}.get(1) == found


def scalar_outcomes(server, collection, field, values, slot, **options):
    """What becomes of each value of a scalar field: what is read, or REFUSED."""
    columns = {}
    for value in values:
        data = schema_pb2.FieldData(type=field.dtype, field_name=field.name)
        getattr(data.scalars, slot).data.append(value)
        columns[value] = [vector_column(), data]

    def value_of(data):
        (value,) = getattr(data.scalars, data.scalars.WhichOneof("data")).data
        return value

    with connect(server) as client:
        create(client, collection, CollectionSchema([KEY, VECTOR, field]), **options)
        return outcomes(server, client, collection, columns, value_of)


@pytest.mark.parametrize("server", ["lite322", "lite251", "milvus235"], indirect=True)
def test_scalars_that_are_not_finite_are_kept(server, collection):
    found = scalar_outcomes(server, collection, FieldSchema("x", DataType.DOUBLE), [NAN, INFINITY], "double_data")
    assert list(map(repr, found.values())) == ["nan", "inf"]


TEXT = FieldSchema("x", DataType.VARCHAR, max_length=4)
TEXTS = ["abcd", "éé", "abcde", "éééé"]


@pytest.mark.parametrize(
    ("server", "kept"),
    [("lite322", ["abcd", "éé", "éééé"]), ("lite251", TEXTS), ("milvus235", ["abcd", "éé"])],
    indirect=["server"],
)
def test_the_length_of_a_text_is_counted_in_bytes_by_milvus_only(server, kept, collection):
    expected = {text: text if text in kept else REFUSED for text in TEXTS}
    assert scalar_outcomes(server, collection, TEXT, TEXTS, "string_data") == expected


@pytest.mark.parametrize(
    ("server", "stored_as"), [("lite322", REFUSED), ("lite251", 44), ("milvus235", REFUSED)], indirect=["server"]
)
def test_an_integer_out_of_range_is(server, stored_as, collection):
    assert scalar_outcomes(server, collection, FieldSchema("x", DataType.INT8), [300], "int_data") == {300: stored_as}


@pytest.mark.parametrize(
    ("server", "is_kept"), [("lite322", False), ("lite251", True), ("milvus235", False)], indirect=["server"]
)
def test_an_array_that_is_too_long_is(server, is_kept, collection):
    field = FieldSchema("x", DataType.ARRAY, element_type=DataType.INT64, max_capacity=2)
    data = schema_pb2.FieldData(type=DataType.ARRAY, field_name="x")
    data.scalars.array_data.element_type = DataType.INT64
    data.scalars.array_data.data.add().long_data.data.extend([1, 2, 3])
    with connect(server) as client:
        create(client, collection, CollectionSchema([KEY, VECTOR, field]))
        found = outcomes(server, client, collection, {"array": [vector_column(), data]}, lambda found: found.scalars)
    assert found == {"array": data.scalars if is_kept else REFUSED}


def test_milvus_lite_2_5_reads_past_the_end_of_a_vector_that_is_too_short(lite251, collection):
    short = schema_pb2.FieldData(type=DataType.FLOAT16_VECTOR, field_name="v")
    short.vectors.dim = 8
    short.vectors.float16_vector = b"\x00\x3c"
    with connect(lite251) as client:
        create(client, collection, CollectionSchema([KEY, FieldSchema("v", DataType.FLOAT16_VECTOR, dim=8)]))
        insert(lite251, collection, 0, short)
    found = stored(lite251, collection, 0, "v").vectors.float16_vector
    assert (len(found), found[:2]) == (16, b"\x00\x3c")


#: Milvus Lite 3.2 answers in UTC, with no fraction or with six digits; what it cuts off it does not refuse.
TIMESTAMPS = {
    "2024-02-29T12:34:56Z": "2024-02-29T12:34:56Z",
    "2024-02-29T12:34:56.123Z": "2024-02-29T12:34:56.123000Z",
    "2024-02-29T12:34:56.123456Z": "2024-02-29T12:34:56.123456Z",
    "2024-02-29T12:34:56.123456789Z": "2024-02-29T12:34:56.123456Z",
    "2024-02-29T12:34:56+05:30": "2024-02-29T07:04:56Z",
    "2024-02-29T12:34:56-0800": "2024-02-29T20:34:56Z",
    "2024-02-29T12:34Z": "2024-02-29T12:34:00Z",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z": "9999-12-31T23:59:59.999999Z",
    "2024-02-29T12:34:56z": REFUSED,
    "2024-02-29T12:34:60Z": REFUSED,
    "2023-02-29T12:34:56Z": REFUSED,
    "0001-01-01T00:00:00+01:00": REFUSED,
    "10000-01-01T00:00:00Z": REFUSED,
    "": REFUSED,
}
#: Texts without an offset, and what they are in a collection whose property ``timezone`` is Asia/Shanghai.
LOCAL_TIMESTAMPS = {
    "2024-02-29T12:34:56": "2024-02-29T04:34:56Z",
    "2024-02-29T12:34:56.123": "2024-02-29T04:34:56.123000Z",
    "2024-02-29T12:34:56.123456": "2024-02-29T04:34:56.123456Z",
    "2024-02-29T12:34:56.123456789": "2024-02-29T04:34:56.123456Z",
    "2024-02-29 12:34:56": "2024-02-29T04:34:56Z",
    "2024-02-29": "2024-02-28T16:00:00Z",
}
TIMESTAMP = FieldSchema("t", DataType.TIMESTAMPTZ)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, TIMESTAMPS | dict.fromkeys(LOCAL_TIMESTAMPS, REFUSED)),
        ({"properties": {"timezone": "Asia/Shanghai"}}, TIMESTAMPS | LOCAL_TIMESTAMPS),
    ],
    ids=["no-timezone", "timezone"],
)
def test_timestamps_are_stored_as(lite322, options, expected, collection):
    assert scalar_outcomes(lite322, collection, TIMESTAMP, expected, "string_data", **options) == expected


#: Milvus Lite 3.2 knows points and polygons without holes, in two dimensions, and gives back the text that it got.
KNOWN_GEOMETRIES = [
    "POINT (1 2)",
    "point(1 2)",
    " POINT  (1   2) ",
    "POINT (0.1 -1e300)",
    "POLYGON ((0 0, 9 0, 9 9, 0 0))",
]
GEOMETRIES = {text: text for text in KNOWN_GEOMETRIES} | dict.fromkeys(
    [
        "POINT EMPTY",
        "POINT (1)",
        "POINT Z (1 2 3)",
        "POINT (1 2 3)",
        "SRID=4326;POINT (1 2)",
        "LINESTRING (0 0, 1 1)",
        "POLYGON ((0 0, 9 0, 9 9))",
        "POLYGON ((0 0, 9 0, 9 9, 0 0), (2 1, 3 1, 3 2, 2 1))",
        "MULTIPOINT ((0 0), (1 1))",
        "MULTILINESTRING ((0 0, 1 1))",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)))",
        "GEOMETRYCOLLECTION (POINT (1 2))",
        "no geometry",
        "",
    ],
    REFUSED,
)


def test_geometries_are_stored_as(lite322, collection):
    field = FieldSchema("g", DataType.GEOMETRY)
    assert scalar_outcomes(lite322, collection, field, GEOMETRIES, "geometry_wkt_data") == GEOMETRIES


def nested(levels):
    """An object around so many arrays."""
    return b'{"a":' + b"[" * levels + b"]" * levels + b"}"


DOCUMENT = FieldSchema("j", DataType.JSON)
#: Milvus Lite 3.2 writes a document anew, and takes objects and arrays for documents only: of a text the quotes go.
DOCUMENTS_IN_LITE_3_2 = {
    b'{"n":-0.0,"i":18446744073709551615}': b'{"n": -0.0, "i": 18446744073709551615}',
    b'{"a":1,"a":2}': b'{"a": 2}',
    b'[1,"x",null]': b'[1, "x", null]',
    b'"text"': b"text",
    b"7": REFUSED,
    b"1.5": REFUSED,
    b"true": REFUSED,
    b"null": REFUSED,
}
#: Milvus Lite 2.5.1 keeps the bytes that it gets, whether they are a document or not.
DOCUMENTS_IN_LITE_2_5 = {document: document for document in (*DOCUMENTS_IN_LITE_3_2, b"{no document", b"")}
#: Milvus 2.3.5 keeps the bytes of objects, and the word null. Go reads numbers as doubles, and 10,000 levels.
DOCUMENTS_IN_2_3 = {
    b'{"n":-0.0,"i":18446744073709551615}': b'{"n":-0.0,"i":18446744073709551615}',
    b' {"n" : 1} ': b' {"n" : 1} ',
    b'[1,"x",null]': REFUSED,
    b"null": b"null",
    b'"text"': REFUSED,
    b"7": REFUSED,
    b"{no document": REFUSED,
    b'{"n":1e999}': REFUSED,
    b'{"a":1,"a":2}': b'{"a":1,"a":2}',
    nested(9_999): nested(9_999),
    nested(10_000): REFUSED,
}


@pytest.mark.parametrize(
    ("server", "expected"),
    [("lite322", DOCUMENTS_IN_LITE_3_2), ("lite251", DOCUMENTS_IN_LITE_2_5), ("milvus235", DOCUMENTS_IN_2_3)],
    indirect=["server"],
)
def test_documents_are_stored_as(server, expected, collection):
    assert scalar_outcomes(server, collection, DOCUMENT, expected, "json_data") == expected
