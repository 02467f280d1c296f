"""Which files a path, glob, directory or URI means."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from headrace.errors import MissingExtraError, SourceError
from headrace.sources import open_source, paths
from headrace.sources.filesystems import Storage
from headrace.sources.paths import find_files
from tests.source_reading import read


@pytest.fixture
def tree(tmp_path):
    """Ten rows in files a/1, a/2, a/sub/3, b; beside them what has to be left out."""
    for number, name in enumerate(["a/1.parquet", "a/2.parquet", "a/sub/3.parquet", "b.parquet"]):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": [number, number]}), path)
    (tmp_path / "a/_SUCCESS").write_bytes(b"")
    (tmp_path / "a/.hidden").write_bytes(b"x")
    (tmp_path / "a/_temporary").mkdir()
    (tmp_path / "a/_temporary/x.parquet").write_bytes(b"x")
    (tmp_path / "a/empty.parquet").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    return tmp_path


def names(tree, *given) -> list[str]:
    return [os.path.relpath(ref.label, tree) for ref in find_files([*given])[0]]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("b.parquet", ["b.parquet"]),
        ("a", ["a/1.parquet", "a/2.parquet", "a/sub/3.parquet"]),
        ("a/", ["a/1.parquet", "a/2.parquet", "a/sub/3.parquet"]),
        ("a/[12].parquet", ["a/1.parquet", "a/2.parquet"]),
        ("a/?.parquet", ["a/1.parquet", "a/2.parquet"]),
        ("*/*/*.parquet", ["a/sub/3.parquet"]),
        ("**/[0-9].parquet", ["a/1.parquet", "a/2.parquet", "a/sub/3.parquet"]),
        ("[ae]*", ["a/1.parquet", "a/2.parquet", "a/sub/3.parquet"]),
        ("*", ["a/1.parquet", "a/2.parquet", "a/sub/3.parquet", "b.parquet"]),
    ],
)
def test_paths_globs_and_directories(tree, pattern, expected):
    assert names(tree, f"{tree}/{pattern}") == expected


def test_hidden_marked_and_empty_files_of_directories_are_left_out_and_listed(tree):
    source = open_source(tree / "a")
    assert [os.path.relpath(path, tree) for path in source.skipped] == [
        "a/.hidden",
        "a/_SUCCESS",
        "a/_temporary/x.parquet",
        "a/empty.parquet",
    ]
    assert source.label == f"{tree / 'a'} (3 files)"
    assert read(source).to_pydict() == {"id": [0, 0, 1, 1, 2, 2]}


def test_rows_are_numbered_in_each_file(tree):
    batches = [piece for part in open_source(tree / "a").parts() for piece in part.batches(max_bytes=1 << 20)]
    assert [(Path(piece.source).name, piece.first_row) for piece in batches] == [
        ("1.parquet", 0),
        ("2.parquet", 0),
        ("3.parquet", 0),
    ]


def test_the_order_of_a_list_is_kept(tree):
    assert names(tree, tree / "b.parquet", tree / "a/2.parquet", f"{tree}/a/1*") == [
        "b.parquet",
        "a/2.parquet",
        "a/1.parquet",
    ]
    assert read(open_source([str(tree / "b.parquet"), tree / "a"])).num_rows == 8


def test_uris_of_local_files(tree):
    assert names(tree, f"file://{tree}/b.parquet") == ["b.parquet"]
    assert names(tree, f"file://{tree}/a/*.parquet")[:2] == ["a/1.parquet", "a/2.parquet"]
    spaced = tree / "with space.parquet"
    pq.write_table(pa.table({"id": [1]}), spaced)
    assert names(tree, f"file://{tree}/with%20space.parquet") == ["with space.parquet"]


def test_relative_and_home_paths(tree, monkeypatch):
    monkeypatch.chdir(tree)
    monkeypatch.setenv("HOME", str(tree))
    assert find_files(["b.parquet"])[0][0].label == "b.parquet"
    assert [ref.label for ref in find_files(["a/*.parquet"])[0]] == ["a/1.parquet", "a/2.parquet"]
    assert find_files(["~/b.parquet"])[0][0].label == str(tree / "b.parquet")


def test_matches_of_a_glob_that_are_left_out_are_listed(tree):
    assert [os.path.relpath(path, tree) for path in find_files([f"{tree}/a/*"])[1]] == [
        "a/_SUCCESS",
        "a/_temporary",
        "a/empty.parquet",
    ]
    with pytest.raises(SourceError, match=r"found only files that are left out \('.*/a/_SUCCESS'\); check the path"):
        find_files([f"{tree}/a/_S*"])


def test_a_name_with_wildcards_in_it_is_a_name(tree):
    path = tree / "odd[1].parquet"
    pq.write_table(pa.table({"id": [1]}), path)
    assert names(tree, path) == ["odd[1].parquet"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("nope.parquet", "no such file; check the path, and quote a glob in the shell"),
        ("*.csv", "no file matches; check the path, and quote a glob in the shell"),
        ("a/empty.parquet/x", "no such file; check the path, and quote a glob in the shell"),
    ],
)
def test_paths_that_name_nothing_are_refused(tree, given, found):
    with pytest.raises(SourceError) as caught:
        open_source(f"{tree}/{given}")
    assert str(caught.value) == f"{tree}/{given}: expected a file, directory or glob with files, found {found}"
    assert caught.value.source == f"{tree}/{given}"


def test_directories_without_files_to_load_are_refused(tree):
    (tree / "none").mkdir()
    with pytest.raises(SourceError, match="expected a directory with files to load, found none; check the directory"):
        open_source(tree / "none")
    (tree / "none/_SUCCESS").write_bytes(b"")
    with pytest.raises(SourceError, match=r"found only files that are left out \('.*_SUCCESS'\)"):
        open_source(tree / "none")


@pytest.mark.parametrize("second", ["b.parquet", "./b.parquet", "*.parquet"])
def test_a_file_that_is_named_twice_is_refused(tree, second):
    with pytest.raises(SourceError) as caught:
        find_files([f"{tree}/b.parquet", f"{tree}/{second}"])
    assert "expected each file once, found a file that is named twice; name it once" in str(caught.value)


@pytest.mark.parametrize("uri", ["nope://bucket/x", "http://host/x.parquet"])
def test_schemes_that_pyarrow_does_not_know_need_fsspec(uri, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError) as caught:
        open_source(uri)
    scheme = uri.partition("://")[0]
    assert str(caught.value) == (
        f"{uri}: expected fsspec to read {scheme}://, found it is not installed; "
        "install fsspec (for http with aiohttp), or load a local copy"
    )


def test_a_library_that_fsspec_needs_for_a_scheme_is_named(monkeypatch):
    def url_to_fs(uri):
        raise ImportError('HTTPFileSystem requires "requests" and "aiohttp" to be installed')

    monkeypatch.setitem(sys.modules, "fsspec", SimpleNamespace(core=SimpleNamespace(url_to_fs=url_to_fs)))
    with pytest.raises(MissingExtraError) as caught:
        open_source("https://host/x.parquet")
    assert str(caught.value) == (
        "https://host/x.parquet: expected fsspec to read https://, found HTTPFileSystem requires "
        '"requests" and "aiohttp" to be installed; install fsspec (for http with aiohttp), or load a local copy'
    )


class Listing:
    """What fsspec has of a web server: a directory whose listing tells no sizes; each file, when it is asked, does."""

    protocol = "http"

    def __init__(self, sizes):
        self._sizes = sizes

    def isdir(self, path):
        return path not in self._sizes

    def info(self, path):
        size = self._sizes.get(path)
        return {"name": path, "size": size, "type": "directory" if size is None else "file"}

    def find(self, base, **options):
        return {path: {"name": path, "size": None, "type": "file"} for path in self._sizes}


@pytest.mark.parametrize("given", ["d/*.parquet", "d"])
def test_files_of_a_listing_without_sizes_are_asked_for_their_own(given):
    listing = Listing({"d/a.parquet": 400, "d/b.parquet": 500, "d/empty.parquet": 0})
    found, skipped = find_files([given], Storage(pafs.PyFileSystem(pafs.FSSpecHandler(listing))))
    assert [(ref.label, ref.size) for ref in found] == [("d/a.parquet", 400), ("d/b.parquet", 500)]
    assert skipped == ["d/empty.parquet"]


def test_files_without_permission_are_named(tree, monkeypatch):
    path = tree / "b.parquet"
    refs, skipped = find_files([path])

    class Locked:
        """A file system whose files may not be opened (a test may run as root, who may open everything)."""

        type_name = "locked"

        def open_input_file(self, path):
            raise PermissionError(13, "Permission denied", path)

    locked = paths.FileRef(refs[0].label, Locked(), refs[0].path, refs[0].size)
    monkeypatch.setattr("headrace.sources.files.find_files", lambda _paths, _storage: ([locked], skipped))
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert str(caught.value) == (
        f"{path}: expected a file that can be read, found no permission; allow this user to read it"
    )


# Other file systems, by a directory that is none


@pytest.fixture
def remote(tree, monkeypatch):
    """The tree as the bucket of a file system that is not local."""
    filesystem = pafs.SubTreeFileSystem(str(tree), pafs.LocalFileSystem())

    class FileSystem:
        @staticmethod
        def from_uri(uri):
            return filesystem, uri.removeprefix("mock://")

    monkeypatch.setattr(paths.pafs, "FileSystem", FileSystem)
    return tree


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mock://b.parquet", ["mock://b.parquet"]),
        ("mock://a", ["mock://a/1.parquet", "mock://a/2.parquet", "mock://a/sub/3.parquet"]),
        ("mock://a/*.parquet", ["mock://a/1.parquet", "mock://a/2.parquet"]),
        ("mock://a/[1-2].parquet", ["mock://a/1.parquet", "mock://a/2.parquet"]),
        ("mock://a/**/[0-9].parquet", ["mock://a/1.parquet", "mock://a/2.parquet", "mock://a/sub/3.parquet"]),
        ("mock://a/*/3.*", ["mock://a/sub/3.parquet"]),
    ],
)
def test_uris_of_other_file_systems(remote, uri, expected):
    assert [ref.label for ref in find_files([uri])[0]] == expected


def test_files_of_other_file_systems_are_read(remote):
    assert read(open_source("mock://a/[12].parquet")).to_pydict() == {"id": [0, 0, 1, 1]}
    table = pa.table({"id": [1, 2]})
    with pa.OSFile(str(remote / "x.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert read(open_source("mock://x.arrow")).equals(table)


def test_a_uri_glob_without_matches_is_refused(remote):
    with pytest.raises(SourceError, match="no file matches"):
        open_source("mock://a/*.csv")


# One schema


def test_files_with_other_columns_are_named(tree):
    pq.write_table(pa.table({"id": ["text"]}), tree / "a/9.parquet")
    with pytest.raises(SourceError) as caught:
        open_source(tree / "a")
    assert str(caught.value) == (
        f"{tree}/a/9.parquet, column 'id': expected int64, as in {tree}/a/1.parquet, found string; "
        "write the files with one schema, or load them one by one"
    )


def test_columns_may_stand_in_another_order(tmp_path):
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "1.parquet")
    pq.write_table(pa.table({"b": ["y"], "a": [2]}), tmp_path / "2.parquet")
    assert read(open_source(tmp_path)).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


# What is no file of a known format

AS_CSV = "name it .csv or .tsv, with the columns' names in the first line, if that is what it is"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file; write the file again or leave it out"),
        (b"PAR", f"text that starts with b'PAR'; {AS_CSV}, else load another file"),
        (b"words", f"text that starts with b'words'; {AS_CSV}, else load another file"),
        (gzip.compress(b"PAR1 and more", mtime=0), "gzip data; unpack it first"),
        (b"PARE" + b"\0" * 20, "a Parquet file with an encrypted footer; write it without encryption"),
        (b"\x00\x01\x02", "a file that starts with b'\\x00\\x01\\x02'; load another file"),
    ],
)
def test_other_formats_are_named(tmp_path, data, found):
    path = tmp_path / "x.parquet"
    path.write_bytes(data)
    with pytest.raises(SourceError) as caught:
        open_source(path)
    assert (
        str(caught.value)
        == f"{path}: expected a Parquet, Arrow, npy, npz, HDF5, JSONL, CSV or big-ann file, found {found}"
    )


def test_parquet_is_told_by_its_bytes_not_by_its_name(tmp_path):
    pq.write_table(pa.table({"id": [1]}), tmp_path / "data.bin")
    assert read(open_source(tmp_path / "data.bin")).to_pydict() == {"id": [1]}
