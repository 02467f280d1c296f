from __future__ import annotations

import grpc
import pyarrow as pa
import pytest

from headrace import operations as ops
from headrace._proto import common_pb2, milvus_pb2
from headrace.config import Endpoint
from headrace.errors import MilvusException, RpcError, SchemaError, TransportError
from headrace.operations import drive_sync
from headrace.schema import CollectionSchema, ConsistencyLevel, DataType, FieldSchema, IndexParam
from headrace.transport import SyncTransport
from tests.fake.behaviours import abort, refuse
from tests.fake.encoding import encode_insert

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("dense", DataType.FLOAT_VECTOR, dim=2),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR),
        FieldSchema("title", DataType.VARCHAR, max_length=20, nullable=True),
    ]
)
INDEXES = [IndexParam("dense", "AUTOINDEX", "COSINE"), IndexParam("sparse", "AUTOINDEX", "IP")]


def rows(first, last):
    count = last - first
    return pa.record_batch(
        {
            "id": pa.array(range(first, last), pa.int64()),
            "dense": pa.array([[n, 1] for n in range(first, last)], pa.list_(pa.float32(), 2)),
            "sparse": pa.array(
                [[{"index": n, "value": 1.0}] for n in range(first, last)],
                pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())])),
            ),
            "title": pa.array(["t" if n % 2 else None for n in range(count)], pa.utf8()),
        }
    )


@pytest.fixture
def transport(fake):
    with SyncTransport(Endpoint(uri=fake.uri)) as transport:
        yield transport


@pytest.fixture
def run(transport):
    def run(operation):
        slept = []
        try:
            return drive_sync(transport, operation, sleep=slept.append)
        finally:
            run.slept = slept

    return run


@pytest.fixture
def docs(run, transport, fake):
    """A collection ``docs`` with 2,500 rows, loaded."""
    run(ops.create_collection("docs", SCHEMA))
    for param in INDEXES:
        run(ops.create_index("docs", param))
    transport.call("Insert", encode_insert(rows(0, 2500), SCHEMA, "docs"), timeout=30)
    run(ops.load_collection("docs"))
    return fake.collections["docs"]


def test_created_collection_is_described_as_it_was_given(run):
    run(
        ops.create_collection(
            "docs",
            SCHEMA,
            num_shards=3,
            num_partitions=16,
            consistency_level=ConsistencyLevel.STRONG,
            properties={"headrace.id": "x"},
        )
    )
    info = run(ops.describe_collection("docs"))
    assert info.schema == SCHEMA
    assert (info.shards_num, info.num_partitions) == (3, 16)
    assert info.consistency_level is ConsistencyLevel.STRONG
    assert info.properties == {"headrace.id": "x"}
    assert info.collection_id
    assert info.created_timestamp


def test_collections_are_bounded_unless_said_otherwise(run, fake):
    run(ops.create_collection("docs", SCHEMA))
    assert fake.calls_of("CreateCollection")[0].request.consistency_level == ConsistencyLevel.BOUNDED


def test_bad_name_is_refused_before_a_call(run, fake):
    with pytest.raises(SchemaError, match="collection 'my docs': expected a letter or underscore"):
        run(ops.create_collection("my docs", SCHEMA))
    assert not fake.calls_of("CreateCollection")


def test_missing_collection_is_none_and_false_and_not_exist(run):
    assert run(ops.describe_collection("nothing")) is None
    assert run(ops.has_collection("nothing")) is False
    assert run(ops.get_load_state("nothing")) is ops.LoadState.NotExist
    assert run(ops.list_collections()) == []


def test_old_servers_word_for_a_missing_collection_is_understood(run, fake):
    fake.script("DescribeCollection", refuse(100, "can't find collection[collection=x]", legacy=1))
    assert run(ops.has_collection("x")) is False


def test_other_refusals_of_a_description_are_errors(run, fake):
    fake.script("DescribeCollection", refuse(800, "database not found[database=x]"))
    with pytest.raises(MilvusException) as raised:
        run(ops.has_collection("x"))
    assert raised.value.code == 800


def test_dropping_twice_is_no_error(run, docs):
    run(ops.drop_collection("docs"))
    run(ops.drop_collection("docs"))
    assert run(ops.list_collections()) == []


def test_indexes_are_described_as_they_were_defined(run, docs):
    run(ops.create_index("docs", IndexParam("title", "INVERTED", index_name="by_title", params={"a": 1})))
    found = {item.field_name: item for item in run(ops.describe_index("docs"))}
    assert (found["dense"].index_type, found["dense"].metric_type, found["dense"].state) == (
        "AUTOINDEX",
        "COSINE",
        "Finished",
    )
    assert found["title"].index_name == "by_title"
    assert found["title"].params == {"a": "1"}
    assert [item.field_name for item in run(ops.describe_index("docs", "sparse"))] == ["sparse"]


def test_no_index_is_an_empty_list(run):
    run(ops.create_collection("docs", SCHEMA))
    assert run(ops.describe_index("docs")) == []


def only(*types):
    """An engine that has only these index types."""

    async def behave(call):
        params = {pair.key: pair.value for pair in call.request.extra_params}
        if params["index_type"] not in types:
            return common_pb2.Status(code=1100, error_code=1, reason="index type not match").SerializeToString()
        return call.apply()

    return behave


@pytest.mark.parametrize(
    ("param", "engine", "built"),
    [
        (IndexParam("sparse"), "SPARSE_INVERTED_INDEX", {"metric_type": "IP"}),
        (IndexParam("title"), "INVERTED", {}),
        (IndexParam("title"), "Trie", {}),
        (IndexParam("id"), "STL_SORT", {}),
    ],
)
def test_autoindex_falls_back_where_the_engine_refuses_it(run, fake, param, engine, built):
    run(ops.create_collection("docs", SCHEMA))
    fake.always("CreateIndex", only(engine))
    run(ops.create_index("docs", param))
    params = {"index_type": engine, **built}
    assert fake.collections["docs"].indexes == {param.field_name: (param.field_name, params)}


@pytest.mark.parametrize(
    ("dtype", "engine", "built"),
    [
        (DataType.BINARY_VECTOR, "BIN_IVF_FLAT", {"nlist": "1024", "metric_type": "HAMMING"}),
        (DataType.BINARY_VECTOR, "BIN_FLAT", {"metric_type": "HAMMING"}),
        (DataType.FLOAT16_VECTOR, "HNSW", {"M": "18", "efConstruction": "240", "metric_type": "COSINE"}),
        (DataType.BFLOAT16_VECTOR, "FLAT", {"metric_type": "COSINE"}),
        (DataType.INT8_VECTOR, "HNSW", {"M": "18", "efConstruction": "240", "metric_type": "COSINE"}),
        (DataType.GEOMETRY, "RTREE", {}),
        (DataType.TIMESTAMPTZ, "STL_SORT", {}),
    ],
)
def test_autoindex_of_every_type_falls_back_on_what_engines_have(run, fake, dtype, engine, built):
    field = FieldSchema("f", dtype, dim=8 if dtype.is_vector else None)
    run(ops.create_collection("docs", CollectionSchema([*SCHEMA.fields, field])))
    fake.always("CreateIndex", only(engine))
    run(ops.create_index("docs", IndexParam("f")))
    assert fake.collections["docs"].indexes == {"f": ("f", {"index_type": engine, **built})}


def test_fallback_stops_at_a_refusal_that_is_not_about_the_type(run, fake):
    run(ops.create_collection("docs", SCHEMA))
    fake.script("CreateIndex", refuse(1100, "no AUTOINDEX"), refuse(8, "rate limit exceeded"))
    with pytest.raises(MilvusException, match="rate limit exceeded"):
        run(ops.create_index("docs", IndexParam("title")))
    assert len(fake.calls_of("CreateIndex")) == 2


@pytest.mark.parametrize("param", [IndexParam("dense"), IndexParam("sparse", "HNSW"), IndexParam("no_such_field")])
def test_index_refusal_stands_where_there_is_nothing_else_to_ask_for(run, fake, param):
    run(ops.create_collection("docs", SCHEMA))
    fake.always("CreateIndex", refuse(6, "not that one", legacy=6))
    with pytest.raises(MilvusException, match="CreateIndex: the server refused with code 6: not that one"):
        run(ops.create_index("docs", param))
    assert len(fake.calls_of("CreateIndex")) == 1


def test_what_headrace_chose_instead_may_be_refused_too(run, fake):
    run(ops.create_collection("docs", SCHEMA))
    fake.always("CreateIndex", refuse(1100, "no index at all"))
    with pytest.raises(MilvusException, match="no index at all"):
        run(ops.create_index("docs", IndexParam("sparse")))
    assert len(fake.calls_of("CreateIndex")) == 2


def load_state(number):
    async def behave(call):
        return milvus_pb2.GetLoadStateResponse(state=number).SerializeToString()

    return behave


def test_load_waits_until_the_collection_is_in_memory(run, docs, fake):
    fake.script("GetLoadState", load_state(2), load_state(2), load_state(2))
    run(ops.load_collection("docs"))
    assert run.slept == [0.05, 0.1, 0.2]
    assert fake.calls_of("LoadCollection")[-1].request.replica_number == 1


def test_load_that_takes_too_long_is_a_clear_error(run, docs, fake):
    fake.always("GetLoadState", load_state(2))
    with pytest.raises(TransportError) as raised:
        run(ops.load_collection("docs", timeout=3))
    assert str(raised.value) == (
        "collection 'docs': expected in memory within 3 s, found state Loading; "
        "wait longer, or check the memory of the server's query nodes"
    )
    assert sum(run.slept) == pytest.approx(3.55)


def test_load_notices_that_the_collection_was_dropped(run, docs, fake):
    fake.script("GetLoadState", load_state(2), load_state(0))
    with pytest.raises(MilvusException, match="collection 'docs' was dropped while it was loaded"):
        run(ops.load_collection("docs"))


def test_load_without_an_index_is_refused_by_the_server(run):
    run(ops.create_collection("docs", SCHEMA))
    assert run(ops.is_loaded("docs")) is False
    with pytest.raises(MilvusException) as raised:
        run(ops.load_collection("docs"))
    assert raised.value.code == 700


def test_load_state_prints_as_users_know_it():
    assert repr({"state": ops.LoadState.Loaded}) == "{'state': <LoadState: Loaded>}"


def test_count_is_strongly_consistent(run, docs, fake):
    assert run(ops.count("docs")) == 2500
    request = fake.calls_of("Query")[0].request
    assert (request.consistency_level, request.use_default_consistency, request.guarantee_timestamp) == (0, False, 0)


def test_count_with_a_filter_counts_rows_stored_twice(run, docs, transport):
    transport.call("Insert", encode_insert(rows(0, 2), SCHEMA, "docs"), timeout=30)
    assert run(ops.count("docs", ops.keys_filter("id", [0, 1, 2, 99999]))) == 5


def test_count_of_a_collection_that_is_not_loaded_is_code_101_on_every_engine(run, docs, fake):
    docs.loaded = False
    with pytest.raises(MilvusException) as raised:
        run(ops.count("docs"))
    assert raised.value.code == 101

    async def as_lite_does(call):
        return milvus_pb2.QueryResults().SerializeToString()

    fake.always("Query", as_lite_does)
    with pytest.raises(MilvusException) as raised:
        run(ops.count("docs"))
    assert raised.value.code == 101


@pytest.mark.parametrize(
    ("level", "fields"),
    [
        (None, (0, True, 0)),
        (ConsistencyLevel.STRONG, (0, False, 0)),
        (ConsistencyLevel.BOUNDED, (2, False, 2)),
        (ConsistencyLevel.EVENTUALLY, (3, False, 1)),
    ],
)
def test_consistency_of_a_query(run, docs, fake, level, fields):
    run(ops.query("docs", limit=1, consistency_level=level))
    request = fake.calls_of("Query")[-1].request
    found = (request.consistency_level, request.use_default_consistency, request.guarantee_timestamp)
    assert found == fields


def test_query_answers_columns(run, docs):
    batch = run(ops.query("docs", "id > 2490", output_fields=["title"], limit=3, offset=1))
    assert batch.to_pylist() == [
        {"id": 2492, "title": None},
        {"id": 2493, "title": "t"},
        {"id": 2494, "title": None},
    ]


def test_query_that_finds_nothing_is_empty(run, docs):
    assert run(ops.query("docs", "id > 9999")).num_rows == 0


def test_get_by_keys_asks_in_portions_and_leaves_out_what_is_missing(run, docs, fake):
    asked = fake.calls_of("Query")
    batch = run(ops.get_by_keys("docs", "id", [*range(2400, 4500), 5], ["dense", "title"]))
    assert len(fake.calls_of("Query")) - len(asked) == 3
    assert batch.column("id").to_pylist() == [*range(2400, 2500), 5]
    assert batch.column("dense").to_pylist()[-1] == [5, 1]


def test_get_of_nothing_is_empty(run, docs):
    assert run(ops.get_by_keys("docs", "id", [])).num_rows == 0
    assert run(ops.get_by_keys("docs", "id", [-1])).num_rows == 0


def test_keys_are_quoted_and_escaped():
    assert ops.keys_filter("id", [1, -2]) == "id in [1, -2]"
    assert ops.keys_filter("k", ['a"b', "c\\d", "e\nf", "é"]) == 'k in ["a\\"b", "c\\\\d", "e\\nf", "é"]'


def test_delete_by_key(run, docs):
    assert run(ops.delete("docs", ops.keys_filter("id", [1, 2]))) == (2, [])
    assert run(ops.count("docs")) == 2498


def test_flush_names_the_collection(run, docs, fake):
    run(ops.flush("docs"))
    assert list(fake.calls_of("Flush")[0].request.collection_names) == ["docs"]


def test_health_and_version(run, fake):
    async def denied(call):
        return milvus_pb2.CheckHealthResponse(isHealthy=False, reasons=["memory"], quota_states=[5]).SerializeToString()

    fake.script("CheckHealth", denied)
    assert run(ops.check_health()) == ops.Health(False, ("memory",), (5,))
    assert run(ops.check_health()) == ops.Health(True)
    assert run(ops.get_server_version()) == "v2.6.2"


def test_transport_errors_pass(run, fake):
    fake.script("DescribeCollection", abort(grpc.StatusCode.PERMISSION_DENIED, "no"))
    with pytest.raises(RpcError) as raised:
        run(ops.describe_collection("docs"))
    assert raised.value.status == "PERMISSION_DENIED"
