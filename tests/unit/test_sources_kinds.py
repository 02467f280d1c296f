"""A directory with other files than rows, such as a snapshot of a data set: what is refused says how to go on."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from headrace.config import LoadOptions
from headrace.errors import SourceError
from headrace.sources import open_source

CARD = "---\nlicense: mit\n---\n# Embeddings\n"
CONFIG = '{\n  "dim": 4\n}\n'
OTHER_ROWS = '{"id": "text"}\n'


def write(directory, *names):
    for name in names:
        path = directory / name
        path.parent.mkdir(exist_ok=True, parents=True)
        if path.suffix == ".parquet":
            pq.write_table(pa.table({"id": range(3)}), path)
        else:
            path.write_text({"README.md": CARD, "config.json": CONFIG}.get(name, OTHER_ROWS))


def refused(path, **options):
    with pytest.raises(SourceError) as caught:
        open_source(path, options=LoadOptions(**options))
    return caught.value


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("README.md", "a.parquet", "b.parquet"), "*.parquet"),
        (("README.md", "config.json", "data/a.parquet", "data/b.parquet"), "data/*.parquet"),
        (("config.json", "data/a.parquet", "more/b.parquet"), "**/*.parquet"),
        (("config.json", "more.txt", "lang=en/a.jsonl.gz", "lang=de/b.jsonl.gz"), "**/*.jsonl.gz"),
        # These go on to be compared: other rows than those of most files.
        (("0.jsonl", "a.parquet", "b.parquet"), "*.parquet"),
    ],
)
def test_a_directory_with_other_files_is_refused_with_a_glob_for_its_rows(tmp_path, names, wanted):
    write(tmp_path, *names)
    for path in (tmp_path, f"{tmp_path}/", tmp_path / "*"):
        error = refused(path)
        assert str(error).endswith(f"; to load only the files of one kind name them: '{tmp_path}/{wanted}'"), error
        assert error.source is not None
    if "gz" not in wanted:
        assert open_source(f"{tmp_path}/{wanted}", options=LoadOptions()).files


def test_the_glob_is_as_short_as_the_path_that_was_given(tmp_path, monkeypatch):
    write(tmp_path, "README.md", "a.parquet")
    monkeypatch.chdir(tmp_path)
    assert str(refused("*")).endswith("name them: '*.parquet'")


def test_the_glob_is_on_the_same_file_system(tmp_path):
    write(tmp_path, "snapshot/README.md", "snapshot/data/a.parquet")
    there = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    assert str(refused("snapshot", filesystem=there)).endswith("name them: 'snapshot/data/*.parquet'")


@pytest.mark.parametrize("names", [("README.md", "config.json"), ("README.md",)])
def test_where_no_file_has_rows_there_is_no_glob(tmp_path, names):
    write(tmp_path, *names)
    assert not re.search("of one kind", str(refused(tmp_path)))


def test_a_file_that_was_named_itself_is_refused_alone(tmp_path):
    write(tmp_path, "README.md", "a.parquet")
    assert "of one kind" not in str(refused([tmp_path / "README.md", tmp_path / "a.parquet"]))


def test_damage_of_a_file_of_rows_is_no_matter_of_kinds(tmp_path):
    write(tmp_path, "a.parquet", "b.parquet", "config.json")
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-8])
    assert "of one kind" not in str(refused(tmp_path))
