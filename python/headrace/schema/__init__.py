"""Milvus's schema, in Milvus's words: data types, fields, collections, functions, indexes.

Pure values: the protocol is in :mod:`headrace.protocol`, the way from Arrow types in :mod:`headrace.inference`.
Numbers are those of ``schema.proto`` of milvus-proto (2.6 and later; older servers know a subset).
"""

from __future__ import annotations

from headrace.schema.collection import CollectionSchema
from headrace.schema.field import ELEMENT_TYPES, FieldSchema
from headrace.schema.functions import Function, FunctionScore, FunctionType
from headrace.schema.highlighters import LexicalHighlighter, SemanticHighlighter
from headrace.schema.indexes import IndexParam, IndexParams
from headrace.schema.types import (
    DYNAMIC_FIELD_NAME,
    MAX_ARRAY_CAPACITY,
    MAX_JSON_BYTES,
    MAX_VARCHAR_BYTES,
    ConsistencyLevel,
    DataType,
    check_name,
)

__all__ = [
    "DYNAMIC_FIELD_NAME",
    "ELEMENT_TYPES",
    "MAX_ARRAY_CAPACITY",
    "MAX_JSON_BYTES",
    "MAX_VARCHAR_BYTES",
    "CollectionSchema",
    "ConsistencyLevel",
    "DataType",
    "FieldSchema",
    "Function",
    "FunctionScore",
    "FunctionType",
    "IndexParam",
    "IndexParams",
    "LexicalHighlighter",
    "SemanticHighlighter",
    "check_name",
]
