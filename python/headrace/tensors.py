"""Tensors of PyTorch as columns, where numpy alone would refuse them; told by their module, which is never imported.

A gradient that a tensor keeps is nothing that is loaded; bfloat16, which numpy does not have, is a column of its own.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.errors import SchemaError, explain
from headrace.ndarrays import from_bfloat16, from_numpy

__all__ = ["from_tensor", "is_tensor", "without_gradient"]


def is_tensor(value: object) -> bool:
    """Whether it is a tensor of PyTorch."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def without_gradient(value: Any) -> Any:
    """The tensor's values alone, on the same memory; anything else as it is."""
    return value.detach() if is_tensor(value) else value


def from_tensor(value: Any, name: str) -> pa.Array:
    """A column of a tensor of shape (n,) or (n, d), on the same memory where numpy's would be.

    Raises:
        SchemaError: If it is not on the CPU, not dense, or of a type or shape that no column has.
    """
    torch: Any = sys.modules["torch"]
    plain = without_gradient(value)
    try:
        if plain.dtype is torch.bfloat16:
            return from_bfloat16(plain.contiguous().view(torch.int16).numpy().view(np.uint16), name)
        array = plain.numpy()
    except (RuntimeError, TypeError) as error:
        expected, found = "a dense tensor on the CPU", f"{type(value).__name__} ({error})"
        remedy = "give its .cpu(), .to_dense() or .float()"
        raise SchemaError(explain(f"column {name!r}", expected, found, remedy), field=name) from error
    return from_numpy(array, name)
