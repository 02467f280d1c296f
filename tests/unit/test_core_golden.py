"""The binding packs the golden bytes, and they are the messages that their values say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from headrace import _core
from headrace._proto import milvus_pb2, schema_pb2
from headrace.schema import DataType

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
}


def read(prefix: str) -> list[Any]:
    files = sorted(GOLDEN.glob(f"{prefix}_*.json"))
    return [pytest.param(json.loads(path.read_text(encoding="utf-8")), id=path.stem) for path in files]


def arrow_type(field: dict[str, Any]) -> pa.DataType:
    dtype = DataType(field["data_type"])
    if dtype is DataType.ARRAY:
        return pa.list_(SCALARS[DataType(field["element_type"])])
    if dtype is DataType.FLOAT_VECTOR:
        return pa.list_(pa.float32(), field["dim"])
    if dtype is DataType.SPARSE_FLOAT_VECTOR:
        return pa.map_(pa.uint32(), pa.float32())
    return SCALARS[dtype]


def column(field: dict[str, Any], values: list[Any]) -> pa.Array:
    if field["data_type"] == DataType.SPARSE_FLOAT_VECTOR:
        values = [[tuple(pair) for pair in row] for row in values]
    return pa.array(values, arrow_type(field))


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
    packer = _core.Packer([_core.Field(**field) for field in file["fields"]], **options)
    columns = {field["name"]: column(field, file["columns"][field["name"]]) for field in file["fields"]}
    is_insert = file["provenance"]["message"].endswith("InsertRequest")
    pack = packer.pack_insert if is_insert else packer.pack_upsert
    packed = pack(pa.record_batch(columns), **extra)
    assert packed.hex() == file["hex"]
    message = (milvus_pb2.InsertRequest if is_insert else milvus_pb2.UpsertRequest).FromString(packed)
    assert message.num_rows == 2
