"""Reading ahead of files far away, and the file systems that paths and options name."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.config import LoadOptions
from headrace.errors import ConfigError, SourceError
from headrace.sources import ahead, open_source
from headrace.sources.ahead import ReadAheadFile
from headrace.sources.filesystems import Storage
from tests.source_reading import TABLE, read

DATA = np.random.default_rng(1).bytes(10_000)


class Far:
    """A file whose reads are counted, and answered once ``together`` of them wait."""

    def __init__(self, data=DATA, together=1):
        self.data = data
        self.asked = []
        self.closed = False
        self._gate = threading.Barrier(together)
        self._together = together

    def size(self):
        return len(self.data)

    def read_at(self, length, offset):
        self.asked.append(offset)
        if len(self.asked) > 2 and self._together > 1:
            self._gate.wait(timeout=60)
        return self.data[offset : offset + length]

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(ahead, "BLOCK_BYTES", 100)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 10_100), st.integers(0, 700)), max_size=20))
def test_every_read_gives_the_bytes_of_the_file(reads):
    file = pa.PythonFile(ReadAheadFile(Far()), mode="r")
    for start, length in reads:
        assert file.read_at(length, start) == DATA[start : start + length]
    file.close()


def test_whoever_reads_on_has_the_next_blocks_under_way():
    far = Far(together=ahead.BLOCKS_AHEAD)
    file = ReadAheadFile(far, stop=1000)
    assert file.read(100) == DATA[:100]
    assert far.asked == [0], "a first block may be all that is wanted"
    # The next blocks are answered only once all of them are asked for.
    assert file.read(900) == DATA[100:1000]
    assert sorted(far.asked) == list(range(0, 1000, 100))
    file.close()
    assert far.closed


def test_few_blocks_are_held():
    far = Far()
    file = ReadAheadFile(far)
    assert file.read() == DATA
    assert len(file._blocks) <= ahead.MOST_BLOCKS
    file.close()


def test_a_block_that_failed_is_asked_for_again():
    far = Far()
    file = ReadAheadFile(far)
    answers = iter([OSError("reset")])

    def failing(length, offset):
        for error in answers:
            raise error
        return DATA[offset : offset + length]

    far.read_at = failing
    with pytest.raises(OSError, match="reset"):
        file.read(10)
    assert file.read(10) == DATA[:10]
    file.close()


def test_a_file_that_became_shorter_is_an_error():
    far = Far()
    file = ReadAheadFile(far)
    far.data = DATA[:550]
    with pytest.raises(OSError, match="the file ends at 550, before its 10000 bytes"):
        file.read()
    file.close()


# File systems


def test_a_file_system_that_was_handed_in_is_used_for_every_path(tmp_path):
    pa.parquet.write_table(TABLE, tmp_path / "a.parquet")
    filesystem = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    for path in ("a.parquet", "*.parquet", ""):
        assert read(open_source(path, options=LoadOptions(filesystem=filesystem))).equals(TABLE)
    with pytest.raises(SourceError, match="no such file"):
        open_source("b.parquet", options=LoadOptions(filesystem=filesystem))


@pytest.mark.parametrize(
    ("uri", "options", "text"),
    [
        ("s3://b/x", {"speed": "1"}, "expected one of endpoint_url, region, anonymous, access_key"),
        ("s3://b/x", {"anonymous": "maybe"}, "expected anonymous=true or anonymous=false, found anonymous=maybe"),
        ("s3://b/x", {"connect_timeout": "soon"}, "expected connect_timeout in seconds, found connect_timeout=soon"),
        ("hdfs://b/x", {"region": "x"}, "expected options with s3:// or gs://, found options with hdfs://"),
    ],
)
def test_options_that_no_store_has_are_refused(uri, options, text):
    with pytest.raises(ConfigError, match=text):
        open_source(uri, options=LoadOptions(source_options=options))


def test_options_become_those_of_pyarrow():
    storage = Storage(options={"endpoint_url": "https://store.example.com:9000/", "anonymous": "true"})
    filesystem, path = storage.find("s3://bucket/a b/c.parquet")
    assert filesystem == pafs.S3FileSystem(
        endpoint_override="store.example.com:9000", scheme="https", anonymous=True, region="us-east-1"
    )
    assert path == "bucket/a b/c.parquet"
    assert Storage(options={"anonymous": "true"}).find("gs://bucket/x")[1] == "bucket/x"


@pytest.fixture
def amazon(monkeypatch):
    """The buckets that Amazon was asked about; all of them are in one region."""
    asked = []

    def answer(bucket):
        asked.append(bucket)
        if bucket == "unknown":
            raise OSError("Bucket 'unknown' not found")
        return "eu-north-1"

    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pafs, "resolve_s3_region", answer)
    return asked


def test_amazon_says_in_which_region_a_bucket_is_where_no_option_does(amazon):
    filesystem, path = Storage(options={"anonymous": "true"}).find("s3://bucket/a/b.parquet")
    assert (filesystem.region, path, amazon) == ("eu-north-1", "bucket/a/b.parquet", ["bucket"])
    assert filesystem == pafs.S3FileSystem(anonymous=True, region="eu-north-1")


@pytest.mark.parametrize("options", [{"region": "us-west-2"}, {"endpoint_url": "http://127.0.0.1:9"}], ids=str)
def test_nobody_is_asked_for_a_region_that_options_give_or_that_another_store_does_not_have(amazon, options):
    filesystem, _ = Storage(options=options).find("s3://bucket/a/b.parquet")
    assert (filesystem.region, amazon) == (options.get("region", "us-east-1"), [])


def test_nobody_is_asked_for_a_region_where_the_environment_names_another_store(amazon, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    Storage(options={"anonymous": "true"}).find("s3://bucket/a/b.parquet")
    assert amazon == []


def test_a_bucket_that_amazon_does_not_know_is_said_to_be_unknown(amazon):
    with pytest.raises(SourceError) as caught:
        open_source("s3://unknown/a.parquet", options=LoadOptions(source_options={"anonymous": "true"}))
    assert str(caught.value) == (
        "s3://unknown/a.parquet: expected a path or URI that can be read, found Bucket 'unknown' not found; "
        "check the address, or load a local copy"
    )


def test_a_store_of_google_s_that_does_not_answer_is_not_asked_for_ever():
    options = {"endpoint_url": "http://127.0.0.1:9", "anonymous": "true", "retry_time_limit": "0.1"}
    with pytest.raises(SourceError, match=r"gs://bucket/a\.parquet"):
        open_source("gs://bucket/a.parquet", options=LoadOptions(source_options=options))
