"""The examples run as they are written, against the embedded engine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SAMPLE = EXAMPLES / "wordnet-2k.parquet"


def run(name, *arguments, directory):
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("MILVUS_", "HEADRACE_"))}
    environ["XDG_STATE_HOME"] = str(directory / "state")
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, cwd=directory, env=environ, capture_output=True, text=True, timeout=250, check=False)


def test_the_demo_loads_proves_and_searches_and_can_run_again(tmp_path):
    first = run("demo.py", "demo.db", directory=tmp_path)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "2,000 read = 2,000 stored" in first.stdout
    assert "insert: this load created the collection" in first.stdout
    assert "sample: ok, 200 rows checked" in first.stdout
    for search in ("Dense search", "Sparse search", "Hybrid search"):
        table = first.stdout.split(search)[1].splitlines()
        assert table[4].split()[1] == "guitar"
    assert "bass guitar" in first.stdout

    second = run("demo.py", "demo.db", "--word", "eagle", directory=tmp_path)
    assert second.returncode == 0, second.stdout + second.stderr
    assert "upsert: the collection already holds 2,000 rows" in second.stdout
    assert "bird of Jove" in second.stdout


def test_the_demo_names_a_word_that_it_does_not_have(tmp_path):
    ended = run("demo.py", "demo.db", "--word", "xyzzy", directory=tmp_path)
    assert ended.returncode == 2
    assert "no synset of the sample has the word 'xyzzy'" in ended.stderr
    assert not (tmp_path / "demo.db").exists()


def test_load_stores_the_sample(tmp_path):
    ended = run("load.py", "./a.db", directory=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("2000 of 2000 rows stored")


def test_the_loader_loop_stores_what_the_model_makes(tmp_path):
    ended = run("loader_loop.py", "./a.db", directory=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[0] == "1000 rows are settled"
    assert ended.stdout.splitlines()[1].startswith("2000 of 2000 rows stored")


@pytest.fixture(scope="module")
def sample():
    return pq.read_table(SAMPLE)


def test_the_sample_is_what_its_notice_says(sample):
    assert sample.num_rows == 2000
    assert SAMPLE.stat().st_size < 4 << 20
    assert sample.schema.names == ["id", "lemmas", "pos", "lexfile", "gloss", "embedding", "bm25"]
    assert len(pc.unique(sample["id"])) == 2000
    kinds = np.array(["noun", "verb", "adj", "adv"])
    assert kinds[sample["id"].to_numpy() % 4].tolist() == sample["pos"].to_pylist()
    vectors = sample["embedding"].combine_chunks().flatten().to_numpy().reshape(2000, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_the_licence_stands_beside_the_data():
    notice = (EXAMPLES / "WORDNET-LICENSE.txt").read_text()
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in notice
    assert "Permission to use, copy, modify and distribute" in notice
    text = (EXAMPLES / "NOTICE.md").read_text()
    assert "all-MiniLM-L6-v2" in text
    assert "Apache License 2.0" in text


def test_the_cut_is_the_same_each_time_and_keeps_order_and_neighbours(tmp_path):
    random = np.random.default_rng(0)
    vectors = random.standard_normal((3000, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    lemmas = [["guitar"] if row == 7 else [f"word {row}"] for row in range(3000)]
    whole = pa.table(
        {
            "id": pa.array(range(3000), pa.int64()),
            "lemmas": pa.array(lemmas),
            "pos": pa.array(["noun"] * 3000),
            "lexfile": pa.array([5] * 3000, pa.int8()),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 8),
        }
    )
    pq.write_table(whole, tmp_path / "whole.parquet")
    cuts = []
    for name in ("one.parquet", "two.parquet"):
        ended = run("make_sample.py", "whole.parquet", name, directory=tmp_path)
        assert ended.returncode == 0, ended.stderr
        cuts.append(pq.read_table(tmp_path / name))
    assert cuts[0].equals(cuts[1])
    ids = cuts[0]["id"].to_pylist()
    assert len(ids) == 2000
    assert ids == sorted(ids)
    nearest = np.argsort(-(vectors @ vectors[7]))[:40]
    assert set(nearest.tolist()) <= set(ids)
