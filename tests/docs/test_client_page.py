"""The page about the clients names every method, with its state on each server."""

from __future__ import annotations

import re
from pathlib import Path

import pymilvus
import pytest

import headrace
from headrace import AsyncMilvusClient, MilvusClient

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
SERVERS = "| method | Lite 3.2 | 2.3.5 | 2.4 | 2.5 | 2.6 |"


def rows():
    """The first cell and the states of every row of the tables of methods."""
    for table in re.findall(re.escape(SERVERS) + r"\n.*\n((?:\|.*\n)+)", PAGE):
        for line in table.splitlines():
            first, *states = (cell.strip() for cell in line.strip("|").split("|"))
            yield re.findall(r"`(\w+)`", first), states


@pytest.mark.parametrize("client", [MilvusClient, AsyncMilvusClient])
def test_every_method_is_named_once(client):
    methods = sorted(name for name in dir(client) if not name.startswith("_") and name != "run")
    named = sorted(name for names, _ in rows() for name in names)
    assert named == methods


def test_every_state_is_said_and_nothing_is_left_for_later():
    states = [state for _, row in rows() for state in row]
    assert all(len(row) == 5 for _, row in rows())
    assert {state.split(",")[0] for state in states} == {"yes", "no"}
    assert "not implemented" not in PAGE


@pytest.mark.parametrize("name", ["MilvusClient", "AsyncMilvusClient"])
def test_every_call_of_pymilvus_that_is_left_out_is_named(name):
    theirs = {item for item in dir(getattr(pymilvus, name)) if not item.startswith("_")}
    section = PAGE.split("### Calls of pymilvus that are not here")[1]
    named = {item for line in section.splitlines() if line.startswith("|") for item in re.findall(r"`(\w+)`", line)}
    missing = theirs - set(dir(getattr(headrace, name)))
    assert missing <= named
    assert named <= {item for item in dir(pymilvus.MilvusClient) if not hasattr(headrace.MilvusClient, item)}
