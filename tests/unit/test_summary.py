"""The account in a few lines: what became of the rows, and what to do next."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.collection_messages import CollectionInfo
from headrace.config import LoadOptions
from headrace.conform import plan_conform
from headrace.journals import FileState, JournalState
from headrace.report import LoadReport
from headrace.schema import CollectionSchema, DataType, FieldSchema, IndexParam
from headrace.summary import file_lines, journal_lines, mapping_table, mismatch_lines, plan_text, report_lines
from headrace.target import Target

VECTOR = pa.list_(pa.float32(), 2)
WRITING = {"ours": True, "mode": "insert", "mode_reason": ""}


def report(**changes):
    values = {
        "collection": "docs",
        "uri": "http://localhost:19530",
        "database": "",
        "status": "done",
        "rows_read": 1000,
        "rows_stored": 1000,
        "rows_superseded": 0,
        "rows_skipped": 0,
        "rows_rejected": 0,
        "rows_unknown": 0,
        "rows_unsent": 0,
        "rows_resumed": 0,
        "rows_possibly_duplicated": 0,
        "rows_total": 1000,
        "source_exhausted": True,
        "guarantee": "at-least-once",
        "mode": "insert",
        "mode_reason": "this load created the collection",
        "created": True,
        "dry_run": False,
        "batches": 4,
        "bytes_sent": 4_000_000,
        "retries": {},
        "throttled_seconds": 0.0,
        "seconds": 2.0,
        "rows_per_second": 500.0,
        "client_cpu_seconds": 0.1,
        "peak_in_flight_bytes": 1,
        "batch_rows": {},
        "latency_ms": {},
        "files": [],
        "state_dir": "/state/docs-1",
        "rejects_file": None,
        "journal": None,
        "already_complete": False,
        "verify": None,
        "concurrency": {"in_flight": 2, "request_bytes": 6_000_000, "request_rows": 4_000},
        "interrupted": None,
        "failure": None,
        "mapping": [],
        "notes": [],
    }
    return LoadReport(**{**values, **changes})


def test_a_load_that_went_well_takes_five_lines():
    assert report_lines(report()) == [
        "headrace: done: 1,000 of 1,000 rows in docs at http://localhost:19530",
        "  rows       1,000 read = 1,000 stored",
        "  speed      2.0 s, 500 rows/s, 4 MB sent in 4 requests",
        "  delivery   at-least-once; insert: this load created the collection",
        "  state      /state/docs-1",
    ]


def test_everything_that_went_otherwise_has_its_line():
    lines = report_lines(
        report(
            database="db",
            status="ended early: no request succeeded\nfor 120 s",
            rows_read=900,
            rows_stored=700,
            rows_rejected=50,
            rows_unknown=50,
            rows_unsent=100,
            source_exhausted=False,
            retries={"throttle": 2, "ambiguous": 1},
            throttled_seconds=1.5,
            rows_possibly_duplicated=10,
            rejects_file="/state/docs-1/rejects.parquet",
            failure="no request succeeded\nfor 120 s",
            notes=["column 'x' is narrowed"],
        )
    )
    assert lines == [
        "headrace: ended early: 700 of 1,000 rows (900 read) in docs at http://localhost:19530, database db",
        "  rows       900 read = 700 stored + 50 rejected + 50 unknown + 100 unsent; the rest was not read",
        "  speed      2.0 s, 500 rows/s, 4 MB sent in 4 requests",
        "  delivery   at-least-once; insert: this load created the collection",
        "  retries    ambiguous 1, throttle 2; throttled for 1.5 s",
        "  doubles    10 rows sent again after an unclear answer",
        "  rejects    50 rows with their reasons in /state/docs-1/rejects.parquet",
        "  note       column 'x' is narrowed",
        "  stopped    no request succeeded for 120 s",
        "  state      /state/docs-1",
        "  next       run the same command again",
    ]


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        ({"rows_rejected": 1, "rows_stored": 999}, "mend the rejected rows and load them again"),
        (
            {"rows_unsent": 1, "journal": "/j"},
            "run the same command again to resume; a file that had to be mended needs --changed reload",
        ),
        ({"interrupted": "SIGINT"}, "run the same command again"),
        (
            {"verify": {"level": "full", "status": "mismatch", "checked": 1, "mismatches": [], "note": ""}},
            "mend what differs with headrace verify --repair, and look for another writer",
        ),
    ],
)
def test_what_to_do_next_is_the_last_line(changes, advice):
    assert report_lines(report(**changes))[-1] == f"  next       {advice}"


def test_a_dry_run_speaks_of_what_a_load_would_do():
    dry = report(
        status="dry run: nothing was sent; 3 rows would be rejected",
        dry_run=True,
        rows_stored=0,
        rows_rejected=3,
        rows_skipped=997,
        would_store={"rows": 990, "requests": 2, "bytes": 4_000_000},
        mode_reason="this load would create the collection",
        files=[
            {"source": "a.parquet", "rows": 600, "skipped": 600},
            {"source": "b.parquet", "rows": 400, "skipped": 397, "rejected": 3},
        ],
    )
    lines = report_lines(dry)
    assert lines[:5] == [
        "headrace: dry run: nothing was sent; 3 rows would be rejected: 990 of 1,000 rows would go to docs at "
        "http://localhost:19530",
        "  rows       1,000 read = 990 to be stored + 7 skipped + 3 rejected",
        "  speed      2.0 s, 500 rows/s checked",
        "  delivery   at-least-once; insert: this load would create the collection",
        "  requests   990 rows in 2 requests of 4 MB in all",
    ]
    assert "             b.parquet: 400 read = 397 not sent + 3 rejected" in lines
    assert lines[-1].startswith("  next       mend the rows that would be rejected")


def test_a_dry_run_that_ended_early_is_not_to_be_run_again_as_it_is():
    failure = "rejects: expected at most 100 refused rows, found 101; look into the rejects file"
    lines = report_lines(
        report(
            status=f"dry run ended early: {failure}",
            dry_run=True,
            rows_stored=0,
            rows_rejected=101,
            rows_skipped=899,
            source_exhausted=False,
            would_store={"rows": 899, "requests": 2, "bytes": 4_000_000},
            failure=failure,
        )
    )
    assert lines[0].startswith("headrace: dry run ended early: 899 of 1,000 rows (1,000 read) would go to docs")
    assert lines[-1] == "  next       mend the rows that would be rejected"


DAMAGE = "docs.jsonl, line 9: expected one JSON object, found damage; correct the line or leave it out"


def test_a_dry_run_that_was_stopped_is_not_said_to_be_resumed():
    failure = "a.jsonl, from row 8 on: column 'new': expected a field of the collection"
    dry = {
        "dry_run": True,
        "rows_stored": 0,
        "rows_skipped": 1000,
        "would_store": {"rows": 9, "requests": 1, "bytes": 1},
    }
    lines = report_lines(report(**dry, source_exhausted=False, failure=failure))
    assert lines[-1] == "  next       see to what stopped it, and check again"


def test_a_damaged_source_is_told_from_one_that_was_read_to_its_end():
    damaged = {
        "status": f"ended early: {DAMAGE}",
        "source_exhausted": False,
        "rows_total": None,
        "failure": DAMAGE,
        "unreadable": "docs.jsonl",
        "files": [{"source": "more.jsonl", "rows": 400, "stored": 400}, {"source": "docs.jsonl", "rows": 600}],
    }
    lines = report_lines(report(**damaged))
    assert lines[:2] == [
        "headrace: ended early: 1,000 of 1,000 rows (the rest was not read) in docs at http://localhost:19530",
        "  rows       1,000 read = 1,000 stored; the rest of docs.jsonl could not be read",
    ]
    assert lines[4:6] == [
        "  files      2, 1 of them with rows to look into",
        "             docs.jsonl: 600 read; the rest could not be read",
    ]
    again = "run the same command again; a mended file needs --changed reload"
    assert lines[-1] == f"  next       mend docs.jsonl, or leave it out, and {again}"
    dry = {
        "dry_run": True,
        "rows_stored": 0,
        "rows_skipped": 1000,
        "would_store": {"rows": 1, "requests": 1, "bytes": 1},
    }
    assert (
        report_lines(report(**damaged, **dry))[-1] == "  next       mend docs.jsonl, or leave it out, and check again"
    )


def test_a_load_that_sent_nothing_has_no_speed():
    complete = report(status="already complete", rows_resumed=1000, batches=0, bytes_sent=0, rows_per_second=0.0)
    assert report_lines(complete)[2] == "  speed      2.0 s, nothing was sent"


def test_verification_names_the_first_cells_that_differ():
    mismatches = [{"key": k, "field": "f", "expected": "1", "found": "2"} for k in range(7)]
    verify = {"level": "full", "status": "mismatch", "checked": 7, "mismatches": mismatches, "note": "7 differences"}
    lines = report_lines(report(verify=verify))
    assert "  verified   full: mismatch, 7 rows checked (7 differences)" in lines
    assert "             key 0, field 'f': expected 1, found 2" in lines
    assert "             and 2 more in the report" in lines
    assert len(mismatch_lines(mismatches)) == 6


def test_files_have_a_line_each_where_there_are_several():
    one = {"source": "a.parquet", "rows": 10, "stored": 10, "verified": 10}
    two = {
        "source": "b.parquet",
        "rows": 1000,
        "stored": 990,
        "rejected": 4,
        "unknown": 6,
        "verified": 989,
        "missing": 1,
    }
    assert file_lines([one]) == []
    lines = report_lines(report(files=[one, two]))
    assert [line for line in lines if "parquet" in line or "files" in line] == [
        "  files      2, 1 of them with rows to look into",
        "             b.parquet: 1,000 read = 990 stored + 4 rejected + 6 unknown; 989 verified, 1 missing",
        "             a.parquet: 10 read = 10 stored; 10 verified",
    ]


def test_of_thousands_of_files_the_worst_are_shown():
    files = [{"source": f"part-{number}", "rows": 5, "stored": 5} for number in range(3000)]
    for number in range(0, 3000, 200):
        files[number] |= {"stored": 5 - number // 1000, "unsent": 1 + number // 1000}
    lines = file_lines(files)
    assert len(lines) == 12
    assert lines[0] == "  files      3,000, 15 of them with rows to look into"
    assert [line.split(":")[0].strip() for line in lines[1:6]] == [f"part-{n}" for n in range(2000, 3000, 200)]
    assert lines[-1] == "             and 2,990 more in the report, 5 of them with such rows"


def test_the_mapping_is_a_table_with_long_types_cut():
    entry = {"source": "v", "field": "vec", "source_type": "x" * 60, "field_type": "FLOAT_VECTOR(4)", "note": "a guess"}
    lines = mapping_table([entry]).splitlines()
    assert lines[0].split() == ["column", "type", "field", "type", "note"]
    assert lines[2] == f"v       {'x' * 45}...  vec    FLOAT_VECTOR(4)  a guess"


def test_why_a_column_became_its_field_is_never_cut():
    why = "double is narrowed to float: values are rounded, rows out of range are rejected"
    entry = {"source": "v", "field": "v", "source_type": "list<double>", "field_type": "FLOAT_VECTOR(4)", "note": why}
    assert why in mapping_table([entry])
    for width in (40, 80, 120):
        lines = mapping_table([entry], width).splitlines()
        assert why in " ".join(" ".join(lines[2:]).split())
        assert width < 80 or max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "collection 'c' is created with the key 'k', indexed: a (COSINE), b (IP)"),
        ({"dry_run": True}, "collection 'c' would be created with the key 'k', indexed: a (COSINE), b (IP)"),
        ({"created": False}, "collection 'c' exists and holds 1,000 rows; its key is 'k'"),
        ({"created": False, "rows_before": None}, "collection 'c' exists; its key is 'k'"),
    ],
)
def test_a_load_says_of_which_collection_its_columns_become_fields(changes, line):
    fields = [FieldSchema("k", DataType.INT64, is_primary=True)]
    fields += [FieldSchema(name, DataType.FLOAT_VECTOR, dim=2) for name in "ab"]
    schema, options = CollectionSchema(fields), LoadOptions(dry_run=changes.pop("dry_run", False))
    indexes = (IndexParam("a", metric_type="COSINE"), IndexParam("b", metric_type="IP"))
    info = CollectionInfo(name="c", schema=schema)
    target = Target(info, **{"created": True, "rows_before": 1000, **changes}, **WRITING, indexes=indexes)
    plan = plan_conform(pa.schema([("k", pa.int64()), ("a", VECTOR), ("b", VECTOR)]), schema, options=options)
    assert plan_text(plan, target, options=options).splitlines()[:2] == [
        f"headrace: {line}",
        "column  type                             field  type             note",
    ]


LONG = "/var/lib/headrace/state/of a name with spaces/and-more-than-eighty-characters-in-all/docs-1"
FAILED = "ended early: " + "no request succeeded " * 12


def journals():
    """Loads into two servers, the second of which failed, and a journal that cannot be read."""
    file = FileState("/data/a.parquet", 12345, {"stored": 12345}, True)
    done = {"verdicts": {"stored": 12345}, "files": [file], "finished": True, "runs": 1, "status": "done", "age": 5.0}
    left = {"verdicts": {"stored": 5, "unclear": 2}, "runs": 2, "status": FAILED, "age": 90.0, "database": "db"}
    return [
        JournalState(LONG, "docs", "http://one:19530", **done),
        JournalState("/state/docs-2", "docs", "http://two:19530", **left),
        JournalState("/state/other-3", problem="/state/other-3/journal.sqlite: damage", age=1.0),
    ]


def test_journals_are_told_apart_by_their_servers_and_shown_whole():
    assert journal_lines(journals()) == [
        "headrace: 3 journals",
        "",
        "docs at http://one:19530",
        f"  {LONG}",
        "  finished: 12,345 stored in 1 run; last written to 5.0 s ago",
        "",
        "docs at http://two:19530, database db",
        "  /state/docs-2",
        "  unfinished: 5 stored, 2 unclear in 2 runs; last written to 1 min 30 s ago",
        f"  the last run: {FAILED.strip()}",
        "",
        "no collection",
        "  /state/other-3",
        "  not readable; last written to 1.0 s ago",
        "  /state/other-3/journal.sqlite: damage",
    ]
    assert journal_lines(journals()[:1], files=True)[-2:] == ["  /data/a.parquet", "    finished: 12,345 stored"]


def test_journals_fit_a_terminal_but_for_their_paths():
    lines = journal_lines(journals(), width=80)
    assert f"  {LONG}" in lines
    assert max(len(line) for line in lines if line != f"  {LONG}") <= 80
    assert " ".join(" ".join(lines).split()) == " ".join(" ".join(journal_lines(journals())).split())
