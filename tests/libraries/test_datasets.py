"""Datasets of Hugging Face's real library: in memory, of files, streamed; with index mappings and formats."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.servers.libraries import run_with_datasets

pytestmark = pytest.mark.long

DIM = 8
#: How many rows each has, and whether its length is known before it is read.
KINDS = {
    "in memory": (5000, True),
    "shuffled": (5000, True),
    "sorted again": (5000, True),
    "chosen rows": (5, True),
    "filtered": (1667, True),
    "of one split": (1250, True),
    "joined": (200, True),
    "as numpy": (5000, True),
    "as pandas, shuffled": (5000, True),
    "with a transform": (5000, True),
    "some columns as arrow": (5000, True),
    "of a file": (5000, True),
    "streamed file": (5000, False),
    "streamed and shuffled": (5000, False),
    "streamed and mapped": (5000, False),
    "of a generator, streamed": (5000, False),
    "of a generator": (5000, True),
}


@pytest.fixture(scope="module")
def answer(server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("datasets")
    return run_with_datasets("datasets_of_rows.py", folder, uri=server.uri, files=str(folder))


def expected_vectors(ids):
    return np.stack([np.cos(ids * (column + 1)) for column in range(DIM)], axis=1).astype(np.float32)


def test_the_rows_that_the_library_shows_are_stored_with_their_values(server, answer):
    for name, (rows, counted) in KINDS.items():
        found = answer[name]
        assert (found["rows_stored"], len(found["ids"])) == (rows, rows), name
        assert found["rows_total"] == (rows if counted else None), name
        stored = server.collections[found["collection"]].dicts()
        assert Counter(row["id"] for row in stored) == Counter(found["ids"]), name
        vectors = np.array([row["vector"] for row in stored], np.float32)
        assert np.array_equal(vectors, expected_vectors(np.array([row["id"] for row in stored]))), name


def test_formats_and_transforms_of_reading_change_nothing(server, answer):
    assert answer["with a transform"]["ids"] == list(range(5000))
    rows = server.collections[answer["some columns as arrow"]["collection"]].dicts()
    assert rows[0].keys() == {"id", "vector", "text", "label"}


def test_texts_and_classes_arrive(server, answer):
    rows = server.collections[answer["shuffled"]["collection"]].dicts()
    assert all((row["text"], row["label"]) == (f"row {row['id']}", row["id"] % 2) for row in rows)
    rows = server.collections[answer["streamed and mapped"]["collection"]].dicts()
    assert all(row["text"] == f"ROW {row['id']}" for row in rows)


def test_of_several_splits_one_has_to_be_chosen(answer):
    assert answer["splits"] == (
        "source: expected one split of the dataset, found the splits 'a', 'b'; give dataset['a']"
    )
