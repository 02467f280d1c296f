"""Reading back what was stored: missing, doubled and different rows are named, whatever the size."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from headrace import operations as ops
from headrace import readback
from headrace.batching import Placed, Span
from headrace.calls import drive_sync
from headrace.config import Endpoint
from headrace.readback import FileFindings, Findings, VerifyResult, verify_count, verify_key_counts, verify_rows
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam
from headrace.transport import SyncTransport
from tests.fake.encoding import encode_insert

SCHEMA = CollectionSchema(
    [
        FieldSchema("id", DataType.INT64, is_primary=True),
        FieldSchema("text", DataType.VARCHAR, max_length=99, nullable=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
    ],
    enable_dynamic_field=True,
)
TEXT_KEYS = CollectionSchema(
    [
        FieldSchema("id", DataType.VARCHAR, max_length=99, is_primary=True),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2),
    ]
)


def rows(keys, *, text="t", value=0.5):
    count = len(keys)
    columns = {
        "id": pa.array(keys, pa.string() if keys and isinstance(keys[0], str) else pa.int64()),
        "text": pa.array([text] * count, pa.string()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(np.full(count * 2, value, np.float32)), 2),
        "$meta": pa.array(['{"a": 1}'] * count, pa.string()),
    }
    return pa.RecordBatch.from_pydict(columns)


class Server:
    """A fake server with one loaded collection, and a connection to it."""

    def __init__(self, fake, transport, schema):
        self.fake = fake
        self.transport = transport
        self.run(ops.create_collection("c", schema))
        self.run(ops.create_index("c", IndexParam("vector", "AUTOINDEX", "COSINE")))
        self.run(ops.load_collection("c"))
        self.info = self.run(ops.describe_collection("c"))

    def run(self, operation):
        return drive_sync(self.transport, operation)

    def insert(self, batch):
        self.transport.call("Insert", encode_insert(batch, self.info.schema, "c"), timeout=10)

    def queries(self):
        return self.fake.calls_of("Query")


@pytest.fixture
def transport(fake):
    with SyncTransport(Endpoint(uri=fake.uri)) as connected:
        yield connected


@pytest.fixture
def server(fake, transport):
    return Server(fake, transport, SCHEMA)


def test_rows_that_are_there_have_no_mismatch(server):
    batch = rows([3, -(2**63) + 1, 2**63 - 1, 0])
    server.insert(batch)
    assert server.run(verify_rows(server.info, batch)) == []


def test_a_missing_row_is_named_by_its_key(server):
    server.insert(rows([1, 3]))
    assert server.run(verify_rows(server.info, rows([1, 2, 3]))) == [
        {"key": 2, "field": "id", "expected": "1 row", "found": "no row"}
    ]


def test_a_doubled_row_is_named_though_a_query_shows_it_once(server):
    server.insert(rows([1, 2, 3]))
    server.insert(rows([2]))
    assert server.run(verify_rows(server.info, rows([1, 2, 3]))) == [
        {"key": 2, "field": "id", "expected": "1 row", "found": "2 rows"}
    ]


def test_a_missing_row_is_found_where_a_doubled_one_makes_up_the_count(server):
    server.insert(rows([1, 1]))
    mismatches = server.run(verify_rows(server.info, rows([1, 2])))
    assert {"key": 2, "field": "id", "expected": "1 row", "found": "no row"} in mismatches


def test_differing_cells_are_named_with_both_sides(server):
    server.insert(rows([1]))
    server.insert(rows([2], text="other", value=0.25))
    assert server.run(verify_rows(server.info, rows([1, 2]))) == [
        {"key": 2, "field": "text", "expected": "'t'", "found": "'other'"},
        {
            "key": 2,
            "field": "vector",
            "expected": "element 0 of 2 is 0.5 (0x3f000000)",
            "found": "element 0 of 2 is 0.25 (0x3e800000); 2 differ",
        },
    ]


def test_the_last_row_counts_where_a_batch_has_a_key_twice(server):
    server.insert(rows([1], text="new"))
    batch = pa.Table.from_batches([rows([1], text="old"), rows([1], text="new")]).combine_chunks().to_batches()[0]
    assert server.run(verify_rows(server.info, batch)) == []


def test_text_keys_with_quotes_and_backslashes_are_found(fake, transport):
    server = Server(fake, transport, TEXT_KEYS)
    batch = rows(['a"b', "back\\slash", "new\nline", "tab\t", "", "ü"]).select(["id", "vector"])
    server.insert(batch)
    assert server.run(verify_rows(server.info, batch)) == []


def test_no_rows_ask_nothing(server):
    assert server.run(verify_rows(server.info, rows([1]).slice(0, 0))) == []
    assert server.queries() == []


def test_rows_without_their_key_ask_nothing(server):
    assert server.run(verify_rows(server.info, rows([1]).select(["vector"]))) == []
    assert server.queries() == []


def test_queries_are_cut_by_rows(server, monkeypatch):
    monkeypatch.setattr(readback, "QUERY_ROWS", 3)
    batch = rows(list(range(8)))
    server.insert(batch)
    assert server.run(verify_rows(server.info, batch)) == []
    asked = [call.request for call in server.queries() if list(call.request.output_fields) != ["count(*)"]]
    assert [request.expr for request in asked] == ["id in [0, 1, 2]", "id in [3, 4, 5]", "id in [6, 7]"]


def test_queries_are_cut_by_bytes(server, monkeypatch):
    batch = rows(list(range(8)), text="x" * 90)
    monkeypatch.setattr(readback, "QUERY_BYTES", batch.slice(0, 3).nbytes)
    server.insert(batch)
    assert server.run(verify_rows(server.info, batch)) == []
    asked = [call.request for call in server.queries() if list(call.request.output_fields) != ["count(*)"]]
    assert 2 < len(asked) < 8


def test_reads_are_strongly_consistent(server):
    server.insert(rows([1]))
    server.run(verify_rows(server.info, rows([1])))
    levels = {(call.request.consistency_level, call.request.use_default_consistency) for call in server.queries()}
    assert levels == {(0, False)}


def test_a_partition_is_asked_where_one_is_named(server):
    server.run(ops.create_partition("c", "p"))
    server.run(verify_rows(server.info, rows([1]), partition_name="p"))
    assert {tuple(call.request.partition_names) for call in server.queries()} == {("p",)}


def test_key_counts_name_missing_and_doubled_keys(server, monkeypatch):
    monkeypatch.setattr(readback, "COUNT_KEYS", 10)
    server.insert(rows([key for key in range(25) if key != 7]))
    server.insert(rows([21]))
    assert server.run(verify_key_counts(server.info, rows(list(range(25))).column("id"))) == [
        {"key": 7, "field": "id", "expected": "1 row", "found": "no row"},
        {"key": 21, "field": "id", "expected": "1 row", "found": "2 rows"},
    ]


def test_many_doubled_keys_are_named_up_to_a_limit(server):
    batch = rows(list(range(40)))
    server.insert(batch)
    server.insert(batch)
    mismatches = server.run(verify_rows(server.info, batch))
    assert [m["key"] for m in mismatches] == [*range(10), None]
    assert mismatches[-1]["found"] == "30 more doubles"


def test_rows_that_vanish_while_they_are_checked_are_a_mismatch(server):
    batch = rows([1, 2, 3])
    server.insert(batch)
    operation = verify_rows(server.info, batch)
    query = operation.send(None)
    raw = server.transport.call(query.method, query.request.SerializeToString(), timeout=10)
    count = operation.send(raw)
    server.fake.collections["c"].delete([2])
    raw = server.transport.call(count.method, count.request.SerializeToString(), timeout=10)
    with pytest.raises(StopIteration) as end:
        operation.send(count.response.FromString(raw))
    assert end.value.value == [
        {"key": None, "field": "id", "expected": "3 rows", "found": "2 rows, 3 when they were read"}
    ]


def test_the_count_after_an_insert_must_be_exact(server):
    server.insert(rows([1, 2, 3]))
    exact = verify_count(server.info, before=1, sent=2, replaced_possible=False)
    assert server.run(exact) == VerifyResult("count", "ok", 3)
    short = server.run(verify_count(server.info, before=1, sent=3, replaced_possible=False))
    assert (short.status, short.mismatches) == (
        "mismatch",
        [{"key": None, "field": "count(*)", "expected": "4 rows", "found": "3 rows"}],
    )
    more = server.run(verify_count(server.info, before=0, sent=2, replaced_possible=False))
    assert (more.status, more.note) == ("mismatch", "another writer may be at work")


@pytest.mark.parametrize(
    ("before", "sent", "status"),
    [(0, 3, "ok"), (2, 2, "not applicable"), (1, 2, "not applicable"), (4, 1, "mismatch"), (0, 4, "mismatch")],
)
def test_the_count_after_an_upsert_decides_only_what_it_can(server, before, sent, status):
    server.insert(rows([1, 2, 3]))
    result = server.run(verify_count(server.info, before=before, sent=sent, replaced_possible=True))
    assert result.status == status


def mismatch(key, field="f"):
    return {"key": key, "field": field, "expected": "a", "found": "b"}


def placed(keys, source="a", start=0):
    return Placed(pa.RecordBatch.from_pydict({"id": pa.array(keys)}), (Span(source, start, len(keys)),))


def test_findings_without_mismatches_are_ok():
    findings = Findings("full", "id")
    findings.add(placed([1, 2]), [])
    assert findings.result() == VerifyResult("full", "ok", 2, files={"a": FileFindings(2)})


def test_findings_without_rows_prove_nothing():
    result = Findings("sample", "id").result()
    assert (result.status, result.note) == ("not applicable", "no row with a key of its own to look up")


def test_a_row_that_was_replaced_later_is_no_mismatch():
    findings = Findings("full", "id")
    findings.add(placed([1, 2]), [mismatch(1), mismatch(2)])
    findings.add(placed([1], "b"), [])
    result = findings.result()
    assert result.mismatches == [mismatch(2)]
    assert result.files == {"a": FileFindings(0, different=1), "b": FileFindings(1)}


def test_a_later_row_that_did_not_replace_an_earlier_one_is_a_mismatch():
    findings = Findings("full", "id")
    findings.add(placed(["a"]), [])
    findings.add(placed(["a"], start=1), [mismatch("a")])
    assert findings.result().status == "mismatch"
    assert findings.result().differing == [Span("a", 1, 1)]


def test_each_file_has_its_rows_by_what_was_found_of_them():
    found = [
        mismatch(10, "text"),
        mismatch(10, "vector"),
        {"key": 11, "field": "id", "expected": "1 row", "found": "no row"},
        {"key": 20, "field": "id", "expected": "1 row", "found": "2 rows"},
    ]
    batch = pa.RecordBatch.from_pydict({"id": [9, 10, 11, 20, 21]})
    findings = Findings("full", "id")
    findings.add(Placed(batch, (Span("a", 7, 3), Span("b", 0, 2))), found)
    result = findings.result()
    assert result.files == {"a": FileFindings(1, missing=1, different=1), "b": FileFindings(1, doubled=1)}
    assert result.files["b"].to_dict() == {"verified": 1, "doubled": 1}
    assert result.differing == [Span("a", 8, 1), Span("a", 9, 1), Span("b", 0, 1)]


def test_what_is_said_of_several_keys_at_once_names_no_row():
    several = {"key": None, "field": "id", "expected": "3 rows", "found": "2 rows, 3 when they were read"}
    findings = Findings("full", "id")
    findings.add(placed([1, 2, 3]), [several])
    findings.add(placed([4, 5], start=3), [several, mismatch(5)])
    result = findings.result()
    assert (result.mismatches, result.differing) == ([several, several, mismatch(5)], [Span("a", 4, 1)])


def test_findings_name_the_first_hundred_and_count_the_rest(monkeypatch):
    monkeypatch.setattr(readback, "REMEMBERED", 150)
    findings = Findings("full", "id")
    findings.add(placed(list(range(200))), [mismatch(key) for key in range(200)])
    result = findings.result("a note")
    assert len(result.mismatches) == 100
    assert result.note == "200 differences in 150 rows or more; a note"
    assert result.files == {"a": FileFindings(0, different=200)}


def test_a_result_is_plain_values():
    result = VerifyResult("full", "mismatch", 1, [mismatch(1)], "n")
    assert result.to_dict() == {
        "level": "full",
        "status": "mismatch",
        "checked": 1,
        "mismatches": [mismatch(1)],
        "note": "n",
    }
