"""Endpoints and options: what is accepted, what is refused, and that no secret is shown."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from headrace.config import Endpoint, LoadOptions, choose_endpoint
from headrace.errors import ConfigError


@pytest.mark.parametrize(
    ("uri", "address", "tls"),
    [
        ("http://localhost", "localhost:19530", False),
        ("http://10.0.0.1:1234", "10.0.0.1:1234", False),
        ("https://milvus.example.com", "milvus.example.com:443", True),
        ("http://[::1]:19530", "[::1]:19530", False),
    ],
)
def test_addresses(uri, address, tls):
    endpoint = Endpoint(uri=uri)
    assert (endpoint.address, endpoint.tls, endpoint.is_embedded) == (address, tls, False)


def test_a_path_that_ends_in_db_is_embedded(tmp_path):
    endpoint = Endpoint.resolve(tmp_path / "x.db")
    assert endpoint.is_embedded
    assert endpoint.path == tmp_path / "x.db"
    assert Endpoint(uri="~/x.db").path == Path.home() / "x.db"


def test_the_environment_gives_defaults_that_arguments_override():
    env = {"MILVUS_URI": "http://env:1", "MILVUS_TOKEN": "root:env", "MILVUS_DB": "envdb"}
    endpoint = Endpoint.resolve(environ=env)
    assert (endpoint.uri, endpoint.token, endpoint.db_name) == ("http://env:1", "root:env", "envdb")
    endpoint = Endpoint.resolve("http://arg:2", token="t", db_name="", environ=env)
    assert (endpoint.uri, endpoint.token, endpoint.db_name) == ("http://arg:2", "t", "")
    assert Endpoint.resolve(environ={}).uri == "http://localhost:19530"


def test_no_repr_shows_the_token():
    endpoint = Endpoint.resolve(user="root", password="s3cret", environ={})
    assert endpoint.authorization == "cm9vdDpzM2NyZXQ="
    assert "s3cret" not in repr(endpoint)
    assert pickle.loads(pickle.dumps(endpoint)) == endpoint


@pytest.mark.parametrize(
    "arguments",
    [
        {"uri": "ftp://host"},
        {"uri": "http://"},
        {"uri": "http://host:99999"},
        {"uri": "localhost:19530"},
        {"uri": "./data.sqlite"},
        {"uri": "http://host/path"},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": float("inf")},
        {"ca_cert": Path("ca.pem")},
        {"uri": "https://host", "client_cert": Path("c.pem")},
    ],
    ids=str,
)
def test_unusable_endpoints_are_refused(arguments):
    with pytest.raises(ConfigError, match=r"expected .*, found .*; "):
        Endpoint(**arguments)


def test_credentials_inside_a_uri_are_refused_without_being_repeated():
    with pytest.raises(ConfigError, match="give them as a token") as refused:
        Endpoint(uri="http://root:s3cret@host:19530")
    assert "s3cret" not in str(refused.value)


def test_a_token_and_a_user_together_are_refused():
    with pytest.raises(ConfigError, match="credentials"):
        Endpoint.resolve(token="a:b", user="a", password="b", environ={})


def test_an_endpoint_is_given_whole_or_in_parts():
    endpoint = Endpoint()
    nothing = {"token": None, "user": None, "password": None, "db_name": None}
    assert choose_endpoint(endpoint, None, **nothing) is endpoint
    with pytest.raises(ConfigError, match="both"):
        choose_endpoint(endpoint, "http://host", **nothing)


@pytest.mark.parametrize(
    "option",
    [
        {"mode": "replace"},
        {"verify": "all"},
        {"searchable": "maybe"},
        {"batch_bytes": 0},
        {"window_bytes": -1},
        {"max_in_flight": 0},
        {"max_rows_per_second": 0},
        {"max_mb_per_second": float("inf")},
        {"channels": 0},
        {"num_shards": 0},
        {"limit": -1},
        {"max_rejects": -1},
        {"rpc_timeout": 0.0},
        {"rpc_timeout": float("inf")},
        {"give_up_after": float("nan")},
        {"batch_bytes": "6MB"},
        {"channels": True},
        {"create": 1},
        {"nice": "yes"},
        {"rpc_timeout": "60"},
        {"key": 7},
        {"state_dir": 7},
    ],
    ids=str,
)
def test_unusable_options_are_refused(option):
    with pytest.raises(ConfigError, match=next(iter(option))):
        LoadOptions(**option)


def test_options_take_what_means_the_same():
    options = LoadOptions(vector="embedding", state_dir="state", limit=np.int64(5), rpc_timeout=30)
    assert (options.vector, options.state_dir) == (("embedding",), Path("state"))
    assert LoadOptions(vector=["a", "b"]) == LoadOptions(vector=("a", "b"))
