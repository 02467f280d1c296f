"""Wrong calls: each is refused by name, before a call where that can be, and never later than by pymilvus."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

import headrace
from headrace import ConfigError, ConnectError, InputError, MilvusException, SchemaError
from tests.fake_milvus import FakeMilvus
from tests.integration.client.harness import Awaiting

FORM = re.compile(r"^.+: expected .+, found .*; .+", re.DOTALL)
Data = headrace.DataType


def schema(client, **options):
    return client.create_schema(**options)


def keyed(client):
    return schema(client).add_field("id", Data.INT64, is_primary=True)


def indexes(client, *args, **kwargs):
    return client.prepare_index_params().add_index(*args, **kwargs)


#: A name, the call, and what the error names: the parameter, and what is allowed or meant.
CALLS = [
    ("no name", lambda c: c.create_collection(), "create_collection(): expected collection_name, found nothing"),
    ("name is no text", lambda c: c.has_collection(5), "collection_name: expected a text that is not empty, found 5"),
    ("name is None", lambda c: c.drop_collection(None), "collection_name: expected a text that is not empty"),
    ("empty name", lambda c: c.describe_collection(""), "collection_name: expected a text that is not empty"),
    ("name of a digit", lambda c: c.create_collection("1st", dimension=4), "collection '1st': expected a letter or"),
    ("neither form", lambda c: c.create_collection("c"), "dimension: expected a dimension or a schema, found neither"),
    ("mistyped name", lambda c: c.create_collection("c", dimention=4), "'dimention'; did you mean 'dimension'?"),
    ("unknown name", lambda c: c.create_collection("c", 4, colour="red"), "found 'colour'; it takes collection_name,"),
    (
        "too many",
        lambda c: c.drop_alias("a", 1.0, "b"),
        "expected at most 2 positional arguments, found 3",
    ),
    ("twice", lambda c: c.drop_alias("a", alias="a"), "drop_alias(): expected alias once, found it twice"),
    ("dimension is no number", lambda c: c.create_collection("c", "many"), "dimension: expected a whole number"),
    ("dimension 0", lambda c: c.create_collection("c", 0), "dimension: expected a whole number of at least 1"),
    ("wrong id_type", lambda c: c.create_collection("c", 4, id_type="uuid"), "id_type: expected 'int' or 'string'"),
    ("auto_id is no flag", lambda c: c.create_collection("c", 4, auto_id="yes"), "auto_id: expected True or False"),
    ("schema is a dict", lambda c: c.create_collection("c", schema={"a": 1}), "schema: expected a CollectionSchema"),
    ("schema without a key", lambda c: c.create_collection("c", schema=schema(c)), "expected exactly one primary key"),
    (
        "wrong consistency level",
        lambda c: c.create_collection("c", 4, consistency_level="Quick"),
        "consistency_level: expected one of Strong, Session, Bounded, Eventually, Customized, found 'Quick'",
    ),
    ("shards in words", lambda c: c.create_collection("c", 4, num_shards="two"), "num_shards: expected a whole number"),
    ("no partitions", lambda c: c.create_collection("c", 4, num_partitions=0), "num_partitions: expected a whole"),
    ("call's timeout", lambda c: c.list_collections(timeout="5"), "timeout: expected seconds above 0, found '5'"),
    ("replicas in words", lambda c: c.load_collection("c", replica_number="2"), "replica_number: expected a whole"),
    ("no partition's name", lambda c: c.create_partition("c", ""), "partition_name: expected a text that is not"),
    ("no partitions to load", lambda c: c.load_partitions("c", []), "partition_names: expected at least one name"),
    ("no new name", lambda c: c.rename_collection("c", None), "new_name: expected a text that is not empty"),
    ("no index", lambda c: c.create_index("c", None), "index_params: expected at least one index, found None"),
    ("empty indexes", lambda c: c.create_index("c", c.prepare_index_params()), "index_params: expected at least one"),
    ("index is a dict", lambda c: c.create_index("c", {"index_type": "HNSW"}), "index_params: expected at least one"),
    ("mistyped metric", lambda c: indexes(c, "v", metric_typ="IP"), "'metric_typ'; did you mean 'metric_type'?"),
    ("index of nothing", lambda c: indexes(c, ""), "field_name: expected a text, found ''"),
    ("build parameters in a text", lambda c: indexes(c, "v", params="M=16"), "params: expected a dict of build"),
    ("index without a name", lambda c: c.drop_index("c", None), "index_name: expected a text that is not empty"),
    ("no properties", lambda c: c.alter_collection_properties("c", {}), "properties: expected a dict that is not"),
    ("no property's name", lambda c: c.drop_collection_properties("c", []), "property_keys: expected at least one"),
    ("no database", lambda c: c.create_database(""), "db_name: expected a text that is not empty"),
    ("no password", lambda c: c.create_user("ann", None), "password: expected a text that is not empty"),
    ("vector without dim", lambda c: keyed(c).add_field("v", Data.FLOAT_VECTOR), "expected dim between 1 and 262144"),
    ("dim in words", lambda c: keyed(c).add_field("v", Data.FLOAT_VECTOR, dim="ten"), "a whole number as dim"),
    ("mistyped dim", lambda c: keyed(c).add_field("v", Data.FLOAT_VECTOR, dims=4), "'dims'; did you mean 'dim'?"),
    ("text without length", lambda c: keyed(c).add_field("t", Data.VARCHAR), "expected max_length between 1 and 65535"),
    ("no such type", lambda c: keyed(c).add_field("t", 9999), "field 't': expected a DataType as datatype, found 9999"),
    ("name stands already", lambda c: keyed(c).add_field("id", Data.INT64), "each field once, found 'id' more than"),
    (
        "key of floats",
        lambda c: schema(c).add_field("id", Data.FLOAT, is_primary=True),
        "expected a primary key of type INT64 or VARCHAR",
    ),
    ("mistyped option", lambda c: schema(c, discription="d"), "'discription'; did you mean 'description'?"),
    (
        "function of a missing field",
        lambda c: keyed(c).add_function(headrace.Function("f", 1, "text", "sparse")).verify(),
        "function 'f': expected a field 'text', found none",
    ),
    (
        "field that takes no null",
        lambda c: c.add_collection_field("c", "f", Data.INT64),
        "nullable: expected True for a field that is added",
    ),
    ("wrong unit", lambda c: c.compact("c", target_size=5, target_size_unit="miles"), "target_size_unit: expected one"),
    (
        "both ways",
        lambda c: c.delete("c", ids=[1], filter="id > 1"),
        "expected one of them, found both",
    ),
    ("neither way", lambda c: c.delete("c"), "ids and filter: expected one of them, found neither"),
]

PART = headrace.AnnSearchRequest([[1, 2]], "v")
#: The same of calls that move rows.
CALLS += [
    (
        "insert without a name",
        lambda c: c.insert("", [{"id": 1}]),
        "collection_name: expected a text that is not empty",
    ),
    ("insert of a text", lambda c: c.insert("c", "row"), "data: expected a dict, a list of dicts, a dict of columns"),
    ("insert of a number", lambda c: c.upsert("c", 5), "found one of type int; give one of them"),
    ("insert's timeout", lambda c: c.insert("c", {"id": 1}, timeout=-1), "timeout: expected seconds above 0, found -1"),
    ("partition is no text", lambda c: c.insert("c", {"id": 1}, partition_name=5), "partition_name: expected a text"),
    ("ids are no keys", lambda c: c.delete("c", ids=[1.5]), "ids: expected a whole number, a text or a list of these"),
    (
        "ids are a number",
        lambda c: c.get("c", 1.5),
        "ids: expected a whole number, a text or a list of these, found 1.5",
    ),
    ("ids and a filter", lambda c: c.query("c", "id > 1", ids=[1]), "ids and filter: expected one of them, found both"),
    ("filter is no text", lambda c: c.query("c", 5), "filter: expected a text, found 5"),
    ("fields are a number", lambda c: c.query("c", "id > 1", 5), "output_fields: expected at least one name, found 5"),
    (
        "limit in words",
        lambda c: c.query("c", limit="ten"),
        "limit: expected a whole number of at least 0, found 'ten'",
    ),
    ("offset below 0", lambda c: c.query("c", offset=-1), "offset: expected a whole number of at least 0, found -1"),
    ("query's level", lambda c: c.query("c", consistency_level=9), "consistency_level: expected one of Strong,"),
    (
        "value of no form",
        lambda c: c.query("c", "id in {ids}", filter_params={"ids": object()}),
        "filter_params['ids']: expected a bool, a 64-bit integer, a float, a text or a list of these",
    ),
    ("search for nothing", lambda c: c.search("c", []), "data: expected at least one query vector, found none"),
    ("search for a text", lambda c: c.search("c", "cats"), "data: expected query vectors, found str"),
    (
        "search for NaN",
        lambda c: c.search("c", [[1, float("nan")]]),
        "data, vector 0: expected finite values, found nan",
    ),
    ("ragged queries", lambda c: c.search("c", [[1, 2], [1]]), "data, vector 1: expected 2 values like the first"),
    ("limit 0", lambda c: c.search("c", [[1, 2]], limit=0), "limit: expected a whole number of at least 1, found 0"),
    ("params in words", lambda c: c.search("c", [[1, 2]], search_params="ef"), "search_params: expected a dict"),
    (
        "parameter twice",
        lambda c: c.search("c", [[1, 2]], search_params={"ef": 8, "params": {"ef": 16}}),
        "search_params: expected each parameter once, found ef=8 and ef=16 in 'params'",
    ),
    ("mistyped option", lambda c: c.search("c", [[1, 2]], limits=3), "found 'limits'; did you mean 'limit'?"),
    ("no parts", lambda c: c.hybrid_search("c", [], headrace.RRFRanker()), "reqs: expected a list of AnnSearchRequest"),
    (
        "parts are lists",
        lambda c: c.hybrid_search("c", [[1]], headrace.RRFRanker()),
        "found one of type list; make one",
    ),
    ("no ranker", lambda c: c.hybrid_search("c", [PART], None), "ranker: expected an RRFRanker or a WeightedRanker"),
    (
        "too few weights",
        lambda c: c.hybrid_search("c", [PART, PART], headrace.WeightedRanker(0.5)),
        "ranker: expected a weight for each search, found 1 weights for 2 searches",
    ),
]


@pytest.fixture(scope="module")
def server():
    with FakeMilvus() as server:
        yield server


@pytest.fixture(scope="module", params=[headrace.MilvusClient, Awaiting], ids=["sync", "async"])
def client(request, server):
    client = request.param(server.uri)
    client.list_collections()
    yield client
    client.close()


@pytest.mark.parametrize(("call", "words"), [pytest.param(*rest, id=name) for name, *rest in CALLS])
def test_a_wrong_call_is_refused_by_name_before_anything_is_sent(server, client, call, words):
    before = len(server.calls)
    with pytest.raises((ConfigError, InputError)) as raised:
        call(client)
    # Nobody can be earlier.
    assert len(server.calls) == before
    assert words in str(raised.value)
    assert FORM.match(str(raised.value))


ADDRESSES = [
    ("address without a scheme", {"uri": "localhost:19530"}, "uri: expected a Milvus address, found 'localhost:19530'"),
    ("another scheme", {"uri": "ftp://localhost"}, "uri: expected a Milvus address"),
    ("uri is no text", {"uri": 19530}, "uri: expected a text or a path, found 19530"),
    ("mistyped argument", {"tokken": "a:b"}, "'tokken'; did you mean 'token'?"),
    ("timeout in words", {"timeout": "soon"}, "timeout: expected seconds above 0, found 'soon'"),
    ("no time", {"timeout": 0}, "timeout: expected seconds above 0, found 0"),
    ("token and user", {"token": "a:b", "user": "a"}, "credentials: expected a token or a user with a password"),
    ("token is no text", {"token": 5}, "token: expected a text, found one of type int"),
    ("secure in words", {"secure": "yes"}, "secure: expected True or False, found 'yes'"),
    ("two ways", {"uri": "https://localhost", "secure": False}, "secure: expected True with https://, found False"),
    ("half a certificate", {"secure": True, "client_pem_path": "a.pem"}, "client certificate: expected both"),
    ("files without TLS", {"ca_pem_path": "ca.pem"}, "uri: expected https:// with TLS files"),
]


@pytest.mark.parametrize("kind", [headrace.MilvusClient, headrace.AsyncMilvusClient])
@pytest.mark.parametrize(("given", "words"), [pytest.param(*rest, id=name) for name, *rest in ADDRESSES])
def test_a_wrong_address_is_refused_before_anything_is_sent(server, kind, given, words):
    before = len(server.calls)
    with pytest.raises(ConfigError) as raised:
        kind(**{"uri": server.uri, **given})
    assert words in str(raised.value)
    assert FORM.match(str(raised.value))
    assert "a:b" not in str(raised.value)
    assert len(server.calls) == before


def test_a_missing_certificate_is_named():
    with pytest.raises(ConfigError, match=r"ca_cert: expected a readable PEM file, found .*none.pem"):
        headrace.MilvusClient("https://localhost:1", ca_pem_path="none.pem")


@pytest.mark.parametrize("kind", [headrace.MilvusClient, Awaiting], ids=["sync", "async"])
def test_what_only_the_server_knows_is_one_clear_error(kind):
    silent = r"server 127\.0\.0\.1:1: expected a Milvus server within 0\.2 s"
    with pytest.raises(ConnectError, match=silent), closing(kind("http://127.0.0.1:1", timeout=0.2)) as client:
        client.list_collections()
    with FakeMilvus(token="ann:hidden") as server:
        for given in ({"token": "ann:other"}, {"user": "bob", "password": "hidden"}, {}):
            refused = pytest.raises(MilvusException, match="expected credentials that it accepts, found")
            with refused as raised, closing(kind(server.uri, timeout=2, **given)) as client:
                client.list_collections()
            assert raised.value.code == 1400
            assert "hidden" not in str(raised.value)


def test_without_credentials_none_are_sent(client, server):
    client.list_collections()
    assert {call.metadata.get("authorization") for call in server.calls} == {None}


def test_there_are_forty_and_more():
    assert len(CALLS) + len(ADDRESSES) >= 40
    assert issubclass(SchemaError, InputError)
