"""Blocks of text that are parsed before they are taken."""

import threading

import pyarrow as pa
import pytest

from headrace.sources.parsing import MOST_AHEAD, Block, ParsingAhead


class Parser:
    """Makes one row of a block: its number. Remembers in which threads."""

    def __init__(self):
        self.threads = []
        self.columns = []

    def __call__(self, block, columns):
        self.threads.append(threading.current_thread())
        self.columns.append(tuple(columns))
        if block.data == b"bad.":
            raise ValueError(f"block {block.row}")
        return pa.record_batch({name: [block.row] for name in columns})


def block(number, data=b"rows"):
    return Block(data, number * 4, number, number + 1, 1)


@pytest.fixture
def parser():
    return Parser()


@pytest.fixture
def ahead(parser):
    with ParsingAhead(parser) as found:
        yield found


def taken(ahead, number, columns=("id",)):
    return ahead.take(number * 4, columns).column(0).to_pylist()


def read_on(ahead):
    """Take two blocks that follow each other."""
    for number in (0, 1):
        ahead.add(block(number))
        assert taken(ahead, number) == [number]


def test_nothing_is_parsed_ahead_for_who_looks_at_the_first_rows(ahead, parser):
    ahead.add(block(0))
    assert taken(ahead, 0) == [0]
    assert ahead.wanted == 0
    ahead.add(block(1))
    assert parser.threads == [threading.current_thread()]


def test_blocks_are_parsed_by_other_threads_once_two_were_taken(ahead, parser):
    read_on(ahead)
    assert ahead.wanted == MOST_AHEAD
    for number in range(2, 2 + MOST_AHEAD):
        ahead.add(block(number))
    assert [taken(ahead, number) for number in range(2, 2 + MOST_AHEAD)] == [[n] for n in range(2, 2 + MOST_AHEAD)]
    assert len(parser.threads) == 2 + MOST_AHEAD
    assert threading.current_thread() not in parser.threads[2:]


def test_blocks_that_do_not_follow_each_other_are_not_parsed_ahead(ahead):
    for number in (0, 2, 4):
        ahead.add(block(number))
        assert taken(ahead, number) == [number]
    assert ahead.wanted == 0


def test_other_columns_are_parsed_anew(ahead, parser):
    read_on(ahead)
    ahead.add(block(2))
    assert ahead.take(8, ("other",)).schema.names == ["other"]
    assert ahead.wanted == 0


def test_an_error_is_raised_to_whoever_takes_the_block(ahead):
    read_on(ahead)
    ahead.add(block(2, b"bad."))
    ahead.add(block(3))
    with pytest.raises(ValueError, match="block 2"):
        taken(ahead, 2)
    assert taken(ahead, 3) == [3]


def test_a_block_that_was_passed_over_is_forgotten(ahead):
    for number in range(MOST_AHEAD + 2):
        ahead.add(block(number))
    assert ahead.take(0, ("id",)) is None
    assert taken(ahead, 1) == [1]


def test_no_more_blocks_are_wanted_than_fit(ahead, monkeypatch):
    read_on(ahead)
    monkeypatch.setattr("headrace.sources.parsing._MOST_BYTES", 8)
    ahead.add(block(2))
    assert ahead.wanted == MOST_AHEAD
    ahead.add(block(3))
    assert ahead.wanted == 0


def test_what_is_taken_after_the_end_is_not_there(parser):
    with ParsingAhead(parser) as ahead:
        read_on(ahead)
        ahead.add(block(2))
    assert ahead.take(8, ("id",)) is None
