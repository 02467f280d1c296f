"""What the calls that only clients have send, and what they make of the answers."""

from __future__ import annotations

import base64

import pytest

from headrace import client_calls as calls
from headrace._proto import admin_pb2, common_pb2, milvus_pb2, schema_pb2
from headrace.calls import drive_sync
from headrace.errors import ConfigError, MilvusException, RpcError, TransportError
from headrace.schema import CollectionSchema, DataType, FieldSchema, Function, FunctionType, IndexParam

OK = common_pb2.Status()


class Server:
    """Answers by method, the last one again and again, and keeps what it was asked."""

    def __init__(self, **answers):
        self.answers = {
            method: list(answer) if isinstance(answer, list) else [answer] for method, answer in answers.items()
        }
        self.asked = []
        self.slept = []

    def call(self, method, raw, *, timeout):
        self.asked.append((method, raw, timeout))
        answers = self.answers.get(method)
        if answers is None:
            raise RpcError(method, status="UNIMPLEMENTED", details="Method not found!", method=method)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer.SerializeToString()

    def run(self, operation):
        return drive_sync(self, operation, sleep=self.slept.append)

    def sent(self, message, at=-1):
        return message.FromString(self.asked[at][1])


def pairs(**values):
    return [common_pb2.KeyValuePair(key=key, value=value) for key, value in values.items()]


@pytest.mark.parametrize(
    ("operation", "method", "message"),
    [
        (
            calls.create_database("d", {"database.replica.number": 2}),
            "CreateDatabase",
            admin_pb2.CreateDatabaseRequest(
                db_name="d", properties=[common_pb2.KeyValuePair(key="database.replica.number", value="2")]
            ),
        ),
        (
            calls.alter_database_properties("d", {"a": True}),
            "AlterDatabase",
            admin_pb2.AlterDatabaseRequest(db_name="d", properties=pairs(a="True")),
        ),
        (
            calls.drop_database_properties("d", ["a"]),
            "AlterDatabase",
            admin_pb2.AlterDatabaseRequest(db_name="d", delete_keys=["a"]),
        ),
        (
            calls.rename_collection("a", "b", "d"),
            "RenameCollection",
            admin_pb2.RenameCollectionRequest(oldName="a", newName="b", newDBName="d"),
        ),
        (
            calls.alter_collection_field("c", "t", {"max_length": 9}),
            "AlterCollectionField",
            admin_pb2.AlterCollectionFieldRequest(
                collection_name="c", field_name="t", properties=pairs(max_length="9")
            ),
        ),
        (
            calls.alter_index_properties("c", "i", {"mmap.enabled": True}),
            "AlterIndex",
            admin_pb2.AlterIndexRequest(
                collection_name="c",
                index_name="i",
                extra_params=[common_pb2.KeyValuePair(key="mmap.enabled", value="True")],
            ),
        ),
        (
            calls.drop_index_properties("c", "i", ["mmap.enabled"]),
            "AlterIndex",
            admin_pb2.AlterIndexRequest(collection_name="c", index_name="i", delete_keys=["mmap.enabled"]),
        ),
        (
            calls.grant_privilege_v2("reader", "Search", "*", "d"),
            "OperatePrivilegeV2",
            admin_pb2.OperatePrivilegeV2Request(
                role=admin_pb2.RoleEntity(name="reader"),
                grantor=admin_pb2.GrantorEntity(privilege=admin_pb2.PrivilegeEntity(name="Search")),
                db_name="d",
                collection_name="*",
            ),
        ),
        (
            calls.revoke_privilege_v2("reader", "Search", "books"),
            "OperatePrivilegeV2",
            admin_pb2.OperatePrivilegeV2Request(
                role=admin_pb2.RoleEntity(name="reader"),
                grantor=admin_pb2.GrantorEntity(privilege=admin_pb2.PrivilegeEntity(name="Search")),
                type=1,
                collection_name="books",
            ),
        ),
        (
            calls.drop_role("reader", force_drop=True),
            "DropRole",
            admin_pb2.DropRoleRequest(role_name="reader", force_drop=True),
        ),
        (
            calls.release_partitions("c", "p"),
            "ReleasePartitions",
            admin_pb2.ReleasePartitionsRequest(collection_name="c", partition_names=["p"]),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_sent(operation, method, message):
    server = Server(**{method: OK})
    assert server.run(operation) is None
    assert server.asked[0][0] == method
    assert server.sent(type(message)) == message


def test_passwords_travel_as_base64_and_stand_in_no_error():
    server = Server(CreateCredential=OK)
    server.run(calls.create_user("ann", "first-word"))
    sent = server.sent(admin_pb2.CreateCredentialRequest)
    assert base64.b64decode(sent.password) == b"first-word"
    with pytest.raises(ConfigError, match="new_password: expected a text that is not empty, found one of type bytes"):
        server.run(calls.update_password("ann", "first-word", b"second-word"))


def test_a_collection_is_loaded_in_part_and_refreshed_to_the_end():
    loaded = milvus_pb2.GetLoadStateResponse(state=3)
    half = admin_pb2.GetLoadingProgressResponse(progress=100, refresh_progress=50)
    whole = admin_pb2.GetLoadingProgressResponse(progress=100, refresh_progress=100)
    server = Server(
        LoadCollection=OK,
        GetLoadState=loaded,
        GetVersion=milvus_pb2.GetVersionResponse(version="v2.6.2"),
        GetLoadingProgress=[half, half, whole],
    )
    server.run(calls.load_collection("c", load_fields=["v"], skip_load_dynamic_field=True, replica_number=2))
    sent = server.sent(milvus_pb2.LoadCollectionRequest, 0)
    assert (list(sent.load_fields), sent.skip_load_dynamic_field, sent.replica_number) == (["v"], True, 2)
    assert server.slept == []
    server.run(calls.refresh_load("c"))
    assert len(server.slept) == 2
    with pytest.raises(TransportError, match=r"collection 'c': expected refreshed within 0\.01 s, found 50 % of it"):
        server.answers["GetLoadingProgress"] = [half]
        server.run(calls.refresh_load("c", timeout=0.01))


@pytest.mark.parametrize("answers", [{}, {"GetVersion": milvus_pb2.GetVersionResponse(version="milvus_lite-3.2.2")}])
def test_an_embedded_engine_tells_no_progress_of_a_refresh(answers):
    server = Server(LoadCollection=OK, GetLoadState=milvus_pb2.GetLoadStateResponse(state=3), **answers)
    server.run(calls.refresh_load("c"))
    assert server.slept == []


def test_loading_partitions_waits_for_them():
    states = [milvus_pb2.GetLoadStateResponse(state=state) for state in (2, 3)]
    server = Server(LoadPartitions=OK, GetLoadState=states)
    server.run(calls.load_partitions("c", ["p", "q"]))
    assert list(server.sent(milvus_pb2.GetLoadStateRequest).partition_names) == ["p", "q"]
    assert len(server.slept) == 1


def test_a_collection_that_is_loading_says_how_far_it_is():
    progress = admin_pb2.GetLoadingProgressResponse(progress=40)
    server = Server(GetLoadState=milvus_pb2.GetLoadStateResponse(state=2), GetLoadingProgress=progress)
    found = server.run(calls.get_load_state("c", partition_names=["p"]))
    assert str(found) == "{'state': <LoadState: Loading>, 'progress': 40}"


def test_flush_waits_until_the_rows_are_sealed():
    flushed = milvus_pb2.FlushResponse(coll_segIDs={"c": schema_pb2.LongArray(data=[7, 8])}, coll_flush_ts={"c": 9})
    states = [admin_pb2.GetFlushStateResponse(flushed=value) for value in (False, True)]
    server = Server(Flush=flushed, GetFlushState=states)
    server.run(calls.flush("c"))
    asked = server.sent(admin_pb2.GetFlushStateRequest)
    assert (list(asked.segmentIDs), asked.flush_ts, asked.collection_name) == ([7, 8], 9, "c")
    assert len(server.slept) == 1
    server = Server(Flush=flushed)
    server.run(calls.flush("c"))


def index(state, **facts):
    found = milvus_pb2.IndexDescription(field_name="v", index_name="v", state=state, **facts)
    return milvus_pb2.DescribeIndexResponse(index_descriptions=[found])


def test_an_index_is_waited_for_unless_nobody_wants_that():
    server = Server(CreateIndex=OK, DescribeIndex=[index(2), index(1), index(3)])
    server.run(calls.create_index("c", [IndexParam("v", "HNSW")], sync=False))
    assert [method for method, *_ in server.asked] == ["CreateIndex"]
    server.run(calls.create_index("c", [{"field_name": "v", "metric_type": "L2"}]))
    assert len(server.slept) == 2
    failed = Server(CreateIndex=OK, DescribeIndex=index(4, index_state_fail_reason="no memory"))
    with pytest.raises(MilvusException, match="CreateIndex: the server refused with code 5: no memory"):
        failed.run(calls.create_index("c", [IndexParam("v", "HNSW")]))
    late = Server(CreateIndex=OK, DescribeIndex=index(2))
    with pytest.raises(TransportError, match=r"index of 'v': expected built within 0\.1 s, found state InProgress"):
        late.run(calls.create_index("c", [IndexParam("v", "HNSW")], timeout=0.1))


@pytest.mark.parametrize(
    ("field", "metric"),
    [
        (schema_pb2.FieldSchema(name="v", data_type=100, type_params=pairs(dim="8")), "HAMMING"),
        (schema_pb2.FieldSchema(name="v", data_type=104), "IP"),
        (schema_pb2.FieldSchema(name="v", data_type=104, is_function_output=True), "BM25"),
        (schema_pb2.FieldSchema(name="v", data_type=101, type_params=pairs(dim="8")), None),
    ],
)
def test_an_autoindex_without_a_metric_gets_one_that_its_vectors_have(field, metric):
    key = schema_pb2.FieldSchema(name="id", data_type=5, is_primary_key=True)
    described = milvus_pb2.DescribeCollectionResponse(schema=schema_pb2.CollectionSchema(name="c", fields=[key, field]))
    server = Server(CreateIndex=OK, DescribeCollection=described)
    server.run(calls.create_index("c", [IndexParam("v")], sync=False))
    sent = {item.key: item.value for item in server.sent(milvus_pb2.CreateIndexRequest).extra_params}
    assert sent.get("metric_type") == metric


def test_a_scalar_autoindex_with_a_metric_is_asked_for_without_it():
    schema = schema_pb2.CollectionSchema(
        name="c", fields=[schema_pb2.FieldSchema(name="id", data_type=5, is_primary_key=True)]
    )
    server = Server(
        CreateIndex=[common_pb2.Status(code=1100, reason="metric type not supported"), OK],
        DescribeCollection=milvus_pb2.DescribeCollectionResponse(schema=schema),
    )
    server.run(calls.create_index("c", [IndexParam("id", "AUTOINDEX", "IP")], sync=False))
    sent = server.sent(milvus_pb2.CreateIndexRequest)
    assert {item.key: item.value for item in sent.extra_params} == {"index_type": "AUTOINDEX"}


def test_a_database_is_found_where_servers_cannot_describe_it():
    listed = admin_pb2.ListDatabasesResponse(db_names=["default", "d"])
    server = Server(ListDatabases=listed)
    assert server.run(calls.describe_database("d")) == {"name": "d"}
    with pytest.raises(MilvusException, match="database=e") as raised:
        server.run(calls.describe_database("e"))
    assert raised.value.code == 800


def test_a_field_is_added_as_the_wire_has_it():
    server = Server(AddCollectionField=OK)
    server.run(calls.add_collection_field("c", "t", DataType.VARCHAR, "a text", max_length=9, nullable=True))
    sent = schema_pb2.FieldSchema.FromString(server.sent(admin_pb2.AddCollectionFieldRequest).schema)
    assert (sent.name, sent.data_type, sent.description, sent.nullable) == ("t", 21, "a text", True)


def test_functions_and_type_parameters_reach_the_server():
    schema = CollectionSchema(
        [
            FieldSchema("id", DataType.INT64, is_primary=True, mmap_enabled=True),
            FieldSchema(
                "text", DataType.VARCHAR, max_length=9, enable_analyzer=True, analyzer_params={"type": "english"}
            ),
            FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR),
        ],
        functions=[Function("bm25", FunctionType.BM25, "text", "sparse", params={"k": 1})],
    )
    server = Server(CreateCollection=OK)
    server.run(calls.create_collection("c", schema=schema))
    sent = schema_pb2.CollectionSchema.FromString(server.sent(milvus_pb2.CreateCollectionRequest).schema)
    assert [{item.key: item.value for item in field.type_params} for field in sent.fields] == [
        {"mmap.enabled": "true"},
        {"max_length": "9", "enable_analyzer": "true", "analyzer_params": '{"type": "english"}'},
        {},
    ]
    (function,) = sent.functions
    assert (function.name, function.type, list(function.output_field_names)) == ("bm25", 1, ["sparse"])
    assert [field.is_function_output for field in sent.fields] == [False, False, True]


def test_a_description_of_a_newer_server_is_shown_whole():
    part = schema_pb2.FieldSchema(
        name="v", data_type=106, element_type=101, type_params=pairs(dim="4", max_capacity="3")
    )
    schema = schema_pb2.CollectionSchema(
        name="c",
        fields=[
            schema_pb2.FieldSchema(
                name="id",
                data_type=5,
                is_primary_key=True,
                autoID=True,
                default_value=schema_pb2.ValueField(long_data=7),
                type_params=[common_pb2.KeyValuePair(key="mmap.enabled", value="True")],
            ),
            schema_pb2.FieldSchema(name="molecule", data_type=27),
        ],
        functions=[schema_pb2.FunctionSchema(name="f", type=9, output_field_names=["molecule"])],
        struct_array_fields=[schema_pb2.StructArrayFieldSchema(name="parts", fields=[part], nullable=True)],
    )
    answer = milvus_pb2.DescribeCollectionResponse(schema=schema, consistency_level=2, created_timestamp=5)
    found = Server(DescribeCollection=answer).run(calls.describe_collection("c"))
    assert found["auto_id"] is True
    assert (found["consistency_level_name"], found["created_timestamp"]) == ("Bounded", 5)
    key, molecule, struct = found["fields"]
    assert (key["default_value"], key["params"]) == (7, {"mmap_enabled": True})
    assert (molecule["type"], molecule["is_function_output"]) == (DataType.UNKNOWN, True)
    assert (struct["name"], struct["type"], struct["nullable"]) == ("parts", DataType.ARRAY, True)
    assert struct["params"] == {"max_capacity": 3}
    assert struct["struct_fields"][0]["type"] == DataType.FLOAT_VECTOR
    assert found["functions"][0]["type"] == 9


def test_compaction_takes_a_size_in_any_unit():
    server = Server(
        ManualCompaction=admin_pb2.ManualCompactionResponse(compactionID=6),
        GetCompactionState=[admin_pb2.GetCompactionStateResponse(state=state) for state in (1, 2, 7)],
    )
    assert server.run(calls.compact("c", is_clustering=True, target_size=2, target_size_unit="GB")) == 6
    assert server.sent(admin_pb2.ManualCompactionRequest).target_size == 2048
    assert [server.run(calls.get_compaction_state(6)) for _ in range(3)] == ["Executing", "Completed", "7"]


def test_the_deadline_of_a_call_is_the_callers():
    server = Server(CreateAlias=OK)
    server.run(calls.create_alias("c", "a", timeout=3))
    server.run(calls.create_alias("c", "a"))
    assert [timeout for *_, timeout in server.asked] == [3, 60]
