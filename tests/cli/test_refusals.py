"""Everything that is refused before a row is sent: one message that names it, one document, status 2 or 4."""

from __future__ import annotations

import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import table


def check_refused(ended, status, *words):
    """One message at the end of standard error, the same in the document."""
    assert ended.status == status, ended.err
    message = f"\n{ended.err}".rpartition("\nheadrace: ")[2]
    for word in words:
        assert word in message
    assert "Traceback" not in ended.err
    document = ended.document
    assert document["status"] == "failed"
    assert document["exit_status"] == status
    assert document["message"].split() == message.split()


def load(headrace, fake, source, *more):
    return headrace.run("load", source, "--collection", "c", "--uri", fake.uri, *more)


def test_a_missing_file_is_named(headrace, fake):
    check_refused(load(headrace, fake, "none.parquet", "--create"), 2, "none.parquet")


def test_standard_input_is_no_source_but_a_file_of_its_name_is(headrace, fake, source):
    source.rename(source.parent / "-")
    check_refused(load(headrace, fake, "-", "--create"), 2, "standard input", "write the rows into a file")
    ended = load(headrace, fake, "./-", "--create")
    assert "standard input" not in ended.err


def test_a_glob_without_files_is_named(headrace, fake):
    check_refused(load(headrace, fake, "none-*.parquet", "--create"), 2, "none-*.parquet")


@pytest.mark.parametrize("content", [b"", b"id,vector\n1,2\n", b"PAR1 but nothing behind it"])
def test_a_file_that_is_no_parquet_file_is_named(headrace, fake, tmp_path, content):
    (tmp_path / "rows.parquet").write_bytes(content)
    check_refused(load(headrace, fake, "rows.parquet", "--create"), 2, "rows.parquet")


def test_a_collection_that_does_not_exist_needs_create(headrace, fake, source):
    check_refused(load(headrace, fake, source), 2, "collection 'c'", "--create")
    assert fake.calls_of("CreateCollection", "Insert") == []


@pytest.mark.parametrize("refused", ["none.parquet", "rows.parquet", "rows.jsonl"])
def test_a_refused_load_leaves_no_state_directory(headrace, fake, source, tmp_path, refused):
    (tmp_path / "rows.jsonl").write_text('{"id": 1}\nno JSON\n')
    ended = load(headrace, fake, refused)
    assert ended.status == 2
    assert "journal, rejects and report" not in ended.err
    assert list(headrace.state.glob("headrace/*")) == []


def test_each_thing_that_does_not_fit_has_a_line_of_its_own(headrace, fake, source, tmp_path):
    assert load(headrace, fake, source, "--create").status == 0
    more = table(dim=8).append_column("extra", pa.array(["x"] * 100))
    pq.write_table(more, tmp_path / "more.parquet")
    ended = load(headrace, fake, "more.parquet")
    check_refused(ended, 2, "2 places")
    *_, places, first, second = ended.err.splitlines()
    assert places.endswith("do not fit in 2 places:")
    assert (first[:2], second[:2]) == ("  ", "  ")
    assert {line.split("'")[1] for line in (first, second)} == {"vector", "extra"}


def test_a_source_without_a_key_is_refused_with_the_remedy(headrace, fake, tmp_path):
    pq.write_table(table().rename_columns(["number", "text", "vector"]), tmp_path / "rows.parquet")
    check_refused(load(headrace, fake, "rows.parquet", "--create"), 2, "--key")
    assert fake.collections == {}


def test_an_unknown_key_column_is_named(headrace, fake, source):
    check_refused(load(headrace, fake, source, "--create", "--key", "doc_id"), 2, "primary key", "--key")


def test_a_column_that_the_collection_does_not_have_is_named(headrace, fake, source, tmp_path):
    assert load(headrace, fake, source, "--create").status == 0
    more = table().append_column("extra", pa.array(["x"] * 100))
    pq.write_table(more, tmp_path / "more.parquet")
    check_refused(load(headrace, fake, "more.parquet"), 2, "extra")


def test_a_vector_of_another_dimension_is_named(headrace, fake, source, tmp_path):
    assert load(headrace, fake, source, "--create").status == 0
    pq.write_table(table(dim=8), tmp_path / "wide.parquet")
    check_refused(load(headrace, fake, "wide.parquet"), 2, "vector", "4", "8")


def test_a_server_that_is_not_there_is_status_4(headrace, source):
    with socket.socket() as taken:
        # Bound and not listening: nobody else gets the port, and nobody answers.
        taken.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{taken.getsockname()[1]}"
        ended = headrace.run("load", source, "--collection", "c", "--uri", uri, "--create", "--connect-timeout", "1")
    check_refused(ended, 4, uri.removeprefix("http://"))


@pytest.mark.parametrize("uri", ["localhost", "ftp://localhost", "http://localhost:99999", "http://u:p@localhost"])
def test_a_uri_that_cannot_be_used_is_refused(headrace, source, uri):
    ended = headrace.run("load", source, "--collection", "c", "--uri", uri)
    check_refused(ended, 2, "uri")
    assert "u:p" not in ended.err


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_token_file_without_a_token_is_refused(headrace, source, tmp_path, content):
    if content is not None:
        (tmp_path / "token").write_text(content)
    ended = headrace.run("load", source, "--collection", "c", "--token-file", "token")
    check_refused(ended, 2, "--token-file", "token")


def test_the_traceback_is_shown_to_who_asks_for_it(headrace, fake):
    environ = {"HEADRACE_DEBUG": "1"}
    ended = headrace.run("load", "none", "--collection", "c", "--uri", fake.uri, environ=environ)
    assert ended.status == 2
    assert "Traceback (most recent call last)" in ended.err


@pytest.mark.parametrize("limit", ["many", "-1", "101%", "1.5"])
def test_a_limit_of_rejects_that_is_none_is_named(headrace, fake, source, limit):
    check_refused(load(headrace, fake, source, "--create", f"--max-rejects={limit}"), 2, "max_rejects", "0.5%")
