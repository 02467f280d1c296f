"""Arrays of other libraries as numpy's, on the same memory where they allow it.

Tensors of PyTorch are told by their module, which is never imported, where numpy alone would refuse them: a gradient
that a tensor keeps is nothing that is loaded, and bfloat16, which numpy does not have, is seen as
:data:`headrace.ndarrays.BFLOAT16`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pyarrow as pa

from headrace.errors import SchemaError, explain
from headrace.ndarrays import BFLOAT16, from_numpy

__all__ = ["as_numpy", "from_tensor", "is_tensor"]


def is_tensor(value: object) -> bool:
    """Whether it is a tensor of PyTorch."""
    return type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach")


def as_numpy(value: Any) -> np.ndarray:
    """The values of a tensor, of an array, or of what gives itself by ``__array__`` or ``__dlpack__``.

    Raises:
        BufferError, RuntimeError, TypeError, ValueError: If numpy cannot have them, as its library says it: they are on
            another device, not dense, or of a type that numpy does not have.
    """
    if is_tensor(value):
        plain = value.detach()
        if plain.dtype is sys.modules["torch"].bfloat16:
            bits: np.ndarray = plain.contiguous().view(sys.modules["torch"].int16).numpy()
            return bits.view(BFLOAT16)
        value = plain.numpy()
    return np.asanyarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)


def from_tensor(value: Any, name: str) -> pa.Array:
    """A column of a tensor of shape (n,) or (n, d), on the same memory where numpy's would be.

    Raises:
        SchemaError: If it is not on the CPU, not dense, or of a type or shape that no column has.
    """
    try:
        array = as_numpy(value)
    except (RuntimeError, TypeError) as error:
        expected, found = "a dense tensor on the CPU", f"{type(value).__name__} ({error})"
        remedy = "give its .cpu(), .to_dense() or .float()"
        raise SchemaError(explain(f"column {name!r}", expected, found, remedy), field=name) from error
    return from_numpy(array, name)
