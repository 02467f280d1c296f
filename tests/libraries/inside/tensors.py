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


#: Bit patterns of bfloat16 that no rounding gives: both zeros, subnormal numbers, the largest ones.
EDGES = torch.tensor([0, -0x8000, 1, -0x7FFF, 0x7F, 0x80, 0x7F7F, -0x81], dtype=torch.int16).view(torch.bfloat16)
#: For rows that go where the source's type alone would not take them.
FLOATS = headrace.CollectionSchema(
    [
        headrace.FieldSchema("id", headrace.DataType.INT64, is_primary=True),
        headrace.FieldSchema("vector", headrace.DataType.FLOAT_VECTOR, dim=DIM),
    ]
)


def stored(uri, source, number, **options):
    """The rows and the schema of a collection that the source is loaded into."""
    collection = f"tensors_{number}"
    report = headrace.load(source, collection=collection, uri=uri, create=True, **options)
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
    scores = torch.arange(ROWS).bfloat16()
    edges = EDGES.repeat(ROWS, 1)
    further = {
        "rows of tensors": rows(vector=LOADED["with a gradient"]),
        "rows of bfloat16": rows(vector=LOADED["bfloat16, transposed"]),
        "scalars": {"id": ids, "vector": VECTORS, "score": scores, "flag": ids % 2 == 0},
        "rows of scalars": rows(vector=VECTORS, score=scores, flag=ids % 2 == 0),
        "edges": rows(vector=edges),
    }
    for number, (name, source) in enumerate(further.items(), len(LOADED)):
        answer["loaded"][name] = stored(uri, source, number)
    answer["loaded"]["edges as floats"] = stored(uri, rows(vector=edges), "floats", schema=FLOATS)
    sys.stdout.write(json.dumps(answer))


def rows(**columns):
    """A dict with tensors for each row."""
    for key in range(ROWS):
        yield {"id": key, **{name: values[key] for name, values in columns.items()}}


def is_copied(vector):
    return to_array(vector, name="vector").values.buffers()[1].address != vector.data_ptr()


main(**json.loads(sys.argv[1]))
