"""numpy's own files: arrays, structured arrays, archives of them, and what lies beside them."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
import scipy.sparse

from headrace.config import LoadOptions
from headrace.errors import ConfigError, SourceError
from headrace.sources import open_source
from headrace.sources.identity import FileIdentity
from tests.source_reading import read

VECTORS = np.arange(4000, dtype=np.float32).reshape(1000, 4)


def save(path, array, **options):
    np.save(path, array, **options)
    return path


def refused(source, **options):
    with pytest.raises((SourceError, ConfigError)) as caught:
        open_source(source, options=LoadOptions(**options))
    return str(caught.value)


# Arrays


@pytest.mark.parametrize("max_bytes", [1000, 1 << 20])
@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (VECTORS, pa.list_(pa.float32(), 4)),
        (VECTORS.astype(">f4"), pa.list_(pa.float32(), 4)),
        (VECTORS.astype(np.float16), pa.list_(pa.float16(), 4)),
        (VECTORS.astype(np.int8), pa.list_(pa.int8(), 4)),
        (np.asfortranarray(VECTORS), pa.list_(pa.float32(), 4)),
        (VECTORS[:, 0].astype(np.int64), pa.int64()),
        (np.array([f"text {n}" for n in range(1000)]), pa.string()),
        (VECTORS[:0], pa.list_(pa.float32(), 4)),
    ],
    ids=["float32", "big-endian", "float16", "int8", "fortran", "one dimension", "text", "no rows"],
)
def test_arrays_are_a_column_called_vector(tmp_path, array, kind, max_bytes):
    source = open_source(save(tmp_path / "a.npy", array))
    assert (source.schema, source.rows_total) == (pa.schema([("vector", kind)]), len(array))
    assert read(source, max_bytes).column(0).to_pylist() == array.tolist()


@pytest.mark.parametrize("max_bytes", [4 << 20, 3_000_000, 1 << 20])
def test_the_batches_of_a_part_are_even(tmp_path, max_bytes):
    rows = np.zeros((22_000, 384), np.float32)
    (part, *_) = open_source(save(tmp_path / "a.npy", rows)).parts()
    sizes = [found.batch.num_rows for found in part.batches(max_bytes=max_bytes)]
    assert sum(sizes) == part.rows
    assert max(sizes) - min(sizes) < len(sizes)
    assert max(sizes) * rows.strides[0] <= max_bytes


def test_so_are_those_of_files_side_by_side(tmp_path):
    rows = np.zeros((11_000, 384), np.float32)
    path, ids = save(tmp_path / "a.npy", rows), save(tmp_path / "ids.npy", np.arange(11_000))
    (part, *_) = open_source(path, options=LoadOptions(ids=str(ids))).parts()
    sizes = [found.batch.num_rows for found in part.batches(max_bytes=4 << 20)]
    assert sum(sizes) == part.rows
    assert max(sizes) - min(sizes) < len(sizes)


def test_the_one_named_vector_names_the_column(tmp_path):
    source = open_source(save(tmp_path / "a.npy", VECTORS), options=LoadOptions(vector=("embedding",)))
    assert source.schema.names == ["embedding"]


def test_bfloat16_comes_back_as_it_was_saved(tmp_path):
    array = VECTORS.astype(ml_dtypes.bfloat16)
    table = read(open_source(save(tmp_path / "a.npy", array)))
    assert table.schema.field(0).type == pa.list_(pa.binary(2), 4)
    assert b"".join(table.column(0).combine_chunks().flatten().to_pylist()) == array.tobytes()


def test_structured_arrays_have_a_column_for_each_field(tmp_path):
    array = np.zeros(100, [("id", "<i8"), ("näme", "U3"), ("v", "<f4", (4,))])
    array["id"], array["näme"], array["v"] = np.arange(100), "abc", VECTORS[:100]
    table = read(open_source(save(tmp_path / "a.npy", array)), 500)
    assert table.column_names == ["id", "näme", "v"]
    assert table.to_pydict() == {"id": list(range(100)), "näme": ["abc"] * 100, "v": VECTORS[:100].tolist()}


def test_only_the_range_in_use_is_mapped(tmp_path):
    path = save(tmp_path / "a.npy", np.zeros((10_000, 1024), np.float32))
    parts = list(open_source(path).parts())
    assert len(parts) == 3
    assert sum(part.rows for part in parts) == 10_000
    batches = parts[1].batches(max_bytes=1 << 20)
    first = next(batches)
    assert first.first_row == parts[1].first_row
    assert first.batch.nbytes == 1 << 20
    path.unlink()
    assert first.batch.column(0)[0].as_py() == [0.0] * 1024, "a batch outlives its file"


def test_arrays_on_other_file_systems_are_read_range_by_range(tmp_path):
    save(tmp_path / "a.npy", VECTORS)
    filesystem = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    source = open_source("*.npy", options=LoadOptions(filesystem=filesystem))
    assert source.files[0].label == "a.npy"
    assert read(source, 1000).column(0).to_pylist() == VECTORS.tolist()
    save(tmp_path / "a.npy", np.asfortranarray(VECTORS))
    assert "expected an array in C order, found Fortran order" in refused("a.npy", filesystem=filesystem)


# Arrays that are refused


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    path = save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    assert refused(path) == (
        f"{path}, header: expected numbers or text, found objects, which only unpickling could read: it can run any "
        "code, so headrace never does it; save it with another dtype, as array.astype(numpy.float32)"
    )
    np.savez(tmp_path / "a.npz", v=np.array([Trap()], dtype=object))
    assert "a.npz, array 'v': expected numbers or text, found objects" in refused(tmp_path / "a.npz")
    path.write_bytes(pickle.dumps(VECTORS))
    assert "found a pickle; write it as npy or Parquet: headrace never unpickles" in refused(path)
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(1))
    assert "found 'model/data.pkl' (pickled, as PyTorch does it" in refused(tmp_path / "model.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("change", [-1, -100, 1, 16])
def test_a_shape_that_does_not_fit_the_length_is_refused(tmp_path, change):
    path = save(tmp_path / "a.npy", VECTORS)
    data = path.read_bytes()
    path.write_bytes(data[:change] if change < 0 else data + b"\0" * change)
    assert refused(path) == (
        f"{path}: expected 16128 bytes, as its shape (1000, 4) needs, found {16128 + change} bytes; "
        "write the file again or leave it out"
    )


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 4)}", "shape (-1, 4)"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999, 99999999999999)}", "bytes, as its shape"),
        ("{'descr': '<f4', 'fortran_order': False}", "damage (Header does not contain the correct keys"),
        ("__import__('os').abort()", "damage (malformed node"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (0, 4)}", "dtype complex64"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (0, 4, 4)}", "shape (0, 4, 4)"),
        ("{'descr': 'nonsense', 'fortran_order': False, 'shape': (0, 4)}", "damage ("),
    ],
)
def test_headers_that_make_no_sense_are_refused(tmp_path, header, text):
    path = tmp_path / "a.npy"
    line = header.encode().ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line)
    assert text in refused(path)


def test_a_file_that_was_cut_after_it_was_opened_is_named_with_its_row(tmp_path):
    path = save(tmp_path / "a.npy", VECTORS)
    source = open_source(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SourceError) as caught:
        read(source, 1600)
    assert caught.value.position == "row 300"
    assert f"{path}, row 300: expected rows where the file's head says they are, found damage" in str(caught.value)


# Archives


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("max_bytes", [700, 1 << 20])
def test_archives_have_a_column_for_each_array(tmp_path, write, max_bytes):
    texts = np.array([f"text {n}" for n in range(1000)])
    write(tmp_path / "a.npz", id=np.arange(1000), vector=VECTORS, text=texts)
    source = open_source(tmp_path / "a.npz")
    assert source.rows_total == 1000
    table = read(source, max_bytes)
    assert table.to_pydict() == {"id": list(range(1000)), "vector": VECTORS.tolist(), "text": texts.tolist()}
    assert read(source, max_bytes, columns=["text"]).column_names == ["text"]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("max_bytes", [1000, 1 << 20])
@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_sparse_matrices_of_scipy_are_a_sparse_column(tmp_path, compressed, max_bytes, form):
    matrix = scipy.sparse.random(500, 300, density=0.02, format="csr", dtype=np.float32, rng=1)
    scipy.sparse.save_npz(tmp_path / "a.npz", matrix.asformat(form), compressed=compressed)
    source = open_source(tmp_path / "a.npz")
    table = read(source, max_bytes)
    assert (source.schema, source.rows_total) == (table.schema, 500)
    assert read(source, max_bytes) == table, "it can be read again"
    rows = [{pair["index"]: pair["value"] for pair in row} for row in table.column("vector").to_pylist()]
    assert rows == [
        dict(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in (matrix[[n]] for n in range(500))
    ]


def test_archives_whose_arrays_do_not_go_together_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, a=np.zeros(3), b=np.zeros(4))
    assert "expected as many rows in each array, found 3 in 'a' and 4 in 'b'" in refused(path)
    np.savez(path)
    assert "expected a readable npz archive, found damage" in refused(path)
    scipy.sparse.save_npz(path, scipy.sparse.eye(3, format="dia"))
    assert "found dia; save matrix.tocsr() with scipy.sparse.save_npz" in refused(path)
    np.savez(path, a=np.asfortranarray(VECTORS))
    assert "expected arrays in C order, found 'a' in Fortran order" in refused(path)


@pytest.mark.parametrize(
    ("form", "changes", "found"),
    [
        ("csc", {"indptr": np.array([0, 1])}, "5 entries, 5 indices and 2 lines"),
        ("coo", {"row": np.arange(3)}, "5 entries, 5 indices and 3 lines"),
        ("csc", {"indices": np.full(5, 7)}, "rows from 0 to 4"),
        ("coo", {"col": np.full(5, 7)}, "indices below 5"),
        ("coo", {"row": np.zeros(5)}, "a row for each entry"),
    ],
)
def test_other_sparse_matrices_whose_parts_contradict_each_other_are_refused(tmp_path, form, changes, found):
    matrix = scipy.sparse.eye(5, format=form)
    names = ("indices", "indptr", "data") if form == "csc" else ("row", "col", "data")
    parts = {name: getattr(matrix, name) for name in names}
    np.savez(tmp_path / "a.npz", format=np.array(form.encode()), shape=np.array([5, 5]), **{**parts, **changes})
    with pytest.raises(SourceError, match=r"a\.npz.*expected the parts of") as caught:
        read(open_source(tmp_path / "a.npz"))
    assert found in str(caught.value)


def sparse_archive(path, **changes):
    matrix = scipy.sparse.eye(5, format="csr")
    parts = {"indices": matrix.indices, "indptr": matrix.indptr, "data": matrix.data, **changes}
    np.savez(path, format=np.array(b"csr"), shape=np.array([5, 5]), **parts)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"indptr": np.array([0, 1, 2, 3, 4, 6])},
        {"indptr": np.array([0, 3, 2, 3, 4, 5])},
        {"indptr": np.array([0, 5])},
        {"data": np.ones(4)},
        {"indices": np.zeros((5, 2), np.int32)},
    ],
)
def test_sparse_parts_that_contradict_each_other_are_refused(tmp_path, changes):
    path = sparse_archive(tmp_path / "a.npz", **changes)
    assert f"{path}: expected the parts of a CSR matrix, found damage (" in refused(path)


def test_an_index_beyond_the_matrix_is_named_with_its_row(tmp_path):
    path = sparse_archive(tmp_path / "a.npz", indices=np.array([0, 1, 2, 3, 5], np.int32))
    with pytest.raises(SourceError, match="row 0: expected rows where") as caught:
        read(open_source(path))
    assert caught.value.source == str(path)


@pytest.mark.parametrize("at", [0.1, 0.5, 0.9])
def test_damage_in_a_compressed_archive_is_found(tmp_path, at):
    np.savez_compressed(tmp_path / "a.npz", v=np.random.default_rng(1).standard_normal((1000, 4)))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    place = int(len(data) * at)
    data[place : place + 8] = b"\xff" * 8
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.npz"):
        read(open_source(tmp_path / "a.npz"), 1000)


def test_a_truncated_archive_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", v=VECTORS)
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    assert "expected a readable npz archive, found damage (File is not a zip file)" in refused(tmp_path / "a.npz")


# Files beside each other


@pytest.fixture
def shards(tmp_path):
    for number, part in enumerate("ab"):
        save(tmp_path / f"vec_{part}.npy", VECTORS[number * 500 : number * 500 + 500])
        save(tmp_path / f"ids_{part}.npy", np.arange(500) + 1000 * number)
        table = pa.table({"text": [f"{part}{n}" for n in range(500)], "n": np.arange(500)})
        pq.write_table(table, tmp_path / f"meta_{part}.parquet", row_group_size=90)
    return tmp_path


@pytest.mark.parametrize("max_bytes", [700, 1 << 20])
def test_files_are_paired_by_the_captured_name(shards, max_bytes):
    options = LoadOptions(ids=f"{shards}/ids_{{part}}.npy", metadata=f"{shards}/meta_{{part}}.parquet")
    source = open_source(f"{shards}/vec_{{part}}.npy", options=options)
    assert source.schema.names == ["vector", "id", "text", "n"]
    assert [file.label for file in source.files] == [f"{shards}/vec_a.npy", f"{shards}/vec_b.npy"]
    table = read(source, max_bytes)
    assert table.column("vector").to_pylist() == VECTORS.tolist()
    assert table.column("id").to_pylist() == [*range(500), *range(1000, 1500)]
    assert table.column("text").to_pylist() == [f"{part}{n}" for part in "ab" for n in range(500)]
    assert read(source, max_bytes, columns=["n", "id"]).equals(table.select(["n", "id"]))


def test_keys_are_called_by_the_named_key(shards):
    options = LoadOptions(ids=f"{shards}/ids_a.npy", key="doc")
    assert open_source(f"{shards}/vec_a.npy", options=options).schema.names == ["vector", "doc"]


def test_a_change_beside_a_file_is_a_change_of_it(shards):
    options = LoadOptions(ids=f"{shards}/ids_a.npy")
    (file,) = open_source(f"{shards}/vec_a.npy", options=options).files
    before = file.identify()
    assert isinstance(before, FileIdentity)
    assert before == file.identify()
    save(shards / "ids_a.npy", np.arange(500) + 7)
    assert before.difference(file.identify()) == "another end of the file"


def test_missing_partners_are_refused(shards):
    (shards / "ids_b.npy").unlink()
    assert refused(f"{shards}/vec_{{part}}.npy", ids=f"{shards}/ids_{{part}}.npy") == (
        f"{shards}/vec_b.npy: expected its rows' ids in {shards}/ids_b.npy, found none; "
        "bring the missing file, or remove the one that it belongs to"
    )
    (shards / "vec_b.npy").unlink()
    save(shards / "ids_c.npy", np.arange(3))
    assert refused(f"{shards}/vec_{{part}}.npy", ids=f"{shards}/ids_{{part}}.npy") == (
        f"{shards}/ids_c.npy: expected a file of {shards}/vec_{{part}}.npy to pair it with, found none; "
        "bring the missing file, or remove the one that it belongs to"
    )


def test_partners_of_other_lengths_are_refused(shards):
    save(shards / "ids_b.npy", np.arange(499))
    assert refused(f"{shards}/vec_{{part}}.npy", ids=f"{shards}/ids_{{part}}.npy") == (
        f"{shards}/vec_b.npy and {shards}/ids_b.npy: expected as many rows in both, found 500 and 499; "
        "pair files that were written together"
    )


@pytest.mark.parametrize("name", ["ids.csv", "ids.csv.gz"])
def test_keys_of_csv_without_a_header_are_refused_with_what_lacks(shards, name):
    lines = "".join(f"{key}\n" for key in range(500)).encode()
    (shards / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)
    assert refused(f"{shards}/vec_a.npy", ids=f"{shards}/{name}").endswith(
        "expected as many rows in both, found 500 and 499; "
        "write the column's name above the rows: the first line of CSV is none"
    )
    lines = b"doc\n" + lines
    (shards / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)
    assert open_source(f"{shards}/vec_a.npy", options=LoadOptions(ids=f"{shards}/{name}")).schema.names[-1] == "id"


def test_patterns_that_cannot_pair_are_refused(shards):
    text = refused(f"{shards}/vec_*.npy", ids=f"{shards}/ids_a.npy")
    assert text.startswith("--ids: expected a path with {part} in it, found 2 files to pair; write both")
    text = refused(f"{shards}/vec_*.npy", ids=f"{shards}/ids_{{part}}.npy")
    assert "expected places of the source's path, found {part}, which the path of" in text
    text = refused(f"{shards}/vec_a.npy", ids=f"{shards}/meta_a.parquet")
    assert "expected one column, the keys, found 2 columns (text, n); give the file with --metadata" in text
    text = refused({"id": [1]}, ids="ids.npy")
    assert text == "--ids: expected files to pair it with, found rows in memory; put the columns into the source itself"


def test_a_column_in_both_is_refused(shards):
    save(shards / "ids_a.npy", np.arange(500))
    text = refused(f"{shards}/vec_a.npy", ids=f"{shards}/ids_a.npy", key="vector")
    assert "expected each column in one of them, found 'vector' in both; rename it in one of them" in text


def test_an_array_of_numpy_version_3_keeps_its_names(tmp_path):
    buffer = io.BytesIO()
    array = np.zeros(2, [("水", "<i8")])
    np.lib.format.write_array(buffer, array, version=(3, 0))
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    assert open_source(tmp_path / "a.npy").schema.names == ["水"]
