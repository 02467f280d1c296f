"""Databases: made, listed, used, dropped."""

from __future__ import annotations

from tests.integration.client.harness import LITE, outcome, scenario

__all__: list[str] = []


@scenario
def databases(lib, client, name):
    other = name + "_db"
    yield outcome(client.drop_database, other)
    yield client.create_database(db_name=other)
    yield other in client.list_databases()
    yield outcome(client.create_database, other)
    yield client.drop_database(db_name=other)
    yield other in client.list_databases()


@scenario(engines=(LITE,))
def a_database_that_is_used(lib, client, name):
    other = name + "_db"
    client.create_database(other)
    client.create_collection(name, dimension=4)
    yield client.describe_database(other)
    yield client.use_database(other)
    yield client.list_collections()
    yield client.has_collection(name)
    client.create_collection(name, dimension=8)
    yield client.list_collections()
    yield outcome(client.drop_database, other)
    yield client.describe_collection(name)["fields"][1]["params"]
    yield client.drop_collection(name)
    yield client.use_database("default")
    yield client.describe_collection(name)["fields"][1]["params"]
    yield outcome(client.use_database, name + "_none")
    yield client.has_collection(name)
    yield client.drop_database(other)


@scenario(engines=(LITE,))
def properties_of_a_database(lib, client, name):
    other = name + "_db"
    client.create_database(other, properties={"database.replica.number": 1})
    yield client.describe_database(other)
    yield client.alter_database_properties(other, {"database.replica.number": 2})
    yield client.describe_database(other)
    yield client.drop_database_properties(other, ["database.replica.number"])
    yield client.describe_database(other)
    yield client.drop_database(other)
