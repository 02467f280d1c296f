"""The binding packs the golden bytes, and they are the messages that their values say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from headrace import _core
from headrace._proto import milvus_pb2, schema_pb2
from headrace.packing import make_packer, pack_field
from headrace.schema import CollectionSchema, DataType, FieldSchema
from tests.arrow_versions import arrow_array
from tests.golden.cases import FIELDS, REQUESTS

GOLDEN = Path(__file__).parent.parent / "golden"

SCALARS = {
    DataType.BOOL: pa.bool_(),
    DataType.INT8: pa.int8(),
    DataType.INT16: pa.int16(),
    DataType.INT32: pa.int32(),
    DataType.INT64: pa.int64(),
    DataType.FLOAT: pa.float32(),
    DataType.DOUBLE: pa.float64(),
    DataType.VARCHAR: pa.string(),
    DataType.JSON: pa.string(),
    DataType.GEOMETRY: pa.string(),
    DataType.TEXT: pa.string(),
    DataType.TIMESTAMPTZ: pa.string(),
}
ELEMENTS = {
    DataType.FLOAT_VECTOR: pa.float32(),
    DataType.FLOAT16_VECTOR: pa.float16(),
    DataType.INT8_VECTOR: pa.int8(),
}


def read(prefix: str) -> list[Any]:
    files = sorted(GOLDEN.glob(f"{prefix}_*.json"))
    return [pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem) for path in files]


def arrow_type(field: dict[str, Any]) -> pa.DataType:
    dtype = DataType(field["data_type"])
    if dtype is DataType.ARRAY:
        return pa.list_(SCALARS[DataType(field["element_type"])])
    if dtype in ELEMENTS:
        return pa.list_(ELEMENTS[dtype], field["dim"])
    if dtype is DataType.BFLOAT16_VECTOR:
        return pa.binary(2 * field["dim"])
    if dtype is DataType.BINARY_VECTOR:
        return pa.binary(field["dim"] // 8)
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        return pa.map_(pa.uint32(), pa.float32())
    return SCALARS[dtype]


def cell(dtype: int, value: list[Any] | None) -> Any:
    if value is None:
        return None
    if dtype == DataType.SPARSE_FLOAT_VECTOR:
        return [tuple(pair) for pair in value]
    if dtype == DataType.BFLOAT16_VECTOR:
        return np.array(value, "<f4").view("<u2")[1::2].tobytes()
    return bytes(value) if dtype == DataType.BINARY_VECTOR else value


def column(field: dict[str, Any], values: list[Any]) -> pa.Array:
    return arrow_array([cell(field["data_type"], value) for value in values], arrow_type(field))


@pytest.mark.parametrize("file", read("field"))
def test_packs_the_golden_bytes_of_a_field(file):
    field = _core.Field(**file["field"])
    assert _core.pack_field(field, column(file["field"], file["values"])).hex() == file["hex"]


@pytest.mark.parametrize("file", read("field"))
def test_packs_the_golden_bytes_from_the_middle_of_a_longer_column(file):
    values = file["values"]
    longer = column(file["field"], [*values[1:], *values, *values[:1]])
    field = _core.Field(**file["field"])
    assert _core.pack_field(field, longer.slice(len(values) - 1, len(values))).hex() == file["hex"]


@pytest.mark.parametrize("file", read("field"))
def test_the_golden_bytes_are_a_field_data_of_this_name_and_type(file):
    message = schema_pb2.FieldData.FromString(bytes.fromhex(file["hex"]))
    assert (message.field_name, message.type) == (file["field"]["name"], file["field"]["data_type"])
    assert message.SerializeToString(deterministic=True).hex() == file["hex"]
    if file["field"].get("nullable"):
        assert list(message.valid_data) == [value is not None for value in file["values"]]


@pytest.mark.parametrize("file", read("request"))
def test_packs_the_golden_bytes_of_a_request(file):
    options = dict(file["request"])
    extra = {key: options.pop(key) for key in ("schema_timestamp", "partial_update") if key in options}
    columns = {field["name"]: column(field, file["columns"][field["name"]]) for field in file["fields"]}
    by_fields = _core.Packer([_core.Field(**field) for field in file["fields"]], **options)
    by_schema = make_packer(schema_of(file), **options, columns=list(columns))
    is_insert = file["provenance"]["message"].endswith("InsertRequest")
    for packer in (by_fields, by_schema):
        pack = packer.pack_insert if is_insert else packer.pack_upsert
        packed = pack(pa.record_batch(columns), **extra)
        assert packed.hex() == file["hex"]
    message = (milvus_pb2.InsertRequest if is_insert else milvus_pb2.UpsertRequest).FromString(packed)
    assert message.num_rows == 2


def schema_of(file: dict[str, Any]) -> CollectionSchema:
    facts = dict(file["schema"])
    return CollectionSchema([FieldSchema(**field) for field in facts.pop("fields")], **facts)


@pytest.mark.parametrize("file", read("field"))
def test_a_field_of_a_schema_packs_its_golden_bytes(file, request):
    name = request.node.callspec.id.removeprefix("field_")
    assert pack_field(FIELDS[name][0], column(file["field"], file["values"])).hex() == file["hex"]


def test_the_files_are_those_that_the_generator_writes():
    cases = {f"field_{name}" for name in FIELDS} | {f"request_{name}" for name in REQUESTS}
    assert {path.stem for path in GOLDEN.glob("*.json")} == cases


def test_every_type_that_a_client_may_send_has_golden_bytes():
    unsent = {DataType.NONE, DataType.STRING, DataType.UNKNOWN}
    assert {field.dtype for field, _ in FIELDS.values()} == set(DataType) - unsent
