"""Loads from an object store that speaks S3."""

from __future__ import annotations

import pytest

from tests.formats import WRITERS
from tests.loader.rows import counts, interrupted, load, rows_sent, writes
from tests.loader.test_formats import check_stored
from tests.servers.s3 import s3_server

ROWS = 200


@pytest.fixture(scope="module")
def store():
    with s3_server() as running:
        yield running


@pytest.mark.parametrize("name", WRITERS)
def test_files_of_every_format_arrive(fake, store, tmp_path, name):
    written = WRITERS[name](tmp_path, ROWS)
    store.put(tmp_path, name)
    far = f"s3://bucket/{name}"
    options = {
        key: str(value).replace(str(tmp_path), far) if key in ("ids", "metadata") else value
        for key, value in written.options.items()
    }
    report = load(
        fake, str(written.source).replace(str(tmp_path), far), source_options=store.options, verify="full", **options
    )
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
