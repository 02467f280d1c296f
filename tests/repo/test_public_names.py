"""What `import headrace` offers: exactly these names, and nothing heavy behind them."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import headrace

#: Faces that need an extra, and programs that run when they are imported.
_NOT_IMPORTED = {"headrace.__main__", "headrace._embedded_child", "headrace.ray"}
#: Generated modules, and those that need Airflow.
_FOREIGN = ("headrace._proto", "headrace.airflow.")
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(headrace.__path__, "headrace.")
    if module.name not in _NOT_IMPORTED and not module.name.startswith(_FOREIGN)
)
SLOW_OR_OPTIONAL = {
    "airflow",
    "duckdb",
    "milvus_lite",
    "ml_dtypes",
    "pandas",
    "polars",
    "pymilvus",
    "ray",
    "rich",
    "scipy",
}


def test_the_public_names_are_these():
    assert headrace.__all__ == [
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


def test_whoever_takes_an_endpoint_takes_the_same_words_for_a_server():
    """Written out in each signature, because ``**where: Unpack[...]`` would hide them from ``help()``."""
    functions = [name for name in headrace.__all__ if inspect.isfunction(getattr(headrace, name))]
    taken = {name: inspect.signature(getattr(headrace, name)).parameters for name in (*functions, "Loader")}
    names = ["uri", "token", "user", "password", "db_name", "endpoint"]
    words = {name: [found[it] for it in names if it in found] for name, found in taken.items()}
    assert [it.name for it in words["load"]] == names
    assert [name for name in words if words[name] not in ([], words["load"])] == []


@pytest.mark.parametrize("name", ["headrace", *MODULES])
def test_every_name_of_a_module_exists(name):
    module = importlib.import_module(name)
    missing = [public for public in getattr(module, "__all__", []) if not hasattr(module, public)]
    assert missing == []


@pytest.mark.parametrize("name", ["headrace", *MODULES])
def test_examples_in_docstrings_hold(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_the_import_loads_nothing_slow_or_optional():
    program = f"import sys, headrace; headrace.load; sys.stdout.write(repr({SLOW_OR_OPTIONAL} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout == "set()"
