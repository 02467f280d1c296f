"""``headrace load`` from an object store, with what ``--source-option`` says of it."""

from __future__ import annotations

import pytest

from tests.servers.s3 import s3_server


@pytest.fixture(scope="module")
def store():
    with s3_server() as running:
        yield running


@pytest.fixture
def load(headrace, fake, store):
    """Loads a file of the bucket with these options, where the environment has no credentials."""

    def run(name, *options):
        arguments = ["--collection", "c", "--uri", fake.uri, "--create"]
        given = [f"--source-option={option}" for option in (f"endpoint_url={store.address}", *options)]
        return headrace.run(
            "load", f"s3://bucket/{name}", *arguments, *given, environ={"AWS_EC2_METADATA_DISABLED": "true"}
        )

    return run


@pytest.mark.parametrize("options", [["anonymous=true"], ["anonymous=true", "region=eu-central-1"]], ids=" ".join)
def test_a_public_file_is_loaded_without_credentials(load, fake, store, source, options):
    store.put(source, "public.parquet", public=True)
    ended = load("public.parquet", *options)
    assert (ended.status, ended.document["rows_stored"]) == (0, 100), ended.err
    assert fake.collections["c"].count() == 100


def test_a_private_file_needs_the_key(load, fake, store, source):
    store.put(source, "private.parquet")
    refused = load("private.parquet", "anonymous=true")
    assert (refused.status, fake.collections) == (2, {})
    assert "s3://bucket/private.parquet: expected a path or URI that can be read, found " in refused.err
    ended = load("private.parquet", "access_key=key", "secret_key=secret")
    assert (ended.status, fake.collections["c"].count()) == (0, 100), ended.err


def test_an_option_that_stores_do_not_have_is_refused_by_name(load):
    refused = load("public.parquet", "public=true")
    assert refused.status == 2
    assert "--source-option: expected one of endpoint_url, region, anonymous, access_key" in refused.err
