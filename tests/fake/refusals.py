"""What Milvus 2.6 refuses in a write before it stores anything (``internal/proxy``, release 2.6)."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pyarrow.compute as pc

from headrace.schema import DYNAMIC_FIELD_NAME, DataType

__all__ = ["Refused", "check_batch", "check_columns"]

_MOST_JSON = 65536
_BOUNDS = {DataType.INT8: 1 << 7, DataType.INT16: 1 << 15}


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A Status other than success."""

    def __init__(self, code, reason, *, legacy=1):
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.legacy = legacy


def invalid(reason):
    return Refused(1100, f"{reason}: invalid parameter", legacy=5)


def check_columns(request, schema):
    """Refuse a request whose columns are not those of the collection."""
    if request.num_rows == 0:
        raise invalid("num_rows should be greater than 0")
    names = [item.field_name for item in request.fields_data]
    wanted = {item.name: item for item in schema.sent_fields}
    for name, item in wanted.items():
        if name not in names and not (item.is_dynamic or item.nullable or item.default_value is not None):
            raise invalid(f"fieldSchema({name}) has no corresponding fieldData pass in")
    if set(names) - set(wanted) or len(names) != len(set(names)):
        raise invalid("more fieldData has pass in")
    for item in request.fields_data:
        field = wanted[item.field_name]
        if field.dim is not None and item.vectors.dim != field.dim:
            reason = f"the dim ({item.vectors.dim}) of field data({item.field_name}) is not equal to schema dim"
            raise invalid(f"{reason} ({field.dim})")
        length = len(item.vectors.float_vector.data)
        if field.dtype is DataType.FLOAT_VECTOR and length % item.vectors.dim:
            raise Refused(65535, f"the length({length}) of float data should divide the dim({item.vectors.dim})")
        if field.dtype in _BOUNDS:
            bound = _BOUNDS[field.dtype]
            for row, value in enumerate(item.scalars.int_data.data):
                if not -bound <= value < bound:
                    raise invalid(f"the {row}th element ({value}) out of range: [{-bound}, {bound - 1}]")


def check_batch(batch, schema, *, upsert):
    """Refuse rows with a cell that no collection of this schema takes."""
    for field in schema.sent_fields:
        if field.name in batch.schema.names:
            _CHECKS.get(field.dtype, lambda column, field: None)(batch.column(field.name), field)
    if DYNAMIC_FIELD_NAME in batch.schema.names:
        _dynamic(batch.column(DYNAMIC_FIELD_NAME), schema)
    key = schema.primary_key.name
    if key not in batch.schema.names:
        return
    keys = batch.column(key)
    if keys.null_count:
        raise invalid("primary field not support null")
    if upsert and len(keys.unique()) < len(keys):
        raise invalid("duplicate primary keys are not allowed in the same batch")


def _text(column, field):
    lengths = pc.binary_length(column)
    if (pc.max(lengths).as_py() or 0) > (field.max_length or math.inf):
        row = pc.index(pc.greater(lengths, field.max_length), value=True).as_py()
        reason = f"length of varchar field {field.name} exceeds max length, row number: {row}"
        raise invalid(f"{reason}, length: {lengths[row]}, max length: {field.max_length}")


def _floats(column, field):
    values = column.flatten().to_numpy(zero_copy_only=False)
    bad = values[~np.isfinite(values)]
    if len(bad):
        raise Refused(65535, f"value '{bad[0]}' is not a number or infinity")


def _float(column, field):
    values = column.drop_null().to_numpy(zero_copy_only=False)
    if not np.isfinite(values).all():
        raise Refused(65535, "value 'NaN' is not a number or infinity")


def _sparse(column, field):
    for row in column.drop_null().to_pylist():
        indices = [pair["index"] for pair in row]
        if any(after <= before for before, after in itertools.pairwise(indices)):
            raise invalid("unsorted or same indices in sparse float vector")
        if any(not pair["value"] >= 0 for pair in row):
            raise invalid("negative value in sparse float vector")


def _array(column, field):
    longest = pc.max(pc.list_value_length(column)).as_py() or 0
    if longest > field.max_capacity:
        raise invalid(f"the length ({longest}) of array exceeds max capacity ({field.max_capacity})")


def _json(column, field):
    for document in column.drop_null().to_pylist():
        raw = document.encode() if isinstance(document, str) else document
        if len(raw) > _MOST_JSON:
            raise invalid(f"the length ({len(raw)}) of json field ({field.name}) exceeds max length ({_MOST_JSON})")
        try:
            json.loads(raw)
        except ValueError as error:
            raise invalid(f"json: {error}: invalid character") from error


def _dynamic(column, schema):
    declared = {field.name for field in schema}
    for document in column.drop_null().to_pylist():
        found = json.loads(document)
        if not isinstance(found, dict) or DYNAMIC_FIELD_NAME in found:
            raise Refused(65535, "dynamic field is not a JSON object, or has the key $meta")
        if declared & set(found):
            raise invalid(f"dynamic field name cannot include the static field name: {declared & set(found)}")


_CHECKS = {
    DataType.VARCHAR: _text,
    DataType.FLOAT_VECTOR: _floats,
    DataType.FLOAT: _float,
    DataType.DOUBLE: _float,
    DataType.SPARSE_FLOAT_VECTOR: _sparse,
    DataType.ARRAY: _array,
    DataType.JSON: _json,
}
