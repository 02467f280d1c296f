"""Loads from object stores: one that speaks S3, and one that speaks what pyarrow asks of Google's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from headrace.errors import SourceError
from tests.formats import WRITERS
from tests.loader.rows import counts, interrupted, load, rows_sent, writes
from tests.loader.test_formats import check_stored
from tests.servers.gcs import gcs_server
from tests.servers.s3 import s3_server

ROWS = 200


@pytest.fixture(scope="module")
def store():
    with s3_server() as running:
        yield running


def load_from(fake, written, folder, far, **options):
    """Load what was written into a folder from where the same files are far away."""
    written_options = {
        key: str(value).replace(str(folder), far) if key in ("ids", "metadata") else value
        for key, value in written.options.items()
    }
    return load(fake, str(written.source).replace(str(folder), far), verify="full", **written_options, **options)


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_every_format_arrive(fake, store, tmp_path, name):
    written = WRITERS[name](tmp_path, ROWS)
    store.put(tmp_path, name)
    report = load_from(fake, written, tmp_path, f"s3://bucket/{name}", source_options=store.options)
    assert counts(report) == {"stored": ROWS}
    assert report.verify["status"] == "ok"
    check_stored(fake, written)


def test_an_interrupted_load_from_a_store_goes_on(fake, store, tmp_path):
    written = WRITERS["npz"](tmp_path, 600)
    store.put(tmp_path, "again")
    options = {"source_options": store.options}
    report = interrupted(fake, "s3://bucket/again/*.npz", **options)
    sent = len(writes(fake))
    again = load(fake, "s3://bucket/again/*.npz", **options)
    assert (counts(again), again.rows_resumed) == ({"stored": 600}, report.rows_stored)
    assert rows_sent(writes(fake)[sent:]) == 600 - report.rows_stored
    check_stored(fake, written)


@pytest.fixture(scope="module")
def google(tmp_path_factory):
    """A store of Google's, as far as pyarrow asks: the folder that is its bucket, and the options that reach it."""
    folder = tmp_path_factory.mktemp("bucket")
    with gcs_server(folder) as options:
        yield SimpleNamespace(folder=folder, options=options)


@pytest.mark.parametrize(
    "name", ["Parquet of DuckDB", "Feather of pandas", "npy", "JSON lines of pandas", "HDF5", "fbin"]
)
def test_files_of_google_s_store_arrive(fake, google, name):
    folder = google.folder / name
    folder.mkdir()
    written = WRITERS[name](folder, ROWS)
    report = load_from(fake, written, folder, f"gs://bucket/{name}", source_options=google.options)
    assert (counts(report), report.verify["status"]) == ({"stored": ROWS}, "ok")
    check_stored(fake, written)


@pytest.mark.long
def test_an_interrupted_load_from_google_s_store_goes_on(fake, google):
    folder = google.folder / "again"
    folder.mkdir()
    written = WRITERS["npz"](folder, 600)
    options = {"source_options": google.options}
    report = interrupted(fake, "gs://bucket/again/*.npz", **options)
    again = load(fake, "gs://bucket/again/*.npz", **options)
    assert (counts(again), again.rows_resumed) == ({"stored": 600}, report.rows_stored)
    check_stored(fake, written)


@pytest.mark.parametrize("path", ["nothing.parquet", "none/*.parquet"])
def test_files_that_google_s_store_does_not_have_are_said_to_be_missing(fake, google, path):
    with pytest.raises(SourceError, match=f"gs://bucket/{path[:4]}.*expected a file, directory or glob with files"):
        load(fake, f"gs://bucket/{path}", source_options=google.options)
    assert fake.collections == {}
