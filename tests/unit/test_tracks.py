"""What waits for later rows of its partition, and for how long."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.batching import Aim, Piece, Placed, Span, split_rows
from headrace.collection_messages import CollectionInfo
from headrace.errors import SchemaError
from headrace.freshness import LiveSchema
from headrace.ordering import KeyOrder
from headrace.report import Verdict
from headrace.tracks import Tracks
from tests.fake.rig import KEYED, Fates, make_ledger, rows


def make(tmp_path, *, most_waiting=1000):
    ledger = make_ledger(tmp_path, Fates())
    live = LiveSchema("c", CollectionInfo("c", KEYED), columns=["id", "v"], upsert=False)
    tracks = Tracks(
        live,
        ledger,
        key="id",
        order=lambda partition: KeyOrder(upsert=False, partition=partition),
        upsert=False,
        aim=lambda: Aim(100_000),
        copy_waiting=False,
        most_waiting=most_waiting,
    )
    return tracks, live, ledger


def pieces(live, *, start=0, each=4, partitions=8):
    """So many rows of each partition, in turn."""
    found = []
    for number in range(partitions):
        first = start + number * each
        batch, name = rows(list(range(first, first + each)), first=first), f"p{number}"
        size = live.packer_of(name).encoded_len(batch)
        found.append((name, Piece(batch, (Span("s", first, each),), size)))
    return found


def test_many_partitions_wait_within_one_bound_and_lose_no_row(tmp_path):
    tracks, live, _ = make(tmp_path)
    sent = []
    for turn in range(50):
        cuts = tracks.cut(pieces(live, start=32 * turn))
        assert sum(track.waiting_bytes for track in tracks._all.values()) <= 1000
        sent += [(track.partition, key) for track, piece in cuts if piece for key in piece.batch["id"].to_pylist()]
    sent += [
        (track.partition, key) for track, piece in tracks.flush() if piece for key in piece.batch["id"].to_pylist()
    ]
    assert sorted(sent) == sorted((f"p{key % 32 // 4}", key) for key in range(1600))
    assert tracks.waiting_rows == 0


def test_one_partition_waits_as_long_as_it_likes(tmp_path):
    tracks, live, _ = make(tmp_path, most_waiting=1)
    assert tracks.cut(pieces(live, partitions=1)) == []
    assert tracks.waiting_rows == 4


def test_requests_stay_below_a_limit_in_partitions_that_come_later_too(tmp_path):
    tracks, live, _ = make(tmp_path)
    tracks.limit(200)
    cuts = tracks.cut(pieces(live, each=100, partitions=2))
    assert len(cuts) > 2
    assert all(piece.size <= 200 for _, piece in cuts)


def test_rows_that_cannot_be_cut_are_settled_once(tmp_path, monkeypatch):
    tracks, live, ledger = make(tmp_path)
    given = pieces(live)
    ledger.account.read(32)
    tracks.cut(given[:1])

    def broken(*_):
        raise SchemaError("no room")

    monkeypatch.setattr(tracks, "_overflow", broken)
    with pytest.raises(SchemaError):
        tracks.cut([(name, piece) for name, piece in given[1:]])
    assert ledger.account.rows(Verdict.UNSENT) + tracks.waiting_rows >= 28
    for piece in tracks.abandon():
        ledger.settle(piece.spans, piece.batch.num_rows, Verdict.UNSENT)
    ledger.account.check()


def test_rows_are_split_by_name_in_the_order_in_which_each_name_comes_first():
    placed = Placed(rows([1, 2, 3, 4, 5]), (Span("a", 10, 3), Span("b", 0, 2)))
    found = split_rows(placed, pa.array(["y", "x", "y", "x", "y"]))
    assert [(it.partition, it.batch["id"].to_pylist()) for it in found] == [("y", [1, 3, 5]), ("x", [2, 4])]
    assert found[0].spans == (Span("a", 10, 1), Span("a", 12, 1), Span("b", 1, 1))
    (whole,) = split_rows(placed, pa.array(["y"] * 5))
    assert whole.batch is placed.batch
