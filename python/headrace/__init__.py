"""headrace: the bulk loader for Milvus.

>>> import headrace
>>> headrace.LoadOptions().mode
'auto'
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace import packing
    from headrace.client import AsyncMilvusClient, MilvusClient
    from headrace.config import Endpoint, LoadOptions
    from headrace.dumping import DumpReport, dump
    from headrace.errors import (
        CellError,
        ConfigError,
        ConnectError,
        EmbeddedError,
        HeadraceError,
        InputError,
        InternalError,
        JournalError,
        LoadError,
        MilvusException,
        MismatchError,
        MissingExtraError,
        RowsRejectedError,
        RowsUnsentError,
        RpcError,
        SchemaError,
        SourceError,
        StoppedError,
        TransportError,
        VerificationError,
    )
    from headrace.finishing import FinishReport, finish
    from headrace.loader import Loader, aload, load
    from headrace.merging import MergedReport, merge_reports
    from headrace.operations import AnnSearchRequest, RRFRanker, WeightedRanker
    from headrace.plans import Plan, PlanPart, plan
    from headrace.preparing import Preparation, prepare
    from headrace.recounting import Recount, verify_journal
    from headrace.report import LoadReport, Progress
    from headrace.schema import (
        CollectionSchema,
        DataType,
        FieldSchema,
        Function,
        FunctionScore,
        FunctionType,
        LexicalHighlighter,
        SemanticHighlighter,
    )
    from headrace.verifying import Verification, verify

__version__ = "0.1.0"

#: Where each public name lives. Names are imported when they are first used, so that ``import headrace`` and the
#: command line start fast.
_HOMES = {
    "client": ("AsyncMilvusClient", "MilvusClient"),
    "config": ("Endpoint", "LoadOptions"),
    "dumping": ("DumpReport", "dump"),
    "operations": ("AnnSearchRequest", "RRFRanker", "WeightedRanker"),
    "errors": (
        "CellError",
        "ConfigError",
        "ConnectError",
        "EmbeddedError",
        "HeadraceError",
        "InputError",
        "InternalError",
        "JournalError",
        "LoadError",
        "MilvusException",
        "MismatchError",
        "MissingExtraError",
        "RowsRejectedError",
        "RowsUnsentError",
        "RpcError",
        "SchemaError",
        "SourceError",
        "StoppedError",
        "TransportError",
        "VerificationError",
    ),
    "finishing": ("FinishReport", "finish"),
    "loader": ("Loader", "aload", "load"),
    "merging": ("MergedReport", "merge_reports"),
    "plans": ("Plan", "PlanPart", "plan"),
    "preparing": ("Preparation", "prepare"),
    "recounting": ("Recount", "verify_journal"),
    "report": ("LoadReport", "Progress"),
    "schema": (
        "CollectionSchema",
        "DataType",
        "FieldSchema",
        "Function",
        "FunctionScore",
        "FunctionType",
        "LexicalHighlighter",
        "SemanticHighlighter",
    ),
    "verifying": ("Verification", "verify"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AnnSearchRequest",
    "AsyncMilvusClient",
    "CellError",
    "CollectionSchema",
    "ConfigError",
    "ConnectError",
    "DataType",
    "DumpReport",
    "EmbeddedError",
    "Endpoint",
    "FieldSchema",
    "FinishReport",
    "Function",
    "FunctionScore",
    "FunctionType",
    "HeadraceError",
    "InputError",
    "InternalError",
    "JournalError",
    "LexicalHighlighter",
    "LoadError",
    "LoadOptions",
    "LoadReport",
    "Loader",
    "MergedReport",
    "MilvusClient",
    "MilvusException",
    "MismatchError",
    "MissingExtraError",
    "Plan",
    "PlanPart",
    "Preparation",
    "Progress",
    "RRFRanker",
    "Recount",
    "RowsRejectedError",
    "RowsUnsentError",
    "RpcError",
    "SchemaError",
    "SemanticHighlighter",
    "SourceError",
    "StoppedError",
    "TransportError",
    "Verification",
    "VerificationError",
    "WeightedRanker",
    "aload",
    "dump",
    "finish",
    "load",
    "merge_reports",
    "packing",
    "plan",
    "prepare",
    "verify",
    "verify_journal",
]


def __getattr__(name: str) -> Any:
    if name == "packing":
        return importlib.import_module("headrace.packing")
    if name in _HOME_OF:
        value = getattr(importlib.import_module(f"headrace.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'headrace' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
