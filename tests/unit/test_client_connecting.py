"""How clients find their server, who they say they are, and in which loops they work."""

from __future__ import annotations

import asyncio
import base64
import warnings
from pathlib import Path

import grpc
import pytest

from headrace.addressing import endpoint_of
from headrace.client import AsyncMilvusClient, MilvusClient
from headrace.errors import MilvusException, RpcError
from tests.fake.behaviours import stall
from tests.fake_milvus import FakeMilvus
from tests.integration.client.harness import Awaiting

TLS = Path(__file__).parents[1] / "data" / "tls"
KINDS = pytest.mark.parametrize("kind", [MilvusClient, Awaiting], ids=["sync", "async"])


def endpoint(uri=None, **given):
    words = {"user": "", "password": "", "db_name": "", "token": "", "timeout": None, "secure": None, "server_name": ""}
    names = ("ca_pem_path", "server_pem_path", "client_pem_path", "client_key_path")
    files = {name: given.pop(name, None) for name in names}
    return endpoint_of(uri=uri, files=files, **words | given)


@pytest.mark.parametrize(
    ("uri", "given", "found"),
    [
        (None, {}, ("http://localhost:19530", None, "")),
        ("http://h:1", {"token": "a:b", "db_name": "d"}, ("http://h:1", "a:b", "d")),
        ("http://h:1", {"user": "a", "password": "b"}, ("http://h:1", "a:b", "")),
        ("https://ann:word@h:1/books", {}, ("https://h:1", "ann:word", "books")),
        ("https://ann:w%40rd@h", {"db_name": "d"}, ("https://h", "ann:w@rd", "d")),
        ("https://key@h", {}, ("https://h", "key", "")),
        ("https://ann:word@h", {"token": "other"}, ("https://h", "other", "")),
        ("https://ann:word@h", {"user": "bob", "password": "b"}, ("https://h", "bob:b", "")),
        ("tcp://h:1", {}, ("http://h:1", None, "")),
        ("http://h", {"secure": True}, ("https://h:19530", None, "")),
        ("http://h:1/", {"secure": True}, ("https://h:1", None, "")),
        ("https://h", {"secure": True}, ("https://h", None, "")),
        ("http://h", {"secure": False}, ("http://h", None, "")),
        ("./file.db", {}, ("./file.db", None, "")),
        (Path("file.db"), {}, ("file.db", None, "")),
    ],
)
def test_what_users_give_is_an_endpoint(uri, given, found):
    made = endpoint(uri, **given)
    assert (made.uri, made.token, made.db_name) == found


@pytest.mark.parametrize("timeout", [5, 0.5, None])
def test_the_timeout_bounds_connecting_and_may_be_a_whole_number(timeout):
    assert endpoint("http://h", timeout=timeout).timeout == (timeout or 10)


def test_the_environment_fills_in_what_is_not_given(monkeypatch):
    monkeypatch.setenv("MILVUS_URI", "http://from-outside:1")
    monkeypatch.setenv("MILVUS_TOKEN", "a:b")
    monkeypatch.setenv("MILVUS_DB", "d")
    made = endpoint()
    assert (made.uri, made.token, made.db_name) == ("http://from-outside:1", "a:b", "d")
    assert endpoint("http://h", token="c").token == "c"


@KINDS
@pytest.mark.parametrize("authority", ["ca_pem_path", "server_pem_path"])
def test_certificates_have_the_names_that_users_know(kind, authority):
    read = [(TLS / name).read_bytes() for name in ("server.key", "server.pem", "ca.pem")]
    credentials = grpc.ssl_server_credentials([(read[0], read[1])], root_certificates=read[2], require_client_auth=True)
    with FakeMilvus(credentials=credentials) as server:
        client = kind(
            server.uri.replace("https", "http"),
            secure=True,
            client_pem_path=str(TLS / "client.pem"),
            client_key_path=TLS / "client.key",
            server_name="milvus.test",
            **{authority: str(TLS / "ca.pem")},
        )
        assert client.list_collections() == []
        client.close()


@KINDS
def test_a_client_goes_to_another_database(kind, fake):
    client = kind(fake.uri, db_name="first")
    client.list_collections()
    client.use_database("second")
    client.list_collections()
    client.using_database(db_name="third")
    client.list_collections()
    assert [call.metadata["dbname"] for call in fake.calls_of("ShowCollections")] == ["first", "second", "third"]
    client.close()


@KINDS
def test_a_database_that_is_not_there_leaves_the_client_where_it_was(kind, fake):
    client = kind(fake.uri, db_name="first")
    with pytest.raises(MilvusException) as raised:
        client.use_database("nowhere")
    assert raised.value.code == 800
    client.list_collections()
    assert fake.calls_of("ShowCollections")[-1].metadata["dbname"] == "first"
    client.close()


@KINDS
def test_a_client_goes_on_with_its_new_password(kind, fake):
    client = kind(fake.uri, user="ann", password="first-word")
    client.update_password("ann", "first-word", "second-word")
    client.update_password("ann", "first-word", "second-word", reset_connection=True)
    client.list_collections()
    sent = [call.metadata["authorization"] for call in fake.calls]
    words = [base64.b64decode(word).decode().partition(":")[2] for word in sent]
    assert set(words[:-1]) == {"first-word"}
    assert words[-1] == "second-word"
    client.close()


def test_an_awaited_client_is_built_before_any_loop_and_used_in_two():
    with FakeMilvus() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        client = AsyncMilvusClient(server.uri, timeout=5)
        for _ in range(2):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(client.list_collections()) == []
            loop.close()
        asyncio.run(client.close())
        with pytest.raises(RpcError, match="expected an open transport, found a closed one"):
            asyncio.run(client.list_collections())


def test_both_clients_live_side_by_side_in_a_coroutine(fake):
    async def main():
        async with AsyncMilvusClient(fake.uri) as awaited:
            with MilvusClient(fake.uri) as blocking:
                found = blocking.list_collections(), await awaited.list_collections()
            return found, await awaited.list_collections()

    assert asyncio.run(main()) == (([], []), [])


def test_a_cancelled_call_leaves_the_client_usable(fake):
    async def main():
        async with AsyncMilvusClient(fake.uri) as client:
            fake.script("ShowCollections", stall)
            task = asyncio.create_task(client.list_collections())
            await asyncio.to_thread(fake.wait_for, lambda: fake.calls_of("ShowCollections"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await client.list_collections()

    assert asyncio.run(main()) == []


def test_the_kind_of_a_server_is_told_by_its_name(fake):
    with MilvusClient(fake.uri) as client:
        assert client.get_server_type() == "milvus"
    assert AsyncMilvusClient("https://in01.zillizcloud.com").get_server_type() == "zilliz"
    assert AsyncMilvusClient("./zilliz.db").get_server_type() == "milvus"
    assert repr(AsyncMilvusClient("https://ann:word@h")) == "AsyncMilvusClient('https://h')"
