"""What a load creates, and what it refuses to create on a server that is too old for it."""

from __future__ import annotations

import pytest

from headrace import CollectionSchema, ConfigError, DataType, FieldSchema, LoadOptions, SchemaError
from headrace.calls import drive_sync
from headrace.collection_messages import CollectionInfo
from headrace.config import Endpoint
from headrace.releases import newer_than, not_in_lite
from headrace.target import index_params, open_target
from headrace.transport import SyncTransport
from tests.fake.behaviours import abort, refuse
from tests.fake_milvus import FakeMilvus

KEY = FieldSchema("id", DataType.INT64, is_primary=True)
DENSE = FieldSchema("dense", DataType.FLOAT_VECTOR, dim=4)
SPARSE = FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR)
OPTIONS = LoadOptions(create=True)


def open_on(server, *fields, options=OPTIONS):
    with SyncTransport(Endpoint(uri=server.uri)) as transport:
        return drive_sync(transport, open_target("docs", options, None, CollectionSchema(fields), embedded=False))


@pytest.mark.parametrize(
    ("fields", "since", "found"),
    [
        ((SPARSE,), (2, 4, 0), "'sparse' (SPARSE_FLOAT_VECTOR, since 2.4)"),
        ((FieldSchema("f", DataType.FLOAT16_VECTOR, dim=4),), (2, 4, 0), "'f' (FLOAT16_VECTOR, since 2.4)"),
        ((FieldSchema("f", DataType.BFLOAT16_VECTOR, dim=4),), (2, 4, 0), "'f' (BFLOAT16_VECTOR, since 2.4)"),
        ((FieldSchema("f", DataType.INT8_VECTOR, dim=4),), (2, 6, 0), "'f' (INT8_VECTOR, since 2.6)"),
        ((DENSE, FieldSchema("f", DataType.GEOMETRY)), (2, 6, 4), "'f' (GEOMETRY, since 2.6.4)"),
        ((DENSE, FieldSchema("f", DataType.TIMESTAMPTZ)), (2, 6, 6), "'f' (TIMESTAMPTZ, since 2.6.6)"),
        ((DENSE, FieldSchema("f", DataType.TEXT)), (3, 0, 0), "'f' (TEXT, since 3.0)"),
        ((DENSE, FieldSchema("f", DataType.INT64, nullable=True)), (2, 5, 0), "'f' (nullable, since 2.5)"),
        (
            (FieldSchema("f", DataType.FLOAT_VECTOR, dim=4, nullable=True),),
            (2, 6, 17),
            "'f' (nullable vector, since 2.6.17)",
        ),
        (
            (FieldSchema("f", DataType.SPARSE_FLOAT_VECTOR, nullable=True),),
            (2, 6, 17),
            "'f' (nullable vector, since 2.6.17)",
        ),
        (
            (DENSE, FieldSchema("f", DataType.BINARY_VECTOR, dim=8)),
            (2, 4, 0),
            "2 vector fields (more than one since 2.4)",
        ),
    ],
)
def test_a_feature_is_newer_than_every_version_before_the_one_that_brought_it(fields, since, found):
    schema = CollectionSchema([KEY, *fields])
    major, minor, patch = since
    before = (major, minor, patch - 1) if patch else (major, minor - 1, 99) if minor else (major - 1, 6, 99)
    assert newer_than(before, schema) == [found]
    assert newer_than(since, schema) == []


def test_plain_fields_are_never_too_new():
    kinds = [
        FieldSchema("n", DataType.INT8),
        FieldSchema("t", DataType.VARCHAR, max_length=9),
        FieldSchema("j", DataType.JSON),
        FieldSchema("a", DataType.ARRAY, element_type=DataType.INT64, max_capacity=4),
    ]
    assert newer_than((2, 3, 0), CollectionSchema([KEY, DENSE, *kinds], enable_dynamic_field=True)) == []


@pytest.mark.parametrize("dry_run", [False, True])
def test_everything_too_new_is_named_before_anything_is_created(dry_run):
    note = FieldSchema("note", DataType.VARCHAR, max_length=9, nullable=True)
    with FakeMilvus(version="v2.3.5-lite") as server:
        with pytest.raises(SchemaError) as raised:
            open_on(server, KEY, DENSE, SPARSE, note, options=LoadOptions(create=True, dry_run=dry_run))
        assert server.collections == {}
    assert str(raised.value) == (
        "collection 'docs': expected fields that Milvus 2.3.5 can hold, found 'sparse' (SPARSE_FLOAT_VECTOR, since "
        "2.4), 'note' (nullable, since 2.5), 2 vector fields (more than one since 2.4); leave them out or convert "
        "them, fill nulls in, or load into a newer server"
    )


@pytest.mark.parametrize("version", ["v2.4.0", "2.6.17", "milvus_lite-2.3.0", "unheard of"])
def test_servers_that_have_it_or_do_not_say_are_asked(version):
    with FakeMilvus(version=version) as server:
        assert open_on(server, KEY, DENSE, SPARSE).created
        assert set(server.collections["docs"].indexes) == {"dense", "sparse"}


@pytest.mark.parametrize("behaviour", [abort("UNIMPLEMENTED"), refuse(10, "no")], ids=["unimplemented", "refused"])
def test_a_server_that_keeps_its_version_to_itself_decides_for_itself(fake, behaviour):
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:
        fake.script("GetVersion", behaviour)
        schema = CollectionSchema([KEY, DENSE, SPARSE])
        assert drive_sync(transport, open_target("docs", OPTIONS, None, schema, embedded=False)).created


SMALL = [
    FieldSchema("half", DataType.FLOAT16_VECTOR, dim=4),
    FieldSchema("brain", DataType.BFLOAT16_VECTOR, dim=4),
    FieldSchema("int8", DataType.INT8_VECTOR, dim=4),
    FieldSchema("bits", DataType.BINARY_VECTOR, dim=8),
]


def test_milvus_lite_is_asked_for_nothing_that_it_is_known_to_lack():
    nullable = FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR, nullable=True)
    schema = CollectionSchema([KEY, *SMALL, nullable, FieldSchema("n", DataType.INT64, nullable=True)])
    lacking = [f"'{field.name}' ({field.dtype.name})" for field in SMALL] + ["'sparse' (nullable vector)"]
    assert not_in_lite((3, 2, 2), schema) == lacking
    assert not_in_lite((2, 5, 1), schema) == not_in_lite((3, 3, 0), schema) == []
    with FakeMilvus(version="milvus_lite-3.2.2") as server:
        with pytest.raises(SchemaError) as raised:
            open_on(server, KEY, *SMALL, nullable)
        assert server.collections == {}
    found = f"expected fields that Milvus Lite 3.2.2 can hold, found {', '.join(lacking)}; leave them out"
    assert str(raised.value).startswith(f"collection 'docs': {found}")


def test_what_lite_has_is_created_there():
    others = [FieldSchema("at", DataType.TIMESTAMPTZ), FieldSchema("place", DataType.GEOMETRY)]
    with FakeMilvus(version="milvus_lite-3.2.2") as server:
        assert open_on(server, KEY, DENSE, SPARSE, *others).created


@pytest.mark.parametrize("field", [*SMALL[:3], FieldSchema("essay", DataType.TEXT)], ids=lambda field: field.name)
def test_an_existing_collection_that_its_server_cannot_hold_is_refused(field):
    # 2.3.5 takes such fields into a schema.
    schema = CollectionSchema([KEY, field])
    operation = open_target("docs", LoadOptions(), CollectionInfo("docs", schema), schema)
    with (
        FakeMilvus(version="v2.3.5-lite") as server,
        SyncTransport(Endpoint(uri=server.uri)) as transport,
        pytest.raises(SchemaError, match=f"expected fields that Milvus 2.3.5 can hold, found '{field.name}'"),
    ):
        drive_sync(transport, operation)


def test_every_vector_has_the_metric_of_its_type():
    schema = CollectionSchema([KEY, DENSE, SPARSE, *SMALL])
    chosen = {param.field_name: param.metric_type for param in index_params(schema, None)}
    dense = dict.fromkeys(["dense", "half", "brain", "int8"], "COSINE")
    assert chosen == {**dense, "sparse": "IP", "bits": "HAMMING"}


@pytest.mark.parametrize(
    ("metric", "dense", "bits"), [("L2", "L2", "HAMMING"), ("l2", "L2", "HAMMING"), ("JACCARD", "COSINE", "JACCARD")]
)
def test_a_chosen_metric_goes_to_the_vectors_that_have_it(metric, dense, bits):
    params = index_params(CollectionSchema([KEY, DENSE, SPARSE, SMALL[3]]), metric)
    assert [param.metric_type for param in params] == [dense, "IP", bits]


def test_a_metric_that_no_vector_has_is_refused():
    with pytest.raises(ConfigError) as raised:
        index_params(CollectionSchema([KEY, SMALL[3], SPARSE]), "COSINE")
    assert str(raised.value) == (
        "metric: expected one of HAMMING, IP, JACCARD, MHJACCARD, SUBSTRUCTURE, SUPERSTRUCTURE, TANIMOTO, found "
        "'COSINE'; choose one, or leave it out"
    )
