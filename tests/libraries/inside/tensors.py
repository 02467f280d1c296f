"""Run with PyTorch (see test_tensors.py): loads tensors of many kinds and says what came of each."""

from __future__ import annotations

import json
import sys

import torch

import headrace
from headrace.columns import to_array

ROWS, DIM = 100, 8
VECTORS = torch.arange(ROWS * DIM, dtype=torch.float32).reshape(ROWS, DIM) / 64
#: Tensors of the same values, or of what is left of them in their type.
LOADED = {
    "float32": VECTORS,
    "float64": VECTORS.double(),
    "float16": VECTORS.half(),
    "bfloat16": VECTORS.bfloat16(),
    "columns of a wider one": torch.cat([VECTORS, VECTORS], dim=1)[:, :DIM],
    "transposed": VECTORS.T.contiguous().T,
    "bfloat16, transposed": VECTORS.bfloat16().T.contiguous().T,
    "with a gradient": VECTORS.clone().requires_grad_(),
    "of an expression with a gradient": VECTORS.clone().requires_grad_() * 1,
    "parameter": torch.nn.Parameter(VECTORS.clone()),
}
REFUSED = {
    "sparse": VECTORS.to_sparse(),
    "quantised": torch.quantize_per_tensor(VECTORS, 0.1, 0, torch.qint8),
    "of another device": VECTORS.to("meta"),
    "of three dimensions": VECTORS.reshape(ROWS, 2, DIM // 2),
    "bfloat16 of three dimensions": VECTORS.bfloat16().reshape(ROWS, 2, DIM // 2),
}


def stored(uri, source, number):
    """The rows and the schema of a collection that the source is loaded into."""
    collection = f"tensors_{number}"
    report = headrace.load(source, collection=collection, uri=uri, create=True)
    return {"collection": collection, "rows_stored": report.rows_stored}


def refused(uri, source):
    try:
        headrace.load(source, collection="refused", uri=uri, create=True)
    except headrace.InputError as error:
        return str(error)
    return None


def main(uri):
    ids = torch.arange(ROWS)
    answer = {
        "loaded": {
            name: stored(uri, {"id": ids, "vector": vector}, number)
            for number, (name, vector) in enumerate(LOADED.items())
        },
        "refused": {name: refused(uri, {"id": ids, "vector": vector}) for name, vector in REFUSED.items()},
        "copied": [name for name, vector in LOADED.items() if is_copied(vector)],
    }
    rows = ({"id": key, "vector": vector} for key, vector in enumerate(LOADED["with a gradient"]))
    answer["loaded"]["rows of tensors"] = stored(uri, rows, len(LOADED))
    scalars = {"id": ids, "vector": VECTORS, "score": torch.arange(ROWS).bfloat16(), "flag": ids % 2 == 0}
    answer["loaded"]["scalars"] = stored(uri, scalars, len(LOADED) + 1)
    sys.stdout.write(json.dumps(answer))


def is_copied(vector):
    return to_array(vector, name="vector").values.buffers()[1].address != vector.data_ptr()


main(**json.loads(sys.argv[1]))
