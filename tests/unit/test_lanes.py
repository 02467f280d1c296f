"""Which rows go straight on, and which follow later."""

from __future__ import annotations

import pyarrow as pa
import pytest

from headrace.batching import Aim, Piece, Span
from headrace.journal import Journal
from headrace.lanes import Lanes
from headrace.ledger import Ledger
from headrace.ordering import KeyOrder
from headrace.packing import make_packer
from headrace.rejects import RejectLimit, RejectsFile
from headrace.report import Account, Verdict
from headrace.window import Window
from tests.fake.rig import KEYED, rows

PACKER = make_packer(KEYED, collection_name="c")


def make(tmp_path, *, key="id", aim=10_000):
    ledger = Ledger(Account(), Journal(), RejectsFile(tmp_path), RejectLimit(), Window(1 << 20))
    order = KeyOrder(upsert=False)
    lanes = Lanes(key, PACKER, ledger, order, upsert=False, aim=lambda: Aim(aim), copy_waiting=True)
    return lanes, ledger


def piece(keys, start=0):
    batch = rows(keys, first=start)
    return Piece(batch, (Span("s", start, len(keys)),), PACKER.encoded_len(batch))


def shown(outgoing):
    return [(out.piece.batch.column("id").to_pylist(), out.upsert, out.late) for out in outgoing]


def test_new_keys_go_straight_on_without_a_copy(tmp_path):
    lanes, _ = make(tmp_path)
    given = piece([1, 2, 3])
    assert [out.piece for out in lanes.take(given)] == [given]


def test_repeated_keys_wait_to_be_joined_and_follow_as_upserts(tmp_path):
    lanes, _ = make(tmp_path)
    lanes.take(piece(list(range(100))))
    assert shown(lanes.take(piece([200, 5, 201, 7], 100))) == [([200, 201], False, False)]
    assert lanes.waiting_rows == 2
    later = lanes.flush()
    assert shown(later) == [([5, 7], True, True)]
    assert later[0].piece.spans == (Span("s", 101, 1), Span("s", 103, 1))
    assert lanes.waiting_rows == 0


def test_what_waits_is_sent_after_a_while(tmp_path):
    lanes, _ = make(tmp_path)
    lanes.take(piece([1, 2, 3]))
    lanes.take(piece([2], 3))
    sent = [shown(lanes.take(piece([10 + number], 4 + number))) for number in range(40)]
    assert sum(([2], True, True) in out for out in sent) == 1
    assert lanes.waiting_rows == 0


def test_only_the_last_row_of_a_key_is_sent(tmp_path):
    lanes, ledger = make(tmp_path)
    (out,) = lanes.take(piece([4, 4, 9, 4, 9, 1]))
    assert out.piece.batch.column("v").to_pylist() == [3, 4, 5]
    assert out.piece.spans == (Span("s", 3, 3),)
    assert ledger.account.rows(Verdict.SUPERSEDED) == 3


def test_without_a_key_nothing_is_looked_at(tmp_path):
    lanes, ledger = make(tmp_path, key=None)
    assert shown(lanes.take(piece([1, 1]))) == [([1, 1], False, False)]
    assert lanes.enter(pa.record_batch({"id": [1]}), late=False) is None
    assert ledger.account.rows(Verdict.SUPERSEDED) == 0


@pytest.mark.parametrize("size", [40, 100_000])
def test_the_size_that_is_aimed_at_holds_for_what_follows(tmp_path, size):
    lanes, _ = make(tmp_path, aim=size)
    lanes.take(piece(list(range(100))))
    later = [*lanes.take(piece(list(range(50)), 100)), *lanes.flush()]
    assert all(out.piece.size <= max(size, 40) or out.piece.batch.num_rows == 1 for out in later)
    assert sum(out.piece.batch.num_rows for out in later) == 50
