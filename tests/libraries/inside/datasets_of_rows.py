"""Run with Hugging Face's datasets (see test_datasets.py): loads datasets of many kinds.

Of each it says how many rows were stored, and which ``id``s the library itself has in it.
"""

from __future__ import annotations

import json
import sys

import numpy as np
from datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Features,
    IterableDataset,
    List,
    Value,
    concatenate_datasets,
    load_dataset,
)

import headrace
from headrace.sources import open_source

ROWS, DIM = 5000, 8


def columns():
    ids = np.arange(ROWS)
    vectors = np.stack([np.cos(ids * (column + 1)) for column in range(DIM)], axis=1).astype(np.float32)
    return {"id": ids, "vector": vectors.tolist(), "text": [f"row {n}" for n in ids], "label": ids % 2}


FEATURES = Features(
    {"id": Value("int64"), "vector": List(Value("float32"), DIM), "text": Value("string"), "label": ClassLabel(2)}
)


def generate():
    for id_, vector, text, label in zip(*columns().values(), strict=True):
        yield {"id": int(id_), "vector": np.array(vector, np.float32), "text": text, "label": int(label)}


def kinds(folder):
    """Datasets of the same rows, or of some of them."""
    whole = Dataset.from_dict(columns(), features=FEATURES)
    whole.to_parquet(f"{folder}/rows.parquet")
    shuffled = whole.shuffle(seed=7)
    halves = whole.train_test_split(test_size=0.25, seed=1)
    return {
        "in memory": whole,
        "shuffled": shuffled,
        "sorted again": shuffled.sort("id", reverse=True),
        "chosen rows": whole.select([4999, 0, 17, 4998, 2500]),
        "filtered": whole.filter(lambda row: row["id"] % 3 == 0),
        "of one split": halves["test"],
        "joined": concatenate_datasets([whole.select(range(300, 200, -1)), whole.select(range(4000, 4100))]),
        "as numpy": whole.with_format("numpy"),
        "as pandas, shuffled": shuffled.with_format("pandas"),
        "with a transform": whole.with_transform(lambda batch: {"id": [-1] * len(batch["id"])}),
        "some columns as arrow": whole.with_format("arrow", columns=["id", "vector"]),
        "of a file": load_dataset("parquet", data_files=f"{folder}/rows.parquet", split="train", cache_dir=folder),
        "streamed file": load_dataset(
            "parquet", data_files=f"{folder}/rows.parquet", split="train", streaming=True, cache_dir=folder
        ),
        "streamed and shuffled": whole.to_iterable_dataset(num_shards=3).shuffle(seed=3, buffer_size=500),
        "streamed and mapped": whole.to_iterable_dataset().map(lambda row: {"text": row["text"].upper()}),
        "of a generator, streamed": IterableDataset.from_generator(generate),
        "of a generator": Dataset.from_generator(generate, cache_dir=folder),
    }


def main(uri, files):
    answer = {}
    for number, (name, dataset) in enumerate(kinds(files).items()):
        collection = f"c{number}"
        report = headrace.load(dataset, collection=collection, uri=uri, create=True)
        ids = [int(key) for batch in dataset.with_format("arrow").iter(1000) for key in batch["id"].to_pylist()]
        source = open_source(dataset)
        answer[name] = {
            "collection": collection,
            "rows_stored": report.rows_stored,
            "ids": ids,
            "rows_total": source.rows_total,
            "replayable": source.replayable,
        }
    try:
        headrace.load(DatasetDict(a=dataset, b=dataset), collection="c", uri=uri, create=True)
    except headrace.InputError as error:
        answer["splits"] = str(error)
    sys.stdout.write(json.dumps(answer))


main(**json.loads(sys.argv[1]))
