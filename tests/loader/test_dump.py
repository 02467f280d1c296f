"""A collection into a Parquet file and back: equal, complete, and gone on with after any end."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import headrace
from headrace import CollectionSchema, ConfigError, DataType, Endpoint, FieldSchema, dump_files
from headrace.dumping import DumpJob
from tests.fake.behaviours import ok, refuse
from tests.fake_milvus import FakeMilvus
from tests.loader.rows import load, table

EVERYTHING = CollectionSchema(
    [
        FieldSchema("key", DataType.VARCHAR, is_primary=True, max_length=100),
        FieldSchema("number", DataType.INT16, nullable=True),
        FieldSchema("share", DataType.DOUBLE),
        FieldSchema("facts", DataType.JSON, nullable=True),
        FieldSchema("tags", DataType.ARRAY, element_type=DataType.INT32, max_capacity=8),
        FieldSchema("dense", DataType.FLOAT_VECTOR, dim=4),
        FieldSchema("half", DataType.FLOAT16_VECTOR, dim=4),
        FieldSchema("brain", DataType.BFLOAT16_VECTOR, dim=4),
        FieldSchema("bits", DataType.BINARY_VECTOR, dim=16),
        FieldSchema("small", DataType.INT8_VECTOR, dim=4),
        FieldSchema("sparse", DataType.SPARSE_FLOAT_VECTOR),
    ],
    enable_dynamic_field=True,
)


def everything(rows=40):
    """Rows with a value of every type; keys that have to be escaped in a filter."""
    random = np.random.default_rng(5)
    pairs = [[{"index": row, "value": 0.5}, {"index": row + 7, "value": 2.0}] for row in range(rows)]
    kinds = pa.list_(pa.struct([("index", pa.uint32()), ("value", pa.float32())]))
    dense = random.standard_normal((rows, 4)).astype(np.float32)
    columns = {
        "key": [f'a "{row:03d}" \\ é' for row in range(rows)],
        "number": pa.array([None if row % 3 else row for row in range(rows)], pa.int16()),
        "share": random.random(rows),
        "facts": [None if row % 4 else json.dumps({"n": row}) for row in range(rows)],
        "tags": pa.array([list(range(row % 5)) for row in range(rows)], pa.list_(pa.int32())),
        "dense": pa.FixedSizeListArray.from_arrays(pa.array(dense.ravel()), 4),
        "half": pa.FixedSizeListArray.from_arrays(pa.array(dense.astype(np.float16).ravel()), 4),
        "brain": pa.array([bytes(range(row, row + 8)) for row in range(rows)], pa.binary(8)),
        "bits": pa.array([bytes([row, 255]) for row in range(rows)], pa.binary(2)),
        "small": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(4 * rows).astype(np.int8)), 4),
        "sparse": pa.array(pairs, kinds),
        "$meta": [json.dumps({"more": row}) for row in range(rows)],
    }
    return pa.table(columns)


def filled(fake, rows=1000):
    """The uri of a fake whose collection ``docs`` holds rows of :func:`table`."""
    load(fake, table(rows))
    return fake.uri


def job(fake, path, **options):
    return DumpJob("docs", path, endpoint=Endpoint.resolve(fake.uri), **options)


def stop_after(ranges, fake, path):
    """A dump that is stopped after so many ranges."""
    seen = []

    def look(progress):
        seen.append(progress)
        if len(seen) == ranges:
            dumping.stop("SIGTERM")

    dumping = job(fake, path, progress=look)
    return dumping.run()


def test_every_type_comes_back_as_it_was_sent(fake, tmp_path):
    source = everything()
    path = tmp_path / "docs.parquet"
    headrace.load(source, collection="docs", uri=fake.uri, schema=EVERYTHING)
    report = headrace.dump("docs", path, uri=fake.uri)
    assert (report.status, report.rows, report.rows_counted, report.exit_status) == ("done", 40, 40, 0)
    found = pq.read_table(path)
    assert found.to_pylist() == source.to_pylist()
    assert found.schema.types == source.schema.types
    assert json.loads(found.schema.metadata[b"headrace.collection"])["enable_dynamic_field"] is True
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith("docs")] == ["docs.parquet"]


def test_a_collection_moves_from_one_server_to_another(fake, tmp_path):
    headrace.load(everything(), collection="docs", uri=fake.uri, schema=EVERYTHING)
    headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    with FakeMilvus() as other:
        source = str(tmp_path / "docs.parquet")
        report = headrace.load(source, collection="docs", uri=other.uri, schema=EVERYTHING, verify="full")
        assert (report.rows_stored, report.verify["status"], report.verify["checked"]) == (40, "ok", 40)
        assert other.collections["docs"].dicts() == fake.collections["docs"].dicts()


def test_a_collection_that_is_created_from_a_dump_is_the_one_that_was_dumped(fake, tmp_path):
    headrace.load(everything(), collection="docs", uri=fake.uri, schema=EVERYTHING)
    headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    source = str(tmp_path / "docs.parquet")
    report = headrace.load(source, collection="copy", uri=fake.uri, create=True, verify="full")
    assert (report.rows_stored, report.verify["status"]) == (40, "ok")
    assert fake.collections["copy"].schema == fake.collections["docs"].schema
    assert fake.collections["copy"].dicts() == fake.collections["docs"].dicts()


def indexes(fake, name):
    return dict(fake.collections[name].indexes.values())


def test_a_copy_gets_the_indexes_that_the_collection_had(fake, tmp_path):
    load(fake, table(20), metric="L2")
    with headrace.MilvusClient(fake.uri) as client:
        built = client.prepare_index_params()
        built.add_index("text", "INVERTED")
        built.add_index("dense", "HNSW", metric_type="IP", M=16, efConstruction=99)
        fake.collections["docs"].indexes.clear()
        client.create_index("docs", built.add_index("sparse", metric_type="IP"))
    source, before = str(tmp_path / "docs.parquet"), indexes(fake, "docs")
    headrace.dump("docs", source, uri=fake.uri)
    headrace.load(source, collection="copy", uri=fake.uri, create=True)
    assert indexes(fake, "copy") == before
    assert before["dense"]["efConstruction"] == "99"
    headrace.load(source, collection="other", uri=fake.uri, create=True, metric="cosine")
    assert indexes(fake, "other") == {**before, "dense": {**before["dense"], "metric_type": "COSINE"}}
    headrace.prepare(source, collection="third", uri=fake.uri)
    assert indexes(fake, "third") == before


def test_a_server_without_an_index_type_chooses_one_of_the_same_metric(fake, tmp_path):
    load(fake, table(20))
    fake.collections["docs"].indexes["dense"] = ("dense", {"index_type": "DISKANN", "metric_type": "L2"})
    headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    fake.script("CreateIndex", refuse(1100, "invalid index type: DISKANN"))
    headrace.load(str(tmp_path / "docs.parquet"), collection="copy", uri=fake.uri, create=True)
    assert indexes(fake, "copy")["dense"] == {"index_type": "AUTOINDEX", "metric_type": "L2"}


@pytest.mark.parametrize(
    ("dtype", "item"),
    [
        (DataType.FLOAT_VECTOR, pa.float32()),
        (DataType.FLOAT16_VECTOR, pa.float16()),
        (DataType.INT8_VECTOR, pa.int8()),
    ],
)
def test_vectors_that_are_null_come_back(tmp_path, dtype, item):
    fields = [FieldSchema("id", DataType.INT64, is_primary=True), FieldSchema("v", dtype, dim=4, nullable=True)]
    vectors = np.arange(80).reshape(20, 4).astype(item.to_pandas_dtype())
    rows = [None if row % 3 == 1 else vectors[row] for row in range(20)]
    source = pa.table({"id": range(20), "v": pa.array(rows, pa.list_(item, 4))})
    with FakeMilvus(version="v2.6.17") as fake:
        headrace.load(source, collection="docs", uri=fake.uri, schema=CollectionSchema(fields))
        headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
        assert pq.read_table(tmp_path / "docs.parquet").to_pylist() == source.to_pylist()
        path = str(tmp_path / "docs.parquet")
        report = headrace.load(path, collection="copy", uri=fake.uri, create=True, verify="full")
        assert (report.rows_stored, report.verify["status"]) == (20, "ok")
        assert fake.collections["copy"].schema == fake.collections["docs"].schema
        assert fake.collections["copy"].dicts() == fake.collections["docs"].dicts()


def test_keys_that_a_server_made_are_kept_by_the_next(fake, tmp_path):
    load(fake, table(20).drop_columns(["id"]), auto_id=True)
    headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    headrace.load(str(tmp_path / "docs.parquet"), collection="copy", uri=fake.uri, create=True)
    assert fake.collections["copy"].keys() == fake.collections["docs"].keys()
    assert not fake.collections["copy"].schema.auto_id


def test_options_that_say_what_a_collection_is_to_be_come_before_what_a_dump_remembers(fake, tmp_path):
    schema = CollectionSchema([*list(EVERYTHING)[:1], FieldSchema("v", DataType.FLOAT_VECTOR, dim=4)], description="d")
    rows = {"key": ["a"], "v": np.ones((1, 4), np.float32)}
    headrace.load(rows, collection="docs", uri=fake.uri, schema=schema)
    headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    load(fake, str(tmp_path / "docs.parquet"), collection="same", create=True)
    assert fake.collections["same"].schema.description == "d"
    headrace.load(str(tmp_path / "docs.parquet"), collection="other", uri=fake.uri, create=True, key="key")
    assert fake.collections["other"].schema.description == ""


def test_rows_are_in_the_order_of_their_keys_in_ranges_that_grow(fake, tmp_path):
    report = headrace.dump("docs", tmp_path / "docs.parquet", uri=filled(fake))
    assert report.rows == 1000
    file = pq.ParquetFile(tmp_path / "docs.parquet")
    assert file.read()["id"].to_pylist() == list(range(1000))
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [256, 512, 232]


def test_the_ends_of_int64_are_keys_too(fake, tmp_path):
    keys = [-(2**63), -(2**63) + 1, -1, 0, 2**63 - 1]
    load(fake, table(5).set_column(0, "id", pa.array(keys)))
    headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    assert pq.read_table(tmp_path / "docs.parquet")["id"].to_pylist() == keys


def test_keys_that_the_server_made_are_dumped(fake, tmp_path):
    load(fake, table(20).drop_columns(["id"]), auto_id=True)
    report = headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    assert report.rows == 20
    key = fake.collections["docs"].key_name
    assert pq.read_table(tmp_path / "docs.parquet")[key].to_pylist() == sorted(fake.collections["docs"].keys())


def test_a_key_that_is_stored_twice_is_told(fake, tmp_path):
    load(fake, table(10))
    load(fake, table(1), mode="insert", again=True)
    report = headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    assert (report.rows, report.rows_counted, report.exit_status) == (10, 11, 5)
    assert "keys are stored twice" in report.status


def test_an_empty_collection_is_a_file_without_rows(fake, tmp_path):
    load(fake, table(1))
    fake.collections["docs"].delete([0])
    report = headrace.dump("docs", tmp_path / "docs.parquet", uri=fake.uri)
    assert (report.rows, report.exit_status) == (0, 0)
    assert pq.read_table(tmp_path / "docs.parquet").column_names == ["id", *table(1).column_names[1:]]


def test_a_dump_that_was_stopped_goes_on_behind_its_last_row(fake, tmp_path):
    filled(fake)
    path = tmp_path / "docs.parquet"
    first = stop_after(2, fake, path)
    assert (first.rows, first.exit_status, path.exists()) == (768, 143, False)
    fake.calls.clear()
    second = job(fake, path).run()
    assert (second.rows, second.rows_resumed, second.exit_status) == (1000, 768, 0)
    assert pq.read_table(path)["id"].to_pylist() == list(range(1000))
    assert all(call.request.expr != "id <= 9223372036854775807" for call in fake.calls_of("Query"))


def test_a_dump_that_failed_keeps_what_it_read(fake, tmp_path):
    filled(fake)
    path = tmp_path / "docs.parquet"
    # A count, the keys and a first range are answered.
    fake.script("Query", ok, ok, ok, refuse(1401, "permission deny"))
    with pytest.raises(headrace.MilvusException, match="permission deny"):
        job(fake, path).run()
    assert not path.exists()
    assert job(fake, path).run().rows_resumed == 256


def test_answers_that_pass_are_waited_out(fake, tmp_path):
    filled(fake, 10)
    fake.script("Query", ok, refuse(8, "rate limit exceeded[rate=1000000]", legacy=49))
    assert job(fake, tmp_path / "docs.parquet").run().rows == 10


def test_ranges_whose_answer_is_too_large_are_halved(fake, tmp_path):
    filled(fake, 300)
    fake.script("Query", ok, ok, refuse(65535, "query results exceed the maxOutputSize Limit"))
    report = job(fake, tmp_path / "docs.parquet").run()
    assert report.rows == 300
    assert pq.ParquetFile(tmp_path / "docs.parquet").metadata.row_group(0).num_rows == 128


def test_a_row_that_is_deleted_meanwhile_is_told_by_the_count(fake, tmp_path):
    filled(fake, 300)

    async def delete(call):
        answer = call.apply()
        fake.collections["docs"].delete([0])
        return answer

    fake.script("Query", ok, ok, delete)
    report = job(fake, tmp_path / "docs.parquet").run()
    assert (report.rows, report.rows_counted, report.exit_status) == (300, 299, 5)


def test_a_file_that_exists_is_kept_unless_asked_for(fake, tmp_path):
    filled(fake, 10)
    path = tmp_path / "docs.parquet"
    path.write_text("mine")
    with pytest.raises(ConfigError, match="give --again to replace it"):
        job(fake, path).run()
    assert path.read_text() == "mine"
    assert job(fake, path, again=True).run().rows == 10


def test_a_file_that_another_dump_finishes_meanwhile_is_kept(fake, tmp_path, monkeypatch):
    filled(fake, 10)
    path = tmp_path / "docs.parquet"
    lock = dump_files.StateLock

    def after_the_other(directory):
        monkeypatch.undo()
        job(fake, path).run()
        return lock(directory)

    monkeypatch.setattr(dump_files, "StateLock", after_the_other)
    with pytest.raises(ConfigError, match="give --again to replace it"):
        job(fake, path).run()
    assert pq.read_table(path).num_rows == 10
    assert [path.name for path in tmp_path.iterdir()] == ["docs.parquet"]


def test_a_dump_lets_go_of_its_directory_when_nothing_of_its_own_is_there(fake, tmp_path, monkeypatch):
    """The next dump would lose what it wrote there meanwhile."""
    filled(fake, 10)
    release, left = dump_files.StateLock.release, []

    def look(lock):
        left.append(sorted(tmp_path.glob("*.part/*")))
        release(lock)

    monkeypatch.setattr(dump_files.StateLock, "release", look)
    job(fake, tmp_path / "docs.parquet").run()
    assert left == [[]]
    assert [path.name for path in tmp_path.iterdir()] == ["docs.parquet"]


def test_the_start_of_another_dump_is_not_gone_on_with(fake, tmp_path):
    filled(fake)
    path = tmp_path / "docs.parquet"
    stop_after(1, fake, path)
    load(fake, table(5), collection="others")
    other = DumpJob("others", path, endpoint=Endpoint.resolve(fake.uri))
    with pytest.raises(ConfigError, match="expected the start of this dump, found docs at"):
        other.run()
    assert job(fake, path).run().rows_resumed == 256


def test_a_collection_that_is_not_there_or_not_loaded_is_refused(fake, tmp_path):
    load(fake, table(10), collection="dogs")
    with pytest.raises(headrace.SchemaError, match=r"expected an existing collection, .* \(there is 'dogs'\)"):
        job(fake, tmp_path / "docs.parquet").run()
    load(fake, table(10), searchable="no")
    with pytest.raises(headrace.MilvusException, match="not loaded"):
        job(fake, tmp_path / "docs.parquet").run()
    assert list(tmp_path.glob("docs*")) == []
