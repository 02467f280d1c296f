from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from headrace import collection_messages, protocol
from headrace._proto import common_pb2, milvus_pb2, schema_pb2
from headrace.errors import MilvusException, SchemaError, TransportError
from headrace.schema import CollectionSchema, ConsistencyLevel, DataType, FieldSchema

EVERY_FIELD = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, "the key", is_primary=True),
        FieldSchema("flag", DataType.BOOL, default_value=True),
        FieldSchema("small", DataType.INT8, nullable=True),
        FieldSchema("medium", DataType.INT16, default_value=-3),
        FieldSchema("plain", DataType.INT32),
        FieldSchema("single", DataType.FLOAT, default_value=0.5),
        FieldSchema("real", DataType.DOUBLE, default_value=1e300),
        FieldSchema("text", DataType.VARCHAR, max_length=200, default_value="é", is_partition_key=True),
        FieldSchema("words", DataType.VARCHAR, max_length=9, type_params={"enable_analyzer": "true"}),
        FieldSchema("doc", DataType.JSON, nullable=True),
        FieldSchema("list", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=7, max_length=5),
        FieldSchema("dense", DataType.FLOAT_VECTOR, dim=384),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR, is_function_output=True),
        FieldSchema("half", DataType.FLOAT16_VECTOR, dim=4, nullable=True),
        FieldSchema("brain", DataType.BFLOAT16_VECTOR, dim=4),
        FieldSchema("int8", DataType.INT8_VECTOR, dim=4),
        FieldSchema("bits", DataType.BINARY_VECTOR, dim=16),
        FieldSchema("place", DataType.GEOMETRY, nullable=True),
        FieldSchema("essay", DataType.TEXT, default_value="é"),
        FieldSchema("at", DataType.TIMESTAMPTZ, default_value="2025-05-01T00:00:00Z"),
    ],
    "what it is for",
    enable_dynamic_field=True,
    properties={"headrace.id": "x"},
)


def test_schema_survives_the_way_to_the_server_and_back():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    assert message.name == "docs"
    assert (
        collection_messages.schema_from_proto(schema_pb2.CollectionSchema.FromString(message.SerializeToString()))
        == EVERY_FIELD
    )


def test_type_params_are_texts():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    params = {pair.key: pair.value for pair in message.fields[10].type_params}
    assert params == {"max_length": "5", "max_capacity": "7"}


def test_sparse_field_has_no_dim_even_where_the_server_lists_one():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    message.fields[12].type_params.add(key="dim", value="0")
    assert collection_messages.schema_from_proto(message)["sparse"].dim is None


def test_dynamic_field_listed_by_a_server_is_not_a_field():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    message.enable_dynamic_field = False
    message.fields.add(name="$meta", data_type=DataType.JSON, is_dynamic=True)
    schema = collection_messages.schema_from_proto(message)
    assert schema.enable_dynamic_field
    assert "$meta" not in schema


def test_auto_id_is_read_from_the_deprecated_place_for_the_key_only():
    message = schema_pb2.CollectionSchema(name="c", autoID=True)
    message.fields.add(name="id", data_type=DataType.INT64, is_primary_key=True)
    message.fields.add(name="n", data_type=DataType.INT64)
    schema = collection_messages.schema_from_proto(message)
    assert schema["id"].auto_id
    assert not schema["n"].auto_id


def test_type_of_a_newer_server_is_unknown_and_does_not_break_the_description():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    message.fields.add(name="molecule", data_type=27)
    assert collection_messages.schema_from_proto(message)["molecule"].dtype is DataType.UNKNOWN


def test_struct_array_fields_are_refused_by_name():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    message.struct_array_fields.add(name="clips")
    with pytest.raises(SchemaError) as raised:
        collection_messages.schema_from_proto(message)
    assert str(raised.value) == (
        "collection 'docs': expected no struct array fields, found 'clips'; load into a collection without them"
    )


@pytest.mark.parametrize(
    ("field", "found"),
    [
        (FieldSchema("n", DataType.INT32, default_value="many"), "'many'"),
        (FieldSchema("n", DataType.INT64, default_value=2**70), str(2**70)),
    ],
)
def test_default_value_that_does_not_fit_is_refused(field, found):
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), field])
    with pytest.raises(SchemaError) as raised:
        collection_messages.schema_to_proto(schema, "c")
    assert str(raised.value) == (
        f"field 'n': expected a default value of type {field.dtype.name}, found {found}; give one that fits"
    )


def test_default_value_that_has_no_place_on_the_wire_is_refused():
    field = FieldSchema("g", DataType.GEOMETRY, default_value="POINT (0 0)")
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), field])
    with pytest.raises(SchemaError, match="field 'g': expected no default value, found one on type GEOMETRY"):
        collection_messages.schema_to_proto(schema, "c")


def test_json_default_travels_as_its_document():
    field = FieldSchema("doc", DataType.JSON, default_value={"a": 1})
    schema = CollectionSchema([FieldSchema("id", DataType.INT64, is_primary=True), field])
    message = collection_messages.schema_to_proto(schema, "c")
    assert json.loads(message.fields[1].default_value.bytes_data) == {"a": 1}


def test_the_instant_that_a_server_keeps_as_a_default_is_text_again():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    message.fields[-1].default_value.timestamptz_data = 1_746_057_600_000_000
    assert collection_messages.schema_from_proto(message) == EVERY_FIELD


def test_parameters_that_do_not_belong_to_the_type_are_dropped():
    message = collection_messages.schema_to_proto(EVERY_FIELD, "docs")
    for field in message.fields:
        for key in {"dim", "max_length", "max_capacity"} - {pair.key for pair in field.type_params}:
            field.type_params.add(key=key, value="8")
    assert collection_messages.schema_from_proto(message) == EVERY_FIELD


def test_description_becomes_collection_info():
    answer = milvus_pb2.DescribeCollectionResponse(
        schema=collection_messages.schema_to_proto(EVERY_FIELD, "docs"),
        collectionID=44,
        created_timestamp=5 << 18,
        update_timestamp=6 << 18,
        shards_num=2,
        num_partitions=16,
        consistency_level=3,
        collection_name="docs",
        aliases=["d", "current"],
        properties=[common_pb2.KeyValuePair(key="ttl", value="3")],
    )
    assert collection_messages.collection_info(answer) == collection_messages.CollectionInfo(
        name="docs",
        schema=EVERY_FIELD,
        collection_id=44,
        created_timestamp=5 << 18,
        update_timestamp=6 << 18,
        num_partitions=16,
        shards_num=2,
        consistency_level=ConsistencyLevel.EVENTUALLY,
        properties={"ttl": "3"},
        aliases=("d", "current"),
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (common_pb2.Status(), None),
        (common_pb2.Status(code=8, error_code=49), 8),
        (common_pb2.Status(error_code=49), 49),
        (common_pb2.Status(code=100), 100),
    ],
)
def test_success_is_both_codes_zero(status, code):
    error = protocol.status_error(status, "Insert")
    assert (error and error.code) == code
    assert protocol.reply_status(status).ok == (code is None)
    assert protocol.reply_status(status).effective_code == (code or 0)


def test_refusal_names_method_code_and_reason():
    error = protocol.status_error(common_pb2.Status(code=8, reason="rate limit exceeded[rate=1]"), "Insert")
    assert isinstance(error, MilvusException)
    assert str(error) == "Insert: the server refused with code 8: rate limit exceeded[rate=1]"
    assert error.message == "rate limit exceeded[rate=1]"


@pytest.mark.parametrize(
    ("status", "missing"),
    [
        (common_pb2.Status(code=100, error_code=4), True),
        (common_pb2.Status(code=100, error_code=1, reason="can't find collection"), True),
        (common_pb2.Status(error_code=4), True),
        (common_pb2.Status(error_code=1, reason="can't find collection: x"), True),
        (common_pb2.Status(error_code=1, reason="broken"), False),
        (common_pb2.Status(code=800), False),
        (common_pb2.Status(), False),
    ],
)
def test_missing_collection_in_the_words_of_every_server(status, missing):
    assert protocol.is_missing_collection(status) is missing


def test_mutation_reply_reads_counts_keys_and_status():
    raw = milvus_pb2.MutationResult(
        status=common_pb2.Status(code=0, extra_info={"is_input_error": "true"}),
        IDs=schema_pb2.IDs(int_id=schema_pb2.LongArray(data=[7, 8])),
        succ_index=[0, 1],
        insert_cnt=2,
        upsert_cnt=1,
        delete_cnt=3,
        timestamp=9,
    ).SerializeToString()
    reply = protocol.mutation_reply(raw, "Insert")
    assert reply.status.ok
    assert reply.status.is_input_error
    assert reply.ids == [7, 8]
    assert (reply.succeeded, reply.failed) == (2, 0)
    assert (reply.insert_count, reply.upsert_count, reply.delete_count, reply.timestamp) == (2, 1, 3, 9)


def test_text_keys_are_texts():
    raw = milvus_pb2.MutationResult(IDs=schema_pb2.IDs(str_id=schema_pb2.StringArray(data=["a"]))).SerializeToString()
    assert protocol.mutation_reply(raw, "Insert").ids == ["a"]


def test_junk_instead_of_an_answer_is_a_transport_error():
    with pytest.raises(TransportError) as raised:
        protocol.mutation_reply(b"<html>", "Insert")
    assert str(raised.value) == (
        "Insert: expected a MutationResult, found 6 bytes that are none; check what answers there"
    )


@pytest.mark.parametrize("order", ["pymilvus, headrace.protocol", "headrace.protocol, pymilvus"])
def test_headrace_and_pymilvus_share_a_process(order):
    """Both register their descriptors in protobuf's one pool, which refuses a name or file that stands twice."""
    code = f"""
import {order}
from pymilvus.grpc_gen import milvus_pb2 as theirs
from headrace._proto import milvus_pb2 as ours
raw = ours.InsertRequest(collection_name="c", num_rows=3).SerializeToString()
assert theirs.InsertRequest.FromString(raw).num_rows == 3
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_every_message_has_the_field_numbers_and_types_of_the_official_ones():
    """Differential: pymilvus carries the official descriptors (a test dependency only)."""
    code = """
from google.protobuf.descriptor import FieldDescriptor as F
from pymilvus.grpc_gen import common_pb2, milvus_pb2, schema_pb2
from headrace._proto import admin_pb2 as a, common_pb2 as c, milvus_pb2 as m, schema_pb2 as s
# One message of ours where several official ones are equal.
names = {
    "AliasRequest": "CreateAliasRequest",
    "NamedAliasRequest": "DropAliasRequest",
    "PartitionRequest": "CreatePartitionRequest",
    "StatisticsResponse": "GetCollectionStatisticsResponse",
}
def check(ours, theirs):
    for field in ours.fields:
        official = theirs.fields_by_number.get(field.number)
        if official is None:
            # Servers newer than the newest pymilvus put validity there.
            assert (ours.name, field.name) in {("ScalarField", "valid_data"), ("VectorField", "valid_data")}
            continue
        assert official.name == field.name, (ours.full_name, field.name, official.name)
        kinds = {F.TYPE_ENUM: F.TYPE_INT32}
        assert kinds.get(official.type, official.type) == field.type, (ours.full_name, field.name)
        repeated = lambda one: one.is_repeated if hasattr(one, "is_repeated") else one.label == F.LABEL_REPEATED
        assert repeated(official) == repeated(field), (ours.full_name, field.name)
        # A oneof of which headrace uses one member is a plain field, with the same bytes.
        assert official.containing_oneof or not field.containing_oneof, (ours.full_name, field.name)
count = 0
for ours, theirs in ((a, milvus_pb2), (c, common_pb2), (m, milvus_pb2), (s, schema_pb2)):
    for name, message in ours.DESCRIPTOR.message_types_by_name.items():
        check(message, theirs.DESCRIPTOR.message_types_by_name[names.get(name, name)])
        count += 1
assert count == %d, count
"""
    protos = Path(__file__).parents[2] / "protos"
    declared = sum(path.read_text().count("\nmessage ") for path in protos.rglob("*.proto"))
    subprocess.run([sys.executable, "-W", "ignore", "-c", code.replace("%d", str(declared))], check=True)
